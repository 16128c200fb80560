#pragma once

#include "descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

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
    union {
        cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * Transfer::most)];
    } control{};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int) * sent.count);
    std::memcpy(CMSG_DATA(&control.header), sent.descriptors, sizeof(int) * sent.count);
    char byte = 0;
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * sent.count);
    ssize_t bytes = 0;
    do bytes = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (bytes < 0 && errno == EINTR);
    return bytes < 0 ? errno : 0;
}

/// Receives the next message, without waiting; close-on-exec. Returns how many descriptors came and are in `received`,
/// or a negative errno: EAGAIN where there is no message, EMFILE where some had no room, which are closed.
inline int receive_transfer(int socket, Descriptor (&received)[Transfer::most]) noexcept {
    union {
        cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * Transfer::most)];
    } control{};
    char byte = 0;
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    ssize_t bytes = 0;
    do bytes = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (bytes < 0 && errno == EINTR);
    if (bytes < 0) return -errno;
    if (bytes == 0) return -EPIPE;
    int error = (message.msg_flags & MSG_CTRUNC) != 0 ? EMFILE : 0;
    std::size_t count = 0;
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + sizeof(int) * i, sizeof fd);
            received[i].reset(above_streams(fd));
            if (!received[i]) error = errno;
        }
    }
    if (error == 0) return static_cast<int>(count);
    for (Descriptor& each : received) each.reset();
    return -error;
}

}  // namespace sysguard::process
