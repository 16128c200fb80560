#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <dirent.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/// What /proc and the kernel tell of tasks of others.
namespace sysguard::supervise::ptracing {

/// Of proc_pid_status(5). All 0 where there is no such task.
struct TaskFacts {
    pid_t process = 0;
    pid_t parent = 0;  ///< the process
    pid_t tracer = 0;  ///< the thread that traces it
    char state = 0;

    bool has_ended() const noexcept { return state == 0 || state == 'Z' || state == 'X'; }
};

inline TaskFacts task_facts(pid_t task) noexcept {
    TaskFacts facts;
    char path[48];
    std::snprintf(path, sizeof path, "/proc/%d/status", task);
    std::FILE* const file = std::fopen(path, "re");
    if (file == nullptr) return facts;
    char line[512];
    const auto number_after = [&](const char* name, pid_t& value) {
        const std::size_t length = std::strlen(name);
        if (std::strncmp(line, name, length) == 0) value = static_cast<pid_t>(std::atol(line + length));
    };
    while (std::fgets(line, sizeof line, file) != nullptr) {
        number_after("Tgid:", facts.process);
        number_after("PPid:", facts.parent);
        number_after("TracerPid:", facts.tracer);
        if (std::strncmp(line, "State:\t", 7) == 0) facts.state = line[7];
    }
    std::fclose(file);
    return facts;
}

/// The threads that a process has now. Empty where there is none. Throws std::bad_alloc.
inline std::vector<pid_t> threads_of(pid_t process) {
    std::vector<pid_t> threads;
    char path[48];
    std::snprintf(path, sizeof path, "/proc/%d/task", process);
    DIR* const directory = ::opendir(path);
    if (directory == nullptr) return threads;
    struct Closing {
        DIR* directory;
        ~Closing() { ::closedir(directory); }
    } const closing{directory};
    while (const dirent* const entry = ::readdir(directory))
        if (const pid_t thread = static_cast<pid_t>(std::atol(entry->d_name)); thread > 0) threads.push_back(thread);
    return threads;
}

/// Whether a thread, which somebody has not waited for yet, is one of a process.
inline bool is_thread_of(pid_t process, pid_t thread) noexcept {
    return ::syscall(SYS_tgkill, process, thread, 0) == 0 || errno != ESRCH;
}

}  // namespace sysguard::supervise::ptracing
