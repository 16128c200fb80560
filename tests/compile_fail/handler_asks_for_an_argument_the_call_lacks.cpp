// expect: this system call has no argument of that name
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{
    Rule<SYS_connect>{}.handle([](const Call<SYS_connect>& call) -> Verdict { return call.fake(call[arg::fd]); }),
    sg::otherwise.kill(),
};
#else
constexpr sg::Policy policy{
    Rule<SYS_connect>{}.handle([](const Call<SYS_connect>& call) -> Verdict { return call.fake(call[arg::flags]); }),
    sg::otherwise.kill(),
};
#endif
