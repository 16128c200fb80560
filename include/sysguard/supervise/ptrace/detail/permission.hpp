#pragma once

#include "task_facts.hpp"

#include <cerrno>
#include <cstdio>
#include <string>

#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise::ptracing {

/// The host's ptrace_scope (Documentation/admin-guide/LSM/Yama.rst), 0 where there is none.
inline int ptrace_scope() noexcept {
    std::FILE* const file = std::fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    if (file == nullptr) return 0;
    int scope = 0;
    if (std::fscanf(file, "%d", &scope) != 1) scope = 0;
    std::fclose(file);
    return scope;
}

/// Why tracing a task was refused with an errno, and what to do. `is_child`: it is a child of the host.
inline std::string why_refused(pid_t task, int error, bool is_child) {
    if (error == ESRCH) return "there is no such process, or it has ended";
    if (error == ENOSYS || error == EIO) return "this kernel has no PTRACE_SEIZE (Linux 3.4), or a filter hides it";
    if (error != EPERM) return "ptrace(2) fails";
    const TaskFacts facts = task_facts(task);
    if (facts.tracer != 0)
        return "another tracer, thread " + std::to_string(facts.tracer) +
               ", has it already, and a thread can have only one: end that one first";
    if (facts.process == ::getpid()) return "a process cannot trace itself: let another process trace it";
    const int scope = ptrace_scope();
    if (scope >= 3)
        return "the kernel lets nobody trace (kernel.yama.ptrace_scope is 3), until it is started again with a lower "
               "value";
    if (scope == 2)
        return "only who has CAP_SYS_PTRACE may trace (kernel.yama.ptrace_scope is 2): give the host that capability, "
               "or lower the value";
    if (scope == 1 && !is_child)
        return "only descendants may be traced (kernel.yama.ptrace_scope is 1): start the program by the tracer, let "
               "it name the host by prctl(PR_SET_PTRACER), or give the host CAP_SYS_PTRACE";
    if (is_child)
        return "a filter that the host runs under, such as a container's, refuses ptrace(2), or the host is not "
               "dumpable (PR_SET_DUMPABLE): allow the call in the container's seccomp profile";
    return "the process belongs to another user, has more rights than the host, or is not dumpable, or a filter that "
           "the host runs under refuses ptrace(2): run the host as that user or with CAP_SYS_PTRACE";
}

}  // namespace sysguard::supervise::ptracing
