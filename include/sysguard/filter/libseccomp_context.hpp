#pragma once

#include "../abi/error.hpp"
#include "../abi/take.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sysguard::filter {

/// A context of libseccomp's, owned. Not thread-safe.
class LibseccompContext {
public:
    /// One with the native architecture, whose calls get `action` (SCMP_ACT_*) where no rule says otherwise. Throws
    /// `Error`.
    explicit LibseccompContext(std::uint32_t action) : context_{::seccomp_init(action)} {
        if (context_ == nullptr) throw Error{EINVAL, "make a libseccomp context"};
    }
    LibseccompContext(LibseccompContext&& other) noexcept : context_{abi::take(other.context_)} {}
    LibseccompContext& operator=(LibseccompContext&& other) noexcept {
        std::swap(context_, other.context_);
        return *this;
    }
    ~LibseccompContext() {
        if (context_ != nullptr) ::seccomp_release(context_);
    }

    scmp_filter_ctx get() const noexcept { return context_; }

    /// Gives it to the caller, who calls seccomp_release(3).
    scmp_filter_ctx release() noexcept { return abi::take(context_); }

private:
    scmp_filter_ctx context_;
};

namespace detail {

/// What one of libseccomp's export functions writes.
template <class T>
std::vector<T> exported(scmp_filter_ctx context, int (*export_to)(scmp_filter_ctx, int), const char* step) {
    struct File {
        ~File() {
            if (fd >= 0) ::close(fd);
        }
        int fd;
    };
    const File file{::memfd_create("sysguard", MFD_CLOEXEC)};
    if (file.fd < 0) throw Error{errno, step};
    if (const int result = export_to(context, file.fd); result != 0) throw Error{result < 0 ? -result : EINVAL, step};
    const off_t size = ::lseek(file.fd, 0, SEEK_END);
    if (size < 0) throw Error{errno, step};
    std::vector<T> content(static_cast<std::size_t>(size) / sizeof(T));
    const std::size_t bytes = content.size() * sizeof(T);
    if (::pread(file.fd, content.data(), bytes, 0) != static_cast<ssize_t>(bytes)) throw Error{EIO, step};
    return content;
}

}  // namespace detail

/// The filter that libseccomp makes of a context (seccomp_export_bpf(3)), which remains the caller's. Throws `Error`.
inline std::vector<sock_filter> program_of(scmp_filter_ctx context) {
    return detail::exported<sock_filter>(
        context, [](scmp_filter_ctx of, int fd) { return ::seccomp_export_bpf(of, fd); },
        "export the libseccomp context as a filter");
}

/// A context as libseccomp's pseudo code (seccomp_export_pfc(3)). Throws `Error`.
inline std::string pseudo_code_of(scmp_filter_ctx context) {
    const std::vector<char> text = detail::exported<char>(
        context, [](scmp_filter_ctx of, int fd) { return ::seccomp_export_pfc(of, fd); },
        "export the libseccomp context as pseudo code");
    return {text.begin(), text.end()};
}

}  // namespace sysguard::filter
