#pragma once

#include "comparison.hpp"

#include <sysguard/filter/install.hpp>
#include <sysguard/filter/program.hpp>

#include <cstddef>
#include <vector>

#include <seccomp.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

/// A filter, whoever made it.
using Code = std::vector<sock_filter>;

inline sysguard::filter::ProgramView view(const Code& code) {
    return {code.data(), code.size()};
}

/// The filter of a libseccomp context, which is released.
inline Code take_filter(scmp_filter_ctx context) {
    const int fd = ::memfd_create("filter", MFD_CLOEXEC);
    expect(fd >= 0 && ::seccomp_export_bpf(context, fd) == 0, "seccomp_export_bpf failed");
    ::seccomp_release(context);
    Code code(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)) / sizeof(sock_filter));
    const auto bytes = static_cast<ssize_t>(code.size() * sizeof(sock_filter));
    expect(::pread(fd, code.data(), code.size() * sizeof(sock_filter), 0) == bytes, "reading a filter failed");
    ::close(fd);
    return code;
}

/// The microseconds that the kernel takes to install a filter in a fresh child.
inline double install(const Code& code) {
    auto* const shared = static_cast<double*>(
        ::mmap(nullptr, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t child = ::fork();
    if (child == 0) {
        *shared = Comparison::time([&] { sysguard::filter::install(view(code)); });
        ::_exit(0);
    }
    expect(child > 0 && ::waitpid(child, nullptr, 0) == child && *shared > 0, "installing a filter failed");
    const double microseconds = *shared;
    ::munmap(shared, sizeof(double));
    return microseconds;
}

}  // namespace bench
