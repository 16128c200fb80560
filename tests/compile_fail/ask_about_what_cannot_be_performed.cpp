// expect: this call cannot be asked about
#include <sysguard/decide/ask.hpp>
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
const sg::Policy policy{Rule<SYS_connect>{}.ask([](const sg::Question&) { return sg::Answer::allow; }),
                        sg::otherwise.kill()};
#else
const sg::Policy policy{Rule<SYS_execve>{}.ask([](const sg::Question&) { return sg::Answer::allow; }),
                        sg::otherwise.kill()};
#endif
