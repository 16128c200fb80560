// expect: errno_must_be_between_1_and_4095
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_read>{}.deny(1),
    sg::otherwise.kill(),
#else
    Rule<SYS_read>{}.deny(-1),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
