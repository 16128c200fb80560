#pragma once

#include "../abi/errno_names.hpp"
#include "../abi/error.hpp"
#include "../abi/table.hpp"

#include <cerrno>
#include <string>

/// What is wrong with a policy. Where the policy is a constant, a call of one of these is a compile error that shows
/// the function's name, the system call's, and the text; where it is built at run time, each throws `Error` (EINVAL).
namespace sysguard::policy::mistake {

namespace detail {

/// "" for a number that the table does not know.
constexpr const char* call_of(int number) noexcept {
    return abi::is_known(number) ? abi::find(number)->name.data() : "";
}

inline std::string sentence(int number, const char* call, const char* argument, const char* text, const char* more) {
    std::string whole =
        number < 0 ? "rule: " : "rule for " + (*call != 0 ? std::string{call} : std::to_string(number)) + ": ";
    if (*argument != 0) whole += "argument '" + std::string{argument} + "': ";
    return whole + text + more;
}

/// Always throws. Compilers show the arguments of the functions on the way to a failed constant expression: so they
/// hold all there is to say. A constexpr function must not look as if it always threw.
constexpr void refuse(int number, const char* call, const char* argument, const char* text, const char* more = "") {
    if (number >= -1) throw Error{EINVAL, sentence(number, call, argument, text, more)};
}

constexpr void refuse(int number, abi::ArgName argument, const char* text, const char* more = "") {
    refuse(number, call_of(number), abi::name(argument), text, more);
}

}  // namespace detail

constexpr void value_does_not_fit_the_argument(int number, abi::ArgName argument, const char* type) {
    detail::refuse(number, argument, "a value that does not fit its type, which is: ", type);
}

constexpr void value_has_bits_outside_the_mask(int number, abi::ArgName argument) {
    detail::refuse(number, argument, "compared with a value that has bits outside the mask");
}

constexpr void mask_covers_no_bit_that_the_kernel_reads(int number, abi::ArgName argument) {
    detail::refuse(number, argument, "the mask covers no bit that the kernel reads");
}

constexpr void mask_of_32_bits_for_64(int number, abi::ArgName argument) {
    detail::refuse(
        number, argument,
        "the mask is an unsigned number of 32 bits with the highest one set, and the kernel reads 64 bits of "
        "this argument: a complement such as ~7U would leave out the upper 32; write a number of 64 bits, "
        "such as ~7UL or 0x80000000UL");
}

constexpr void values_of_in_are_not_compared_on_the_same_bits(int number, abi::ArgName argument) {
    detail::refuse(number, argument,
                   "in() with values of which only some have MAP_HUGETLB, beside which the kernel reads a size of huge "
                   "pages: write an in() for those and one for the others, joined by ||");
}

constexpr void lower_bound_is_above_the_upper(int number, abi::ArgName argument) {
    detail::refuse(number, argument, "between(low, high) with low above high");
}

constexpr void text_is_longer_than_a_condition_holds(abi::ArgName argument) {
    detail::refuse(-1, argument, "compared with a text of more than 720 bytes; compare with a shorter part of it");
}

constexpr void path_to_compare_with_is_not_absolute_or_not_plain(abi::ArgName argument) {
    detail::refuse(-1, argument,
                   "a path to compare with begins with a slash, and has no '.', no '..' and no empty part: it is "
                   "compared with where the worker's path leads");
}

constexpr void pattern_ends_in_the_middle(abi::ArgName argument) {
    detail::refuse(-1, argument, "the pattern ends within [...] or behind a backslash");
}

constexpr void text_is_no_network(abi::ArgName argument) {
    detail::refuse(-1, argument,
                   "in(network) takes an IP address with or without the length of its prefix, and no bits set behind "
                   "that: \"10.0.0.0/8\", \"192.0.2.7\", \"fc00::/7\"");
}

constexpr void a_handler_that_captures_something_is_made_at_run_time(int number) {
    detail::refuse(number, abi::ArgName::none,
                   "a handler that captures something is made at run time: make the policy a plain const variable, not "
                   "a constexpr one, or the handler a lambda without captures");
}

constexpr void call_allowed_after_a_look_at_memory_cannot_be_performed(int number) {
    detail::refuse(number, abi::ArgName::none,
                   "it would be allowed after the host has looked at the worker's memory, and then the kernel would "
                   "read that memory again, which another thread may have changed; the host cannot perform this call "
                   "on the worker's behalf either: deny it, or handle it with proceed_unchecked()");
}

constexpr void errno_must_be_between_1_and_4095(int number) {
    detail::refuse(number, abi::ArgName::none, "deny() takes an errno from 1 to 4095");
}

constexpr void fake_value_is_an_error(int number) {
    detail::refuse(number, abi::ArgName::none,
                   "fake() says that the call succeeded, and a result from -4095 to -1 says that it failed: use "
                   "deny(errno), such as deny(EPERM)");
}

constexpr void value_of_a_call_that_the_host_never_answers(int number) {
    detail::refuse(number, abi::ArgName::none,
                   "fake() takes only 0 here: the kernel's filter can say nothing else, and the host never answers "
                   "rt_sigreturn, exit, exit_group, restart_syscall, futex and close");
}

constexpr void group_of_rules_is_full(int number) {
    detail::refuse(number, abi::ArgName::none,
                   "it does not fit into its group: Rules<rules, nodes> has too little room");
}

constexpr void condition_has_more_parts_than_one_rule_holds(int number) {
    detail::refuse(number, abi::ArgName::none,
                   "its condition has more than 32 parts (tests, joints, and a third of the values of in()); write "
                   "several rules");
}

constexpr void rule_can_never_match(int number) {
    detail::refuse(number, abi::ArgName::none, "its condition can never be true");
}

constexpr void rule_can_never_be_reached_because_earlier_rules_always_match(int number) {
    detail::refuse(number, abi::ArgName::none,
                   "it can never be reached, because earlier rules always match first and say something else; move it "
                   "before them, give those a condition, or remove it; out of a preset a call is taken by writing the "
                   "group without it");
}

}  // namespace sysguard::policy::mistake
