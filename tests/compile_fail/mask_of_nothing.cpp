// expect: mask_covers_no_bit_that_the_kernel_reads
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_fchmod>{(arg::mode & 0170001) == 0}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_fchmod>{(arg::mode & 0170000) == 0}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
