/* SPDX-License-Identifier: MIT
 * Addresses as types: a linear address, a guest-physical and a host-physical one never mix. */
#ifndef PAGING_ADDRESS_H
#define PAGING_ADDRESS_H

#include <stdint.h>

struct linear_addr {
  uint64_t value;
};
/* Physical as the software sees it that set up the tables: what a guest page table yields. */
struct guest_phys {
  uint64_t value;
};
/* Physical on the machine: what EPT yields, or guest_phys itself where no EPT is in force. */
struct host_phys {
  uint64_t value;
};

static inline struct linear_addr linear_addr_make(uint64_t value) {
  return (struct linear_addr){value};
}
static inline struct guest_phys guest_phys_make(uint64_t value) {
  return (struct guest_phys){value};
}
static inline struct host_phys host_phys_make(uint64_t value) {
  return (struct host_phys){value};
}
/* Without EPT a guest-physical address is a host-physical one. */
static inline struct host_phys guest_phys_untranslated(struct guest_phys address) {
  return host_phys_make(address.value);
}

#endif
