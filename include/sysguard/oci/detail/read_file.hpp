#pragma once

#include "../../abi/error.hpp"
#include "../../process/descriptor.hpp"
#include "field.hpp"

#include <cerrno>
#include <cstddef>
#include <istream>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace sysguard::oci::detail {

/// A stream to its end, or to one byte more than a profile may have.
inline std::string read(std::istream& stream, const std::string& source) {
    std::string text(most_bytes + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (stream.bad() || (stream.fail() && !stream.eof())) throw Error{EIO, "read " + source};
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return text;
}

inline std::string read(const std::string& path) {
    const std::string step = "read '" + path + "'";
    if (path.empty() || path.find('\0') != std::string::npos) throw Error{EINVAL, step};
    const process::Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) throw Error{errno, step};
    std::string text;
    while (text.size() <= most_bytes) {
        char block[1 << 14];
        const ssize_t bytes = ::read(file.get(), block, sizeof block);
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0) throw Error{errno, step};
        if (bytes == 0) break;
        text.append(block, static_cast<std::size_t>(bytes));
    }
    return text;
}

}  // namespace sysguard::oci::detail
