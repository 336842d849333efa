/* SPDX-License-Identifier: MIT
 * 4-level EPT as data. */
#include "paging/fmt_ept.h"

const struct walk_format walk_format_ept = WALK_FORMAT_EPT;
