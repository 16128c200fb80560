#pragma once

#include "../process/descriptor.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::supervise {

/// The host's end of a seccomp filter: calls that the filter sends to the host wait here for an answer
/// (seccomp_unotify(2), Linux 5.0). Not thread-safe.
class Listener {
public:
    /// Takes ownership of a listener. Returns false, and has none, where there is no memory for it.
    bool open(process::Descriptor fd) noexcept {
        seccomp_notif_sizes sizes{};
        if (::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) return false;
        try {
            request_.resize(words(sizes.seccomp_notif, sizeof(seccomp_notif)));
            response_.resize(words(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp)));
        } catch (const std::bad_alloc&) {
            return false;
        }
        fd_ = std::move(fd);
        return true;
    }

    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
    int fd() const noexcept { return fd_.get(); }
    void close() noexcept { fd_.reset(); }

    /// Takes the next pending call, which must be there (POLLIN): with none, this waits. Returns nullptr where it went
    /// away meanwhile, as its thread was killed or interrupted. The call is valid until the next one is received.
    const seccomp_notif* receive() noexcept {
        std::memset(request_.data(), 0, request_.size() * sizeof(std::uint64_t));  // the kernel refuses anything else
        while (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_RECV, request_.data()) != 0)
            if (errno != EINTR) return nullptr;
        return reinterpret_cast<const seccomp_notif*>(request_.data());
    }

    /// Answers a call: it returns `value`, or fails with `error` (an errno) where that is not 0. A call that went away
    /// is not an error.
    void answer(std::uint64_t id, std::int64_t value, int error) noexcept {
        std::memset(response_.data(), 0, response_.size() * sizeof(std::uint64_t));
        auto& response = *reinterpret_cast<seccomp_notif_resp*>(response_.data());
        response.id = id;
        response.val = error != 0 ? 0 : value;
        response.error = -error;
        while (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, response_.data()) != 0 && errno == EINTR) {
        }
    }

private:
    /// Buffers are as large as the running kernel's structs, which may be larger than those of its headers here.
    static std::size_t words(std::size_t kernel, std::size_t known) noexcept {
        return ((kernel > known ? kernel : known) + 7) / 8;
    }

    process::Descriptor fd_{};
    std::vector<std::uint64_t> request_{};
    std::vector<std::uint64_t> response_{};
};

}  // namespace sysguard::supervise
