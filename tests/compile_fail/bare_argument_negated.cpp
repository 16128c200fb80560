// expect: an argument by itself is no condition
#include <sysguard/policy.hpp>

#include <fcntl.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_kill>{arg::sig == 0}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_kill>{!arg::sig}.allow(), sg::otherwise.kill()};
#endif
