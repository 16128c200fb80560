// expect: this argument leads to something else
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
constexpr sg::Policy policy{Rule<SYS_connect>{arg::addr.under("/usr")}.allow(), sg::otherwise.kill()};
#endif
