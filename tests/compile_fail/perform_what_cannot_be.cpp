// expect: the host cannot perform this call
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{
    Rule<SYS_execve>{}.handle([](const Call<SYS_execve>& call) -> Verdict { return call.proceed_unchecked(); }),
    sg::otherwise.kill(),
};
#else
constexpr sg::Policy policy{
    Rule<SYS_execve>{}.handle([](const Call<SYS_execve>& call) -> Verdict { return call.perform(); }),
    sg::otherwise.kill(),
};
#endif
