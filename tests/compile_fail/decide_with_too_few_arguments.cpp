// expect: as many arguments as the call has
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{Rule<SYS_read>{arg::fd == 0}.allow(), sg::otherwise.kill()};

#ifdef SYSGUARD_CONTROL
static_assert(policy.decide<SYS_read>(0, nullptr, 1) == sg::Action::allow);
#else
static_assert(policy.decide<SYS_read>(0) == sg::Action::allow);
#endif

int main() {}
