/* SPDX-License-Identifier: MIT
 * The importer of ftrace text: the spellings of kernels 4.x to 6.x, what becomes of records, errors
 * and damage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/expect.h"
#include "traces/trace.h"

static int vmx_reason(const char *name) {
  static const struct {
    const char *name;
    int number;
  } reasons[] = {
#define EXIT_REASON(name, number, qualification, information, length, title) {#name, number},
#include "vmcs/reason.def"
  };
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (strcmp(reasons[i].name, name) == 0) return reasons[i].number;
  }
  return -1;
}

struct result {
  char events[4096]; /* trace_event_text of each, without the time, ended by newlines */
  char error[700];
  int status; /* of the last trace_next; -2: not opened */
  unsigned count;
  struct trace_event first;
  struct trace_loss loss;
};

static void read_file(const char *path, bool salvage, struct result *result) {
  struct trace_options options = {vmx_reason, salvage};
  struct trace_reader *reader = trace_open(path, &options, result->error, sizeof result->error);
  struct trace_event event;
  result->status = -2;
  if (!reader) return;
  while ((result->status = trace_next(reader, &event)) == 1) {
    char text[TRACE_TEXT_MAX];
    size_t used = strlen(result->events);
    if (result->count++ == 0) result->first = event;
    trace_event_text(&event, text, sizeof text);
    snprintf(result->events + used, sizeof result->events - used, "%s\n", strstr(text, "level"));
  }
  if (result->status < 0) {
    snprintf(result->error, sizeof result->error, "%s", trace_error(reader));
    EXPECT_EQ("an error stays an error", trace_next(reader, &event), -1);
  }
  result->loss = *trace_loss(reader);
  trace_close(reader);
}

static struct result read_bytes(const char *bytes, size_t size, bool salvage) {
  struct result result = {.status = -2};
  char path[] = "/tmp/nestor-test-XXXXXX";
  int descriptor = mkstemp(path);
  FILE *file = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
  if (!EXPECT_TRUE("temporary file", file != NULL)) return result;
  fwrite(bytes, 1, size, file);
  fclose(file);
  read_file(path, salvage, &result);
  unlink(path);
  return result;
}

static struct result read_text(const char *text) {
  return read_bytes(text, strlen(text), false);
}

#define HEAD "  kvm-9 [000] d..1. 4.5: "
#define ENTER "  kvm-9 [000] d..1. 4.6: kvm_entry: vcpu 0, rip 0x13\n"

struct text_case {
  const char *name, *text, *events;
};

static void expect_events(const struct text_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct result result = read_text(cases[i].text);
    EXPECT_STRING(cases[i].name, result.events, cases[i].events);
    if (!EXPECT_EQ(cases[i].name, result.status, 0)) puts(result.error);
  }
}
#define EXPECT_EVENTS(cases) expect_events(cases, sizeof(cases) / sizeof *(cases))

static void every_spelling_of_an_exit_is_read(void) {
  static const struct text_case cases[] = {
      {"6.1, tracefs",
       HEAD
       "kvm_exit: vcpu 0 reason HLT rip 0x10 info1 0x0000000000000000 info2 0x0000000000000000 "
       "intr_info 0x00000000 error_code 0x00000000\n" ENTER,
       "level 1 rip 0x10 HLT\n"},
      {"4.x, two values, the second is the interruption information",
       HEAD "kvm_exit: reason EXTERNAL_INTERRUPT rip 0x10 info 0 800000ec\n" ENTER,
       "level 1 rip 0x10 INTERRUPT vector 0xec\n"},
      {"5.x name of the interrupt window",
       HEAD "kvm_exit: reason PENDING_INTERRUPT rip 0x10 info 0 0\n" ENTER,
       "level 1 rip 0x10 INTERRUPT_WINDOW\n"},
      {"trace-cmd report with thread group, no flags",
       "  CPU 0/KVM-77 (71) [001] 100.000000001: kvm_exit:             reason CPUID rip 0x1 info 0 "
       "0\n",
       "level 1 rip 0x1 CPUID\n"},
      {"perf script",
       "qemu-system-x86 5140 [002] 12.000001:   kvm:kvm_exit: vcpu 1 reason HLT rip 0x5 info1 "
       "0x0\n",
       "level 1 rip 0x5 HLT\n"},
      {"SVM in the kernel's names", HEAD "kvm_exit: vcpu 0 reason write_cr4 rip 0x7 info1 0x0\n",
       "level 1 rip 0x7 MOV_TO_CR cr 0x4\n"},
      {"SVM in trace-cmd's names", HEAD "kvm_exit: reason EXIT_WRITE_CR4 rip 0x7 info 0 0\n",
       "level 1 rip 0x7 MOV_TO_CR cr 0x4\n"},
      {"SVM name of two words",
       HEAD "kvm_exit: vcpu 0 reason UD excp rip 0x7 info1 0x0 info2 0x0 intr_info 0x0\n",
       "level 1 rip 0x7 EXCEPTION vector 0x6\n"},
      {"failed entry mark after the name",
       HEAD "kvm_exit: vcpu 0 reason HLT FAILED_VMENTRY rip 0x7 info1 0x0\n",
       "level 1 rip 0x7 HLT\n"},
      {"Arm", HEAD "kvm_exit: TRAP: HSR_EC: 0x0016 (HVC64), PC: 0x0000000080080064\n",
       "level 1 rip 0x80080064 ARM_EXIT class 0x16\n"},
      {"Arm interrupt", HEAD "kvm_exit: IRQ: HSR_EC: 0x0000 (UNKNOWN), PC: 0x80080064\n",
       "level 1 rip 0x80080064 INTERRUPT\n"},
      {"a reason nobody knows", HEAD "kvm_exit: vcpu 0 reason FROBNICATE rip 0x7 info1 0x0\n",
       "level 1 rip 0x7 UNKNOWN\n"},
      {"a number for a reason",
       HEAD "kvm_exit: vcpu 0 reason HLT rip 0x1 info1 0x0\n" HEAD
            "kvm_exit: vcpu 0 reason 0xa rip 0x7 info1 0x0\n",
       "level 1 rip 0x1 HLT\nlevel 1 rip 0x7 CPUID\n"},
  };
  EXPECT_EVENTS(cases);
}

#define EXIT(reason, info1)                                       \
  HEAD "kvm_exit: vcpu 0 reason " reason " rip 0x10 info1 " info1 \
       " info2 0x0 intr_info 0x0 error_code 0x0\n"
#define VIOLATION(rip, info1)                                           \
  HEAD "kvm_exit: vcpu 0 reason EPT_VIOLATION rip " rip " info1 " info1 \
       " info2 0x0 intr_info "                                          \
       "0x0 error_code 0x0\n"
#define FAULT(address) HEAD "kvm_page_fault: vcpu 0 rip 0x10 address " address " error_code 0x181\n"
#define EMULATE HEAD "kvm_emulate_insn: 0:10:a1 30 00 e0 fe (prot32)\n"
#define USER HEAD "kvm_userspace_exit: reason KVM_EXIT_IO (2)\n"

static void details_become_the_arguments_of_the_exit(void) {
  static const struct text_case cases[] = {
      {"CPUID",
       EXIT("CPUID", "0x0") HEAD "kvm_cpuid: func d idx 1 rax 0 rbx 0 rcx 0 rdx 0, found\n",
       "level 1 rip 0x10 CPUID leaf 0xd subleaf 0x1\n"},
      {"CPUID before 5.6 has no subleaf",
       EXIT("CPUID", "0x0") HEAD "kvm_cpuid: func d rax 0 rbx 0 rcx 0 rdx 0\n",
       "level 1 rip 0x10 CPUID leaf 0xd\n"},
      {"RDMSR", EXIT("MSR_READ", "0x0") HEAD "kvm_msr: msr_read 1b = 0xfee00900\n",
       "level 1 rip 0x10 RDMSR msr 0x1b value 0xfee00900\n"},
      {"RDMSR that faults has no value",
       EXIT("MSR_READ", "0x0") HEAD "kvm_msr: msr_read 1b = 0x0 (#GP)\n",
       "level 1 rip 0x10 RDMSR msr 0x1b\n"},
      {"WRMSR", EXIT("MSR_WRITE", "0x0") HEAD "kvm_msr: msr_write 277 = 0x7\n",
       "level 1 rip 0x10 WRMSR msr 0x277 value 0x7\n"},
      {"an MSR of SVM without detail tells the direction", EXIT("msr", "0x1"),
       "level 1 rip 0x10 WRMSR\n"},
      {"VMCALL", EXIT("VMCALL", "0x0") HEAD "kvm_hypercall: nr 0x5 a0 0x1 a1 0x2 a2 0x3 a3 0x4\n",
       "level 1 rip 0x10 VMCALL number 0x5 a0 0x1 a1 0x2 a2 0x3\n"},
      {"CR write", EXIT("CR_ACCESS", "0x4") HEAD "kvm_cr: cr_write 4 = 0x50\n",
       "level 1 rip 0x10 MOV_TO_CR cr 0x4 value 0x50\n"},
      {"CR read", EXIT("CR_ACCESS", "0x13") HEAD "kvm_cr: cr_read 3 = 0x20000\n",
       "level 1 rip 0x10 MOV_FROM_CR cr 0x3 value 0x20000\n"},
      {"CLTS", EXIT("CR_ACCESS", "0x20"), "level 1 rip 0x10 CLTS\n"},
      {"LMSW", EXIT("CR_ACCESS", "0x10030"), "level 1 rip 0x10 LMSW value 0x1\n"},
      {"DR read", EXIT("DR_ACCESS", "0x17"), "level 1 rip 0x10 MOV_DR dr 0x7 read 0x1\n"},
      {"INVLPG", EXIT("INVLPG", "0x1000000"), "level 1 rip 0x10 INVLPG address 0x1000000\n"},
      {"OUT to user space",
       EXIT("IO_INSTRUCTION", "0x5e00000") HEAD
       "kvm_pio: pio_write at 0x5e0 size 1 count 1 val 0x10 \n" USER,
       "level 1 rip 0x10 IO_OUT port 0x5e0 size 0x1 value 0x10 count 0x1 user\n"},
      {"user space because of a signal is not the guest's",
       EXIT("HLT", "0x0") HEAD "kvm_userspace_exit: reason restart (4)\n",
       "level 1 rip 0x10 HLT\n"},
      {"IN of which only the qualification tells", EXIT("IO_INSTRUCTION", "0x610008"),
       "level 1 rip 0x10 IO_IN port 0x61 size 0x1\n"},
      {"IN of SVM of which only EXITINFO1 tells", EXIT("io", "0x610025"),
       "level 1 rip 0x10 IO_IN port 0x61 size 0x2\n"},
      {"VMX instruction", EXIT("VMREAD", "0x0"), "level 1 rip 0x10 VMX_INSN reason 0x17\n"},
      {"APIC access", EXIT("APIC_ACCESS", "0x10b0") HEAD "kvm_apic: apic_write APIC_EOI = 0x0\n",
       "level 1 rip 0x10 APIC_WRITE offset 0xb0 value 0x0\n"},
      {"virtualized APIC write", EXIT("APIC_WRITE", "0x300"),
       "level 1 rip 0x10 APIC_WRITE offset 0x300\n"},
      {"a detail of another exit's kind is not used",
       EXIT("CPUID", "0x0") HEAD "kvm_msr: msr_read 1b = 0xfee00900\n", "level 1 rip 0x10 CPUID\n"},
  };
  EXPECT_EVENTS(cases);
}

static void memory_exits_are_told_apart_by_what_follows(void) {
  static const struct text_case cases[] = {
      {"violation resolved by mapping", VIOLATION("0x10", "0x182") FAULT("0x21000") ENTER,
       "level 1 rip 0x10 MEM_TOUCH gpa 0x21000 access 0x2\n"},
      {"old kvm_page_fault",
       VIOLATION("0x10", "0x184") HEAD "kvm_page_fault: address 21000 error_code 184\n" ENTER,
       "level 1 rip 0x10 MEM_TOUCH gpa 0x21000 access 0x4\n"},
      {"violation that is emulated as MMIO",
       VIOLATION("0x10", "0x182") FAULT("0xd8000000") EMULATE HEAD
       "kvm_mmio: mmio write len 4 gpa 0xd8000000 val 0xb0\n" ENTER,
       "level 1 rip 0x10 MMIO_WRITE gpa 0xd8000000 size 0x4 value 0xb0\n"},
      {"load answered by user space",
       EXIT("EPT_MISCONFIG", "0x0") EMULATE HEAD
       "kvm_mmio: mmio unsatisfied-read len 4 gpa 0xd8000004 val 0x0\n" HEAD
       "kvm_userspace_exit: reason KVM_EXIT_MMIO (6)\n" HEAD
       "kvm_mmio: mmio read len 4 gpa 0xd8000004 val 0x1000\n" ENTER,
       "level 1 rip 0x10 MMIO_READ gpa 0xd8000004 size 0x4 value 0x1000 user\n"},
      {"load never answered",
       EXIT("EPT_MISCONFIG", "0x0") HEAD
       "kvm_mmio: mmio unsatisfied-read len 4 gpa 0xd8000004 val 0x0\n",
       "level 1 rip 0x10 MMIO_READ gpa 0xd8000004 size 0x4\n"},
      {"fast MMIO",
       EXIT("EPT_MISCONFIG", "0x0") HEAD "kvm_fast_mmio: fast mmio at gpa 0xfe003000\n",
       "level 1 rip 0x10 MMIO_WRITE gpa 0xfe003000\n"},
      {"misconfiguration of which nothing tells", EXIT("EPT_MISCONFIG", "0x0") ENTER,
       "level 1 rip 0x10 UNKNOWN\n"},
      {"local APIC, first try without effect, then the load",
       VIOLATION("0x13", "0x181") FAULT("0xfee00030") EMULATE ENTER VIOLATION("0x13", "0x181")
           FAULT("0xfee00030") EMULATE HEAD
       "kvm_apic: apic_read APIC_LVR = 0x50014\n" HEAD
       "kvm_mmio: mmio read len 4 gpa 0xfee00030 val 0x50014\n" HEAD
       "kvm_entry: vcpu 0, rip 0x18\n",
       "level 1 rip 0x13 MMIO_READ gpa 0xfee00030 retry\n"
       "level 1 rip 0x13 MMIO_READ gpa 0xfee00030 size 0x4 value 0x50014\n"},
      {"nested page fault of SVM",
       HEAD "kvm_exit: vcpu 0 reason npf rip 0x10 info1 0x100000006 info2 0x21000 intr_info 0x0\n",
       "level 1 rip 0x10 MEM_TOUCH gpa 0x21000 access 0x2\n"},
      {"page fault of shadow paging",
       HEAD "kvm_exit: vcpu 0 reason EXCEPTION_NMI rip 0x13 info1 0x5000 info2 0x0 intr_info "
            "0x80000b0e error_code 0x2\n" ENTER,
       "level 1 rip 0x13 EXCEPTION vector 0xe error 0x2 address 0x5000\n"},
      {"NMI",
       HEAD "kvm_exit: vcpu 0 reason EXCEPTION_NMI rip 0x10 info1 0x0 info2 0x0 intr_info "
            "0x80000202 error_code 0x0\n",
       "level 1 rip 0x10 NMI\n"},
  };
  EXPECT_EVENTS(cases);
}

#define NESTED HEAD "kvm_nested_vmexit: vcpu 0 reason X rip 0x0 info1 0x0\n"
#define INJECT(reason, intr)                       \
  HEAD "kvm_nested_vmexit_inject: reason: " reason \
       " ext_inf1: 0x0000000000000000 ext_inf2: "  \
       "0x0 ext_int: " intr " ext_int_err: 0x0\n"
#define VMENTER(rip)                                             \
  HEAD "kvm_nested_vmenter: rip: 0x1 vmcs: 0x2 nested_rip: " rip \
       " int_ctl: 0x0 event_inj: "                               \
       "0x00000000 nested_ept=y nested_eptp: 0x3\n"
#define VMRESUME \
  HEAD "kvm_exit: vcpu 0 reason VMRESUME rip 0x99 info1 0x0 info2 0x0 intr_info 0x0\n"

static void nested_exits_are_level_2_and_keep_what_level_1_was_given(void) {
  static const struct text_case cases[] = {
      {"reflected",
       EXIT("CPUID", "0x0") NESTED INJECT("CPUID", "0x0") ENTER VMRESUME VMENTER("0x12"),
       "level 2 rip 0x10 CPUID reflected\nlevel 1 rip 0x99 VMX_INSN reason 0x18\n"},
      {"kept", EXIT("DR_ACCESS", "0x0") NESTED ENTER, "level 2 rip 0x10 MOV_DR dr 0x0 read 0x0\n"},
      {"a violation that level 1 is given as a misconfiguration is its MMIO",
       VIOLATION("0x10", "0x182") NESTED FAULT("0xd8000000") INJECT("EPT_MISCONFIG", "0x0")
           ENTER VMRESUME VMENTER("0x12"),
       "level 2 rip 0x10 MMIO_WRITE gpa 0xd8000000 reflected\n"
       "level 1 rip 0x99 VMX_INSN reason 0x18\n"},
      {"a timer that level 1 is given as an interrupt",
       EXIT("PREEMPTION_TIMER", "0x0") NESTED INJECT("EXTERNAL_INTERRUPT", "0x80000030") ENTER,
       "level 2 rip 0x10 INTERRUPT vector 0x30 reflected\n"},
      {"an interrupt before the nested guest ran",
       VMRESUME VMENTER("0x12") INJECT("EXTERNAL_INTERRUPT", "0x80000030") ENTER,
       "level 1 rip 0x99 VMX_INSN reason 0x18\nlevel 2 rip 0x0 INTERRUPT vector 0x30 reflected\n"},
      {"after an entry all is level 2, even without kvm_nested_vmexit",
       VMRESUME VMENTER("0x12") ENTER EXIT("HLT", "0x0"),
       "level 1 rip 0x99 VMX_INSN reason 0x18\nlevel 2 rip 0x10 HLT\n"},
      {"resumed in place is a retry",
       VIOLATION("0x10", "0x181") NESTED FAULT("0xfee00030") INJECT("EPT_VIOLATION", "0x0")
           ENTER VMRESUME VMENTER("0x10"),
       "level 2 rip 0x10 MMIO_READ gpa 0xfee00030 reflected retry\n"
       "level 1 rip 0x99 VMX_INSN reason 0x18\n"},
  };
  EXPECT_EVENTS(cases);
}

static void injection_is_kept_with_the_exit_before_it(void) {
  struct result result = read_text(EXIT("HLT", "0x0") HEAD "kvm_inj_virq: IRQ 0x20\n" ENTER);
  EXPECT_EQ("vector", result.first.injected, 0x20);
  EXPECT_TRUE("flag", result.first.flags & TRACE_INJECTED);
  result = read_text(EXIT("HLT", "0x0") HEAD "kvm_inj_virq: irq 48\n" ENTER);
  EXPECT_EQ("decimal vector of old kernels", result.first.injected, 48);
  result = read_text(EXIT("MSR_READ", "0x0") HEAD "kvm_inj_exception: #GP (0x0)\n" ENTER);
  EXPECT_EQ("exception by name", result.first.injected, 13);
  EXPECT_TRUE("the instruction faulted", result.first.flags & TRACE_FAULTED);
}

static void threads_are_virtual_processors(void) {
  struct result result = read_text(
      "a-1 [000] d..1. 1.0: kvm_exit: vcpu 0 reason CPUID rip 0x1 info1 0x0\n"
      "a-2 [001] d..1. 1.1: kvm_exit: vcpu 1 reason MSR_READ rip 0x2 info1 0x0\n"
      "a-1 [000] ..... 1.2: kvm_cpuid: func 7 idx 0 rax 0\n"
      "a-2 [001] ..... 1.2: kvm_msr: msr_read 10 = 0x5\n"
      "b-3 [001] d..1. 1.3: kvm_exit: vcpu 0 reason HLT rip 0x3 info1 0x0\n"
      "a-2 [001] d..1. 1.4: kvm_entry: vcpu 1, rip 0x4\n");
  EXPECT_STRING("each thread's details go to its own exit", result.events,
                "level 1 rip 0x1 CPUID leaf 0x7 subleaf 0x0\n"
                "level 1 rip 0x2 RDMSR msr 0x10 value 0x5\nlevel 1 rip 0x3 HLT\n");
  EXPECT_EQ("another VM's vcpu 0 gets a number of its own", result.loss.vcpus_renamed, 1);
}

static uint64_t fate(const struct result *result, const char *name, enum trace_fate which) {
  for (size_t i = 0; i < result->loss.name_count; i++) {
    if (strcmp(result->loss.names[i].name, name) == 0) return result->loss.names[i].fate[which];
  }
  return 0;
}

static void the_loss_report_accounts_for_every_record(void) {
  struct result result =
      read_text("# tracer: nop\n# entries-in-buffer/entries-written: 10/17   #P:1\n" USER HEAD
                "kvm_fpu: load\n" EXIT("CPUID", "0x0") HEAD
                "kvm_cpuid: func 0 idx 0\n" ENTER HEAD "sched_switch: prev_comm=x prev_pid=1\n" HEAD
                "kvm_set_irq: gsi 0 level 1 source 2\n"
                "CPU:0 [LOST 12 EVENTS]\n" EXIT("EXTERNAL_INTERRUPT", "0x0") ENTER HEAD
                "kvm_msr: msr_read 10 = 0x5\n");
  EXPECT_EQ("status", result.status, 0);
  EXPECT_EQ("lines", result.loss.lines, 13);
  EXPECT_EQ("records", result.loss.records, 10);
  EXPECT_EQ("headers", result.loss.lines_other, 2);
  EXPECT_EQ("overwritten in the buffer", result.loss.overwritten, 7);
  EXPECT_EQ("gaps", result.loss.gap_count, 1);
  EXPECT_EQ("records lost there", result.loss.gap_records, 12);
  EXPECT_EQ("operations", fate(&result, "kvm_exit", TRACE_FATE_OPERATION), 1);
  EXPECT_EQ("host", fate(&result, "kvm_exit", TRACE_FATE_HOST), 1);
  EXPECT_EQ("detail", fate(&result, "kvm_cpuid", TRACE_FATE_DETAIL), 1);
  EXPECT_EQ("early", fate(&result, "kvm_userspace_exit", TRACE_FATE_EARLY), 1);
  EXPECT_EQ("bookkeeping", fate(&result, "kvm_fpu", TRACE_FATE_BOOKKEEPING), 1);
  EXPECT_EQ("interrupt", fate(&result, "kvm_set_irq", TRACE_FATE_INTERRUPT), 1);
  EXPECT_EQ("boundary", fate(&result, "kvm_entry", TRACE_FATE_BOUNDARY), 2);
  EXPECT_EQ("unknown", fate(&result, "sched_switch", TRACE_FATE_UNKNOWN), 1);
  EXPECT_EQ("no open exit", fate(&result, "kvm_msr", TRACE_FATE_UNUSED), 1);
  EXPECT_EQ("untold vector", result.loss.untold[TRACE_INTERRUPT][0], 1);
  EXPECT_EQ("untold leaf", result.loss.untold[TRACE_CPUID][0], 0);
}

static void records_lost_inside_an_exit_mark_it(void) {
  struct result result = read_text(EXIT("CPUID", "0x0") "CPU:0 [EVENTS DROPPED]\n" ENTER);
  EXPECT_TRUE("flag", result.first.flags & TRACE_GAP);
  result = read_text(EXIT("CPUID", "0x0") "CPU:1 [EVENTS DROPPED]\n" ENTER);
  EXPECT_TRUE("not on another processor", !(result.first.flags & TRACE_GAP));
}

static void counter_clocks_are_not_taken_for_nanoseconds(void) {
  struct result result =
      read_text("a-1 [000] d..1. 7469295123: kvm_exit: reason HLT rip 0x1 info 0 0\n");
  EXPECT_EQ("ticks", result.first.time_ns, 7469295123);
  result = read_text("a-1 [000] d..1. 7.469295: kvm_exit: reason HLT rip 0x1 info 0 0\n");
  EXPECT_EQ("nanoseconds", result.first.time_ns, 7469295000);
}

static void bad_text_is_told_in_one_sentence(void) {
  static const struct {
    const char *name, *text, *error;
  } cases[] = {
      {"exit without a reason", "# x\n" HEAD "kvm_exit: vcpu 0 rip 0x1\n",
       ":2: kvm_exit: expected 'reason NAME', got 'vcpu 0 rip 0x1'"},
      {"reason cut off", HEAD "kvm_exit: vcpu 0 reason\n", ":1: kvm_exit: expected 'reason NAME'"},
      {"MSR number missing", HEAD "kvm_msr: msr_read = 5\n",
       ":1: kvm_msr: expected 'msr_read NUMBER', got 'msr_read = 5'"},
      {"too large a number", HEAD "kvm_mmio: mmio read len 4 gpa 0x12345678123456789 val 0x0\n",
       ":1: kvm_mmio: expected 'gpa NUMBER'"},
      {"unprintable bytes", HEAD "kvm_pio: pio_write \x01\x7f\n",
       "got 'pio_write ?"
       "?'"},
      {"no end of the last line", HEAD "kvm_fpu: load\n" HEAD "kvm_fp",
       ": truncated at byte 70 (line 2 has no end); nothing imported. --salvage keeps the first 1"},
      {"no trace record", "hello\nworld\n", ": no trace record in 2 lines"},
      {"empty", "", ": the file is empty"},
      {"binary",
       "\x7f"
       "ELF\x02",
       ": not a trace"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct result result = read_text(cases[i].text);
    EXPECT_TRUE(cases[i].name, result.status < 0);
    EXPECT_CONTAINS(cases[i].name, result.error, cases[i].error);
  }
  struct result result = {.status = 0};
  read_file("/nonexistent/x.txt", false, &result);
  EXPECT_CONTAINS("no file", result.error, "/nonexistent/x.txt: No such file");
}

static void salvage_leaves_out_what_is_malformed(void) {
  static const char text[] =
      EXIT("CPUID", "0x0") HEAD "kvm_exit: vcpu 0\n" EXIT("HLT", "0x0") "  kv";
  struct result result = read_bytes(text, sizeof text - 1, true);
  EXPECT_EQ("status", result.status, 0);
  EXPECT_STRING("events", result.events, "level 1 rip 0x10 CPUID\nlevel 1 rip 0x10 HLT\n");
  EXPECT_EQ("rejected", result.loss.lines_rejected, 1);
  EXPECT_TRUE("told", result.loss.is_salvaged);
  EXPECT_CONTAINS("problem", result.loss.problem, "truncated at byte");
}

static const char sample[] = "# tracer: nop\n" EXIT("CPUID", "0x0") HEAD
    "kvm_cpuid: func 0 idx 0 rax 14\n" ENTER VIOLATION("0x10", "0x182") FAULT("0x21000")
        ENTER VMRESUME VMENTER("0x12") ENTER EXIT("IO_INSTRUCTION", "0x5e00000")
            NESTED INJECT("IO_INSTRUCTION", "0x0") ENTER;

static void text_cut_at_any_byte_is_an_error_or_shorter(void) {
  struct result whole = read_bytes(sample, sizeof sample - 1, false);
  EXPECT_EQ("whole", whole.count, 4);
  for (size_t size = 0; size < sizeof sample - 1; size++) {
    bool is_line_end = size > 0 && sample[size - 1] == '\n';
    struct result cut = read_bytes(sample, size, false), saved = read_bytes(sample, size, true);
    if (!is_line_end) EXPECT_TRUE("a cut line is an error", cut.status < 0);
    EXPECT_TRUE("no more than the whole", cut.count <= 4 && saved.count <= 4);
    EXPECT_TRUE("salvage gives as much", saved.count >= cut.count);
  }
}

static void text_with_any_bit_flipped_never_crashes(void) {
  char copy[sizeof sample];
  for (size_t i = 0; i < sizeof sample - 1; i += 3) {
    memcpy(copy, sample, sizeof sample);
    copy[i] = (char)(copy[i] ^ 1 << i % 7);
    struct result result = read_bytes(copy, sizeof sample - 1, true);
    EXPECT_TRUE("ends", result.status <= 0);
  }
}

static void a_very_long_line_is_passed_over(void) {
  size_t size = 1 << 20;
  char *text = malloc(size + 200);
  if (!EXPECT_TRUE("memory", text != NULL)) return;
  memset(text, 'x', size);
  text[size] = '\n';
  strcpy(text + size + 1, EXIT("HLT", "0x0"));
  struct result result = read_bytes(text, strlen(text), false);
  EXPECT_STRING("event after it", result.events, "level 1 rip 0x10 HLT\n");
  free(text);
}

static void many_threads_and_open_exits_stay_bounded(void) {
  char path[] = "/tmp/nestor-test-XXXXXX";
  int descriptor = mkstemp(path);
  FILE *file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
  if (!EXPECT_TRUE("temporary file", file != NULL)) return;
  for (unsigned i = 0; i < 2000; i++) {
    fprintf(file, "a-%u [000] d..1. 1.0: kvm_exit: vcpu 0 reason HLT rip 0x1 info1 0x0\n", i + 1);
    for (unsigned k = 0; k < 10; k++) fprintf(file, "a-1 [000] d..1. 1.0: event_%u_%u: x\n", i, k);
  }
  /* One reflected exit that never ends holds the queue up; the others pass it at last. */
  fputs(EXIT("CPUID", "0x0") NESTED INJECT("CPUID", "0x0"), file);
  for (unsigned i = 0; i < 10000; i++) fputs(EXIT("VMREAD", "0x0") ENTER, file);
  fclose(file);
  struct result result = {.status = -2};
  read_file(path, false, &result);
  unlink(path);
  EXPECT_EQ("status", result.status, 0);
  EXPECT_TRUE("names beyond the table are counted", result.loss.records_unnamed > 0);
  EXPECT_TRUE("an exit that never ends is given up", result.loss.closed_early > 0);
  EXPECT_EQ("threads beyond the table give no events", result.count, 512 + 1 + 10000);
}

static void lines_without_end_that_are_no_record_are_given_up(void) {
  enum { LINES = 1 << 21 };
  char *text = malloc(LINES);
  if (!EXPECT_TRUE("memory", text != NULL)) return;
  memset(text, '\n', LINES);
  struct result result = read_bytes(text, LINES, false);
  EXPECT_EQ("refused", result.status, -1);
  EXPECT_CONTAINS("early", result.error, "no trace record in 1048576 lines");
  free(text);
}

CU_TestInfo traces_text_tests[] = {
    {"every_spelling_of_an_exit_is_read", every_spelling_of_an_exit_is_read},
    {"details_become_the_arguments_of_the_exit", details_become_the_arguments_of_the_exit},
    {"memory_exits_are_told_apart_by_what_follows", memory_exits_are_told_apart_by_what_follows},
    {"nested_exits_are_level_2_and_keep_what_level_1_was_given",
     nested_exits_are_level_2_and_keep_what_level_1_was_given},
    {"injection_is_kept_with_the_exit_before_it", injection_is_kept_with_the_exit_before_it},
    {"threads_are_virtual_processors", threads_are_virtual_processors},
    {"the_loss_report_accounts_for_every_record", the_loss_report_accounts_for_every_record},
    {"records_lost_inside_an_exit_mark_it", records_lost_inside_an_exit_mark_it},
    {"counter_clocks_are_not_taken_for_nanoseconds", counter_clocks_are_not_taken_for_nanoseconds},
    {"bad_text_is_told_in_one_sentence", bad_text_is_told_in_one_sentence},
    {"salvage_leaves_out_what_is_malformed", salvage_leaves_out_what_is_malformed},
    {"text_cut_at_any_byte_is_an_error_or_shorter", text_cut_at_any_byte_is_an_error_or_shorter},
    {"text_with_any_bit_flipped_never_crashes", text_with_any_bit_flipped_never_crashes},
    {"a_very_long_line_is_passed_over", a_very_long_line_is_passed_over},
    {"many_threads_and_open_exits_stay_bounded", many_threads_and_open_exits_stay_bounded},
    {"lines_without_end_that_are_no_record_are_given_up",
     lines_without_end_that_are_no_record_are_given_up},
    CU_TEST_INFO_NULL};
