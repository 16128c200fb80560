#pragma once

#include "../layer.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <dirent.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace sysguard::process::detail {

/// Bytes of this process's address space: the first field of /proc/self/statm (proc_pid_statm(5)). 0 where /proc is
/// not there.
inline std::uint64_t address_space_size() noexcept {
    std::FILE* const file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    unsigned long long pages = 0;
    if (std::fscanf(file, "%llu", &pages) != 1) pages = 0;
    std::fclose(file);
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

inline std::size_t count_entries(const char* path) noexcept {
    DIR* const directory = ::opendir(path);
    if (directory == nullptr) return 0;
    std::size_t count = 0;
    while (const dirent* const entry = ::readdir(directory)) count += entry->d_name[0] != '.';
    ::closedir(directory);
    return count;
}

/// How many processes and threads a user runs, as far as /proc shows them.
inline std::size_t count_tasks_of(uid_t user) noexcept {
    DIR* const processes = ::opendir("/proc");
    if (processes == nullptr) return 0;
    std::size_t count = 0;
    while (const dirent* const entry = ::readdir(processes)) {
        const int pid = std::atoi(entry->d_name);
        char path[32];
        std::snprintf(path, sizeof path, "/proc/%d/task", pid);
        struct stat info {};
        if (pid > 0 && ::stat(path, &info) == 0 && info.st_uid == user) count += count_entries(path);
    }
    ::closedir(processes);
    return count;
}

/// Whether this thread's session keyring is to be left: it is one of its own, rather than its user's, which all of the
/// user's processes have (session-keyring(7)); in a new user namespace that one too, which leads to all keys of the
/// user, is the host's alone. Where a container refuses to tell, it refuses its workers too.
inline bool has_keyring_to_leave(bool in_own_user_namespace) noexcept {
    constexpr int get_keyring_id = 0;
    constexpr int of_session = -3;
    constexpr int of_user_session = -5;
    const long session = ::syscall(SYS_keyctl, get_keyring_id, of_session, 0);
    return session >= 0 &&
           (in_own_user_namespace || session != ::syscall(SYS_keyctl, get_keyring_id, of_user_session, 0));
}

/// This thread's capabilities; one bit each.
struct HostCapabilities {
    std::uint64_t effective = 0;
    std::uint64_t permitted = 0;
    std::uint64_t inheritable = 0;

    bool has(int number) const noexcept { return (permitted >> number & 1) != 0; }
    bool any() const noexcept { return (permitted | inheritable) != 0; }
};

/// All, where the kernel does not tell: nothing is taken for harmless then.
inline HostCapabilities host_capabilities() noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0) return {~0ULL, ~0ULL, ~0ULL};
    const auto both = [](std::uint32_t low, std::uint32_t high) { return low | std::uint64_t{high} << 32; };
    return {both(data[0].effective, data[1].effective), both(data[0].permitted, data[1].permitted),
            both(data[0].inheritable, data[1].inheritable)};
}

/// Whether PR_SET_MDWE is there (Linux 6.3): PR_GET_MDWE tells it without setting it.
inline Offer offer_of_mdwe() {
    constexpr int get_mdwe = 66;  // include/uapi/linux/prctl.h
    if (::prctl(get_mdwe, 0L, 0L, 0L, 0L) >= 0) return {};
    return {errno, errno == EINVAL ? "this kernel has no PR_SET_MDWE (Linux 6.3)"
                                   : "prctl(PR_GET_MDWE) is refused, as by a container's seccomp filter"};
}

/// Whether the kernel does not hold a process with this user and these capabilities to RLIMIT_NPROC (copy_process in
/// kernel/fork.c).
inline bool starts_any_number_of_tasks(uid_t user, std::uint64_t capabilities) noexcept {
    constexpr std::uint64_t exempt = 1U << CAP_SYS_RESOURCE | 1U << CAP_SYS_ADMIN;
    return user == 0 || (capabilities & exempt) != 0;
}

/// Whether the running kernel is a version or newer (uname(2)); no where that cannot be told.
inline bool kernel_is_at_least(int major, int minor) noexcept {
    utsname system{};
    int found[2] = {};
    if (::uname(&system) != 0 || std::sscanf(system.release, "%d.%d", &found[0], &found[1]) != 2) return false;
    return found[0] > major || (found[0] == major && found[1] >= minor);
}

}  // namespace sysguard::process::detail
