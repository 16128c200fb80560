#pragma once

#include "descriptor.hpp"
#include "detail/rights.hpp"

#include <cerrno>
#include <cstddef>

#include <sys/socket.h>

namespace sysguard::process {

/// Descriptors that go from one process to another in one message (unix(7)), 16 at most.
struct Transfer {
    static constexpr std::size_t most = 16;

    /// Takes one along. Returns whether there was room.
    bool add(int fd) noexcept {
        if (count == most) return false;
        descriptors[count++] = fd;
        return true;
    }

    int descriptors[most]{};  ///< borrowed
    std::size_t count = 0;
};

/// Sends them with one byte; does not wait. Returns 0 or an errno.
inline int send_transfer(int socket, const Transfer& sent) noexcept {
    detail::RightsMessage<Transfer::most> message;
    message.put(sent.descriptors, sent.count);
    ssize_t bytes = 0;
    do bytes = ::sendmsg(socket, message.get(), MSG_NOSIGNAL | MSG_DONTWAIT);
    while (bytes < 0 && errno == EINTR);
    return bytes < 0 ? errno : 0;
}

/// Receives the next message, without waiting; close-on-exec. Returns how many descriptors came and are in `received`,
/// or a negative errno: EAGAIN where there is no message, EPIPE where there will be none, EMFILE where some had no
/// room, which are closed.
inline int receive_transfer(int socket, Descriptor (&received)[Transfer::most]) noexcept {
    return detail::receive_rights(socket, received);
}

}  // namespace sysguard::process
