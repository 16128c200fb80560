#include <sysguard/policy/mistakes.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include <sys/syscall.h>

namespace mistake = sysguard::policy::mistake;

namespace {

template <class F>
std::string message(F&& function) {
    try {
        function();
    } catch (const sysguard::Error& error) {
        CHECK(error.code().value() == EINVAL);
        return error.step();
    }
    return "nothing";
}

}  // namespace

TEST_CASE("each mistake says which call, and what is wrong") {
    using sysguard::abi::ArgName;
    CHECK(message([] { mistake::value_does_not_fit_the_argument(SYS_kill, ArgName::sig, "signal number"); }) ==
          "rule for kill: argument 'sig': a value that does not fit its type, which is: signal number");
    CHECK(message([] { mistake::value_has_bits_outside_the_mask(SYS_kill, ArgName::sig); }).find("kill") !=
          std::string::npos);
    CHECK(message([] { mistake::mask_covers_no_bit_that_the_kernel_reads(SYS_kill, ArgName::sig); }).find("mask") !=
          std::string::npos);
    CHECK(message([] { mistake::lower_bound_is_above_the_upper(SYS_kill, ArgName::sig); }).find("low") !=
          std::string::npos);
    CHECK(message([] { mistake::errno_must_be_between_1_and_4095(SYS_kill); }).find("4095") != std::string::npos);
    CHECK(message([] { mistake::fake_value_is_an_error(SYS_kill); }).find("deny(errno)") != std::string::npos);
    CHECK(message([] { mistake::mask_of_32_bits_for_64(SYS_kill, ArgName::sig); }).find("~7UL") != std::string::npos);
    CHECK(message([] {
              mistake::values_of_in_are_not_compared_on_the_same_bits(SYS_mmap, ArgName::flags);
          }).find("joined by ||") != std::string::npos);
    CHECK(message([] { mistake::condition_has_more_parts_than_one_rule_holds(SYS_kill); }).find("32 parts") !=
          std::string::npos);
    CHECK(message([] { mistake::rule_can_never_match(SYS_kill); }).find("never be true") != std::string::npos);
    CHECK(message([] {
              mistake::rule_can_never_be_reached_because_earlier_rules_always_match(SYS_kill);
          }).find("never be reached") != std::string::npos);
    CHECK(message([] { mistake::rule_can_never_match(100000); }).find("100000") != std::string::npos);
}
