// expect: the table knows the type of this argument
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_read>{arg::count == 9}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_read>{arg::count.as<int>() == 9}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
