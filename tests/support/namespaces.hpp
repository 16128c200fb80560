#pragma once

#include <sysguard/process/namespace_support.hpp>
#include <sysguard/process/namespaces.hpp>

#include <cstdint>
#include <string>

#include <linux/sched.h>

#include "support/skip.hpp"

namespace support {

inline constexpr std::uint64_t every_namespace =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

using sysguard::process::time_namespace;

/// Why namespaces cannot be made here; empty where they can.
inline std::string lacks_namespaces(std::uint64_t flags = every_namespace) {
    return sysguard::process::NamespaceSupport{}.offer(flags).why_not;
}

/// The same of a private root.
inline std::string lacks_root() {
    return sysguard::process::NamespaceSupport{}.offer_root(every_namespace).why_not;
}

/// All namespaces but that of time where programs cannot be started in one (before Linux 6.3).
inline sysguard::Namespaces all_namespaces() {
    sysguard::Namespaces all = sysguard::Namespaces::all();
    all.time = lacks_namespaces(CLONE_NEWUSER | time_namespace).empty();
    return all;
}

}  // namespace support

/// Ends a test that this machine does not offer namespaces for.
#define SYSGUARD_NEED_NAMESPACES(...)                                                         \
    if (const std::string why_not = support::lacks_namespaces(__VA_ARGS__); !why_not.empty()) \
    SYSGUARD_SKIP(("not offered here: " + why_not).c_str())

#define SYSGUARD_NEED_ROOT()                                                 \
    if (const std::string why_not = support::lacks_root(); !why_not.empty()) \
    SYSGUARD_SKIP(("not offered here: " + why_not).c_str())
