// expect: pattern_ends_in_the_middle
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_openat>{arg::path.glob("/tmp/[a-z]*")}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_openat>{arg::path.glob("/tmp/[a-z")}.allow(), sg::otherwise.kill()};
#endif
