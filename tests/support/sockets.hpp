#pragma once

#include <sysguard/process/descriptor.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace support {

inline sysguard::process::Descriptor open_socket(int domain, int type) {
    return sysguard::process::Descriptor{::socket(domain, type | SOCK_CLOEXEC, 0)};
}

inline sockaddr_in loopback(unsigned port = 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return address;
}

inline const sockaddr* plain(const void* address) {
    return static_cast<const sockaddr*>(address);
}

/// A socket of this host's that waits for others, and where.
struct Receiver {
    explicit Receiver(int type) : fd{open_socket(AF_INET, type)} {
        REQUIRE(::bind(fd.get(), plain(&address), sizeof address) == 0);
        if (type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 8) == 0);
        socklen_t size = sizeof address;
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    }
    sysguard::process::Descriptor fd;
    sockaddr_in address = loopback();
};

struct Pair {
    explicit Pair(int type) {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        a.reset(fds[0]);
        b.reset(fds[1]);
    }
    sysguard::process::Descriptor a, b;
};

struct Directory {
    Directory() {
        char text[] = "/tmp/sysguard.XXXXXX";
        REQUIRE(::mkdtemp(text) != nullptr);
        path = text;
    }
    ~Directory() {
        for (const char* name : {"s", "link", "d/s", "d"}) ::remove((path + "/" + name).c_str());
        ::rmdir(path.c_str());
    }
    std::string path;
};

struct UnixAddress {
    explicit UnixAddress(std::string_view name) {
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.data(), name.size());
        size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    }
    sockaddr_un address{};
    socklen_t size;
};

inline std::string received(int fd) {
    char text[256];
    const ssize_t bytes = ::recv(fd, text, sizeof text, 0);
    return bytes < 0 ? "error " + std::to_string(errno) : std::string(text, static_cast<std::size_t>(bytes));
}

/// Whether something has come.
inline bool received_at_once(int fd) {
    char byte;
    return ::recv(fd, &byte, 1, MSG_DONTWAIT) >= 0;
}

/// What the kernel says when this process makes the call itself.
template <class... T>
long natively(int number, T... arguments) {
    const long result = ::syscall(number, arguments...);
    return result < 0 ? -errno : result;
}

}  // namespace support
