#pragma once

#include "../abi/errno_names.hpp"
#include "../abi/error.hpp"
#include "../abi/table.hpp"

#include <cerrno>
#include <string>
#include <string_view>

/// What is wrong with a policy. Where the policy is a constant, a call of one of these is a compile error that shows
/// the function's name; where it is built at run time, each throws `Error` (EINVAL).
namespace sysguard::policy::mistake {

[[noreturn]] inline void raise(int number, std::string_view text) {
    const abi::Syscall* call = abi::find(number);
    throw Error{EINVAL, "rule for " + (call != nullptr ? std::string{call->name} : std::to_string(number)) + ": " +
                            std::string{text}};
}

[[noreturn]] inline void raise(int number, abi::ArgName argument, std::string_view text) {
    raise(number, "argument '" + std::string{abi::name(argument)} + "': " + std::string{text});
}

[[noreturn]] inline void value_does_not_fit_the_argument(int number, abi::ArgName argument, const char* type) {
    raise(number, argument, std::string{"a value that does not fit its type ("} + type + ")");
}

[[noreturn]] inline void value_has_bits_outside_the_mask(int number, abi::ArgName argument) {
    raise(number, argument, "compared with a value that has bits outside the mask");
}

[[noreturn]] inline void mask_covers_no_bit_that_the_kernel_reads(int number, abi::ArgName argument) {
    raise(number, argument, "the mask covers no bit that the kernel reads");
}

[[noreturn]] inline void lower_bound_is_above_the_upper(int number, abi::ArgName argument) {
    raise(number, argument, "between(low, high) with low above high");
}

[[noreturn]] inline void errno_must_be_between_1_and_4095(int number) {
    raise(number, "deny() takes an errno from 1 to 4095");
}

[[noreturn]] inline void condition_has_more_parts_than_one_rule_holds(int number) {
    raise(number,
          "its condition has more than 32 parts (tests, joints, and a third of the values of in()); write "
          "several rules");
}

[[noreturn]] inline void rule_can_never_match(int number) {
    raise(number, "its condition can never be true");
}

[[noreturn]] inline void rule_can_never_be_reached_because_earlier_rules_always_match(int number) {
    raise(number,
          "it can never be reached, because earlier rules always match first and say something else; move it "
          "before them or remove it");
}

}  // namespace sysguard::policy::mistake
