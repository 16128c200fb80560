// expect: it can never be reached, because earlier rules always match first
// expect: rule_can_never_be_reached_because_earlier_rules_always_match
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr auto intricate =
    Rule<SYS_socket>{arg::domain.in(1, 3, 5, 7, 9, 11, 13, 15, 17, 19) && arg::type.in(1, 3, 5, 7, 9, 11, 13, 15) &&
                     arg::protocol.in(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39)};

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    intricate.deny(1),
    Rule<SYS_socket>{}.allow(),
    intricate.deny(1),
    sg::otherwise.kill(),
#else
    Rule<SYS_socket>{}.allow(),
    intricate.deny(1),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
