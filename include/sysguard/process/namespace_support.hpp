#pragma once

#include "detail/clone.hpp"
#include "detail/host_facts.hpp"
#include "detail/private_root.hpp"
#include "detail/raw_call.hpp"
#include "detail/reap.hpp"
#include "detail/world.hpp"
#include "layer.hpp"
#include "signals.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>

#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace sysguard::process {

inline constexpr std::uint64_t time_namespace = detail::time_namespace;  ///< CLONE_NEWTIME, Linux 5.6

/// What this machine offers this process of namespaces (namespaces(7)): tried, not guessed.
class NamespaceSupport {
public:
    /// Whether this process may make namespaces without one of users around them.
    static bool may_do_without_users() noexcept { return has_capabilities(1ULL << CAP_SYS_ADMIN); }

    /// Whether it may map any ids in a user namespace of its own.
    static bool may_map_any_ids() noexcept { return has_capabilities(1ULL << CAP_SETUID | 1ULL << CAP_SETGID); }

    /// Tries namespaces (CLONE_NEW*, together) in a task that ends at once.
    Offer offer(std::uint64_t flags) const { return offer(flags, false); }

    /// The same, and a root of one's own in them (CLONE_NEWNS is among them).
    Offer offer_root(std::uint64_t flags) const { return offer(flags, true); }

private:
    struct Trial {
        std::uint64_t flags;
        bool with_root;
        int error;
    };

    Offer offer(std::uint64_t flags, bool with_root) const {
        Trial trial{flags, with_root, 0};
        const long task = try_it(trial);
        if (task >= 0 && trial.error == 0) return {};
        const int error = task < 0 ? static_cast<int>(-task) : trial.error;
        return {error, reason(flags, error, task >= 0, with_root)};
    }

    static bool has_capabilities(std::uint64_t wanted) noexcept {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct data[2]{};
        if (::syscall(SYS_capget, &header, data) != 0) return false;
        const std::uint64_t effective = data[0].effective | std::uint64_t{data[1].effective} << 32;
        return (effective & wanted) == wanted;
    }

    /// Some systems let anybody make a user namespace, but no use of its capabilities.
    SYSGUARD_BARE static void use(void* argument) noexcept {
        auto& trial = *static_cast<Trial*>(argument);
        long result = 0;
        if ((trial.flags & detail::time_namespace) != 0) result = start_in_time_namespace();
        if (result >= 0 && (trial.flags & CLONE_NEWNS) != 0)
            result = detail::raw_call(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        if (result >= 0 && (trial.flags & CLONE_NEWUTS) != 0) result = detail::raw_call(SYS_sethostname, "trial", 5);
        if (result >= 0 && trial.with_root) {
            const detail::World empty;
            std::uint32_t part = 0;
            result = detail::root::enter(empty, part);
        }
        if (result < 0) trial.error = static_cast<int>(-result);
    }

    /// As a program is started: in the host's memory, by who has made the namespace.
    SYSGUARD_BARE static long start_in_time_namespace() noexcept {
        const long result = detail::raw_call(SYS_unshare, detail::time_namespace);
        if (result < 0) return result;
        alignas(64) char stack[1024];
        detail::CloneArguments arguments;
        arguments.flags = CLONE_VM | CLONE_VFORK;
        arguments.stack = reinterpret_cast<std::uint64_t>(stack);
        arguments.stack_size = sizeof stack;
        const long task = detail::start_task(arguments, end, nullptr);
        if (task >= 0) detail::raw_call(SYS_wait4, task, nullptr, __WALL, nullptr);
        return task;
    }

    SYSGUARD_BARE static void end(void*) noexcept {}

    static long try_it(Trial& trial) noexcept {
        alignas(64) char stack[16384];
        detail::CloneArguments arguments;
        arguments.flags = CLONE_VM | CLONE_VFORK | (trial.flags & ~detail::time_namespace);
        arguments.stack = reinterpret_cast<std::uint64_t>(stack);
        arguments.stack_size = sizeof stack;
        const SignalsBlocked blocked;
        const long task = detail::start_task(arguments, use, &trial);
        if (task >= 0) detail::reap_quietly(task);
        return task;
    }

    /// The value of a file that holds a number; -1 where there is none.
    static long number_in(const char* path) noexcept {
        std::FILE* const file = std::fopen(path, "re");
        if (file == nullptr) return -1;
        long value = -1;
        if (std::fscanf(file, "%ld", &value) != 1) value = -1;
        std::fclose(file);
        return value;
    }

    static std::string reason(std::uint64_t flags, int error, bool was_made, bool with_root) {
        const bool with_users = (flags & CLONE_NEWUSER) != 0;
        if (error == EINVAL && was_made && with_root)
            return "the host's root is that of an initramfs, which cannot be left (pivot_root(2)); move the host to a "
                   "root that is mounted (switch_root(8))";
        if (error == EINVAL && was_made && (flags & detail::time_namespace) != 0)
            return "this kernel starts nothing in the host's memory in another time namespace (Linux 6.3 does); leave "
                   "it out";
        if (error == ENOSPC || error == EUSERS)
            return "there are as many namespaces as /proc/sys/user/max_*_namespaces allows, or too many inside one "
                   "another; raise that sysctl (user.max_user_namespaces=0 turns them off)";
        if (error == EINVAL || error == ENOSYS)
            return "this kernel is built without it, or older than it (CONFIG_NAMESPACES and what follows; time "
                   "namespaces since Linux 5.6)";
        if (with_users && number_in("/proc/sys/kernel/unprivileged_userns_clone") == 0)
            return "the sysctl kernel.unprivileged_userns_clone is 0: only root may make user namespaces; set it to 1";
        if (with_users && number_in("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") > 0)
            return "AppArmor keeps unprivileged programs from user namespaces "
                   "(kernel.apparmor_restrict_unprivileged_userns): give the program a profile with the userns rule, "
                   "or set the sysctl to 0";
        if (with_users && was_made)
            return "a user namespace can be made, but a security module lets nobody use its capabilities";
        if (with_users)
            return "making a user namespace is refused: by the filter or the profile of a container that the host runs "
                   "in, or because the host is in a chroot (user_namespaces(7))";
        return "making it takes CAP_SYS_ADMIN, which a container or its filter may not give";
    }
};

}  // namespace sysguard::process
