// expect: an argument is compared with an integer or an enumerator
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_dup3>{arg::oldfd == 1}.allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_dup3>{arg::oldfd == arg::newfd}.allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
