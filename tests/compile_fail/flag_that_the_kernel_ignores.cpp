// expect: value_does_not_fit_the_argument
#include <sysguard/policy.hpp>

#include <fcntl.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_openat>{arg::flags == (O_WRONLY | O_CLOEXEC)}.deny(13),
    Rule<SYS_openat>{arg::flags & 8}.deny(13),
    sg::otherwise.kill(),
#else
    Rule<SYS_openat>{arg::flags == (O_WRONLY | 8)}.deny(13),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
