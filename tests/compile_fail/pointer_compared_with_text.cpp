// expect: an argument is compared with an integer or an enumerator
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
    Rule<SYS_openat>{arg::path == "/etc/passwd"}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
