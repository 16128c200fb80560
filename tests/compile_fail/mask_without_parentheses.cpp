// expect: in C++ a & b == c is a & (b == c)
#include <sysguard/policy.hpp>

#include <fcntl.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_openat>{(arg::flags & O_CREAT) == O_CREAT}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_openat>{arg::flags & O_CREAT == O_CREAT}.allow(), sg::otherwise.kill()};
#endif
