/* SPDX-License-Identifier: MIT
 * nestor: the program. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/cli/cli.h"

enum { DEFAULT_COLUMNS = 100 };

/* Handlers take no argument, so this is where they leave word. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
  (void)number;
  interrupted = 1;
}

/* The first Ctrl-C or SIGTERM asks the replay to end with what it has; the second one ends the
 * program. */
static void catch_interrupts(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static unsigned terminal_columns(void) {
  struct winsize size;
  if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
    return DEFAULT_COLUMNS;
  return size.ws_col >= 40 ? size.ws_col : DEFAULT_COLUMNS;
}

int main(int argc, char **argv) {
  static const struct cli_engine engine = {replay_run, replay_free, report_print, cli_bench};
  catch_interrupts();
  struct cli cli = {
      stdout, stderr, &engine, &interrupted, terminal_columns(), isatty(STDERR_FILENO) != 0};
  return cli_run(&cli, argc, argv);
}
