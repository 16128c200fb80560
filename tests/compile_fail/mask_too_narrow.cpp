// expect: mask_of_32_bits_for_64
// expect: ~7UL
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_mmap>{(arg::flags & ~7UL) == 0}.allow(),
    Rule<SYS_mprotect>{(arg::prot & ~7) == 0}.allow(),
    Rule<SYS_openat>{(arg::flags & ~7U) == 0}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_mmap>{(arg::flags & ~7U) == 0}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
