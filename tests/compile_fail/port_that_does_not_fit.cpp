// expect: value_does_not_fit_the_argument
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_connect>{arg::addr.port() == 443}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_connect>{arg::addr.port() == 66000}.allow(), sg::otherwise.kill()};
#endif
