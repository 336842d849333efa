/* SPDX-License-Identifier: MIT
 * Linear memory: the TLB's fast path, and the walk behind it with its faults and EPT exits. */
#include "src/machine/machine.h"

/* CPL is the DPL of SS. */
static bool is_user(const struct nst_cpu *cpu) {
  return !cpu->isa.system_access && (cpu->isa.state.segment[X86_SS].access_rights >> 5 & 3) == 3;
}

static unsigned privilege(const struct nst_cpu *cpu) {
  return is_user(cpu) ? (unsigned)WALK_USER : (unsigned)TLB_SUPERVISOR;
}

void cpu_retag(struct nst_cpu *cpu) {
  const struct x86_state *state = &cpu->isa.state;
  struct tlb_tag tag = {0, 0, 0};
  if (cpu->vmx.nonroot) {
    tag.ep4ta = cpu->vmx.ep4ta;
    tag.vpid = cpu->vmx.vpid_used;
  }
  if (state->cr4 & X86_CR4_PCIDE) tag.pcid = (uint16_t)(state->cr3 & 0xfff);
  tlb_select(&cpu->tlb, &tag);
  cpu->isa.code_valid = false;
}

static struct walk_request make_request(const struct nst_cpu *cpu, unsigned access) {
  const struct x86_state *state = &cpu->isa.state;
  return (struct walk_request){
      .cr3 = state->cr3,
      .eptp = cpu->vmx.nonroot && cpu->vmx.ept ? vmcs_get(&cpu->vmx.vmcs, FIELD_EPT_POINTER) : 0,
      .access = access | (is_user(cpu) ? (unsigned)WALK_USER : 0),
      .physical_bits = cpu->machine->capability.physical_bits,
      .paging = state->cr0 & X86_CR0_PG,
      .write_protect = state->cr0 & X86_CR0_WP,
      .no_execute = state->efer & X86_EFER_NXE,
      .smep = state->cr4 & X86_CR4_SMEP,
      .smap = state->cr4 & X86_CR4_SMAP,
      .alignment_override = state->rflags & X86_RFLAGS_AC,
  };
}

static struct walk_memory make_memory(struct nst_machine *machine) {
  return (struct walk_memory){machine, memory_load64, memory_store64};
}

/* Turns a failed walk into what the architecture makes of it. */
static enum isa_step walk_failed(struct nst_cpu *cpu, uint64_t linear,
                                 const struct walk_result *walk) {
  struct vmcs_exit exit = {.guest_linear_address = linear,
                           .guest_physical_address = walk->fault.value,
                           .detail = walk->fault.value};
  switch (walk->outcome) {
    case WALK_OK:
      return ISA_NEXT;
    case WALK_PAGE_FAULT:
      isa_raise(&cpu->isa, X86_EXCEPTION_PF, true, walk->error_code);
      cpu->isa.fault.address = linear;
      return ISA_FAULT;
    case WALK_EPT_VIOLATION:
      exit.reason = EXIT_REASON_EPT_VIOLATION;
      exit.qualification = walk->qualification;
      return cpu_exit(cpu, &exit);
    case WALK_EPT_MISCONFIG:
      exit.reason = EXIT_REASON_EPT_MISCONFIG;
      return cpu_exit(cpu, &exit);
    case WALK_BUS_ERROR:
      return cpu_die(cpu, "a page table for linear address 0x%llx lies outside memory",
                     (unsigned long long)linear);
  }
  return ISA_NEXT;
}

/* Walks, fills the TLB and gives the page's memory; *page is NULL where no memory answers. */
static enum isa_step translate(struct nst_cpu *cpu, uint64_t linear, unsigned access,
                               uint64_t *physical) {
  struct walk_request request = make_request(cpu, access);
  struct walk_memory memory = make_memory(cpu->machine);
  struct walk_result walk;
  if (walk_run(&memory, &request, linear_addr_make(linear), &walk) != WALK_OK)
    return walk_failed(cpu, linear, &walk);
  *physical = walk.host.value;
  uint8_t *page = memory_page(cpu->machine, *physical);
  if (!page) return ISA_NEXT;
  unsigned granted = (walk.permissions & (WALK_READ | WALK_WRITE | WALK_EXECUTE)) | privilege(cpu);
  if (walk.linear_page_bits == PAGE_BITS) granted |= (unsigned)TLB_SMALL_PAGE;
  bool slow_store = cpu->machine->page_flag[*physical >> PAGE_BITS] != 0;
  if (!walk.dirty || slow_store) granted &= ~(unsigned)WALK_WRITE;
  tlb_insert(&cpu->tlb, linear, *physical & ~UINT64_C(0xfff), granted, page);
  return ISA_NEXT;
}

bool cpu_probe(struct nst_cpu *cpu, uint64_t linear, unsigned access, uint64_t *physical) {
  struct walk_request request = make_request(cpu, access);
  request.access &= ~(unsigned)WALK_USER;
  request.smap = false;
  request.probe = true;
  struct walk_memory memory = make_memory(cpu->machine);
  struct walk_result walk;
  if (walk_run(&memory, &request, linear_addr_make(linear), &walk) != WALK_OK) return false;
  *physical = walk.host.value;
  return true;
}

bool cpu_code_page(struct nst_cpu *cpu, uint64_t linear, uint64_t *page) {
  const struct tlb_entry *entry = tlb_find(&cpu->tlb, linear, WALK_EXECUTE | privilege(cpu));
  if (entry) {
    *page = entry->frame;
    return true;
  }
  bool mapped = cpu_probe(cpu, linear, WALK_EXECUTE, page);
  *page &= ~UINT64_C(0xfff);
  return mapped;
}

static uint64_t read_bytes(const uint8_t *at, unsigned size) {
  uint64_t value = 0;
  memcpy(&value, at, size);
  return value;
}

/* Memory that nobody answers for reads as ones, as a bus without a device does. */
static uint64_t all_ones(unsigned size) {
  return size == 8 ? UINT64_MAX : (UINT64_C(1) << size * 8) - 1;
}

static enum isa_step load_part(struct nst_cpu *cpu, uint64_t linear, unsigned size, unsigned access,
                               uint64_t *value) {
  uint64_t physical = 0;
  enum isa_step step = translate(cpu, linear, access, &physical);
  if (step != ISA_NEXT) return step;
  *value = memory_has(cpu->machine, physical, size)
               ? read_bytes(cpu->machine->memory + physical, size)
               : all_ones(size);
  return ISA_NEXT;
}

static enum isa_step load_slow(struct nst_cpu *cpu, uint64_t linear, unsigned size, unsigned access,
                               uint64_t *value) {
  unsigned first = PAGE_BYTES - (unsigned)(linear & (PAGE_BYTES - 1));
  if (first >= size) return load_part(cpu, linear, size, access, value);
  uint64_t low = 0, high = 0;
  enum isa_step step = load_part(cpu, linear, first, access, &low);
  if (step == ISA_NEXT) step = load_part(cpu, linear + first, size - first, access, &high);
  if (step == ISA_NEXT) *value = low | high << (first & 7) * 8;
  return step;
}

enum isa_step cpu_load(void *context, uint64_t linear, unsigned size, uint64_t *value) {
  struct nst_cpu *cpu = context;
  const struct tlb_entry *entry = tlb_find(&cpu->tlb, linear, WALK_READ | privilege(cpu));
  if (!entry || (linear & (PAGE_BYTES - 1)) + size > PAGE_BYTES)
    return load_slow(cpu, linear, size, WALK_READ, value);
  const uint8_t *at = entry->host + (linear & (PAGE_BYTES - 1));
  if (size == 8)
    memcpy(value, at, 8);
  else
    *value = read_bytes(at, size);
  return ISA_NEXT;
}

enum isa_step cpu_load_for_write(void *context, uint64_t linear, unsigned size, uint64_t *value) {
  struct nst_cpu *cpu = context;
  const struct tlb_entry *entry =
      tlb_find(&cpu->tlb, linear, WALK_READ | WALK_WRITE | privilege(cpu));
  if (!entry || (linear & (PAGE_BYTES - 1)) + size > PAGE_BYTES)
    return load_slow(cpu, linear, size, WALK_READ | WALK_WRITE, value);
  *value = read_bytes(entry->host + (linear & (PAGE_BYTES - 1)), size);
  return ISA_NEXT;
}

static void store_physical(struct nst_cpu *cpu, uint64_t physical, const void *bytes,
                           unsigned size) {
  if (!memory_has(cpu->machine, physical, size)) return;
  memory_touched(cpu->machine, physical);
  memcpy(cpu->machine->memory + physical, bytes, size);
}

static enum isa_step store_slow(struct nst_cpu *cpu, uint64_t linear, unsigned size,
                                uint64_t value) {
  unsigned first = PAGE_BYTES - (unsigned)(linear & (PAGE_BYTES - 1));
  if (first > size) first = size;
  uint64_t low = 0, high = 0;
  enum isa_step step = translate(cpu, linear, WALK_WRITE, &low);
  if (step == ISA_NEXT && first < size) step = translate(cpu, linear + first, WALK_WRITE, &high);
  if (step != ISA_NEXT) return step;
  uint8_t bytes[8];
  memcpy(bytes, &value, 8);
  store_physical(cpu, low, bytes, first);
  if (first < size) store_physical(cpu, high, bytes + first, size - first);
  return ISA_NEXT;
}

enum isa_step cpu_store(void *context, uint64_t linear, unsigned size, uint64_t value) {
  struct nst_cpu *cpu = context;
  const struct tlb_entry *entry = tlb_find(&cpu->tlb, linear, WALK_WRITE | privilege(cpu));
  if (!entry || (linear & (PAGE_BYTES - 1)) + size > PAGE_BYTES)
    return store_slow(cpu, linear, size, value);
  uint8_t *at = entry->host + (linear & (PAGE_BYTES - 1));
  if (size == 8)
    memcpy(at, &value, 8);
  else
    memcpy(at, &value, size);
  return ISA_NEXT;
}

enum isa_step cpu_fetch(void *context, uint64_t linear, const uint8_t **bytes, uint64_t *frame) {
  struct nst_cpu *cpu = context;
  uint64_t physical = 0;
  const struct tlb_entry *entry = tlb_find(&cpu->tlb, linear, WALK_EXECUTE | privilege(cpu));
  if (entry) {
    physical = entry->frame;
  } else {
    enum isa_step step = translate(cpu, linear, WALK_EXECUTE, &physical);
    if (step != ISA_NEXT) return step;
  }
  const uint8_t *page = memory_page(cpu->machine, physical);
  if (!page)
    return cpu_die(cpu, "code at linear address 0x%llx lies outside memory (physical 0x%llx)",
                   (unsigned long long)linear, (unsigned long long)physical);
  uint64_t number = physical >> PAGE_BITS;
  cpu->native_fetched = physical;
  if (cpu->machine->page_flag[number] & PAGE_NATIVE) return ISA_NATIVE;
  memory_flag(cpu->machine, physical, PAGE_CODE);
  *bytes = page;
  *frame = number;
  return ISA_NEXT;
}

enum isa_step cpu_invlpg(void *context, uint64_t linear) {
  struct nst_cpu *cpu = context;
  uint16_t vpid = cpu->vmx.nonroot && cpu->vmx.vpid
                      ? (uint16_t)vmcs_get(&cpu->vmx.vmcs, FIELD_VIRTUAL_PROCESSOR_ID)
                      : 0;
  tlb_flush_address(&cpu->tlb, vpid, linear);
  cpu->isa.code_valid = false;
  return ISA_NEXT;
}
