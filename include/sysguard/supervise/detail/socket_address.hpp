#pragma once

#include "../perform/job.hpp"
#include "../perform/walk.hpp"
#include "bare_text.hpp"
#include "locate.hpp"
#include "procfs.hpp"

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

/// From the address that a worker gave to the one that is passed for it. Bare code.
namespace sysguard::supervise::detail::sockets {

/// An address in the performer's own memory: what was checked is what is passed.
struct Address {
    alignas(sockaddr_storage) char bytes[sizeof(sockaddr_storage)];
    std::size_t size = 0;
    bool given = false;  ///< with a size of 0 too
    Handle target;       ///< the socket that a path led to

    SYSGUARD_BARE Address() noexcept {}  // leaves the bytes as they are
    Address(const Address&) = delete;
    Address& operator=(const Address&) = delete;
    SYSGUARD_BARE ~Address() {}
};

SYSGUARD_BARE inline int family(const Address& address) noexcept {
    sa_family_t family = AF_UNSPEC;
    if (address.size >= sizeof family) __builtin_memcpy(&family, address.bytes, sizeof family);
    return family;
}

/// An option of SOL_SOCKET that is an int; -1 where there is none.
SYSGUARD_BARE inline int option(int fd, int name) noexcept {
    int value = -1;
    socklen_t size = sizeof value;
    return raw_call(SYS_getsockopt, fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

SYSGUARD_BARE inline int fd_of(const Job& job) noexcept {
    const int at = position(job, abi::ArgName::fd);
    return at < 0 || job.fds[at] < 0 ? -EBADF : job.fds[at];
}

SYSGUARD_BARE inline void set_address(Address& address, const char* bytes, std::size_t size) noexcept {
    address.size = size;
    for (std::size_t i = 0; i < size; ++i) address.bytes[i] = bytes[i];
}

/// The address that is an argument, as the kernel takes one in (net/socket.c, move_addr_to_kernel).
SYSGUARD_BARE inline int take_address(const Job& job, Address& address) noexcept {
    const int at = position(job, abi::ArgName::addr);
    const int size = static_cast<int>(argument(job, abi::ArgName::addrlen));
    if (at < 0 || size < 0 || static_cast<std::size_t>(size) > sizeof address.bytes) return -EINVAL;
    const Input& input = job.in[at];
    address.given = job.arguments[at] != 0;
    address.size = 0;
    if (size == 0) return 0;
    if (input.error != 0) return -input.error;
    if (input.data == nullptr || input.size != static_cast<std::size_t>(size)) return -EFAULT;
    set_address(address, input.data, input.size);
    return 0;
}

/// Refuses an address that would mean something else to the kernel than its family says, which is what the host decided
/// on: raw, packet and L2TP sockets do not look at the family (net/ipv4/raw.c, raw_bind; net/ipv6/raw.c,
/// rawv6_sendmsg; net/packet/af_packet.c, packet_snd). AF_UNSPEC is IPv4 to sockets of IPv4; of IPv6, streams and UDP
/// do without such an address, and others take it for IPv6.
SYSGUARD_BARE inline int check_family(int fd, const Address& address, bool connects) noexcept {
    const int given = family(address);
    if (address.size == 0 || (connects && given == AF_UNSPEC)) return 0;
    const int domain = option(fd, SO_DOMAIN);
    const int type = option(fd, SO_TYPE);
    if (domain == AF_PACKET) return given == AF_PACKET ? 0 : -EINVAL;
    if (domain == AF_INET && type == SOCK_RAW) return given == AF_INET || given == AF_UNSPEC ? 0 : -EAFNOSUPPORT;
    if (domain != AF_INET6 || given == AF_INET6) return 0;
    if (given == AF_UNSPEC && type != SOCK_STREAM) {
        const int protocol = option(fd, SO_PROTOCOL);
        return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ? 0 : -EAFNOSUPPORT;
    }
    return type == SOCK_RAW ? -EAFNOSUPPORT : 0;
}

inline constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

/// Whether the kernel takes the address for a path (net/unix/af_unix.c, unix_validate_addr).
SYSGUARD_BARE inline bool is_path(int fd, const Address& address) noexcept {
    return family(address) == AF_UNIX && address.size > path_offset && address.size <= sizeof(sockaddr_un) &&
           address.bytes[path_offset] != 0 && option(fd, SO_DOMAIN) == AF_UNIX;
}

/// What an address is given for.
enum class Use : std::uint8_t { connect, send, bind };

/// The path itself, as text.
struct PathText {
    SYSGUARD_BARE explicit PathText(const Address& address) noexcept {
        const std::size_t length = address.size - path_offset;
        for (std::size_t i = 0; i < length; ++i) text[i] = address.bytes[path_offset + i];
        text[length] = 0;
    }
    char text[sizeof(sockaddr_un::sun_path) + 1];
};

SYSGUARD_BARE inline void set_path(Address& address, const char* path) noexcept {
    std::size_t length = 0;
    while (path[length] != 0) ++length;
    address.size = path_offset + length;
    if (length < sizeof(sockaddr_un::sun_path)) ++address.size;  // for the zero byte
    for (std::size_t i = 0; path_offset + i < address.size; ++i) address.bytes[path_offset + i] = path[i];
}

SYSGUARD_BARE inline bool same_place(int one, int other) noexcept {
    Identity first;
    Identity second;
    return identify(one, first) == 0 && identify(other, second) == 0 && first.same(second);
}

/// Whether the kernel, asked by this task, which stands where the worker does, finds the same directory above a path's
/// last component. Only where their root is the same: what the path leads through may be replaced after this.
SYSGUARD_BARE inline bool finds(const Job& job, const PathText& path, const Handle& directory) noexcept {
    PathText above{path};
    std::size_t end = 0;
    for (std::size_t i = 0; above.text[i] != 0; ++i)
        if (above.text[i] == '/' && above.text[i + 1] != '/' && above.text[i + 1] != 0) end = i + 1;
    above.text[end] = 0;
    open_how how;
    __builtin_memset(&how, 0, sizeof how);
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    Handle root;
    root.own(raw_call(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    Handle found;
    found.own(raw_call(SYS_openat2, AT_FDCWD, end == 0 ? "." : above.text, &how, sizeof how));
    return same_place(root.get(), job.root) && same_place(found.get(), directory.get());
}

/// Has the address mean to the kernel, here, what its path means to the worker. To be connected or sent to, that is the
/// very socket that was found. To be bound, a name in the directory that was found: as it was given where nobody
/// decided on it and it leads there (getsockname(2) says the same as if the worker had called), otherwise the name
/// alone.
SYSGUARD_BARE inline long resolve(const Job& job, int at, Address& address, Use use) noexcept {
    const PathText path{address};
    const perform::Start start{job.root, job.cwd, job.caller};
    perform::Place place;
    const perform::Last last = use == Use::bind ? perform::Last::given : perform::Last::follow;
    if (const long error = perform::walk(start, path.text, last, place); error != 0) return error;
    const char* const decided = at < 0 ? nullptr : job.decided[at];
    if (decided != nullptr) {
        char text[PATH_MAX + 16];
        const long length = perform::text_of(place, job.root, text, sizeof text);
        if (length < 0 || !equal(text, decided)) return -EACCES;
    }
    if (use != Use::bind) {
        set_path(address, FdPath{place.object.get()}.text);
        address.target.take(place.object);
        return 0;
    }
    if (decided == nullptr && raw_call(SYS_fchdir, job.cwd) == 0 && finds(job, path, place.directory)) return 0;
    if (const long error = raw_call(SYS_fchdir, place.directory.get()); error != 0) return error;
    set_path(address, place.given_name());
    return 0;
}

/// Makes an address ready to be passed for the socket: 0, or a negative errno.
SYSGUARD_BARE inline long prepare(const Job& job, int fd, Address& address, abi::ArgName named_by, Use use) noexcept {
    if (const int error = check_family(fd, address, use == Use::connect); error != 0) return error;
    return is_path(fd, address) ? resolve(job, position(job, named_by), address, use) : 0;
}

}  // namespace sysguard::supervise::detail::sockets
