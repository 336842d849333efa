/* SPDX-License-Identifier: MIT
 * Building a stack: images and page tables are laid into each level's memory as a boot loader
 * would, then every hypervisor boots by its own instructions. */
#include "src/hypervisor/stack.h"

#include <stdlib.h>
#include <string.h>

enum { LARGE_PAGE = 1 << 21, PRESENT_WRITABLE = 3, TABLE_LARGE = 1 << 7, BOOT_BUDGET = 1 << 20 };

void nst_stack_config_init(struct nst_stack_config *config) {
  *config = (struct nst_stack_config){
      .size = sizeof *config, .depth = 1, .guest_memory = UINT64_C(64) << 20};
  for (unsigned i = 0; i < sizeof config->profile / sizeof config->profile[0]; i++)
    config->profile[i] = "kvm-6.1";
}

/* Host-physical address of the first byte of a level's memory. */
static uint64_t level_base(unsigned level) {
  return (uint64_t)level * HV_CHILD_BASE;
}

static void poke(struct nst_machine *machine, uint64_t address, uint64_t value) {
  nst_mem_write(machine, address, &value, sizeof value);
}

/* One-to-one page tables of 2-MiB pages for the first `gigabytes` GiB, at offset `image` of the
 * memory that starts at `base`. */
static void map_identity(struct nst_machine *machine, uint64_t base, uint64_t image,
                         unsigned gigabytes) {
  poke(machine, base + image + HV_PML4, (image + HV_PDPT) | PRESENT_WRITABLE);
  for (unsigned g = 0; g < gigabytes; g++) {
    uint64_t table = image + HV_PD + 0x1000 * (uint64_t)g;
    poke(machine, base + image + HV_PDPT + 8 * g, table | PRESENT_WRITABLE);
    for (uint64_t i = 0; i < 512; i++)
      poke(machine, base + table + 8 * i,
           ((uint64_t)g << 30 | i << 21) | PRESENT_WRITABLE | TABLE_LARGE);
  }
}

/* Flat descriptors, and gates whose handlers are the native page's fault entries. */
static void lay_tables(struct nst_machine *machine, uint64_t base) {
  enum { VECTORS = 256 };
  const uint64_t gdt[] = {0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff),
                          UINT64_C(0x00008b0000000067) | (uint64_t)HV_TSS << 16, 0};
  nst_mem_write(machine, base + HV_GDT, gdt, sizeof gdt);
  for (uint64_t v = 0; v < VECTORS; v++) {
    uint64_t handler = HV_NATIVE_PAGE + NST_NATIVE_OFFSET_FAULT + 8 * v;
    poke(machine, base + HV_IDT + 16 * v,
         handler | (uint64_t)8 << 16 | UINT64_C(0x8e00) << 32); /* below 64 KiB */
  }
}

/* The innermost guest's: an exception notes its vector, and the guest goes on where the player
 * says, on a fresh stack; an interrupt returns to where it came from. */
static void lay_guest_stub(struct nst_machine *machine, uint64_t base, uint64_t image,
                           unsigned vector) {
  enum { EXCEPTIONS = 32, IRETQ = 0xcf48 };
  uint64_t at = image + HV_GUEST_STUBS + 16 * (uint64_t)vector;
  uint64_t gate = base + image + HV_GUEST_IDT + 16 * (uint64_t)vector;
  poke(machine, gate,
       (at & 0xffff) | (uint64_t)8 << 16 | UINT64_C(0x8e00) << 32 | (at >> 16 & 0xffff) << 48);
  poke(machine, gate + 8, at >> 32);
  if (vector >= EXCEPTIONS) {
    poke(machine, base + at, IRETQ);
    return;
  }
  /* mov byte [rip + flag], 1 + vector; jmp leave */
  uint8_t stub[12] = {0xc6, 0x05, [6] = (uint8_t)(vector + 1), 0xe9};
  uint32_t flag = (uint32_t)(image + HV_GUEST_FAULTED - (at + 7));
  uint32_t leave = (uint32_t)(image + HV_GUEST_LEAVE - (at + sizeof stub));
  memcpy(stub + 2, &flag, sizeof flag);
  memcpy(stub + 8, &leave, sizeof leave);
  nst_mem_write(machine, base + at, stub, sizeof stub);
}

static void lay_guest_tables(struct nst_machine *machine, uint64_t base, uint64_t image) {
  enum { VECTORS = 256 };
  uint64_t tss = image + HV_GUEST_TSS, stack = image + HV_GUEST_STACK;
  const uint64_t gdt[] = {
      0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff),
      UINT64_C(0x00008b0000000067) | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56, tss >> 32};
  nst_mem_write(machine, base + image + HV_GUEST_GDT, gdt, sizeof gdt);
  for (unsigned v = 0; v < VECTORS; v++) lay_guest_stub(machine, base, image, v);
  /* mov rsp, stack; jmp [rip + resume] */
  uint8_t leave[16] = {0x48, 0xbc, [10] = 0xff, 0x25};
  uint32_t resume = (uint32_t)(HV_GUEST_RESUME - (HV_GUEST_LEAVE + (unsigned)sizeof leave));
  memcpy(leave + 2, &stack, sizeof stack);
  memcpy(leave + 12, &resume, sizeof resume);
  nst_mem_write(machine, base + image + HV_GUEST_LEAVE, leave, sizeof leave);
}

static void poke_state(struct nst_machine *machine, unsigned level, size_t member, uint64_t value) {
  poke(machine, level_base(level) + HV_STATE + member, value);
}

/* What a hypervisor is told of itself and its guest. */
static uint64_t first_flags(const struct stack *stack, const struct nst_stack_config *config,
                            unsigned level) {
  bool innermost = level == stack->depth - 1,
       memory = config->vmcs_access == NST_VMCS_ACCESS_MEMORY;
  bool eager = innermost ? config->eager : !config->first_touch[level + 1];
  uint64_t flags = (eager ? HV_EAGER : 0) | (config->shadow_paging[level] ? HV_SHADOW_PAGING : 0);
  if (memory && level && !(innermost && stack->driven)) flags |= HV_VMCS_GRANTED;
  if (innermost) return flags;
  if (memory)
    flags |= HV_GRANTS_VMCS;
  else if (config->vmcs_access == NST_VMCS_ACCESS_TRAP || stack->level[level].profile->no_shadowing)
    flags |= HV_TRAPS_VMCS;
  return flags | HV_GUEST_IS_VMX;
}

static enum nst_status lay_hypervisor(struct nst_machine *machine, struct stack *stack,
                                      const struct nst_stack_config *config, unsigned level) {
  bool callers = level == stack->depth - 1 && stack->driven;
  map_identity(machine, level_base(level), 0, 1);
  lay_tables(machine, level_base(level));
  poke_state(machine, level, HV_AT(flags), first_flags(stack, config, level));
  poke_state(machine, level, HV_AT(guest_size), stack->memory - level_base(level + 1));
  poke_state(machine, level, HV_AT(pool_next), HV_POOL);
  return nst_native_register(machine, level_base(level) + HV_NATIVE_PAGE,
                             callers ? NULL : hv_native, &stack->level[level]);
}

static const char *paging_refusal(const struct nst_stack_config *config) {
  bool shadows = false;
  for (unsigned i = 0; i < config->depth; i++) {
    if (shadows && !config->shadow_paging[i])
      return "a hypervisor above one with shadow paging is offered no EPT: it must use shadow "
             "paging itself";
    shadows |= config->shadow_paging[i];
  }
  if (shadows && config->driven)
    return "a driven level needs EPT: no hypervisor of the stack may use shadow paging";
  return NULL;
}

static const char *profile_refusal(const struct nst_stack_config *config) {
  for (unsigned i = 0; i < config->depth; i++) {
    const struct hv_profile *profile = hv_profile_find(config->profile[i]);
    if (!profile) return "there is no hypervisor profile of that name";
    if (profile->flat && i < config->depth - 1) return profile->flat;
  }
  return NULL;
}

const char *nst_stack_refusal(const struct nst_stack_config *config) {
  if (config->size != sizeof *config) return "the configuration is not from nst_stack_config_init";
  if (config->depth < 1 || config->depth > NST_DEPTH_LIMIT) return "the depth must be 1 to 6";
  if (config->guest_memory < 2 * LARGE_PAGE || config->guest_memory % LARGE_PAGE ||
      config->guest_memory > UINT64_C(512) << 20)
    return "the guest's memory must be 4 to 512 MiB, a multiple of 2 MiB";
  if ((unsigned)config->vmcs_access > NST_VMCS_ACCESS_MEMORY)
    return "the VMCS access must be shadow, trap or memory";
  const char *refusal = paging_refusal(config);
  return refusal ? refusal : profile_refusal(config);
}

/* Runs the boot code of all levels but the caller's. */
static enum nst_status boot(struct nst_machine *machine, struct stack *stack) {
  struct nst_cpu *cpu = nst_cpu(machine, 0);
  struct nst_stop stop = {NST_STOP_NONE, 0, 0};
  nst_reg_write(cpu, NST_REG_CR3, HV_PML4);
  nst_reg_write(cpu, NST_REG_RSP, HV_STATE);
  nst_reg_write(cpu, NST_REG_RIP, HV_NATIVE_PAGE + NST_NATIVE_OFFSET_START);
  bool at_bottom = stack->driven && stack->depth == 1;
  if (!at_bottom) {
    if (!stack->driven) nst_stop_at(cpu, stack_guest_code(stack));
    enum nst_status status = nst_run(cpu, BOOT_BUDGET, &stop);
    nst_stop_at(cpu, 0);
    if (status != NST_OK) return status;
  }
  for (unsigned i = 0; i < stack->depth; i++) /* booting is no part of any count */
    stack->level[i] = (struct hv_level){.profile = stack->level[i].profile};
  if (!stack->driven) return stop.kind == NST_STOP_MARK ? NST_OK : NST_E_STATE;
  enum nst_status status = nst_drive(cpu, HV_NATIVE_PAGE);
  if (status == NST_OK) hv_boot_driven(cpu, &stack->level[stack->depth - 1]);
  return status;
}

uint64_t stack_guest_code(const struct stack *stack) {
  return stack->guest_memory - HV_GUEST_IMAGE + HV_GUEST_CODE;
}

/* The timer that L0 always sets before it waits: time goes on to when it is due. */
static bool fire_timer(void *context, struct nst_cpu *cpu) {
  (void)context;
  return nst_raise_interrupt(cpu, HV_TIMER_VECTOR) == NST_OK;
}

static void destroy_stack(void *stack) {
  free(stack);
}

/* The driven level's exit information, or why its entry was refused. */
static void describe_stop(void *owned, const struct nst_cpu *cpu, struct nst_stop *stop) {
  const struct stack *stack = owned;
  unsigned level = stack->depth - 1;
  bool exited = stop->kind == NST_STOP_EXIT;
  stop->reason =
      (uint32_t)nst_peek_field(cpu, level, exited ? VM_EXIT_REASON : VM_INSTRUCTION_ERROR);
  stop->qualification = nst_peek_field(cpu, level, EXIT_QUALIFICATION);
}

enum nst_status nst_stack_create(struct nst_machine **out, const struct nst_config *config,
                                 const struct nst_stack_config *wanted) {
  *out = NULL;
  struct stack *stack = calloc(1, sizeof *stack);
  if (!stack) return NST_E_NOMEM;
  struct nst_config adapted = *config;
  enum nst_status status = nst_stack_refusal(wanted) ? NST_E_INVAL : NST_OK;
  if (status == NST_OK) {
    for (unsigned i = 0; i < wanted->depth; i++)
      stack->level[i].profile = hv_profile_find(wanted->profile[i]);
    stack->depth = wanted->depth;
    stack->driven = wanted->driven;
    stack->guest_memory = wanted->guest_memory;
    stack->memory = level_base(wanted->depth) + wanted->guest_memory;
    adapted.memory = stack->memory;
    status = nst_machine_create(out, &adapted);
  }
  if (status != NST_OK) {
    free(stack);
    return status;
  }
  static const struct nst_owner owner = {destroy_stack, describe_stop};
  nst_machine_own(*out, stack, &owner);
  for (unsigned i = 0; i < stack->depth && status == NST_OK; i++)
    status = lay_hypervisor(*out, stack, wanted, i);
  map_identity(*out, level_base(stack->depth), stack->guest_memory - HV_GUEST_IMAGE, 4);
  lay_guest_tables(*out, level_base(stack->depth), stack->guest_memory - HV_GUEST_IMAGE);
  if (!stack->driven) nst_on_idle(*out, fire_timer, NULL);
  if (status == NST_OK) status = boot(*out, stack);
  return status;
}

enum nst_status nst_guest_prepare(struct nst_cpu *cpu, unsigned level, const void *code,
                                  size_t size) {
  struct nst_machine *machine = nst_machine_of(cpu);
  struct stack *stack = stack_of(machine);
  if (!stack || !stack->driven || level != stack->depth) return NST_E_STATE;
  if (size > 0x10000) return NST_E_RANGE;
  nst_mem_write(machine, level_base(level) + stack_guest_code(stack), code, size);
  hv_prepare_guest(cpu, &stack->level[level - 1]);
  return NST_OK;
}
