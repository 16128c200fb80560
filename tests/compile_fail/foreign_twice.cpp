// expect: sg::foreign is written once
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    sg::foreign.kill_now(),
    sg::otherwise.kill(),
#else
    sg::foreign.deny(1),
    sg::foreign.kill_now(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
