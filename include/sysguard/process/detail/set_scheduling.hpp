#pragma once

#include "plan.hpp"
#include "raw_call.hpp"

#include <cerrno>
#include <cstddef>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

namespace sysguard::process::detail {

/// Writes a text, which ends with a zero byte, to a file of /proc/self.
SYSGUARD_BARE inline long write_text(const char* path, const char* text) noexcept {
    const long file = raw_call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return file;
    std::size_t size = 0;
    while (text[size] != 0) ++size;
    const long result = raw_call(SYS_write, file, text, size);
    raw_call(SYS_close, file);
    return result;
}

/// Of the calling thread.
SYSGUARD_BARE inline long set_scheduling(const SchedulingPlan& plan) noexcept {
    long result = 0;
    if (plan.policy >= 0) {
        const int priority = 0;  // struct sched_param
        result = raw_call(SYS_sched_setscheduler, 0, plan.policy, &priority);
        if (result < 0) return result;
    }
    if (plan.has_nice) {
        result = raw_call(SYS_setpriority, PRIO_PROCESS, 0, plan.nice);
        if (result < 0) return result;
        // The session that the worker has begun is a scheduling group of its own, where the kernel makes such, and then
        // this is what counts against others (sched(7)). A kernel takes few of these writes from who is not root.
        write_text("/proc/self/autogroup", plan.nice_text);
    }
    if (plan.io_priority >= 0) {
        constexpr int of_process = 1;  // IOPRIO_WHO_PROCESS
        result = raw_call(SYS_ioprio_set, of_process, 0, plan.io_priority);
        if (result < 0) return result;
    }
    if (plan.cpus != nullptr) {
        result = raw_call(SYS_sched_setaffinity, 0, plan.cpu_bytes, plan.cpus);
        if (result < 0) return result;
    }
    return plan.oom_score_adj[0] != 0 ? write_text("/proc/self/oom_score_adj", plan.oom_score_adj) : 0;
}

}  // namespace sysguard::process::detail
