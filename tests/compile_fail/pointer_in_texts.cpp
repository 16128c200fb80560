// expect: an argument is compared with an integer
#include <sysguard/policy.hpp>

#include <fcntl.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_openat>{arg::flags == 1}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_openat>{arg::path.in("/etc", "/usr")}.allow(), sg::otherwise.kill()};
#endif
