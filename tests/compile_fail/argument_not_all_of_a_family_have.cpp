// expect: of a family, every call must have it
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<sg::family::chown>{arg::owner == 0}.allow(),
    sg::otherwise.kill(),
#else
    Rule<sg::family::chown>{arg::flags == 0}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
