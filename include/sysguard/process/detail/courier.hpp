#pragma once

#include "../descriptor.hpp"
#include "raw_call.hpp"
#include "rights.hpp"

#include <cerrno>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sysguard::process::detail {

/// What the channel carries: descriptors, in this order, and how many of them there are.
struct HandOver {
    static constexpr int most = 2;
    int descriptors[most]{};
    int count = 0;
};

/// Sends descriptors to the host. Runs in the child, outside the filter.
SYSGUARD_BARE inline long send_descriptors(int channel, const HandOver& sent) noexcept {
    RightsMessage<HandOver::most> message;
    message.put(sent.descriptors, static_cast<unsigned>(sent.count));
    return raw_call(SYS_sendmsg, channel, message.get(), MSG_NOSIGNAL);
}

/// Receives what the channel carries, without waiting. Returns how many descriptors came; 0 where there was nothing,
/// and a negative errno where something was lost.
inline int receive_descriptors(int channel, Descriptor (&received)[HandOver::most]) noexcept {
    const int count = receive_rights(channel, received);
    return count == -EAGAIN || count == -EPIPE ? 0 : count;
}

}  // namespace sysguard::process::detail
