/* SPDX-License-Identifier: MIT
 * Exit reasons and VM-instruction errors by number and by name. */
#include "test/expect.h"
#include "vmcs/reason.h"

static void names_and_numbers_match(void) {
  unsigned assigned = 0;
  for (int number = 0; number < EXIT_REASON_LIMIT; number++) {
    const char *name = vmcs_reason_info[number].name;
    if (!name) continue;
    assigned++;
    EXPECT_EQ(name, vmcs_reason_number(name), number);
    EXPECT_STRING(name, vmcs_reason_name((uint32_t)number), name);
  }
  EXPECT_TRUE("reasons", assigned > 70);
}

static void prefix_and_flags_are_ignored(void) {
  EXPECT_EQ("with prefix", vmcs_reason_number("EXIT_REASON_EPT_VIOLATION"), 48);
  EXPECT_STRING("failed entry", vmcs_reason_name(33 | EXIT_REASON_FAILED_ENTRY), "INVALID_STATE");
}

static void unassigned_is_answered(void) {
  EXPECT_STRING("35", vmcs_reason_name(35), "?");
  EXPECT_STRING("far out", vmcs_reason_name(0xffff), "?");
  EXPECT_TRUE("name", vmcs_reason_number("NO_SUCH_REASON") == -1);
  EXPECT_TRUE("empty", vmcs_reason_number("EXIT_REASON_") == -1);
  EXPECT_CONTAINS("error 14", vmcs_error_text(14), "no such");
  EXPECT_CONTAINS("error far out", vmcs_error_text(UINT32_MAX), "no such");
}

static void errors_have_their_numbers(void) {
  EXPECT_EQ("first", VMXERR_VMCALL_IN_VMX_ROOT_OPERATION, 1);
  EXPECT_EQ("last", VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID, 28);
  EXPECT_CONTAINS("7", vmcs_error_text(VMXERR_ENTRY_INVALID_CONTROL_FIELD), "control");
  EXPECT_CONTAINS("12", vmcs_error_text(VMXERR_UNSUPPORTED_VMCS_COMPONENT), "does not exist");
}

CU_TestInfo vmcs_reason_tests[] = {
    {"names_and_numbers_match", names_and_numbers_match},
    {"prefix_and_flags_are_ignored", prefix_and_flags_are_ignored},
    {"unassigned_is_answered", unassigned_is_answered},
    {"errors_have_their_numbers", errors_have_their_numbers},
    CU_TEST_INFO_NULL,
};
