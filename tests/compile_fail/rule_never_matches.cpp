// expect: rule_can_never_match
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_socket>{arg::domain == 2 || arg::domain == 10}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_socket>{arg::domain == 2 && arg::domain == 10}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
