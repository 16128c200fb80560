// expect: sg::otherwise comes last
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    sg::allow<SYS_read>,
    sg::otherwise.kill(),
#else
    sg::otherwise.kill(),
    sg::allow<SYS_read>,
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
