// expect: a policy is made of rules with their endings
#include <sysguard/policy.hpp>

#include <fcntl.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{sg::allow<SYS_openat>, sg::otherwise.kill()};
#else
constexpr sg::Policy policy{sg::family::open, sg::otherwise.kill()};
#endif
