/* SPDX-License-Identifier: MIT
 * Segment registers, descriptors and descriptor tables in 64-bit mode. */
#include "isa/x86/exec.h"

enum {
  RIGHTS_UNUSABLE = 1 << 16,
  RIGHTS_PRESENT = 1 << 7,
  RIGHTS_CODE_OR_DATA = 1 << 4,
  RIGHTS_CODE = 1 << 3,
  RIGHTS_CONFORMING = 1 << 2, /* of code */
  RIGHTS_WRITABLE = 1 << 1,   /* of data; readable of code */
  RIGHTS_LONG = 1 << 13,
  RIGHTS_DEFAULT_BIG = 1 << 14,
  RIGHTS_GRANULARITY = 1 << 15,
  SELECTOR_TI = 4,
  TYPE_LDT = 2,
  TYPE_TSS_AVAILABLE = 9,
  TYPE_TSS_BUSY_BIT = 2
};

enum isa_step isa_system_load(struct isa_x86 *isa, uint64_t linear, unsigned size,
                              uint64_t *value) {
  isa->system_access = true;
  enum isa_step step = isa_load(isa, X86_DS, linear, size, value);
  isa->system_access = false;
  return step;
}

enum isa_step isa_system_store(struct isa_x86 *isa, uint64_t linear, unsigned size,
                               uint64_t value) {
  isa->system_access = true;
  enum isa_step step = isa_store(isa, X86_DS, linear, size, value);
  isa->system_access = false;
  return step;
}

static unsigned rights_dpl(uint32_t rights) {
  return rights >> 5 & 3;
}

static bool is_null(uint16_t selector) {
  return (selector & ~3u) == 0;
}

/* Loads `size` bytes of descriptor, 8 or 16 (high word too). */
static enum isa_step load_entry(struct isa_x86 *isa, unsigned size, unsigned vector, uint32_t error,
                                struct isa_descriptor *descriptor) {
  const struct x86_segment *ldt = &isa->state.segment[X86_LDTR];
  bool local = descriptor->selector & SELECTOR_TI;
  uint64_t base = local ? ldt->base : isa->state.gdtr.base;
  uint32_t limit = local ? ldt->limit : isa->state.gdtr.limit;
  uint32_t offset = descriptor->selector & ~7u;
  bool unusable = local && ldt->access_rights & RIGHTS_UNUSABLE;
  if (unusable || offset + size - 1 > limit) return isa_raise(isa, vector, true, error);
  descriptor->address = base + offset;
  enum isa_step step = isa_system_load(isa, descriptor->address, 8, &descriptor->low);
  if (step == ISA_NEXT && size == 16)
    step = isa_system_load(isa, descriptor->address + 8, 8, &descriptor->high);
  return step;
}

enum isa_step isa_descriptor_load(struct isa_x86 *isa, uint16_t selector, unsigned vector,
                                  uint32_t external, struct isa_descriptor *descriptor) {
  *descriptor = (struct isa_descriptor){.selector = selector};
  uint32_t error = (selector & ~3u) | external;
  if (is_null(selector)) return isa_raise(isa, vector, true, external);
  return load_entry(isa, 8, vector, error, descriptor);
}

uint32_t isa_descriptor_rights(const struct isa_descriptor *descriptor) {
  return (uint32_t)(descriptor->low >> 40) & 0xf0ff;
}

static uint32_t descriptor_limit(const struct isa_descriptor *descriptor) {
  uint32_t limit =
      (uint32_t)(descriptor->low & 0xffff) | (uint32_t)(descriptor->low >> 32 & 0xf0000);
  bool pages = isa_descriptor_rights(descriptor) & RIGHTS_GRANULARITY;
  return pages ? limit << 12 | 0xfff : limit;
}

static uint64_t descriptor_base(const struct isa_descriptor *descriptor) {
  uint64_t low = descriptor->low;
  return (low >> 16 & 0xffffff) | (low >> 56) << 24 | descriptor->high << 32;
}

/* Fills the hidden part as loaded; the accessed bit counts as set. */
void isa_segment_set(struct isa_x86 *isa, unsigned segment,
                     const struct isa_descriptor *descriptor) {
  isa->state.segment[segment] = (struct x86_segment){
      .base = descriptor_base(descriptor),
      .limit = descriptor_limit(descriptor),
      .access_rights = isa_descriptor_rights(descriptor) | 1,
      .selector = descriptor->selector,
  };
}

static void set_null(struct isa_x86 *isa, unsigned segment, uint16_t selector, unsigned dpl) {
  isa->state.segment[segment] = (struct x86_segment){
      .access_rights = RIGHTS_UNUSABLE | dpl << 5,
      .selector = selector,
  };
}

/* Writes the accessed bit back if it is clear: type bit 0 is bit 40 of the descriptor. */
static enum isa_step mark_accessed(struct isa_x86 *isa, const struct isa_descriptor *descriptor) {
  if (descriptor->low >> 40 & 1) return ISA_NEXT;
  return isa_system_store(isa, descriptor->address + 5, 1, (descriptor->low >> 40 & 0xff) | 1);
}

/* Code for RETF and IRET: the RPL becomes CPL. Only 64-bit code segments go on. */
enum isa_step isa_code_check(struct isa_x86 *isa, const struct isa_descriptor *descriptor) {
  uint32_t rights = isa_descriptor_rights(descriptor), error = descriptor->selector & ~3u;
  unsigned rpl = descriptor->selector & 3;
  bool is_code = (rights & RIGHTS_CODE_OR_DATA) && (rights & RIGHTS_CODE);
  bool conforming = rights & RIGHTS_CONFORMING;
  bool privilege = conforming ? rights_dpl(rights) <= rpl : rights_dpl(rights) == rpl;
  bool both = (rights & RIGHTS_LONG) && (rights & RIGHTS_DEFAULT_BIG);
  if (!is_code || !privilege || both) return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  if (!(rights & RIGHTS_PRESENT)) return isa_raise(isa, X86_EXCEPTION_NP, true, error);
  if (!(rights & RIGHTS_LONG))
    return isa_stop(isa, "return to compatibility mode not modelled", isa->uop->bytes,
                    isa->uop->length);
  return mark_accessed(isa, descriptor);
}

/* SS for privilege level `cpl`: a null selector is fine inside the kernel. A descriptor whose
 * `address` is 0 stands for null. */
enum isa_step isa_stack_check(struct isa_x86 *isa, uint16_t selector, unsigned cpl,
                              struct isa_descriptor *descriptor) {
  uint32_t error = selector & ~3u;
  *descriptor = (struct isa_descriptor){.selector = selector};
  if (is_null(selector)) {
    bool allowed = cpl < 3 && (selector & 3u) == cpl;
    return allowed ? ISA_NEXT : isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  }
  enum isa_step step = isa_descriptor_load(isa, selector, X86_EXCEPTION_GP, 0, descriptor);
  if (step != ISA_NEXT) return step;
  uint32_t rights = isa_descriptor_rights(descriptor);
  uint32_t kind = rights & (RIGHTS_CODE_OR_DATA | RIGHTS_CODE | RIGHTS_WRITABLE);
  bool fits = kind == (RIGHTS_CODE_OR_DATA | RIGHTS_WRITABLE) && rights_dpl(rights) == cpl &&
              (selector & 3u) == cpl;
  if (!fits) return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  if (!(rights & RIGHTS_PRESENT)) return isa_raise(isa, X86_EXCEPTION_SS, true, error);
  return mark_accessed(isa, descriptor);
}

void isa_stack_set(struct isa_x86 *isa, const struct isa_descriptor *descriptor, unsigned cpl) {
  if (is_null(descriptor->selector))
    set_null(isa, X86_SS, descriptor->selector, cpl);
  else
    isa_segment_set(isa, X86_SS, descriptor);
}

/* After a return to an outer level: data segments that it may not use become null. */
void isa_outer_return(struct isa_x86 *isa, unsigned cpl) {
  static const uint8_t data_segments[] = {X86_ES, X86_DS, X86_FS, X86_GS};
  isa->code_valid = false; /* the same page may not be executable for the new level */
  for (unsigned i = 0; i < sizeof data_segments; i++) {
    const struct x86_segment *segment = &isa->state.segment[data_segments[i]];
    uint32_t rights = segment->access_rights;
    bool shared = (rights & RIGHTS_CODE) && (rights & RIGHTS_CONFORMING);
    if (rights & RIGHTS_UNUSABLE || shared || rights_dpl(rights) >= cpl) continue;
    set_null(isa, data_segments[i], 0, 0);
  }
}

/* DS, ES, FS, GS. SDM 3A "Privilege Level Checking When Accessing Data Segments". */
static enum isa_step load_data_segment(struct isa_x86 *isa, unsigned segment, uint16_t selector) {
  struct isa_descriptor descriptor;
  uint32_t error = selector & ~3u;
  if (is_null(selector)) {
    set_null(isa, segment, selector, 0);
    return ISA_NEXT;
  }
  enum isa_step step = isa_descriptor_load(isa, selector, X86_EXCEPTION_GP, 0, &descriptor);
  if (step != ISA_NEXT) return step;
  uint32_t rights = isa_descriptor_rights(&descriptor);
  unsigned rpl = selector & 3, dpl = rights_dpl(rights);
  bool code = rights & RIGHTS_CODE;
  bool readable = (rights & RIGHTS_CODE_OR_DATA) && (!code || rights & RIGHTS_WRITABLE);
  bool any_level = code && rights & RIGHTS_CONFORMING;
  if (!readable || (!any_level && (rpl > dpl || isa_cpl(isa) > dpl)))
    return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  if (!(rights & RIGHTS_PRESENT)) return isa_raise(isa, X86_EXCEPTION_NP, true, error);
  step = mark_accessed(isa, &descriptor);
  if (step == ISA_NEXT) isa_segment_set(isa, segment, &descriptor);
  return step;
}

/* Loading SS blocks interrupts and debug exceptions for one instruction. */
static enum isa_step load_segment(struct isa_x86 *isa, unsigned segment, uint16_t selector) {
  struct isa_descriptor descriptor;
  if (segment != X86_SS) return load_data_segment(isa, segment, selector);
  enum isa_step step = isa_stack_check(isa, selector, isa_cpl(isa), &descriptor);
  if (step != ISA_NEXT) return step;
  isa_stack_set(isa, &descriptor, isa_cpl(isa));
  isa->state.interruptibility |= 2;
  return ISA_NEXT;
}

enum isa_step exec_mov_segment(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t selector;
  if (uop->operand[0].reg == X86_CS) return isa_raise(isa, X86_EXCEPTION_UD, false, 0);
  enum isa_step step = isa_operand_read(isa, uop, 1, &selector);
  return step == ISA_NEXT ? load_segment(isa, uop->operand[0].reg, (uint16_t)selector) : step;
}

enum isa_step exec_read_segment(struct isa_x86 *isa, const struct isa_uop *uop) {
  return isa_operand_write(isa, uop, 0, isa->state.segment[uop->operand[1].reg].selector);
}

enum isa_step exec_pop_segment(struct isa_x86 *isa, const struct isa_uop *uop) {
  uint64_t rsp = isa->state.gpr[X86_RSP], value;
  enum isa_step step = isa_load(isa, X86_SS, rsp, uop->size, &value);
  if (step == ISA_NEXT) step = load_segment(isa, uop->operand[0].reg, (uint16_t)value);
  if (step == ISA_NEXT) isa->state.gpr[X86_RSP] = rsp + uop->size;
  return step;
}

static enum isa_step store_table(struct isa_x86 *isa, const struct isa_uop *uop,
                                 const struct x86_table *table) {
  uint64_t linear = isa_memory_linear(isa, uop);
  enum isa_step step = isa_store(isa, uop->segment, linear, 2, table->limit & 0xffff);
  return step == ISA_NEXT ? isa_store(isa, uop->segment, linear + 2, 8, table->base) : step;
}

static enum isa_step load_table(struct isa_x86 *isa, const struct isa_uop *uop,
                                struct x86_table *table) {
  uint64_t linear = isa_memory_linear(isa, uop), limit, base;
  enum isa_step step = isa_load(isa, uop->segment, linear, 2, &limit);
  if (step == ISA_NEXT) step = isa_load(isa, uop->segment, linear + 2, 8, &base);
  if (step != ISA_NEXT) return step;
  if (!isa_is_canonical(isa, base)) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
  *table = (struct x86_table){.base = base, .limit = (uint32_t)limit};
  return ISA_NEXT;
}

enum isa_step exec_table(struct isa_x86 *isa, const struct isa_uop *uop) {
  bool interrupt = uop->argument == TABLE_SIDT || uop->argument == TABLE_LIDT;
  struct x86_table *table = interrupt ? &isa->state.idtr : &isa->state.gdtr;
  bool loads = uop->argument == TABLE_LGDT || uop->argument == TABLE_LIDT;
  return loads ? load_table(isa, uop, table) : store_table(isa, uop, table);
}

/* LTR marks the TSS busy in memory and in the register. */
static enum isa_step set_system_segment(struct isa_x86 *isa, bool task,
                                        struct isa_descriptor *descriptor) {
  if (task) {
    descriptor->low |= (uint64_t)TYPE_TSS_BUSY_BIT << 40;
    enum isa_step step =
        isa_system_store(isa, descriptor->address + 5, 1, descriptor->low >> 40 & 0xff);
    if (step != ISA_NEXT) return step;
  }
  isa->state.segment[task ? X86_TR : X86_LDTR] = (struct x86_segment){
      .base = descriptor_base(descriptor),
      .limit = descriptor_limit(descriptor),
      .access_rights = isa_descriptor_rights(descriptor),
      .selector = descriptor->selector,
  };
  return ISA_NEXT;
}

static enum isa_step load_local(struct isa_x86 *isa, uint16_t selector, bool task) {
  struct isa_descriptor descriptor = {.selector = selector};
  uint32_t error = selector & ~3u;
  if (is_null(selector)) {
    if (task) return isa_raise(isa, X86_EXCEPTION_GP, true, 0);
    set_null(isa, X86_LDTR, selector, 0);
    return ISA_NEXT;
  }
  if (selector & SELECTOR_TI) return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  enum isa_step step = load_entry(isa, 16, X86_EXCEPTION_GP, error, &descriptor);
  if (step != ISA_NEXT) return step;
  uint32_t rights = isa_descriptor_rights(&descriptor);
  uint32_t type = task ? TYPE_TSS_AVAILABLE : TYPE_LDT;
  if ((rights & 0x1f) != type || !isa_is_canonical(isa, descriptor_base(&descriptor)))
    return isa_raise(isa, X86_EXCEPTION_GP, true, error);
  if (!(rights & RIGHTS_PRESENT)) return isa_raise(isa, X86_EXCEPTION_NP, true, error);
  return set_system_segment(isa, task, &descriptor);
}

enum isa_step exec_local(struct isa_x86 *isa, const struct isa_uop *uop) {
  bool task = uop->argument == LOCAL_STR || uop->argument == LOCAL_LTR;
  uint64_t selector;
  if (uop->argument == LOCAL_SLDT || uop->argument == LOCAL_STR)
    return isa_operand_write(isa, uop, 0, isa->state.segment[task ? X86_TR : X86_LDTR].selector);
  enum isa_step step = isa_operand_read(isa, uop, 0, &selector);
  return step == ISA_NEXT ? load_local(isa, (uint16_t)selector, task) : step;
}
