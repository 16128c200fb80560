// expect: the host never answers rt_sigreturn
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{
    Rule<SYS_dup>{}.handle([](const sg::AnyCall& call) -> Verdict { return call.deny(EPERM); }),
    sg::otherwise.kill(),
};
#else
constexpr sg::Policy policy{
    Rule<SYS_close>{}.handle([](const sg::AnyCall& call) -> Verdict { return call.deny(EPERM); }),
    sg::otherwise.kill(),
};
#endif
