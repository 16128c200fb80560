// expect: lower_bound_is_above_the_upper
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_read>{arg::fd.between(3, 5)}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_read>{arg::fd.between(5, 3)}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
