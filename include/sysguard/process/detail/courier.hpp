#pragma once

#include "../descriptor.hpp"
#include "plan.hpp"
#include "raw_call.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

namespace sysguard::process::detail {

/// What the channel carries: descriptors, in this order, and how many of them there are.
struct HandOver {
    static constexpr int most = 2;
    int descriptors[most]{};
    int count = 0;
};

/// Sends descriptors to the host. Runs in the child, outside the filter.
SYSGUARD_BARE inline long send_descriptors(int channel, const HandOver& sent) noexcept {
    union {
        cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * HandOver::most)];
    } control{};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int) * static_cast<unsigned>(sent.count));
    __builtin_memcpy(CMSG_DATA(&control.header), sent.descriptors, sizeof(int) * static_cast<unsigned>(sent.count));
    char byte = 0;
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * static_cast<unsigned>(sent.count));
    return raw_call(SYS_sendmsg, channel, &message, MSG_NOSIGNAL);
}

/// Receives what the channel carries, without waiting. Returns how many descriptors came; 0 where there was nothing,
/// and a negative errno where something was lost.
inline int receive_descriptors(int channel, Descriptor (&received)[HandOver::most]) noexcept {
    union {
        cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * HandOver::most)];
    } control{};
    char byte = 0;
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    ssize_t bytes = 0;
    do {
        bytes = ::recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (bytes < 0 && errno == EINTR);
    if (bytes <= 0) return 0;
    int count = 0;
    int error = 0;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        count = static_cast<int>((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + sizeof(int) * static_cast<unsigned>(i), sizeof fd);
            received[i].reset(above_streams(fd));
            if (!received[i]) error = errno;
        }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0) error = EMFILE;
    return error != 0 ? -error : count;
}

}  // namespace sysguard::process::detail
