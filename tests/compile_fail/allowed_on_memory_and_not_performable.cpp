// expect: call_allowed_after_a_look_at_memory_cannot_be_performed
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_execve>{arg::path.under("/usr")}.deny(EPERM), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_execve>{arg::path.under("/usr")}.allow(), sg::otherwise.kill()};
#endif
