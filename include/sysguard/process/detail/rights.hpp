#pragma once

#include "../descriptor.hpp"
#include "raw_call.hpp"

#include <cerrno>
#include <cstddef>

#include <sys/socket.h>
#include <sys/uio.h>

namespace sysguard::process::detail {

/// A message of one byte that takes descriptors along, `most` at most (unix(7), SCM_RIGHTS). It leads into itself: not
/// to be copied.
template <std::size_t most>
class RightsMessage {
public:
    SYSGUARD_BARE RightsMessage() noexcept {
        message_.msg_iov = &data_;
        message_.msg_iovlen = 1;
        message_.msg_control = control_;
        message_.msg_controllen = sizeof control_;
    }
    RightsMessage(const RightsMessage&) = delete;
    RightsMessage& operator=(const RightsMessage&) = delete;

    /// To be sent. The descriptors are borrowed.
    SYSGUARD_BARE void put(const int* descriptors, std::size_t count) noexcept {
        cmsghdr* const header = CMSG_FIRSTHDR(&message_);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        __builtin_memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
        message_.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    }

    /// What came. Returns how many descriptors, or a negative errno where some had no room: then all are closed.
    int take(Descriptor (&received)[most]) noexcept {
        int error = (message_.msg_flags & MSG_CTRUNC) != 0 ? EMFILE : 0;
        std::size_t count = 0;
        const cmsghdr* const header = CMSG_FIRSTHDR(&message_);
        if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                __builtin_memcpy(&fd, CMSG_DATA(header) + sizeof(int) * i, sizeof fd);
                received[i].reset(above_streams(fd));
                if (!received[i]) error = errno;
            }
        }
        if (error == 0) return static_cast<int>(count);
        for (Descriptor& each : received) each.reset();
        return -error;
    }

    msghdr* get() noexcept { return &message_; }

private:
    alignas(cmsghdr) char control_[CMSG_SPACE(sizeof(int) * most)]{};
    char byte_ = 0;
    iovec data_{&byte_, 1};
    msghdr message_{};
};

/// Receives the next message, without waiting; close-on-exec. Returns how many descriptors came, or a negative errno:
/// EAGAIN where there is no message, EPIPE where there will be none, EMFILE where some had no room, which are closed.
template <std::size_t most>
int receive_rights(int socket, Descriptor (&received)[most]) noexcept {
    RightsMessage<most> message;
    ssize_t bytes = 0;
    do bytes = ::recvmsg(socket, message.get(), MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (bytes < 0 && errno == EINTR);
    if (bytes < 0) return -errno;
    return bytes == 0 ? -EPIPE : message.take(received);
}

}  // namespace sysguard::process::detail
