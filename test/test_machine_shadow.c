/* SPDX-License-Identifier: MIT
 * VMCS shadowing: which VMREADs and VMWRITEs of a guest are served by the shadow VMCS and which
 * exit, by separate bitmaps; counted by an observer. SDM 3C "VMCS Shadowing",
 * "VMREAD-Read VMCS Field", "VMWRITE-Write Field to VMCS". */
#include "test/test_machine_driven.h"

#define SECONDARY NST_FIELD_SECONDARY_VM_EXEC_CONTROL
#define SHADOW_VMCS (UINT64_C(1) << 14)
#define SHADOW_INDICATOR (UINT32_C(1) << 31)

enum {
  READ_BITMAP = SCRATCH,
  WRITE_BITMAP = SCRATCH_2,
  SHADOW_REGION = SCRATCH_3,
  IN_SHADOW = 0x77, /* what the shadow VMCS holds */
  WRITTEN = 0x99,   /* what the guest writes */
  READ_EXIT = NST_EXIT_VMREAD,
  WRITE_EXIT = NST_EXIT_VMWRITE,
  SERVED = NST_EXIT_HLT /* the guest came to its HLT */
};

struct shadow_case {
  const char *name;
  bool enabled, linked; /* the control; the link pointer */
  bool read_bit, write_bit;
  uint32_t field;
  uint32_t read, write; /* exit reasons */
};

/* The bit of an encoding above 0x7fff is not in the bitmaps: such an access always exits. */
static const struct shadow_case cases[] = {
    {"no control", false, false, false, false, NST_FIELD_GUEST_ES_LIMIT, READ_EXIT, WRITE_EXIT},
    {"both served", true, true, false, false, NST_FIELD_GUEST_ES_LIMIT, SERVED, SERVED},
    {"only reads served", true, true, false, true, NST_FIELD_GUEST_ES_LIMIT, SERVED, WRITE_EXIT},
    {"only writes served", true, true, true, false, NST_FIELD_GUEST_ES_LIMIT, READ_EXIT, SERVED},
    {"none served", true, true, true, true, NST_FIELD_GUEST_ES_LIMIT, READ_EXIT, WRITE_EXIT},
    {"high encoding", true, true, false, false, 0x8000, READ_EXIT, WRITE_EXIT},
};

static uint64_t revision_of(struct driven *d) {
  uint64_t basic = 0;
  EXPECT_TRUE(d->name, nst_rdmsr(d->cpu, 0x480, &basic));
  return basic & 0x7fffffff;
}

/* A shadow VMCS whose field has IN_SHADOW: written while it was current and no shadow yet. */
static void make_shadow(struct driven *d, uint32_t field) {
  nst_store(d->cpu, SHADOW_REGION, 4, revision_of(d) | SHADOW_INDICATOR);
  DRIVEN_EQ(d, nst_vmclear(d->cpu, SHADOW_REGION), NST_VMX_SUCCEED);
  DRIVEN_EQ(d, nst_vmptrld(d->cpu, SHADOW_REGION), NST_VMX_SUCCEED);
  if (!(field >> 15)) driven_write(d, field, IN_SHADOW);
  DRIVEN_EQ(d, nst_vmclear(d->cpu, SHADOW_REGION), NST_VMX_SUCCEED);
  DRIVEN_EQ(d, nst_vmptrld(d->cpu, OWN_REGION), NST_VMX_SUCCEED);
}

static uint64_t in_shadow(struct driven *d, uint32_t field) {
  DRIVEN_EQ(d, nst_vmptrld(d->cpu, SHADOW_REGION), NST_VMX_SUCCEED);
  uint64_t value = driven_read(d, field);
  DRIVEN_EQ(d, nst_vmclear(d->cpu, SHADOW_REGION), NST_VMX_SUCCEED);
  DRIVEN_EQ(d, nst_vmptrld(d->cpu, OWN_REGION), NST_VMX_SUCCEED);
  return value;
}

static void use_shadow(struct driven *d, const struct shadow_case *c) {
  make_shadow(d, c->field);
  unsigned bit = c->field & 0x7fff;
  if (c->read_bit) nst_store(d->cpu, READ_BITMAP + bit / 8, 1, UINT64_C(1) << bit % 8);
  if (c->write_bit) nst_store(d->cpu, WRITE_BITMAP + bit / 8, 1, UINT64_C(1) << bit % 8);
  driven_write(d, NST_FIELD_VMREAD_BITMAP, READ_BITMAP);
  driven_write(d, NST_FIELD_VMWRITE_BITMAP, WRITE_BITMAP);
  driven_write(d, NST_FIELD_VMCS_LINK_POINTER, c->linked ? SHADOW_REGION : UINT64_MAX);
  driven_change(d, SECONDARY, c->enabled ? SHADOW_VMCS : 0, SHADOW_VMCS);
}

/* Exits of VMREAD and VMWRITE that any level caused. */
struct count {
  unsigned access;
};

static void count_exit(void *context, struct nst_cpu *cpu, const struct nst_exit_event *event) {
  struct count *count = context;
  (void)cpu;
  if (event->reason == READ_EXIT || event->reason == WRITE_EXIT) count->access++;
}

static void run_case(const struct shadow_case *c, unsigned level, bool write) {
  char text[128];
  struct count count = {0};
  struct driven d;
  snprintf(text, sizeof text, "%s, %s, by L%u", c->name, write ? "VMWRITE" : "VMREAD", level - 1);
  if (driven_open(&d, text, &(struct setting){.level = level})) {
    if (write)
      DRIVEN_LOAD(&d, {0x0f, 0x79, 0xc8, 0xf4}); /* vmwrite rcx, rax; hlt */
    else
      DRIVEN_LOAD(&d, {0x0f, 0x78, 0xc8, 0xf4}); /* vmread rax, rcx; hlt */
    use_shadow(&d, c);
    driven_set(&d, NST_REG_RCX, c->field);
    driven_set(&d, NST_REG_RAX, WRITTEN);
    struct nst_observer observer = {.context = &count, .exit = count_exit};
    DRIVEN_EQ(&d, nst_observe(d.machine, &observer), NST_OK);
    uint32_t expected = write ? c->write : c->read;
    DRIVEN_EQ(&d, driven_run(&d, true), expected);
    nst_unobserve(d.machine, &count);
    if (level == 1) DRIVEN_EQ(&d, count.access, expected == SERVED ? 0 : 1);
    uint64_t read = expected == SERVED && !write ? IN_SHADOW : WRITTEN;
    DRIVEN_EQ(&d, driven_get(&d, NST_REG_RAX), read);
    if (!(c->field >> 15))
      DRIVEN_EQ(&d, in_shadow(&d, c->field), write && expected == SERVED ? WRITTEN : IN_SHADOW);
  }
  driven_close(&d);
}

static void run_all(unsigned level) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    run_case(&cases[i], level, false);
    run_case(&cases[i], level, true);
  }
}

static void bitmaps_of_l0_decide_which_accesses_exit(void) {
  run_all(1);
}
static void bitmaps_of_l1_decide_which_accesses_exit(void) {
  run_all(2);
}

/* Served without a shadow VMCS: VMfailInvalid in the guest. */
static void access_without_link_pointer_vmfails_invalid(void) {
  static const struct shadow_case c = {
      "no link", true, false, false, false, NST_FIELD_GUEST_ES_LIMIT, 0, 0};
  struct driven d;
  if (driven_open(&d, c.name, &(struct setting){.level = 1})) {
    DRIVEN_LOAD(&d, {0x0f, 0x78, 0xc8, 0xf4});
    use_shadow(&d, &c);
    driven_set(&d, NST_REG_RCX, c.field);
    DRIVEN_EQ(&d, driven_run(&d, true), SERVED);
    DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_RFLAGS) & 0x8d5, 1); /* CF */
  }
  driven_close(&d);
}

/* A field that does not exist, served: VMfailValid, the number in the shadow VMCS. */
static void access_of_no_field_vmfails_in_the_shadow(void) {
  static const struct shadow_case c = {"no field", true, true, false, false, 0x6ffe, 0, 0};
  struct driven d;
  if (driven_open(&d, c.name, &(struct setting){.level = 1})) {
    DRIVEN_LOAD(&d, {0x0f, 0x78, 0xc8, 0xf4});
    d.quiet = true; /* the field cannot be written beforehand */
    use_shadow(&d, &c);
    d.quiet = false;
    driven_set(&d, NST_REG_RCX, c.field);
    DRIVEN_EQ(&d, driven_run(&d, true), SERVED);
    DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_GUEST_RFLAGS) & 0x8d5, 1 << 6); /* ZF */
    DRIVEN_EQ(&d, in_shadow(&d, NST_FIELD_VM_INSTRUCTION_ERROR), 12);
  }
  driven_close(&d);
}

/* A link pointer must name a region that says it is a shadow, if the control is on. */
static void link_to_an_ordinary_region_fails_the_entry(void) {
  static const struct shadow_case c = {"link", true, true, false, false, NST_FIELD_GUEST_ES_LIMIT,
                                       0,      0};
  struct driven d;
  if (driven_open(&d, c.name, &(struct setting){.level = 1})) {
    DRIVEN_LOAD(&d, {0xf4});
    use_shadow(&d, &c);
    nst_store(d.cpu, SHADOW_REGION, 4, revision_of(&d));
    DRIVEN_EQ(&d, driven_run(&d, true), NST_EXIT_INVALID_STATE);
    DRIVEN_EQ(&d, d.stop.qualification, 4);
  }
  driven_close(&d);
}

static void shadowing_on_a_processor_without_it_vmfails(void) {
  struct driven d;
  if (driven_open(&d, "nehalem", &(struct setting){.level = 1, .processor = "nehalem"})) {
    DRIVEN_LOAD(&d, {0xf4});
    driven_change(&d, SECONDARY, SHADOW_VMCS, 0);
    DRIVEN_EQ(&d, nst_vmlaunch(d.cpu), NST_VMX_FAIL_VALID);
    DRIVEN_EQ(&d, driven_read(&d, NST_FIELD_VM_INSTRUCTION_ERROR), 7);
  }
  driven_close(&d);
}

CU_TestInfo machine_shadow_tests[] = {
    {"bitmaps_of_l0_decide_which_accesses_exit", bitmaps_of_l0_decide_which_accesses_exit},
    {"bitmaps_of_l1_decide_which_accesses_exit", bitmaps_of_l1_decide_which_accesses_exit},
    {"access_without_link_pointer_vmfails_invalid", access_without_link_pointer_vmfails_invalid},
    {"access_of_no_field_vmfails_in_the_shadow", access_of_no_field_vmfails_in_the_shadow},
    {"link_to_an_ordinary_region_fails_the_entry", link_to_an_ordinary_region_fails_the_entry},
    {"shadowing_on_a_processor_without_it_vmfails", shadowing_on_a_processor_without_it_vmfails},
    CU_TEST_INFO_NULL,
};
