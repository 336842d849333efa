/* SPDX-License-Identifier: MIT
 * 4-level guest paging as data. */
#include "paging/fmt_ia32e.h"

const struct walk_format walk_format_ia32e = WALK_FORMAT_IA32E;
