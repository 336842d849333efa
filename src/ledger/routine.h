/* SPDX-License-Identifier: MIT
 * Which routine of hypervisor software an exit calls for: the same question at every level. */
#ifndef LEDGER_ROUTINE_H
#define LEDGER_ROUTINE_H

#include "src/ledger/ledger.h"

/* Software was given an exit of the guest at level `from` and ended with the entry of the guest at
 * level `to`: deeper, it merged; less deep, it reflected; the same, it handled the exit. `detail`
 * is that of struct ledger_cause. */
enum ledger_routine routine_of(uint32_t reason, uint64_t detail, unsigned from, unsigned to);

#endif
