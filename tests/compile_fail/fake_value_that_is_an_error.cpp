// expect: fake_value_is_an_error
// expect: deny(errno)
#include <sysguard/policy.hpp>

#include <cerrno>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_getppid>{}.fake(-4096),
    sg::otherwise.kill(),
#else
    Rule<SYS_getppid>{}.fake(-EPERM),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
