#pragma once

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace sysguard::process {

/// Owns a file descriptor and closes it. Movable, not copyable. Not thread-safe.
class Descriptor {
public:
    Descriptor() noexcept = default;
    /// Takes ownership. Negative: none.
    explicit Descriptor(int fd) noexcept : fd_{fd} {}
    Descriptor(Descriptor&& other) noexcept : fd_{other.release()} {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    ~Descriptor() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

    /// Gives up ownership.
    int release() noexcept { return std::exchange(fd_, -1); }

    void reset(int fd = -1) noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = fd;
    }

private:
    int fd_ = -1;
};

/// Takes a descriptor out of the way of the standard streams, where the host has closed one of those and this got its
/// number: what the host writes to a stream that it takes for closed, or passes on as its own, must not be one of
/// ours. Returns the descriptor, its duplicate with a higher number, or -1 (errno) with `fd` closed. Close-on-exec.
inline int above_streams(int fd) noexcept {
    if (fd < 0 || fd > 2) return fd;
    const int above = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int error = errno;
    ::close(fd);
    errno = error;
    return above;
}

}  // namespace sysguard::process
