// expect: value_has_bits_outside_the_mask
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_openat>{(arg::flags & 3) == 2}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_openat>{(arg::flags & 3) == 4}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
