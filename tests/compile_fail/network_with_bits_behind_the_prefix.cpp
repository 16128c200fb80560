// expect: text_is_no_network
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_connect>{arg::addr.in("10.0.0.0/8", 443)}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_connect>{arg::addr.in("10.1.0.0/8", 443)}.allow(), sg::otherwise.kill()};
#endif
