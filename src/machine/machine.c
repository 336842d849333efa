/* SPDX-License-Identifier: MIT
 * Machines: creation, reset state, destruction. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "src/machine/machine.h"

#define MEMORY_LIMIT (UINT64_C(64) << 30)
enum { LARGE_PAGE = 1 << 21 };

const char *nst_version(void) {
  return "0.1.0";
}

enum nst_status machine_fail(struct nst_machine *machine, enum nst_status status,
                             const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(machine->error, sizeof machine->error, format, arguments);
  va_end(arguments);
  return status;
}

const char *nst_error(const struct nst_machine *machine) {
  return machine->error;
}

void nst_config_init(struct nst_config *config) {
  *config = (struct nst_config){
      .size = sizeof *config,
      .memory = UINT64_C(512) << 20,
      .processor = "haswell",
      .vmcs_shadowing = true,
      .tlb = true,
      .cpus = 1,
  };
}

static const struct isa_ops ops = {
    .load = cpu_load,
    .store = cpu_store,
    .load_for_write = cpu_load_for_write,
    .fetch = cpu_fetch,
    .intercept = cpu_intercept,
    .exception = cpu_exception,
    .vmx = cpu_vmx,
    .read_cr = cpu_read_cr,
    .write_cr = cpu_write_cr,
    .read_msr = cpu_read_msr,
    .write_msr = cpu_write_msr,
    .port_in = cpu_port_in,
    .port_out = cpu_port_out,
    .invlpg = cpu_invlpg,
    .cpuid = cpu_cpuid,
    .tsc = cpu_tsc,
};

/* 64-bit mode, privilege 0, flat segments: the state in which a boot loader leaves a processor. */
static void reset_state(struct nst_cpu *cpu) {
  enum { CODE64 = 0xa09b, DATA = 0xc093, UNUSABLE = 0x10000, TSS_BUSY = 0x8b };
  struct x86_state *state = &cpu->isa.state;
  state->cr0 = X86_CR0_PE | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
  state->cr4 = X86_CR4_PAE | X86_CR4_PGE;
  state->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
  state->rflags = X86_RFLAGS_FIXED;
  state->xcr0 = 1;
  state->pat = UINT64_C(0x0007040600070406);
  state->dr[6] = 0xffff0ff0;
  state->dr[7] = 0x400;
  for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++)
    state->segment[i] = (struct x86_segment){0, UINT32_MAX, DATA, 0x10};
  state->segment[X86_CS] = (struct x86_segment){0, UINT32_MAX, CODE64, 0x08};
  state->segment[X86_LDTR] = (struct x86_segment){0, 0, UNUSABLE, 0};
  state->segment[X86_TR] = (struct x86_segment){0, 0x67, TSS_BUSY, 0x18};
  cpu->vmx.current = VMCS_NONE;
  cpu->vmx.vmxon_pointer = VMCS_NONE;
  cpu->feature_control = 5; /* locked, VMX allowed outside SMX: as firmware leaves it */
  cpu->apic_base = UINT64_C(0xfee00900);
  cpu->misc_enable = 1;
}

/* What the capability MSRs say about each field, looked up once. */
static void find_fields(struct nst_cpu *cpu) {
  const struct vmcs_capability *capability = &cpu->machine->capability;
  bool writes_info = capability->misc >> 29 & 1;
  for (unsigned i = 0; i < FIELD_COUNT; i++) {
    enum vmcs_field field = (enum vmcs_field)i;
    bool info = vmcs_field_info[i].kind == VMCS_KIND_INFO;
    cpu->vmx.readable[i] = vmcs_field_exists(capability, field);
    cpu->vmx.writable[i] = cpu->vmx.readable[i] && (!info || writes_info);
    cpu->vmx.mask[i] = vmcs_field_mask(field);
    if (cpu->vmx.readable[i])
      cpu->vmx.reach[vmcs_field_info[i].encoding >> 1] =
          (struct vmx_reach){cpu->machine->layout.offset[i], (uint16_t)i};
    cpu->vmx.stale[i] = vmcs_field_groups[i] | bank_parts[i];
  }
}

static bool create_cpu(struct nst_machine *machine, unsigned index, bool tlb) {
  struct nst_cpu *cpu = calloc(1, sizeof *cpu);
  if (!cpu) return false;
  machine->cpu[index] = cpu;
  machine->cpu_count = index + 1;
  cpu->machine = machine;
  cpu->index = index;
  cpu->interrupt = &cpu->interrupted;
  cpu->timer_end = TIMER_OFF;
  if (!isa_init(&cpu->isa, &ops, cpu)) return false;
  tlb_init(&cpu->tlb, tlb);
  find_fields(cpu);
  reset_state(cpu);
  cpu_retag(cpu);
  return native_init(cpu);
}

static enum nst_status configure(struct nst_machine *machine, const struct nst_config *config) {
  if (config->size != sizeof *config)
    return machine_fail(machine, NST_E_INVAL, "nst_config: call nst_config_init first");
  if (!config->memory || config->memory % LARGE_PAGE || config->memory > MEMORY_LIMIT)
    return machine_fail(machine, NST_E_INVAL,
                        "memory of %llu bytes: expected a multiple of 2 MiB up to 64 GiB",
                        (unsigned long long)config->memory);
  if (config->cpus < 1 || config->cpus > CPU_LIMIT)
    return machine_fail(machine, NST_E_INVAL, "%u processors: expected 1 to %d", config->cpus,
                        CPU_LIMIT);
  if (!vmcs_capability_find(&machine->capability, config->processor))
    return machine_fail(machine, NST_E_INVAL, "no processor '%s'", config->processor);
  if (!config->vmcs_shadowing)
    vmcs_capability_remove(&machine->capability, WORD_SECONDARY,
                           VMCS_BIT(SECONDARY_EXEC_SHADOW_VMCS));
  uint32_t revision = (uint32_t)(machine->capability.basic & 0x7fffffff);
  vmcs_layout_init(&machine->layout, revision);
  if (config->layout_seed) vmcs_layout_permute(&machine->layout, config->layout_seed);
  for (unsigned i = 0; i < BANK_COUNT; i++) machine->bank[i].vmcs = VMCS_NONE;
  return NST_OK;
}

static enum nst_status allocate(struct nst_machine *machine, const struct nst_config *config) {
  machine->memory = mmap(0, config->memory, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (machine->memory == MAP_FAILED) {
    machine->memory = 0;
    return NST_E_NOMEM;
  }
  machine->memory_size = config->memory;
  machine->page_flag = calloc(config->memory >> PAGE_BITS, 1);
  if (!machine->page_flag) return NST_E_NOMEM;
  for (unsigned i = 0; i < config->cpus; i++) {
    if (!create_cpu(machine, i, config->tlb)) return NST_E_NOMEM;
    if (config->interrupt) machine->cpu[i]->interrupt = config->interrupt;
  }
  return NST_OK;
}

enum nst_status nst_machine_create(struct nst_machine **out, const struct nst_config *config) {
  *out = 0;
  struct nst_machine *machine = calloc(1, sizeof *machine);
  if (!machine) return NST_E_NOMEM;
  enum nst_status status = configure(machine, config);
  if (status == NST_OK) status = allocate(machine, config);
  if (status != NST_OK) {
    nst_machine_destroy(machine);
    return status;
  }
  *out = machine;
  return NST_OK;
}

void nst_machine_destroy(struct nst_machine *machine) {
  if (!machine) return;
  if (machine->stack_owner.destroy) machine->stack_owner.destroy(machine->stack);
  for (unsigned i = 0; i < machine->cpu_count; i++) {
    isa_fini(&machine->cpu[i]->isa);
    free(machine->cpu[i]);
  }
  if (machine->memory) munmap(machine->memory, machine->memory_size);
  free(machine->page_flag);
  free(machine);
}

struct nst_cpu *nst_cpu(struct nst_machine *machine, unsigned index) {
  return index < machine->cpu_count ? machine->cpu[index] : 0;
}

struct nst_machine *nst_machine_of(const struct nst_cpu *cpu) {
  return cpu->machine;
}

void nst_machine_own(struct nst_machine *machine, void *owned, const struct nst_owner *owner) {
  machine->stack = owned;
  machine->stack_owner = *owner;
}

void *nst_machine_owned(const struct nst_machine *machine) {
  return machine->stack;
}
