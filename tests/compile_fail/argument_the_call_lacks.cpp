// expect: this system call has no argument of that name
// expect: ArgName::flags
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_socket>{arg::protocol == 1}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_socket>{arg::flags == 1}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
