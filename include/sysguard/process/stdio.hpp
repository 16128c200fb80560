#pragma once

#include <cstddef>
#include <cstdint>

namespace sysguard {

/// Where one of a worker's standard streams comes from or goes to.
class Stdio {
public:
    enum class Kind : std::uint8_t { null, inherited, closed, piped, captured, descriptor };

    /// /dev/null.
    static constexpr Stdio null() noexcept { return Stdio{Kind::null}; }

    /// The host's own stream. Where the host's is closed, or to be closed when a program is executed (FD_CLOEXEC),
    /// /dev/null.
    static constexpr Stdio inherit() noexcept { return Stdio{Kind::inherited}; }

    /// Not open. What the worker opens first gets its number.
    static constexpr Stdio close() noexcept { return Stdio{Kind::closed}; }

    /// A pipe whose other end the host holds: `Worker::input()`, `output()`, `error()`.
    static constexpr Stdio pipe() noexcept { return Stdio{Kind::piped}; }

    /// Output only: collected in the outcome. Of what goes beyond `most` bytes, only the amount is kept.
    static constexpr Stdio capture(std::size_t most = 1 << 20) noexcept {
        Stdio stream{Kind::captured};
        stream.most_ = most;
        return stream;
    }

    /// A descriptor of the host's, which stays the host's and must be open until the worker has started.
    static constexpr Stdio from(int fd) noexcept {
        Stdio stream{Kind::descriptor};
        stream.fd_ = fd;
        return stream;
    }

    constexpr Kind kind() const noexcept { return kind_; }
    constexpr int fd() const noexcept { return fd_; }
    constexpr std::size_t most() const noexcept { return most_; }

private:
    constexpr explicit Stdio(Kind kind) noexcept : kind_{kind} {}

    Kind kind_;
    int fd_ = -1;
    std::size_t most_ = 0;
};

}  // namespace sysguard
