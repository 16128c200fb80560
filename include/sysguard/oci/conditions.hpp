#pragma once

#include "../abi/error.hpp"
#include "../process/capabilities.hpp"

#include <cerrno>
#include <cstdio>
#include <string>

#include <sys/utsname.h>

namespace sysguard {

/// The first two numbers of a kernel's release: 6 and 12 of "6.12.8-generic".
struct KernelVersion {
    int version = 0;
    int revision = 0;

    /// Of the kernel that runs (uname(2)). Throws `Error`.
    static KernelVersion running() {
        utsname names{};
        KernelVersion kernel;
        if (::uname(&names) != 0 || std::sscanf(names.release, "%d.%d", &kernel.version, &kernel.revision) != 2)
            throw Error{ENOTSUP, "find out the kernel's version: its release is '" + std::string{names.release} + "'"};
        return kernel;
    }

    friend bool operator<(const KernelVersion& a, const KernelVersion& b) noexcept {
        return a.version != b.version ? a.version < b.version : a.revision < b.revision;
    }
};

/// What the conditions of a profile (`includes`, `excludes`) are decided by, beside the architecture, which is that of
/// the host.
struct OciConditions {
    /// What the workers will have: the bounding set of a container. Workers of sysguard have none unless
    /// `Options::credentials` says so; give the same here. `Capabilities::kept()`: those that the host has now.
    Capabilities capabilities{};
    KernelVersion kernel = KernelVersion::running();
};

}  // namespace sysguard
