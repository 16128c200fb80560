// expect: messages() has to whom and what is sent
#include <sysguard/sandbox.hpp>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace arg = sysguard::arg;
using sysguard::Call;

constexpr auto rules = sysguard::Rule<SYS_sendmsg>{}.handle([](const Call<SYS_sendmsg>& call) -> sysguard::Verdict {
#ifndef SYSGUARD_CONTROL
    if (call.read<msghdr>(arg::msg)->msg_name != nullptr) return call.deny(1);
#else
    if (call.messages().address(0).size() != 0) return call.deny(1);
#endif
    return call.perform();
});
