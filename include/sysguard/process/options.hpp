#pragma once

#include "cgroup.hpp"
#include "credentials.hpp"
#include "files.hpp"
#include "layer.hpp"
#include "limits.hpp"
#include "namespaces.hpp"
#include "network.hpp"
#include "root.hpp"
#include "scheduling.hpp"
#include "scopes.hpp"

#include <cstddef>

namespace sysguard {

class Witness;

/// What a sandbox gives its workers besides the policy.
struct Options {
    Files files{};
    Network network{};
    Scopes scopes{};
    Namespaces namespaces{};

    /// Instead of the host's files, others; instead of `files`.
    Root root{};
    Credentials credentials{};
    Limits limits{};

    /// Where workers get cgroups of their own, which hold a worker as a whole to `limits`; none unless given.
    Cgroup cgroup{};

    Scheduling scheduling{};

    /// Layers that workers go without where the machine does not offer them. What is not named here is required: where
    /// it is missing, there is no sandbox.
    Layers optional{};

    /// The most bytes that a function's result may have, in the worker and in the host's memory: a vector's elements
    /// with their size there, sizeof(std::string) and the characters of a string. Memory is taken only as a worker
    /// writes to it.
    std::size_t most_result = 64_MiB;

    /// The most bytes that the host copies of one buffer of a pending call.
    std::size_t most_read = 1_MiB;

    /// Who is told of a call that a worker is to be killed for, while it still waits (supervise/witness.hpp). Borrowed:
    /// it outlives the sandbox and its workers.
    Witness* witness = nullptr;
};

}  // namespace sysguard
