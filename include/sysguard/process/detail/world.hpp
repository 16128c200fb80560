#pragma once

#include "../root.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::process::detail {

inline constexpr std::uint64_t time_namespace = 0x80;  // CLONE_NEWTIME, Linux 5.6

/// One part of a private root, as the child needs it.
struct MountStep {
    Mount::Kind kind = Mount::Kind::bind;
    const char* source = nullptr;
    const char* target = nullptr;  ///< without a slash in front
    const char* size = nullptr;    ///< a decimal number
    const char* upper = nullptr;   ///< of an overlay
    const char* work = nullptr;
    std::uint64_t attributes = 0;  ///< MOUNT_ATTR_*
    unsigned mode = 0755;
};

/// A text that is to be written to a file at one stroke.
struct Text {
    const char* text = nullptr;
    std::size_t size = 0;
};

/// The namespaces of a sandbox's workers and what is in them, prepared by the host. Immutable; all starts share it.
struct World {
    std::uint64_t flags = 0;  ///< CLONE_NEW*, but for time_namespace
    bool has_time = false;
    bool has_private_root = false;
    bool brings_up_loopback = false;
    bool shows_own_processes = false;  ///< a procfs over that of the host
    bool is_mapped_by_host = false;    ///< by whoever starts the worker, who has the capabilities for it
    unsigned user = 0;                 ///< of who is mapped so: its ids inside
    unsigned group = 0;
    Text users{};  ///< /proc/<pid>/uid_map
    Text groups{};
    Text time_offsets{};
    Text host_name{};
    const MountStep* mounts = nullptr;
    std::size_t mount_count = 0;
};

}  // namespace sysguard::process::detail
