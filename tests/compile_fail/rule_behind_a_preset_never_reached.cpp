// expect: it can never be reached, because earlier rules always match first
// expect: rule_can_never_be_reached_because_earlier_rules_always_match
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    sg::preset::cpp_runtime,
    sg::allow<SYS_brk>,
    sg::otherwise.kill(),
#else
    sg::preset::cpp_runtime,
    Rule<SYS_brk>{}.deny(12),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
