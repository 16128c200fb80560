// expect: a policy has weights once: put all counts into one sg::weights
#include <sysguard/policy.hpp>
#include <sysguard/policy/weights.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;

constexpr sg::Policy policy{
    sg::allow<SYS_read, SYS_write>,
#ifdef SYSGUARD_CONTROL
    sg::weights({{SYS_read, 9000}}),
#else
    sg::weights({{SYS_read, 9000}}),
    sg::weights({{SYS_write, 500}}),
#endif
    sg::otherwise.kill(),
};

int main() {
    return static_cast<int>(policy.program().size);
}
