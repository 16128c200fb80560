#pragma once

#include "stdio.hpp"

#include <string>
#include <vector>

#include <sys/types.h>

namespace sysguard {

/// A descriptor of the host's that a worker gets under a number of its own. It stays the host's, and must be open until
/// the worker has started.
struct PassedDescriptor {
    int host = -1;
    int worker = -1;
};

/// How one worker starts. Nothing of the host is passed on that is not written here.
struct Launch {
    Stdio input = Stdio::null();
    Stdio output = Stdio::inherit();
    Stdio error = Stdio::inherit();

    /// NAME=value, each; empty unless given. For programs: a forked function sees the host's memory.
    std::vector<std::string> environment{};

    /// The working directory; empty: the host's.
    std::string directory{};

    /// Descriptors beside the standard streams. Every other one is closed.
    std::vector<PassedDescriptor> descriptors{};

    /// The permissions that files made by the worker lack.
    mode_t umask = 077;
};

}  // namespace sysguard
