#pragma once

#include "../detail/bare_text.hpp"
#include "job.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <csignal>

namespace sysguard::supervise::detail {

/// What a task may do to files, as the kernel sees it.
struct Credentials {
    static constexpr int most_groups = 1024;

    unsigned users[4];  ///< real, effective, saved, file system
    unsigned groups[4];
    unsigned mask;
    std::uint64_t permitted;
    std::uint64_t effective;
    int extra_count;
    unsigned extra[most_groups];  ///< supplementary groups
};

SYSGUARD_BARE inline bool parse_four(const char* text, const char* key, unsigned (&ids)[4]) noexcept {
    const char* at = find_line(text, key);
    if (at == nullptr) return false;
    for (unsigned& id : ids) {
        if (*at++ != '\t') return false;
        id = static_cast<unsigned>(parse(at));
    }
    return true;
}

SYSGUARD_BARE inline bool parse_hex(const char* text, const char* key, std::uint64_t& value) noexcept {
    const char* at = find_line(text, key);
    if (at == nullptr || *at++ != '\t') return false;
    value = parse(at, 16);
    return true;
}

/// Reads a /proc/<pid>/status (proc_pid_status(5)).
SYSGUARD_BARE inline long read_credentials(const char* path, Credentials& read) noexcept {
    char text[16384];
    const long bytes = read_text(AT_FDCWD, path, text, sizeof text);
    if (bytes < 0) return bytes;
    const char* at = find_line(text, "Umask:\t");
    if (at == nullptr) return -EACCES;
    for (read.mask = 0; *at >= '0' && *at <= '7'; ++at) read.mask = read.mask * 8 + static_cast<unsigned>(*at - '0');
    at = find_line(text, "Groups:\t");
    if (at == nullptr || !parse_four(text, "Uid:", read.users) || !parse_four(text, "Gid:", read.groups) ||
        !parse_hex(text, "CapPrm:", read.permitted) || !parse_hex(text, "CapEff:", read.effective))
        return -EACCES;
    read.extra_count = 0;
    while (*at >= '0' && *at <= '9') {
        if (read.extra_count == Credentials::most_groups) return -EACCES;
        read.extra[read.extra_count++] = static_cast<unsigned>(parse(at));
        while (*at == ' ') ++at;
    }
    return 0;
}

SYSGUARD_BARE inline bool same_four(const unsigned (&one)[4], const unsigned (&other)[4]) noexcept {
    return one[0] == other[0] && one[1] == other[1] && one[2] == other[2] && one[3] == other[3];
}

SYSGUARD_BARE inline bool same_extra(const Credentials& one, const Credentials& other) noexcept {
    if (one.extra_count != other.extra_count) return false;
    for (int i = 0; i < one.extra_count; ++i)
        if (one.extra[i] != other.extra[i]) return false;
    return true;
}

SYSGUARD_BARE inline long set_capabilities(std::uint64_t permitted, std::uint64_t effective) noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    for (int word = 0; word < 2; ++word) {
        data[word].permitted = static_cast<std::uint32_t>(permitted >> (32 * word));
        data[word].effective = static_cast<std::uint32_t>(effective >> (32 * word));
        data[word].inheritable = 0;  // matters to execve only
    }
    return raw_call(SYS_capset, &header, data);
}

SYSGUARD_BARE inline long set_ids(const Credentials& wanted, const Credentials& own) noexcept {
    long result = 0;
    if (!same_extra(wanted, own)) result = raw_call(SYS_setgroups, wanted.extra_count, wanted.extra);
    if (result < 0) return result;
    if (!same_four(wanted.groups, own.groups)) {
        const unsigned* const ids = wanted.groups;
        result = raw_call(SYS_setresgid, ids[0], ids[1], ids[2]);
        if (result < 0) return result;
        raw_call(SYS_setfsgid, ids[3]);
        if (static_cast<unsigned>(raw_call(SYS_setfsgid, -1)) != ids[3]) return -EPERM;
    }
    if (same_four(wanted.users, own.users)) return 0;
    const unsigned* const ids = wanted.users;
    raw_call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
    result = raw_call(SYS_setresuid, ids[0], ids[1], ids[2]);
    if (result < 0 || ids[3] == ids[1]) return result;
    result = set_capabilities(own.permitted, own.permitted);
    if (result < 0) return result;
    raw_call(SYS_setfsuid, ids[3]);
    return static_cast<unsigned>(raw_call(SYS_setfsuid, -1)) == ids[3] ? 0 : -EPERM;
}

/// From here on the task is what access(2) asks about: its real ids, and the capabilities that go with them
/// (access_override_creds in fs/open.c).
SYSGUARD_BARE inline long take_real_ids() noexcept {
    unsigned users[3] = {0, 0, 0}, groups[3] = {0, 0, 0};
    raw_call(SYS_getresuid, &users[0], &users[1], &users[2]);
    raw_call(SYS_getresgid, &groups[0], &groups[1], &groups[2]);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    if (const long result = raw_call(SYS_capget, &header, data); result < 0) return result;
    const std::uint64_t permitted = data[0].permitted | std::uint64_t{data[1].permitted} << 32;
    raw_call(SYS_setfsgid, groups[0]);
    raw_call(SYS_setfsuid, users[0]);
    if (users[0] != users[1] || groups[0] != groups[1])
        if (const long result = raw_call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); result < 0) return result;
    return set_capabilities(permitted, users[0] == 0 ? permitted : 0);
}

/// Whether a task's user namespace, `theirs`, is another one than this task's: 1 or 0, or a negative errno.
SYSGUARD_BARE inline long is_other_user_namespace(const char* theirs) noexcept {
    struct stat own, other;
    long result = raw_call(SYS_newfstatat, AT_FDCWD, "/proc/thread-self/ns/user", &own, 0);
    if (result == -ENOENT) return 0;  // a kernel without them
    if (result >= 0) result = raw_call(SYS_newfstatat, AT_FDCWD, theirs, &other, 0);
    if (result < 0) return result;
    return own.st_dev == other.st_dev && own.st_ino == other.st_ino ? 0 : 1;
}

/// Takes on how large a file may become. What exceeds it fails with EFBIG, without the signal. Read from /proc, as
/// prlimit(2) of another user's process needs CAP_SYS_RESOURCE, which root in a container lacks.
SYSGUARD_BARE inline long take_file_limit(const char* path) noexcept {
    char text[2048];
    const long bytes = read_text(AT_FDCWD, path, text, sizeof text);
    if (bytes < 0) return bytes;
    const char* at = find_line(text, "Max file size");
    if (at == nullptr) return -EACCES;
    while (*at == ' ') ++at;
    const std::uint64_t soft = begins_with(at, "unlimited") ? ~std::uint64_t{0} : parse(at);

    struct Limit {
        std::uint64_t soft, hard;
    } own;
    long result = raw_call(SYS_prlimit64, 0, RLIMIT_FSIZE, nullptr, &own);
    if (result < 0 || soft == own.soft) return result;
    own.soft = soft < own.hard ? soft : own.hard;
    result = raw_call(SYS_prlimit64, 0, RLIMIT_FSIZE, &own, nullptr);
    const std::uint64_t signals = std::uint64_t{1} << (SIGXFSZ - 1);
    return result < 0 ? result : raw_call(SYS_rt_sigprocmask, SIG_BLOCK, &signals, nullptr, sizeof signals);
}

}  // namespace sysguard::supervise::detail

namespace sysguard::supervise::perform {

/// Makes the running task be a worker as far as the kernel's checks of files go: umask, ids, supplementary groups,
/// effective capabilities, RLIMIT_FSIZE. For a task of its own process that has its own fs struct (no CLONE_FS,
/// CLONE_SIGHAND or CLONE_THREAD). Bare code.
///
/// Returns 0, or a negative errno where this task cannot become the worker: the ids differ and it is not root, or the
/// worker has capabilities that this task lacks. Then nothing may be performed. Of a worker in another user namespace
/// the capabilities are that namespace's, and are not taken on; the ids that it names mean others here.
///
/// A task that shares the host's memory must not be open to whoever has the worker's credentials (ptrace(2),
/// /proc/<pid>/mem), so where anything but the umask changes, that memory is made undumpable first (PR_SET_DUMPABLE).
/// The flag belongs to the memory: the host's own is cleared, until no performer is left
/// (process/dumpable.hpp).
SYSGUARD_BARE inline long assume(const Caller& caller, bool& has_own_users) noexcept {
    char path[48];
    char* const end = detail::append(detail::append(path, "/proc/"), static_cast<unsigned long>(caller.thread));
    detail::append(end, "/ns/user");
    const long is_other = detail::is_other_user_namespace(path);
    if (is_other < 0) return is_other;
    has_own_users = is_other != 0;
    detail::append(end, "/status");
    detail::Credentials wanted, own;
    if (const long result = detail::read_credentials(path, wanted); result < 0) return result;
    if (const long result = detail::read_credentials("/proc/thread-self/status", own); result < 0) return result;
    if (has_own_users) wanted.permitted = wanted.effective = 0;
    detail::append(end, "/limits");
    if (const long result = detail::take_file_limit(path); result < 0) return result;
    detail::raw_call(SYS_umask, wanted.mask);

    const bool same_ids = detail::same_four(wanted.users, own.users) && detail::same_four(wanted.groups, own.groups) &&
                          detail::same_extra(wanted, own);
    if (same_ids && wanted.permitted == own.permitted && wanted.effective == own.effective) return 0;
    if (const long result = detail::raw_call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); result < 0) return result;
    if (const long result = same_ids ? 0 : detail::set_ids(wanted, own); result < 0) return result;
    // With fs.suid_dumpable = 1 the kernel has set the flag again.
    if (const long result = detail::raw_call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0); result < 0) return result;
    return detail::set_capabilities(wanted.permitted, wanted.effective);
}

}  // namespace sysguard::supervise::perform
