#pragma once

#include "../detail/bare_text.hpp"
#include "../detail/domain.hpp"
#include "../detail/locate.hpp"
#include "../detail/socket_address.hpp"
#include "job.hpp"
#include "message.hpp"

#include <cerrno>
#include <cstdint>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

namespace sysguard::supervise::detail::sockets {

using perform::Message;
using perform::Outgoing;

/// The flags to send with, or a negative errno. No signal: it would be the performer's. MSG_ZEROCOPY has the kernel
/// read the memory after the call, where the copy is no more; on a socket without SO_ZEROCOPY it means nothing, on
/// others the answer is ENOBUFS, on which programs send without it (Documentation/networking/msg_zerocopy.rst).
SYSGUARD_BARE inline long flags_of(const Job& job, int fd) noexcept {
    const auto flags = static_cast<std::uint32_t>(argument(job, abi::ArgName::flags));
    if ((flags & MSG_ZEROCOPY) != 0 && option(fd, SO_ZEROCOPY) > 0) return -ENOBUFS;
    return static_cast<long>((flags & ~std::uint32_t{MSG_ZEROCOPY}) | MSG_NOSIGNAL);
}

/// Sends one message; `flags` are a register's.
SYSGUARD_BARE inline long send_message(Job& job, int fd, const Outgoing& outgoing, const Message& message,
                                       abi::ArgName named_by, long flags) noexcept {
    Address address;
    address.given = message.name_size > 0;
    if (message.name_size > sizeof address.bytes) return -EINVAL;
    set_address(address, outgoing.bytes + message.name, message.name_size);
    if (const long error = prepare(job, fd, address, named_by, Use::send); error != 0) return error;
    if (const long error = enter_domain(job); error != 0) return error;
    iovec data{outgoing.bytes + message.data, message.data_size};
    msghdr header;
    __builtin_memset(&header, 0, sizeof header);
    header.msg_name = address.given ? address.bytes : nullptr;
    header.msg_namelen = static_cast<socklen_t>(address.size);
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = message.control_size > 0 ? outgoing.bytes + message.control : nullptr;
    header.msg_controllen = message.control_size;
    return raw_call(SYS_sendmsg, fd, &header, flags);
}

/// Sends messages until one fails or does not go out whole, as the kernel does (net/socket.c, __sys_sendmmsg).
SYSGUARD_BARE inline long send_messages(Job& job, abi::ArgName named_by) noexcept {
    const int fd = fd_of(job);
    if (fd < 0) return fd;
    if (option(fd, SO_DOMAIN) < 0) return -ENOTSOCK;
    auto* const outgoing = static_cast<Outgoing*>(job.extra);
    if (outgoing == nullptr) return -EFAULT;
    long result = -outgoing->error;
    outgoing->sent = 0;
    for (unsigned i = 0; i < outgoing->count; ++i) {
        Message& message = outgoing->messages[i];
        const long flags = flags_of(job, fd);
        result = flags < 0 ? flags : send_message(job, fd, *outgoing, message, named_by, flags);
        if (result < 0) {
            outgoing->error = static_cast<int>(-result);
            break;
        }
        message.sent = static_cast<std::uint32_t>(result);
        ++outgoing->sent;
        if (message.sent < message.data_size) break;
    }
    return result;
}

}  // namespace sysguard::supervise::detail::sockets

/// Calls on sockets, performed for a worker on a duplicate of its socket: whether they wait (O_NONBLOCK, SO_SNDTIMEO)
/// is the socket's, so EAGAIN and EINPROGRESS are the worker's own.
///
/// What is not as if the worker had made the call:
/// * The peer of a connected AF_UNIX socket sees the performer's process id (SO_PEERCRED), and so does one that asks
///   for the sender's of each message (SO_PASSCRED). User and group are the worker's.
/// * An AF_UNIX socket that is bound to a path that somebody has decided on is known by the path's last component only
///   (getsockname(2), getpeername(2)).
/// * An address whose family says another thing than the socket makes of it is refused.
/// * So are sends with MSG_ZEROCOPY on sockets with SO_ZEROCOPY (ENOBUFS).
namespace sysguard::supervise::perform {

/// Waits, where the socket does, until the connection stands or fails.
SYSGUARD_BARE inline long connect(Job& job) noexcept {
    const int fd = detail::sockets::fd_of(job);
    if (fd < 0) return fd;
    detail::sockets::Address address;
    if (const int error = detail::sockets::take_address(job, address); error != 0) return error;
    if (const long error =
            detail::sockets::prepare(job, fd, address, abi::ArgName::addr, detail::sockets::Use::connect);
        error != 0)
        return error;
    if (const long error = detail::enter_domain(job); error != 0) return error;
    return detail::raw_call(SYS_connect, fd, address.bytes, address.size);
}

/// A socket file that this makes has the mode that the performer's umask leaves: it must be the worker's.
SYSGUARD_BARE inline long bind(Job& job) noexcept {
    const int fd = detail::sockets::fd_of(job);
    if (fd < 0) return fd;
    detail::sockets::Address address;
    if (detail::sockets::option(fd, SO_DOMAIN) < 0) return -ENOTSOCK;
    if (const int error = detail::sockets::take_address(job, address); error != 0) return error;
    if (const long error = detail::sockets::prepare(job, fd, address, abi::ArgName::addr, detail::sockets::Use::bind);
        error != 0)
        return error;
    if (const long error = detail::enter_domain(job); error != 0) return error;
    return detail::raw_call(SYS_bind, fd, address.bytes, address.size);
}

/// Where the host copied less than the worker would send, a stream takes that and others fail with EMSGSIZE. EPIPE
/// comes without a signal: `owes_sigpipe` (supervise/messages.hpp) says whether the worker would have got one.
SYSGUARD_BARE inline long sendto(Job& job) noexcept {
    const int fd = detail::sockets::fd_of(job);
    if (fd < 0) return fd;
    if (detail::sockets::option(fd, SO_DOMAIN) < 0) return -ENOTSOCK;
    detail::sockets::Address address;
    if (detail::argument(job, abi::ArgName::addr) != 0) {
        if (const int error = detail::sockets::take_address(job, address); error != 0) return error;
        if (const long error =
                detail::sockets::prepare(job, fd, address, abi::ArgName::addr, detail::sockets::Use::send);
            error != 0)
            return error;
    }
    const int at = detail::position(job, abi::ArgName::buf);
    if (at < 0) return -EFAULT;
    const Input& data = job.in[at];
    if (data.error != 0) return -data.error;
    const bool is_cut = data.size < detail::argument(job, abi::ArgName::count);
    if (is_cut && detail::sockets::option(fd, SO_TYPE) != SOCK_STREAM) return -EMSGSIZE;
    const long flags = detail::sockets::flags_of(job, fd);
    if (flags < 0) return flags;
    if (const long error = detail::enter_domain(job); error != 0) return error;
    return detail::raw_call(SYS_sendto, fd, data.data, data.size, flags, address.given ? address.bytes : nullptr,
                            address.size);
}

/// `Job::extra` is an `Outgoing` of one message.
SYSGUARD_BARE inline long sendmsg(Job& job) noexcept {
    return detail::sockets::send_messages(job, abi::ArgName::msg);
}

/// `Job::extra` is an `Outgoing`: afterwards it says how much of each message was sent, for the worker's array.
SYSGUARD_BARE inline long sendmmsg(Job& job) noexcept {
    const long result = detail::sockets::send_messages(job, abi::ArgName::msgvec);
    const auto* const outgoing = static_cast<const Outgoing*>(job.extra);
    return outgoing != nullptr && outgoing->sent > 0 ? static_cast<long>(outgoing->sent) : result;
}

}  // namespace sysguard::supervise::perform
