// expect: how wide this argument is depends on another argument
// expect: as<int>()
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_prctl>{arg::arg2.as<int>() == 9}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_prctl>{arg::arg2 == 9}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
