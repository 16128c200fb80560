// expect: it can never be reached, because earlier rules always match first
// expect: rule_can_never_be_reached_because_earlier_rules_always_match
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_socket>{arg::domain == 2 && arg::type == 3}.deny(1),
    Rule<SYS_socket>{arg::domain == 2}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_socket>{arg::domain == 2}.allow(),
    Rule<SYS_socket>{arg::domain == 2 && arg::type == 3}.deny(1),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
