/* SPDX-License-Identifier: MIT
 * Fuzz target: a hypervisor that does anything: VMCS fields of any value, memory areas, MSRs,
 * interrupts, guest code, pointers, and entries in between. The input is its program. */
#include "test/fuzz/machine.h"
#include "vmcs/field.h"

enum { ACTIONS = 200, BUDGET = 100, TEXTS = 4 };

/* ud2 is what a lost guest finds. */
static const uint8_t code[] = {0x0f, 0xa2, 0x0f, 0x01, 0xc1, 0xe4, 0x80, 0x0f,
                               0x32, 0x90, 0xf4, 0xeb, 0xf3, 0x0f, 0x0b};

static uint32_t field_of(struct fuzz_input *input) {
  uint64_t index = fuzz_take(input, 1);
  if (index < FIELD_COUNT) return vmcs_field_info[index].encoding;
  return (uint32_t)fuzz_take(input, 2);
}

/* Mostly a page that is there. */
static uint64_t address_of(struct fuzz_input *input) {
  uint64_t how = fuzz_take(input, 1);
  if (how < 0xc0) return FUZZ_SCRATCH + (how % FUZZ_SCRATCH_PAGES) * 0x1000;
  return fuzz_number(input);
}

static void change_field(struct fuzz_machine *m, struct fuzz_input *input, bool flip) {
  uint32_t field = field_of(input);
  uint64_t value = 0;
  if (flip) {
    nst_vmread(m->cpu, field, &value);
    value ^= UINT64_C(1) << (fuzz_take(input, 1) & 63);
  } else {
    value = fuzz_number(input);
  }
  nst_vmwrite(m->cpu, field, value);
}

static void change_pointer(struct fuzz_machine *m, struct fuzz_input *input) {
  uint64_t how = fuzz_take(input, 1), at = address_of(input), pointer;
  switch (how % 7) {
    case 0:
      nst_vmptrld(m->cpu, at);
      break;
    case 1:
      nst_vmclear(m->cpu, at);
      break;
    case 2:
      nst_vmptrst(m->cpu, &pointer);
      break;
    case 3:
      nst_vmxon(m->cpu, at);
      break;
    case 4:
      nst_invept(m->cpu, how >> 3, at);
      break;
    case 5:
      nst_invvpid(m->cpu, how >> 3, (uint16_t)fuzz_take(input, 2), at);
      break;
    default:
      if (how > 0xf0) nst_vmxoff(m->cpu);
  }
}

static void change_register(struct fuzz_machine *m, struct fuzz_input *input) {
  uint64_t how = fuzz_take(input, 1), value = fuzz_number(input);
  switch (how % 5) {
    case 0:
      nst_wrmsr(m->cpu, (uint32_t)fuzz_take(input, 4), value);
      break;
    case 1:
      nst_rdmsr(m->cpu, (uint32_t)fuzz_take(input, 4), &value);
      break;
    case 2:
      nst_write_dr(m->cpu, how % 8 < 4 ? how % 4 : 6 + how % 2, value);
      break;
    case 3:
      nst_out(m->cpu, (uint16_t)value, 1u << how % 3, (uint32_t)how);
      break;
    default:
      nst_poke_reg(m->cpu, m->level, (enum nst_reg)(how % 16), value);
  }
}

/* Guest code, areas and bitmaps; what lies where. */
static void change_memory(struct fuzz_machine *m, struct fuzz_input *input) {
  uint64_t how = fuzz_take(input, 1), offset = fuzz_take(input, 2) & 0xff8;
  uint64_t value = fuzz_number(input);
  uint64_t at = FUZZ_SCRATCH + (how % FUZZ_SCRATCH_PAGES) * 0x1000 + offset;
  if (how < 0x60) {
    at = nst_level_memory(m->cpu, m->level, FUZZ_GUEST_CODE + offset % 64);
    nst_mem_write(m->machine, at, &value, sizeof value);
  } else {
    nst_store(m->cpu, at, 8, value);
  }
}

/* False: it cannot go on. A refusal and what nst_check_entry says go together, at L0. */
static bool enter(struct fuzz_machine *m, bool launch, struct nst_stop *stop) {
  const char *texts[TEXTS];
  size_t failed = 0;
  uint64_t current = 0;
  if (m->level == 1 && nst_vmptrst(m->cpu, &current) == NST_VMX_SUCCEED)
    failed = nst_check_entry(m->cpu, current, texts, TEXTS);
  enum nst_vmx_result result = launch ? nst_vmlaunch(m->cpu) : nst_vmresume(m->cpu);
  if (result != NST_VMX_SUCCEED) return nst_error(m->machine)[0] == 0;
  *stop = (struct nst_stop){.kind = NST_STOP_NONE};
  if (nst_run(m->cpu, BUDGET, stop) != NST_OK) return false;
  fuzz_look(m, stop);
  if (failed > 0 && stop->kind == NST_STOP_EXIT) {
    uint64_t reason = 0;
    nst_vmread(m->cpu, NST_FIELD_VM_EXIT_REASON, &reason);
    FUZZ_REQUIRE(reason >> 31 & 1);
  }
  return stop->kind == NST_STOP_EXIT || stop->kind == NST_STOP_ENTRY_FAILED ||
         stop->kind == NST_STOP_BUDGET;
}

static bool act(struct fuzz_machine *m, struct fuzz_input *input, bool *launch) {
  struct nst_stop stop;
  uint64_t action = fuzz_take(input, 1);
  switch (action % 8) {
    case 0:
    case 1:
      change_field(m, input, action & 1);
      return true;
    case 2:
      change_memory(m, input);
      return true;
    case 3:
      change_register(m, input);
      return true;
    case 4:
      change_pointer(m, input);
      return true;
    case 5:
      if (action >> 3 < 4)
        nst_raise_nmi(m->cpu);
      else
        nst_raise_interrupt(m->cpu, 16 + (unsigned)fuzz_take(input, 1) % 240);
      return true;
    default:
      if (!enter(m, *launch != (action > 0xf0), &stop)) return false;
      if (stop.kind == NST_STOP_EXIT) *launch = false;
      return stop.kind != NST_STOP_BUDGET;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (size < 2) return 0;
  struct fuzz_input input = {bytes, size, 0};
  unsigned left;
  struct fuzz_machine m = fuzz_open((unsigned)fuzz_take(&input, 1), code, sizeof code, &left);
  bool launch = true;
  for (unsigned i = 0; i < ACTIONS && fuzz_left(&input) > 0; i++) {
    if (!act(&m, &input, &launch)) break;
  }
  nst_machine_destroy(m.machine);
  return 0;
}
