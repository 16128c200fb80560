// expect: messages() is for sendmsg and sendmmsg
#include <sysguard/sandbox.hpp>

#include <sys/syscall.h>

namespace arg = sysguard::arg;
using sysguard::Call;

#ifndef SYSGUARD_CONTROL
#define CALL SYS_sendto
#else
#define CALL SYS_sendmmsg
#endif

constexpr auto rules = sysguard::Rule<CALL>{}.handle([](const Call<CALL>& call) -> sysguard::Verdict {
    return call.messages().count() == 0 ? call.deny(1) : call.perform();
});
