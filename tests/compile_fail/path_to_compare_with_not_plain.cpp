// expect: path_to_compare_with_is_not_absolute_or_not_plain
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_openat>{arg::path.under("/usr")}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_openat>{arg::path.under("/usr/../etc")}.allow(), sg::otherwise.kill()};
#endif
