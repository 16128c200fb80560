#pragma once

#include "descriptor.hpp"
#include "limits.hpp"
#include "worker_cgroup.hpp"

#include <cerrno>
#include <cstdio>

namespace sysguard::process {

/// The subtree in which the workers of a sandbox get their cgroups. Owns a descriptor of it. Immutable once open.
class CgroupSubtree {
public:
    /// None.
    CgroupSubtree() noexcept = default;

    explicit operator bool() const noexcept { return static_cast<bool>(directory_); }
    int directory() const noexcept { return directory_.get(); }

    /// Whether the limit on processes holds for a worker as a whole.
    bool holds_processes() const noexcept { return holds_processes_; }

    /// Makes the cgroup of a worker, with its limits. Returns 0 or an errno.
    int make(WorkerCgroup& cgroup, const Limits& limits) const noexcept {
        if (const int error = cgroup.create(directory_.get()); error != 0) return error;
        if (limits.cpu)
            if (const int error = cgroup.open_processor_time(); error != 0) return error;
        char text[24];
        if (holds_memory_) {
            std::snprintf(text, sizeof text, "%llu", static_cast<unsigned long long>(*limits.memory));
            if (const int error = cgroup.set("memory.max", text); error != 0) return error;
            const int swap =
                cgroup.set("memory.swap.max", "0");  // not there where the kernel does not account for swap
            if (swap != 0 && swap != ENOENT) return swap;
            if (const int error = cgroup.set("memory.oom.group", "1"); error != 0) return error;
        }
        if (holds_processes_) {
            std::snprintf(text, sizeof text, "%llu", static_cast<unsigned long long>(*limits.processes));
            if (const int error = cgroup.set("pids.max", text); error != 0) return error;
        }
        return 0;
    }

private:
    friend class CgroupOpening;

    Descriptor directory_{};
    bool holds_memory_ = false;
    bool holds_processes_ = false;
};

}  // namespace sysguard::process
