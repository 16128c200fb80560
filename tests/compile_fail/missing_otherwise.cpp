// expect: a policy ends with what happens to all other calls
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;

constexpr sg::Policy policy{
    sg::allow<SYS_read, SYS_write>,
#ifdef SYSGUARD_CONTROL
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
