/* SPDX-License-Identifier: MIT
 * Shadow paging: exits as recorded with ept=0, and what goes with which scheme. That the guest does
 * not notice is test_hypervisor_transparent.c's. */
#include "src/hypervisor/hv.h"
#include "test/test_hypervisor_recorded.h"

#define PROFILE_TABLE "traces/recorded/profile-kvm-6.1-ept0.tsv"

enum { TOUCH = 0x100000 };

/* The recorded guest wrote the CR3 that it had. */
static const struct operation operations[] = {
    {"CPUID", "cpuid", EVENT(CPUID, .a = 1), 0, 0},
    {"MSR_READ", "rdmsr 0x1b", EVENT(RDMSR, .a = 0x1b), 0, 0},
    {"MSR_WRITE", "wrmsr 0x277", EVENT(WRMSR, .a = 0x277, .b = 0x0007040600070406), 0, 0},
    {"VMCALL", "vmcall", EVENT(VMCALL, .a = 1), 0, 0},
    {"CR_ACCESS", "CR0.MP toggled", EVENT(MOV_TO_CR, .a = 0, .b = 0x80010033), 0, 2},
    {"CR_ACCESS", "CR4.MCE toggled", EVENT(MOV_TO_CR, .a = 4, .b = 0xa0), 0, 0x40},
    {"CR_ACCESS", "mov to CR3",
     EVENT(MOV_TO_CR, .a = 3, .b = GUEST_MEMORY - HV_GUEST_IMAGE + HV_GUEST_PML4), 0, 0},
    {"CR_ACCESS", "mov from CR3", EVENT(MOV_FROM_CR, .a = 3), 0, 0},
    {"INVLPG", "invlpg", EVENT(INVLPG, .a = TOUCH), 0, 0},
    {"WBINVD", "wbinvd", EVENT(WBINVD, .a = 0), 0, 0},
    {"IO_INSTRUCTION", "out 0x21", EVENT(IO_OUT, .a = 0x21, .b = 1, .c = 0xff, .d = 1), 0, 0},
    {"IO_INSTRUCTION", "out 0x80", EVENT(IO_OUT, .a = 0x80, .b = 1, .c = 5, .d = 1), 0, 0},
    {"IO_INSTRUCTION", "in 0x61", EVENT(IO_IN, .a = 0x61, .b = 1, .d = 1), 0, 0},
    {"EXCEPTION_NMI", "mmio store 0xd8000000", EVENT(MMIO_WRITE, .a = 0xd8000000, .b = 4), 0, 0},
    {"EXCEPTION_NMI", "mmio load 0xd8000004", EVENT(MMIO_READ, .a = 0xd8000004, .b = 4), 0, 0},
    {"XSETBV", "xsetbv", EVENT(XSETBV, .a = 0, .b = 7), 0, 0},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static const struct operation touch = {"EXCEPTION_NMI", "first touch of a page",
                                       EVENT(MEM_TOUCH, .a = TOUCH, .b = 2), 0x1000, 0};

static struct variant shadow_on_ept(bool shadowing) {
  return (struct variant){
      .depth = 2, .profile = "kvm-6.1", .shadows = 1, .no_shadowing = !shadowing};
}

/* ---- as recorded: the guest hypervisor shadows, the host has EPT for it */

static void expect_recorded_exits(bool shadowing) {
  struct variant variant = shadow_on_ept(shadowing);
  struct guest guest;
  if (guest_open(&guest, &variant))
    for (unsigned i = 0; i < OPERATIONS; i++) {
      struct recorded recorded;
      if (read_recorded(&recorded, PROFILE_TABLE, operations[i].reason, operations[i].recorded))
        expect_rounds(&guest, &operations[i], recorded.exits[shadowing]);
    }
  guest_close(&guest);
}

static void shadow_on_ept_with_shadowing_exits_as_recorded(void) {
  expect_recorded_exits(true);
}

static void shadow_on_ept_without_shadowing_exits_as_recorded(void) {
  expect_recorded_exits(false);
}

/* In the recording with VMCS shadowing L0 had to back each page of L1 as well: that run has no
 * round without it. The two VMX instructions that are left then, VMRESUME and RDMSR, exit always.
 */
static void first_touch_exits_as_recorded(void) {
  struct recorded recorded;
  if (!read_recorded(&recorded, PROFILE_TABLE, touch.reason, touch.recorded)) return;
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = shadow_on_ept(shadowing);
    struct guest guest;
    if (guest_open(&guest, &variant))
      expect_rounds(&guest, &touch, shadowing ? 3 : recorded.exits[0]);
    guest_close(&guest);
  }
}

static void guest_hypervisor_executes_in_recorded_order(void) {
  struct variant variant = shadow_on_ept(false);
  struct guest guest;
  if (guest_open(&guest, &variant)) {
    for (unsigned i = 0; i < OPERATIONS; i++) expect_order(&guest, PROFILE_TABLE, &operations[i]);
    expect_order(&guest, PROFILE_TABLE, &touch);
  }
  guest_close(&guest);
}

/* Of an access to the local APIC both exits are reflected, the one that lets the guest try again
 * and the one that emulates it; L0 itself lends the debug registers. */
static const struct twice {
  struct operation operation;
  unsigned more[2]; /* without and with VMCS shadowing */
} twice[] = {
    {{"DR_ACCESS", "DR0 write then cpuid", EVENT(MOV_DR, .a = 0, .b = 0x1000), 0, 0}, {1, 1}},
    {{"EXCEPTION_NMI", "LAPIC load 0xfee00030", EVENT(APIC_READ, .a = 0x30), 0, 0}, {15, 6}},
};

static void instruction_that_is_tried_again_costs_both_exits(void) {
  const struct trace_event cpuid = EVENT(CPUID, .a = 1);
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = shadow_on_ept(shadowing);
    struct guest guest;
    if (guest_open(&guest, &variant))
      for (unsigned i = 0; i < sizeof twice / sizeof twice[0]; i++) {
        const struct operation *operation = &twice[i].operation;
        struct recorded recorded;
        if (!read_recorded(&recorded, PROFILE_TABLE, operation->reason, operation->recorded))
          continue;
        guest_play(&guest, "once before", &operation->event);
        guest_play(&guest, "CPUID", &cpuid);
        for (unsigned round = 0; round < ROUNDS; round++) {
          EXPECT_EQ(operation->recorded, guest_play(&guest, operation->recorded, &operation->event),
                    recorded.exits[shadowing] + twice[i].more[shadowing]);
          guest_play(&guest, "CPUID", &cpuid);
        }
      }
    EXPECT_EQ("unlisted", guest_unlisted(&guest), 0);
    guest_close(&guest);
  }
}

/* ---- a page table of the guest's own, for one GiB of linear addresses */

enum { TABLE = 0x60000, PAGE = 0x70000, CODE = HV_GUEST_CODE + 0x8000, FLAGS = 0x67 };
#define WINDOW UINT64_C(0x40000000)

static void write_image(struct guest *guest, uint64_t offset, uint64_t value) {
  nst_mem_write(guest->machine, guest->player.memory_base + guest->player.image + offset, &value,
                sizeof value);
}

static uint64_t read_image(struct guest *guest, uint64_t offset) {
  uint64_t value = 0;
  nst_mem_read(guest->machine, guest->player.memory_base + guest->player.image + offset, &value,
               sizeof value);
  return value;
}

static void open_window(struct guest *guest) {
  write_image(guest, HV_GUEST_PD + 8 * (WINDOW >> 21), (guest->player.image + TABLE) | FLAGS);
}

static void load_code(struct guest *guest, const void *bytes, size_t size) {
  nst_mem_write(guest->machine, guest->player.memory_base + guest->player.image + CODE, bytes,
                size);
  nst_reg_write(guest->cpu, NST_REG_RIP, guest->player.image + CODE);
  nst_reg_write(guest->cpu, NST_REG_RSP, guest->player.image + HV_GUEST_STACK);
}

/* Exits to L0 until the guest reaches an offset of the code. */
static uint64_t run_to(struct guest *guest, const char *what, uint64_t offset) {
  struct nst_stop stop = {NST_STOP_NONE, 0, 0};
  uint64_t before = nst_exits_to(guest->cpu, 0);
  nst_stop_at(guest->cpu, guest->player.image + CODE + offset);
  nst_run(guest->cpu, 1 << 10, &stop);
  nst_stop_at(guest->cpu, 0);
  EXPECT_EQ(what, stop.kind, NST_STOP_MARK);
  return nst_exits_to(guest->cpu, 0) - before;
}

/* The recorded guest 10 times: entry cleared, INVLPG, store, page fault, whose handler sets the
 * entry. Its table is in doubt from the first time on; two INVVPIDs, since an entry was dropped. */
static const struct step {
  const char *what, *reason, *recorded; /* NULL: no exit */
  unsigned end;                         /* offset of what follows */
  unsigned variant;                     /* of the recorded rounds, 1 or 2 */
} page_fault_steps[] = {
    {"entry cleared", NULL, NULL, 3, 0},
    {"INVLPG", "INVLPG", "guest page fault", 7, 1},
    {"store: the guest's fault", "EXCEPTION_NMI", "guest page fault", 10, 2},
    {"entry set", NULL, NULL, 13, 0},
    {"store again", "EXCEPTION_NMI", "guest page fault", 16, 1},
};
enum { PAGE_FAULT_STEPS = sizeof page_fault_steps / sizeof page_fault_steps[0] };

static void page_fault_round(struct guest *guest, unsigned round, bool shadowing) {
  static const uint8_t code[] = {0x49, 0x89, 0x02,       /* mov [r10], rax */
                                 0x41, 0x0f, 0x01, 0x3b, /* invlpg [r11] */
                                 0x49, 0x89, 0x03,       /* mov [r11], rax */
                                 0x49, 0x89, 0x1a,       /* mov [r10], rbx */
                                 0x49, 0x89, 0x03};      /* mov [r11], rax */
  uint64_t image = guest->player.image;
  load_code(guest, code, sizeof code);
  write_image(guest, HV_GUEST_RESUME, image + CODE + 10);
  nst_reg_write(guest->cpu, NST_REG_RAX, 0);
  nst_reg_write(guest->cpu, NST_REG_RBX, (image + PAGE) | FLAGS);
  nst_reg_write(guest->cpu, NST_REG_R10, image + TABLE);
  nst_reg_write(guest->cpu, NST_REG_R11, WINDOW);
  for (unsigned i = 0; i < PAGE_FAULT_STEPS; i++) {
    const struct step *step = &page_fault_steps[i];
    struct recorded recorded = {.steps = 0};
    uint64_t exits = run_to(guest, step->what, step->end);
    if (round < 2) continue;
    if (step->reason &&
        !read_variant(&recorded, PROFILE_TABLE, step->reason, step->recorded, step->variant))
      return;
    EXPECT_EQ(step->what, exits, recorded.exits[shadowing]);
  }
  EXPECT_EQ("CR2", nst_reg_read(guest->cpu, NST_REG_CR2), WINDOW);
}

static void page_fault_of_the_guest_exits_as_recorded(void) {
  for (unsigned shadowing = 0; shadowing < 2; shadowing++) {
    struct variant variant = shadow_on_ept(shadowing);
    struct guest guest;
    if (guest_open(&guest, &variant)) {
      open_window(&guest);
      write_image(&guest, TABLE, (guest.player.image + PAGE) | FLAGS);
      for (unsigned round = 0; round < 2 + ROUNDS; round++)
        page_fault_round(&guest, round, shadowing);
      EXPECT_EQ("unlisted", guest_unlisted(&guest), 0);
    }
    guest_close(&guest);
  }
}

/* ---- what the guest must not notice, and what must not hang */

static const struct variant schemes[] = {
    {.depth = 1, .profile = "kvm-6.1", .shadows = 1},
    {.depth = 1, .profile = "minimal", .shadows = 1},
    {.depth = 2, .profile = "kvm-6.1", .shadows = 1},
    {.depth = 2, .profile = "kvm-6.1", .shadows = 2},
    {.depth = 2, .profile = "minimal", .shadows = 2},
    {.depth = 3, .profile = "kvm-6.1", .shadows = 2},
};
enum { SCHEMES = sizeof schemes / sizeof schemes[0] };

static void page_fault_of_the_shadow_leaves_cr2_alone(void) {
  for (unsigned i = 0; i < SCHEMES; i++) {
    struct guest guest;
    char text[96];
    variant_text(&schemes[i], text, sizeof text);
    if (guest_open(&guest, &schemes[i])) {
      nst_reg_write(guest.cpu, NST_REG_CR2, 0x1234);
      EXPECT_TRUE(text, guest_play(&guest, text, &touch.event) >= 1);
      EXPECT_EQ(text, nst_reg_read(guest.cpu, NST_REG_CR2), 0x1234);
    }
    guest_close(&guest);
  }
}

/* One page at two addresses, and a store across the border between them. */
static void store_across_two_mappings_of_a_page_completes(void) {
  static const uint8_t store[] = {0x49, 0x89, 0x1b}; /* mov [r11], rbx */
  const uint64_t value = UINT64_C(0x1122334455667788);
  for (unsigned i = 0; i < SCHEMES; i++) {
    struct guest guest;
    char text[96];
    variant_text(&schemes[i], text, sizeof text);
    if (guest_open(&guest, &schemes[i])) {
      open_window(&guest);
      for (unsigned page = 0; page < 2; page++)
        write_image(&guest, TABLE + 8 * page, (guest.player.image + PAGE) | FLAGS);
      load_code(&guest, store, sizeof store);
      nst_reg_write(guest.cpu, NST_REG_RBX, value);
      nst_reg_write(guest.cpu, NST_REG_R11, WINDOW + 0xffc);
      run_to(&guest, text, sizeof store);
      EXPECT_EQ(text, read_image(&guest, PAGE) & UINT32_MAX, value >> 32);
      EXPECT_EQ(text, read_image(&guest, PAGE + 0xff8) >> 32, value & UINT32_MAX);
    }
    guest_close(&guest);
  }
}

/* The pool of the hypervisor at the bottom runs low: shadows are dropped, nothing else happens. */
static void shortage_of_pages_drops_shadows(void) {
  const struct variant variant = {.depth = 1, .profile = "kvm-6.1", .shadows = 1};
  struct guest guest;
  if (guest_open(&guest, &variant)) {
    const uint64_t next = HV_POOL_END - 0x1000, none = 0;
    uint64_t hash, touched = 0;
    nst_mem_write(guest.machine, HV_STATE + HV_AT(pool_next), &next, sizeof next);
    nst_mem_write(guest.machine, HV_STATE + HV_AT(pool_free), &none, sizeof none);
    for (unsigned round = 0; round < 64; round++) {
      struct trace_event event = event_of(&touch, round);
      touched += guest_play(&guest, "touch", &event);
    }
    EXPECT_TRUE("each page at least once", touched >= 64);
    nst_mem_read(guest.machine, HV_STATE + HV_AT(pool_next), &hash, sizeof hash);
    EXPECT_TRUE("the pool does not grow beyond its end", hash <= HV_POOL_END);
  }
  guest_close(&guest);
}

/* ---- which schemes there are */

static void scheme_that_cannot_be_is_refused_with_a_reason(void) {
  static const struct {
    unsigned depth;
    bool driven, shadows[3], refused;
  } rows[] = {
      {1, false, {false}, false},       {1, false, {true}, false},
      {2, false, {false, true}, false}, {2, false, {true, true}, false},
      {2, false, {true, false}, true},  {3, false, {false, true, false}, true},
      {2, true, {false, false}, false}, {2, true, {true, true}, true},
  };
  for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct nst_config config;
    struct nst_stack_config stack;
    struct nst_machine *machine = NULL;
    nst_config_init(&config);
    nst_stack_config_init(&stack);
    stack.depth = rows[i].depth;
    stack.driven = rows[i].driven;
    stack.guest_memory = GUEST_MEMORY;
    memcpy(stack.shadow_paging, rows[i].shadows, sizeof rows[i].shadows);
    EXPECT_EQ("a reason", nst_stack_refusal(&stack) != NULL, rows[i].refused);
    EXPECT_EQ("created", nst_stack_create(&machine, &config, &stack),
              rows[i].refused ? NST_E_INVAL : NST_OK);
    nst_machine_destroy(machine);
  }
}

static uint64_t peek_state(struct guest *guest, unsigned level, size_t member) {
  uint64_t value = 0;
  nst_mem_read(guest->machine, nst_level_memory(guest->cpu, level, HV_STATE + member), &value,
               sizeof value);
  return value;
}

static void guest_hypervisor_is_offered_no_ept(void) {
  const uint64_t controls =
      VMCS_BIT(SECONDARY_EXEC_ENABLE_EPT) | VMCS_BIT(SECONDARY_EXEC_UNRESTRICTED_GUEST) |
      VMCS_BIT(SECONDARY_EXEC_ENABLE_PML) | VMCS_BIT(SECONDARY_EXEC_ENABLE_VMFUNC);
  for (unsigned shadows = 1; shadows <= 2; shadows++) {
    struct variant variant = {.depth = 2, .profile = "kvm-6.1", .shadows = shadows};
    struct guest guest;
    if (guest_open(&guest, &variant)) {
      uint64_t secondary = peek_state(&guest, 0, HV_AT(capability) + 8 * 0xb) >> 32;
      uint64_t ept_vpid = peek_state(&guest, 0, HV_AT(capability) + 8 * 0xc);
      EXPECT_EQ("EPT offered", !(secondary & controls), shadows == 2);
      EXPECT_EQ("EPT described", !(ept_vpid & UINT32_MAX), shadows == 2);
      EXPECT_TRUE("VPID offered", secondary & VMCS_BIT(SECONDARY_EXEC_ENABLE_VPID));
      EXPECT_EQ("used by L1", peek_state(&guest, 1, HV_AT(features)) >> VMCS_HAS_EPT & 1, 0);
    }
    guest_close(&guest);
  }
}

/* Not the root of the shadow, and with the flags that it was written with. */
static void cr3_reads_back_as_written(void) {
  static const uint8_t code[] = {0x0f, 0x22, 0xd8,  /* mov cr3, rax */
                                 0x0f, 0x20, 0xdb}; /* mov rbx, cr3 */
  const uint64_t cr3 = (GUEST_MEMORY - HV_GUEST_IMAGE + HV_GUEST_PML4) | 8;
  for (unsigned i = 0; i < SCHEMES; i++) {
    struct guest guest;
    char text[96];
    variant_text(&schemes[i], text, sizeof text);
    if (guest_open(&guest, &schemes[i])) {
      load_code(&guest, code, sizeof code);
      nst_reg_write(guest.cpu, NST_REG_RAX, cr3);
      run_to(&guest, text, sizeof code);
      EXPECT_EQ(text, nst_reg_read(guest.cpu, NST_REG_RBX), cr3);
      EXPECT_EQ(text, nst_peek_reg(guest.cpu, schemes[i].depth, NST_REG_CR3), cr3);
      EXPECT_TRUE(text, nst_reg_read(guest.cpu, NST_REG_CR3) != cr3);
    }
    guest_close(&guest);
  }
}

extern CU_TestInfo hypervisor_shadow_tests[];
CU_TestInfo hypervisor_shadow_tests[] = {
    {"shadow_on_ept_with_shadowing_exits_as_recorded",
     shadow_on_ept_with_shadowing_exits_as_recorded},
    {"shadow_on_ept_without_shadowing_exits_as_recorded",
     shadow_on_ept_without_shadowing_exits_as_recorded},
    {"first_touch_exits_as_recorded", first_touch_exits_as_recorded},
    {"guest_hypervisor_executes_in_recorded_order", guest_hypervisor_executes_in_recorded_order},
    {"instruction_that_is_tried_again_costs_both_exits",
     instruction_that_is_tried_again_costs_both_exits},
    {"page_fault_of_the_guest_exits_as_recorded", page_fault_of_the_guest_exits_as_recorded},
    {"page_fault_of_the_shadow_leaves_cr2_alone", page_fault_of_the_shadow_leaves_cr2_alone},
    {"store_across_two_mappings_of_a_page_completes",
     store_across_two_mappings_of_a_page_completes},
    {"shortage_of_pages_drops_shadows", shortage_of_pages_drops_shadows},
    {"scheme_that_cannot_be_is_refused_with_a_reason",
     scheme_that_cannot_be_is_refused_with_a_reason},
    {"guest_hypervisor_is_offered_no_ept", guest_hypervisor_is_offered_no_ept},
    {"cr3_reads_back_as_written", cr3_reads_back_as_written},
    CU_TEST_INFO_NULL};
