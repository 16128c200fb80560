// expect: a_handler_that_captures_something_is_made_at_run_time
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
inline int error = EPERM;
constexpr sg::Policy policy{
    Rule<SYS_dup>{}.handle([](const sg::AnyCall& call) -> Verdict { return call.deny(error); }),
    sg::otherwise.kill(),
};
#else
constexpr int error = EPERM;
constexpr sg::Policy policy{
    Rule<SYS_dup>{}.handle([copy = error](const sg::AnyCall& call) -> Verdict { return call.deny(copy); }),
    sg::otherwise.kill(),
};
#endif
