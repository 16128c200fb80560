#pragma once

#include <cstddef>
#include <cstdint>

namespace sysguard::abi {

struct IoctlName {
    std::uint32_t request;
    const char* name;
};

/// The names of requests of ioctl(2), sorted by number; some numbers have several.
inline constexpr IoctlName ioctl_names[] = {
#define SYSGUARD_IOCTL(number, name) {number, #name},
#include "ioctls.def"
};

inline constexpr const IoctlName* end_of_ioctls = ioctl_names + sizeof ioctl_names / sizeof ioctl_names[0];

/// The first name of a request, or nullptr. What follows in the table, up to its end, with the same number, are its
/// other names.
constexpr const IoctlName* find_ioctl(std::uint32_t request) noexcept {
    std::size_t low = 0;
    std::size_t high = sizeof ioctl_names / sizeof ioctl_names[0];
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (ioctl_names[middle].request < request)
            low = middle + 1;
        else
            high = middle;
    }
    const IoctlName* const found = ioctl_names + low;
    return found != end_of_ioctls && found->request == request ? found : nullptr;
}

}  // namespace sysguard::abi
