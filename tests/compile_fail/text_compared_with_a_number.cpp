// expect: this argument leads to something else
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_openat>{arg::flags == 0}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_openat>{arg::flags == "/etc/passwd"}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
