#pragma once

#include "../../abi/error.hpp"
#include "../../process/descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

namespace sysguard::oci::detail {

/// Writes a new file beside `path` and puts it in its place (rename(2)).
inline void write(const std::string& path, std::string_view text) {
    const std::string step = "write '" + path + "'";
    if (path.empty() || path.find('\0') != std::string::npos) throw Error{EINVAL, step};
    unsigned long long random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) throw Error{errno, step + ": getrandom"};
    const std::string beside = path + "." + std::to_string(random);
    process::Descriptor file{::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
    if (!file) throw Error{errno, step};
    const auto fail = [&](int error) {
        ::unlink(beside.c_str());
        throw Error{error, step};
    };
    while (!text.empty()) {
        const ssize_t bytes = ::write(file.get(), text.data(), text.size());
        if (bytes < 0 && errno != EINTR) fail(errno);
        if (bytes > 0) text.remove_prefix(static_cast<std::size_t>(bytes));
    }
    if (::fsync(file.get()) != 0) fail(errno);
    file.reset();
    if (std::rename(beside.c_str(), path.c_str()) != 0) fail(errno);
}

}  // namespace sysguard::oci::detail
