#pragma once

#include "../process/block.hpp"
#include "../process/descriptor.hpp"
#include "address.hpp"
#include "perform/message.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

namespace sysguard::supervise {

/// A worker, as one that copies messages out of it needs it.
class MessageSource {
public:
    /// Copies bytes out of the worker's memory. Returns how many could be read, from the first on.
    virtual std::size_t read(std::uint64_t address, void* to, std::size_t bytes) noexcept = 0;
    /// A duplicate of the worker's descriptor; an empty one where it has none of that number.
    virtual process::Descriptor duplicate(int fd) noexcept = 0;
    /// The worker's process id, as it sees it itself.
    virtual pid_t own_pid() noexcept = 0;
    /// The same as the performer sees it.
    virtual pid_t pid() noexcept = 0;

protected:
    ~MessageSource() = default;
};

/// The messages of a sendmsg or sendmmsg call, copied once out of the worker with all that they point to. Owns the
/// copies and the duplicates of the descriptors that they carry. Movable. Not thread-safe.
///
/// Bounded, whatever the worker says: the payload by the host, at most 1024 messages and 4096 pieces (iovec), 128 KiB
/// of control messages, 253 descriptors. Of a call with several messages, those that fit are taken, and the worker is
/// told how many were sent, as of any sendmmsg. Where the first does not fit, a stream sends what fits; of other
/// sockets it fails with EMSGSIZE, for its control messages with ENOBUFS, as above the kernel's own limits.
///
/// Control messages are the kernel's to judge, as it comes to them in order. Changed are:
///
/// * Descriptors (SCM_RIGHTS) are replaced by their duplicates; those that the worker does not have, by -1: EBADF.
/// * In credentials (SCM_CREDENTIALS), the worker's own process id is replaced by the one that the performer knows,
/// which
///   the kernel lets through only from performers with CAP_SYS_ADMIN: to others, EPERM. The ids of other processes
///   always fail, with EPERM or ESRCH. Of a message without credentials, the receiver sees the performer's.
/// * SOL_RDS is refused with EOPNOTSUPP: its control messages hold addresses, which would be the host's.
class Messages {
public:
    /// The message at `address` (struct msghdr). `socket`: a duplicate of the worker's. `most`: bytes of payload.
    static Messages of_sendmsg(MessageSource& source, int socket, std::uint64_t address, std::size_t most) noexcept {
        Messages messages{socket, address, most};
        messages.take(source, 1, sizeof(msghdr));
        return messages;
    }

    /// The messages of the array at `address` (struct mmsghdr).
    static Messages of_sendmmsg(MessageSource& source, int socket, std::uint64_t address, std::uint64_t vlen,
                                std::size_t most) noexcept {
        Messages messages{socket, address, most};
        const auto count = static_cast<unsigned>(vlen);
        messages.take(source, count < most_messages ? count : most_messages, sizeof(mmsghdr));
        return messages;
    }

    unsigned count() const noexcept { return count_; }

    /// errno that the message after the last one fails with: of the whole call, where there is no other. 0: none.
    int error() const noexcept { return error_; }

    /// To whom message `i` goes; an empty address where it names nobody: then to whom its socket is connected.
    SocketAddress address(unsigned i) const noexcept {
        const perform::Message& message = messages_[i];
        return {bytes_.data() + message.name, message.name_size, SocketAddress::Use::send};
    }

    /// What is sent of it: its pieces, one after the other.
    std::string_view payload(unsigned i) const noexcept {
        return {bytes_.data() + messages_[i].data, messages_[i].data_size};
    }

    /// Its control messages (cmsg(3)), changed as said above.
    std::string_view control(unsigned i) const noexcept {
        return {bytes_.data() + messages_[i].control, messages_[i].control_size};
    }

    /// Whether it carries descriptors (SCM_RIGHTS).
    bool carries_descriptors(unsigned i) const noexcept { return messages_[i].carries_descriptors; }

    /// Nothing is sent: the call fails with `error`.
    void withdraw(int error) noexcept {
        count_ = 0;
        error_ = error;
    }

    /// Descriptors of the host's that the messages carry, and empty ones: the performer must have them under the same
    /// numbers.
    const process::Block<process::Descriptor>& descriptors() const noexcept { return descriptors_; }

    /// For `Job::extra`. Points into this object, which must neither move nor end before the performer has.
    perform::Outgoing* outgoing() noexcept {
        outgoing_ = {bytes_.data(), messages_.data(), count(), error_, 0};
        return &outgoing_;
    }

    /// After the call: errno of the message that it ended with, 0 where they were all sent, for `owes_sigpipe`;
    int failed() const noexcept { return outgoing_.error; }

    /// after sendmmsg: how many elements of the worker's array are to be written to, the first ones,
    unsigned sent() const noexcept { return outgoing_.sent; }

    /// and for each where,
    std::uint64_t place_of_length(unsigned i) const noexcept {
        return address_ + i * sizeof(mmsghdr) + offsetof(mmsghdr, msg_len);
    }

    /// and with what (msg_len).
    std::uint32_t length(unsigned i) const noexcept { return messages_[i].sent; }

private:
    static constexpr unsigned most_messages = 1024;   // UIO_MAXIOV
    static constexpr std::size_t most_pieces = 1024;  // UIO_MAXIOV, of one message
    static constexpr std::size_t most_pieces_of_all = 4096;
    static constexpr std::size_t most_control = 128 << 10;   // net.core.optmem_max
    static constexpr std::size_t most_descriptors = 253;     // SCM_MAX_FD
    static constexpr std::size_t most_payload = 0x7ffff000;  // MAX_RW_COUNT

    /// What becomes of a message.
    enum class Taken : std::uint8_t { yes, no_room, refused };

    Messages(int socket, std::uint64_t address, std::size_t most) noexcept
        : address_{address}, room_{most < most_payload ? most : most_payload} {
        socklen_t size = sizeof domain_;
        if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain_, &size) != 0) error_ = errno;
        size = sizeof type_;
        if (::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type_, &size) != 0) error_ = errno;
    }

    void take(MessageSource& source, unsigned count, std::size_t step) noexcept {
        try {
            messages_ = process::Block<perform::Message>{count};
            for (unsigned i = 0; i < count && error_ == 0; ++i) {
                perform::Message message;
                const Taken taken = take_message(source, address_ + i * step, message);
                if (taken != Taken::yes) return;
                messages_[count_++] = message;
            }
        } catch (const std::bad_alloc&) {
            error_ = ENOMEM;
        }
    }

    Taken refuse(int error) noexcept {
        error_ = error;
        return Taken::refused;
    }

    /// A limit of ours is an error only where there is no message before.
    Taken no_room(int error) noexcept { return count_ == 0 ? refuse(error) : Taken::no_room; }

    /// In the order of the kernel's checks (net/socket.c, __copy_msghdr and ____sys_sendmsg).
    Taken take_message(MessageSource& source, std::uint64_t address, perform::Message& message) {
        msghdr header;
        if (!read(source, address, &header, sizeof header)) return refuse(EFAULT);
        const auto name = reinterpret_cast<std::uint64_t>(header.msg_name);
        const auto name_size = name == 0 ? 0 : static_cast<int>(header.msg_namelen);
        if (name_size < 0) return refuse(EINVAL);
        message.name_size = static_cast<std::size_t>(name_size);
        if (message.name_size > SocketAddress::most) message.name_size = SocketAddress::most;
        message.name = grow(message.name_size);
        if (!read(source, name, bytes_.data() + message.name, message.name_size)) return refuse(EFAULT);

        if (header.msg_iovlen > most_pieces) return refuse(EMSGSIZE);
        iovec pieces[most_pieces];
        const std::size_t count = header.msg_iovlen;
        if (pieces_ + count > most_pieces_of_all) return no_room(EMSGSIZE);
        pieces_ += count;
        const auto first = reinterpret_cast<std::uint64_t>(header.msg_iov);
        if (!read(source, first, pieces, count * sizeof(iovec))) return refuse(EFAULT);
        std::size_t payload = 0;
        for (std::size_t i = 0; i < count; ++i) {
            iovec& piece = pieces[i];
            if (static_cast<ssize_t>(piece.iov_len) < 0) return refuse(EINVAL);
            if (piece.iov_len > most_payload - payload) piece.iov_len = most_payload - payload;
            payload += piece.iov_len;
        }
        if (payload > room_ && (type_ != SOCK_STREAM || count_ > 0)) return no_room(EMSGSIZE);

        const Taken taken = take_control(source, header, message);
        return taken == Taken::yes ? take_payload(source, pieces, count, payload, message) : taken;
    }

    Taken take_control(MessageSource& source, const msghdr& header, perform::Message& message) {
        if (header.msg_controllen > most_control) return refuse(ENOBUFS);
        if (header.msg_controllen > most_control - control_) return no_room(ENOBUFS);
        control_ += header.msg_controllen;
        message.control_size = header.msg_controllen;
        message.control = grow(message.control_size);
        char* const control = bytes_.data() + message.control;
        const auto from = reinterpret_cast<std::uint64_t>(header.msg_control);
        if (!read(source, from, control, message.control_size)) return refuse(EFAULT);

        std::size_t descriptors = 0;  // of this message
        for (std::size_t at = 0; message.control_size - at >= sizeof(cmsghdr);) {
            cmsghdr part;
            std::memcpy(&part, control + at, sizeof part);
            if (part.cmsg_len < sizeof part || part.cmsg_len > message.control_size - at) break;  // to it, EINVAL
            const std::size_t size = part.cmsg_len - sizeof part;
            char* const data = control + at + sizeof part;
            if (part.cmsg_level == SOL_RDS) return refuse(EOPNOTSUPP);
            if (part.cmsg_level == SOL_SOCKET && part.cmsg_type == SCM_RIGHTS) {
                descriptors += size / sizeof(int);
                const bool is_too_many = descriptors > most_descriptors;  // to the kernel, EINVAL
                if (!is_too_many && descriptor_count_ + size / sizeof(int) > most_descriptors)
                    return no_room(ETOOMANYREFS);
                message.carries_descriptors = true;
                replace_descriptors(source, data, size / sizeof(int), domain_ == AF_UNIX && !is_too_many);
            }
            if (part.cmsg_level == SOL_SOCKET && part.cmsg_type == SCM_CREDENTIALS && size == sizeof(ucred))
                replace_credentials(source, data);
            const std::size_t step = CMSG_ALIGN(part.cmsg_len);
            if (step > message.control_size - at) break;
            at += step;
        }
        return Taken::yes;
    }

    /// Only AF_UNIX sockets carry descriptors. A number of the worker's never reaches the kernel: in the performer it
    /// may be another file's.
    void replace_descriptors(MessageSource& source, char* data, std::size_t count, bool carried) {
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, data + i * sizeof number, sizeof number);
            process::Descriptor duplicate;
            if (carried && number >= 0) duplicate = source.duplicate(number);
            number = duplicate.get();
            std::memcpy(data + i * sizeof number, &number, sizeof number);
            if (!duplicate) continue;
            if (descriptor_count_ == 0) descriptors_ = process::Block<process::Descriptor>{most_descriptors};
            descriptors_[descriptor_count_++] = std::move(duplicate);
        }
    }

    /// Process 0 is nobody's.
    static void replace_credentials(MessageSource& source, char* data) noexcept {
        ucred credentials;
        std::memcpy(&credentials, data, sizeof credentials);
        credentials.pid = credentials.pid == source.own_pid() ? source.pid() : 0;
        std::memcpy(data, &credentials, sizeof credentials);
    }

    /// One piece after the other, in one. Where memory ends, a stream sends what is before.
    Taken take_payload(MessageSource& source, const iovec* pieces, std::size_t count, std::size_t payload,
                       perform::Message& message) {
        const std::size_t wanted = payload < room_ ? payload : room_;
        message.data = grow(wanted);
        for (std::size_t i = 0; i < count; ++i) {
            const iovec& piece = pieces[i];
            const std::size_t left = wanted - message.data_size;
            const std::size_t size = piece.iov_len < left ? piece.iov_len : left;
            if (size == 0) continue;
            char* const to = bytes_.data() + message.data + message.data_size;
            const std::size_t got = source.read(reinterpret_cast<std::uint64_t>(piece.iov_base), to, size);
            message.data_size += got < size ? got : size;
            if (got >= size) continue;
            if (type_ != SOCK_STREAM || message.data_size == 0) return refuse(EFAULT);
            break;
        }
        room_ -= message.data_size;
        return Taken::yes;
    }

    static bool read(MessageSource& source, std::uint64_t address, void* to, std::size_t bytes) noexcept {
        return bytes == 0 || source.read(address, to, bytes) == bytes;
    }

    /// Room for more bytes. Returns where.
    std::size_t grow(std::size_t bytes) {
        const std::size_t place = bytes_.size();
        bytes_.resize(place + bytes);
        return place;
    }

    std::uint64_t address_;
    std::size_t room_;
    int domain_ = AF_UNSPEC;
    int type_ = 0;
    int error_ = 0;
    std::size_t pieces_ = 0;
    std::size_t control_ = 0;
    std::string bytes_{};
    process::Block<perform::Message> messages_{};
    unsigned count_ = 0;
    process::Block<process::Descriptor> descriptors_{};
    std::size_t descriptor_count_ = 0;
    perform::Outgoing outgoing_{};
};

/// Whether a worker that makes this call itself would get SIGPIPE with it: the performer leaves it out. `flags`: the
/// call's. `socket`: a duplicate of the worker's. `error`: errno, of sendmsg and sendmmsg `Messages::failed`: they have
/// SIGPIPE even where messages before were sent.
inline bool owes_sigpipe(int socket, std::uint64_t flags, int error) noexcept {
    int type = 0;
    socklen_t size = sizeof type;
    return error == EPIPE && (flags & MSG_NOSIGNAL) == 0 &&
           ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

}  // namespace sysguard::supervise
