#pragma once

#include "../perform/job.hpp"
#include "bare_text.hpp"

#include <cerrno>
#include <cstddef>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

/// A worker's view of procfs, seen by somebody else who may have more rights than the worker. Bare code.
namespace sysguard::supervise::detail {

/// What tells one file of one mount from every other. On kernels before 5.8, which do not say the mount, from every
/// other file.
struct Identity {
    unsigned long long inode = 0;
    unsigned long long mount = 0;
    unsigned device_major = 0;
    unsigned device_minor = 0;
    unsigned mode = 0;
    unsigned owner = 0;

    SYSGUARD_BARE bool is(unsigned type) const noexcept { return (mode & S_IFMT) == type; }
    SYSGUARD_BARE bool same_device(const Identity& other) const noexcept {
        return device_major == other.device_major && device_minor == other.device_minor;
    }
    SYSGUARD_BARE bool same_mount(const Identity& other) const noexcept {
        return mount == other.mount && (mount != 0 || same_device(other));
    }
    SYSGUARD_BARE bool same(const Identity& other) const noexcept {
        return inode == other.inode && mount == other.mount && same_device(other);
    }
};

SYSGUARD_BARE inline long identify(int fd, Identity& identity) noexcept {
    struct statx status;
    const long result = raw_call(SYS_statx, fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
                                 STATX_TYPE | STATX_MODE | STATX_UID | STATX_INO | STATX_MNT_ID, &status);
    if (result < 0) return result;
    identity.inode = status.stx_ino;
    identity.mount = (status.stx_mask & STATX_MNT_ID) != 0 ? status.stx_mnt_id : 0;
    identity.device_major = status.stx_dev_major;
    identity.device_minor = status.stx_dev_minor;
    identity.mode = status.stx_mode;
    identity.owner = status.stx_uid;
    return 0;
}

SYSGUARD_BARE inline bool is_procfs(int fd) noexcept {
    struct statfs file_system;
    return raw_call(SYS_fstatfs, fd, &file_system) == 0 && file_system.f_type == PROC_SUPER_MAGIC;
}

/// proc_pid_stat(5), of the process whose directory is open.
struct ProcessStat {
    unsigned long process = 0;
    unsigned long session = 0;
    unsigned long start_time = 0;
};

SYSGUARD_BARE inline long read_process_stat(int directory, const char* path, ProcessStat& stat) noexcept {
    char text[1024];
    const long bytes = read_text(directory, path, text, sizeof text);
    if (bytes < 0) return bytes;
    const char* at = text;
    stat.process = parse(at);
    for (const char* end = text + bytes; end > at; --end)
        if (*end == ')') at = end;  // the first from behind: the name before may hold anything
    if (*at != ')') return -ESRCH;
    int field = 2;
    for (++at; *at == ' ';) {
        ++at;
        const unsigned long value = parse(at);
        if (++field == 6) stat.session = value;
        if (field == 22) stat.start_time = value;
        while (*at != 0 && *at != ' ') ++at;
    }
    return field >= 22 ? 0 : -ESRCH;
}

/// The ids of a task in its pid namespaces, from that of the procfs inwards. Returns how many.
SYSGUARD_BARE inline int read_ids(int directory, const char* path, unsigned long (&ids)[32]) noexcept {
    char text[4096];
    if (read_text(directory, path, text, sizeof text) < 0) return 0;
    const char* at = find_line(text, "NSpid:");
    int count = 0;
    while (at != nullptr && *at == '\t' && count < 32) ids[count++] = parse(++at);
    return count;
}

/// "<task>/<file>", or with `group` "<group>/task/<task>/<file>".
SYSGUARD_BARE inline void task_path(char* end, unsigned long group, unsigned long task, const char* file) noexcept {
    if (group != 0) end = append(append(end, group), "/task/");
    append(append(end, task), file);
}

/// The number that a task, which this task's /proc calls `task`, has in another procfs; 0 where it has none there.
SYSGUARD_BARE inline unsigned long number_in(int procfs, pid_t task) noexcept {
    if (task <= 0) return 0;
    Identity other, own;
    const long host = raw_call(SYS_openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host < 0) return 0;
    Handle host_procfs;
    host_procfs.own(host);
    if (identify(procfs, other) < 0 || identify(host_procfs.get(), own) < 0) return 0;
    const auto number = static_cast<unsigned long>(task);
    if (other.same_device(own)) return number;

    char path[48];
    unsigned long ids[32], inner[32];
    ProcessStat wanted, found;
    task_path(path, 0, number, "/status");
    const int count = read_ids(host_procfs.get(), path, ids);
    task_path(path, 0, number, "/stat");
    if (read_process_stat(host_procfs.get(), path, wanted) < 0) return 0;
    for (int first = 0; first < count; ++first) {
        task_path(path, 0, ids[first], "/status");
        bool agrees = read_ids(procfs, path, inner) == count - first;
        for (int i = first; agrees && i < count; ++i) agrees = ids[i] == inner[i - first];
        task_path(path, 0, ids[first], "/stat");
        if (agrees && read_process_stat(procfs, path, found) == 0 && found.start_time == wanted.start_time)
            return ids[first];
    }
    return 0;
}

/// What a directory of a procfs is to a worker.
enum class ProcDirectory : unsigned char {
    root,
    shared,           ///< about no process
    own,              ///< about one of the worker's processes
    foreign_process,  ///< /proc/<another's>
    foreign_tasks,    ///< /proc/<another's>/task
    foreign_task,     ///< /proc/<another's>/task/<thread>
    closed,           ///< everything else of others, and what cannot be told
};

SYSGUARD_BARE inline bool is_procfs_root(int directory, const Identity& identity) noexcept {
    struct stat link;
    return identity.inode == 1 &&  // PROC_ROOT_INO
           raw_call(SYS_newfstatat, directory, "thread-self", &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode);
}

/// Climbs to the procfs' root: descriptors keep the directories, whatever becomes of the process and its number.
SYSGUARD_BARE inline ProcDirectory classify(int directory, const perform::Caller& caller) noexcept {
    constexpr int most = 12;
    Handle chain[most];
    Identity identities[most];
    chain[0].borrow(directory);
    int top = 0;
    for (;; ++top) {
        if (!is_procfs(chain[top].get()) || identify(chain[top].get(), identities[top]) < 0)
            return ProcDirectory::closed;
        if (is_procfs_root(chain[top].get(), identities[top])) break;
        if (top + 1 == most) return ProcDirectory::closed;
        const long above = raw_call(SYS_openat, chain[top].get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (above < 0) return ProcDirectory::closed;
        chain[top + 1].own(above);
    }
    if (top == 0) return ProcDirectory::root;

    const int procfs = chain[top].get();
    const int process = chain[top - 1].get();
    ProcessStat stat;
    const long result = read_process_stat(process, "stat", stat);
    if (result == -ENOENT) return ProcDirectory::shared;  // a dead process' directory is empty
    if (result < 0) return result == -ESRCH ? ProcDirectory::shared : ProcDirectory::closed;
    const unsigned long session = number_in(procfs, caller.session);
    if ((session != 0 && stat.session == session) || stat.process == number_in(procfs, caller.process))
        return ProcDirectory::own;

    if (top == 1) return ProcDirectory::foreign_process;
    Identity tasks;
    Handle task_directory;
    const long opened = raw_call(SYS_openat, process, "task", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0) return ProcDirectory::closed;
    task_directory.own(opened);
    if (identify(task_directory.get(), tasks) < 0 || !tasks.same(identities[top - 2])) return ProcDirectory::closed;
    if (top == 2) return ProcDirectory::foreign_tasks;
    return top == 3 ? ProcDirectory::foreign_task : ProcDirectory::closed;
}

/// Whether a worker may reach an entry: of processes that are not its own, only what everybody may read.
SYSGUARD_BARE inline bool may_reach(ProcDirectory directory, const char* name) noexcept {
    switch (directory) {
        case ProcDirectory::closed: return false;
        case ProcDirectory::foreign_tasks: return is_number(name);
        case ProcDirectory::foreign_process:
            if (equal(name, "task")) return true;
            [[fallthrough]];
        case ProcDirectory::foreign_task:
            return equal(name, "stat") || equal(name, "statm") || equal(name, "status") || equal(name, "cmdline") ||
                   equal(name, "comm") || equal(name, "cgroup");
        default: return true;
    }
}

/// Where /proc/self or /proc/thread-self leads the worker. Returns the length, or a negative errno.
SYSGUARD_BARE inline long self_text(int procfs, const perform::Caller& caller, bool thread, char* text) noexcept {
    const unsigned long process = number_in(procfs, caller.process);
    const unsigned long task = thread ? number_in(procfs, caller.thread) : process;
    if (process == 0 || task == 0) return -ENOENT;
    if (thread)
        task_path(text, process, task, "");
    else
        append(text, process);
    long length = 0;
    while (text[length] != 0) ++length;
    return length;
}

}  // namespace sysguard::supervise::detail
