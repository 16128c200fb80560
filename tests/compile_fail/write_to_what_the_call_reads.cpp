// expect: is for pointers that the call writes to
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule, sg::Verdict;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{
    Rule<SYS_read>{}.handle([](const Call<SYS_read>& call) -> Verdict {
        call.write(arg::buf, "x");
        return call.fake(1);
    }),
    sg::otherwise.kill(),
};
#else
constexpr sg::Policy policy{
    Rule<SYS_write>{}.handle([](const Call<SYS_write>& call) -> Verdict {
        call.write(arg::buf, "x");
        return call.fake(1);
    }),
    sg::otherwise.kill(),
};
#endif
