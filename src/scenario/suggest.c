/* SPDX-License-Identifier: MIT
 * "Did you mean": the nearest word of a list or the nearest file of some folders. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "src/scenario/names.h"

enum {
  COMPARED = 63,       /* characters of a word that are compared */
  FOLDER_LIMIT = 10000 /* entries of a folder that are looked at */
};

static unsigned smaller(unsigned a, unsigned b) {
  return a < b ? a : b;
}

static int folded(char c) {
  return tolower((unsigned char)c);
}

/* One row of the table of distances between prefixes; `row[-1]` and `row[-2]` are the rows above.
 */
static void fill_row(unsigned (*row)[COMPARED + 1], const char *a, size_t i, const char *b,
                     size_t b_length) {
  row[0][0] = (unsigned)i;
  for (size_t j = 1; j <= b_length; j++) {
    bool same = folded(a[i - 1]) == folded(b[j - 1]);
    unsigned best = row[-1][j - 1] + (same ? 0 : 1);
    best = smaller(best, smaller(row[-1][j], row[0][j - 1]) + 1);
    bool swapped = i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                   folded(a[i - 2]) == folded(b[j - 1]);
    if (swapped) best = smaller(best, row[-2][j - 2] + 1);
    row[0][j] = best;
  }
}

unsigned suggest_distance(const char *a, const char *b) {
  unsigned table[COMPARED + 1][COMPARED + 1];
  size_t a_length = strnlen(a, COMPARED), b_length = strnlen(b, COMPARED);
  for (size_t j = 0; j <= b_length; j++) table[0][j] = (unsigned)j;
  for (size_t i = 1; i <= a_length; i++) fill_row(&table[i], a, i, b, b_length);
  return table[a_length][b_length];
}

/* Up to this many edits a word of this length can still be what was meant. */
static unsigned tolerance(const char *word) {
  size_t length = strnlen(word, COMPARED);
  return length <= 2 ? 1 : length <= 5 ? 2 : 3;
}

const char *suggest_word(const char *given, const char *const *words) {
  const char *best = NULL;
  unsigned nearest = tolerance(given) + 1;
  for (; *words != NULL; words++) {
    unsigned distance = suggest_distance(given, *words);
    /* A word of which nothing is left is no near miss. */
    if (distance >= nearest || distance >= strlen(*words)) continue;
    nearest = distance;
    best = *words;
  }
  return best;
}

/* The last part of a path, and how long the folder before it is. */
static const char *base_name(const char *path, size_t *folder_length) {
  const char *slash = strrchr(path, '/');
  *folder_length = slash == NULL ? 0 : (size_t)(slash - path);
  return slash == NULL ? path : slash + 1;
}

struct search {
  const char *given; /* file name looked for, with and without the suffix */
  const char *suffix;
  unsigned nearest;
  char *path;
  size_t size;
};

static bool has_suffix(const char *name, const char *suffix) {
  size_t length = strlen(name), tail = strlen(suffix);
  return length > tail && strcmp(name + length - tail, suffix) == 0;
}

/* Distance to a file name; a name given without the suffix is meant with it. */
static unsigned file_distance(const struct search *search, const char *name) {
  unsigned distance = suggest_distance(search->given, name);
  if (search->suffix == NULL || has_suffix(search->given, search->suffix)) return distance;
  char completed[COMPARED + 1];
  int length = snprintf(completed, sizeof completed, "%s%s", search->given, search->suffix);
  if (length < 0 || (size_t)length >= sizeof completed) return distance;
  return smaller(distance, suggest_distance(completed, name));
}

static void search_folder(struct search *search, const char *folder, const char *shown) {
  DIR *directory = opendir(folder);
  if (directory == NULL) return;
  for (unsigned i = 0; i < FOLDER_LIMIT; i++) {
    const struct dirent *entry = readdir(directory);
    if (entry == NULL) break;
    if (entry->d_name[0] == '.') continue;
    if (search->suffix != NULL && !has_suffix(entry->d_name, search->suffix)) continue;
    unsigned distance = file_distance(search, entry->d_name);
    if (distance > search->nearest || distance >= strlen(entry->d_name)) continue;
    char path[SCENARIO_PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s%s%s", shown, *shown ? "/" : "", entry->d_name);
    if (length < 0 || (size_t)length >= sizeof path || (size_t)length >= search->size) continue;
    /* Of two equally near ones the alphabet decides, not the order of the folder. */
    bool tie = distance == search->nearest;
    if (tie && (search->path[0] == '\0' || strcmp(path, search->path) >= 0)) continue;
    search->nearest = distance;
    memcpy(search->path, path, (size_t)length + 1);
  }
  closedir(directory);
}

bool suggest_file(const char *given, const char *const *folders, const char *suffix, char *path,
                  size_t size) {
  size_t folder_length;
  const char *name = base_name(given, &folder_length);
  char own[SCENARIO_PATH_SIZE];
  struct search search = {name, suffix, tolerance(name) + 1, path, size};
  path[0] = '\0';
  if (folder_length < sizeof own) {
    snprintf(own, sizeof own, "%.*s", (int)folder_length, given);
    bool root = given[0] == '/' && folder_length == 0;
    search_folder(&search, folder_length > 0 ? own : root ? "/" : ".", own);
  }
  for (; folders != NULL && *folders != NULL; folders++) search_folder(&search, *folders, *folders);
  return path[0] != '\0';
}
