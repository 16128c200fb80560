// expect: it is named twice: add up its counts
#include <sysguard/policy.hpp>
#include <sysguard/policy/weights.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;

constexpr sg::Policy policy{
    sg::allow<SYS_read, SYS_write>,
#ifdef SYSGUARD_CONTROL
    sg::weights({{SYS_read, 9000}, {SYS_write, 500}}),
#else
    sg::weights({{SYS_read, 9000}, {SYS_write, 500}, {SYS_read, 1}}),
#endif
    sg::otherwise.kill(),
};

int main() {
    return static_cast<int>(policy.program().size);
}
