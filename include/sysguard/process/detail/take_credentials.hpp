#pragma once

#include "plan.hpp"
#include "raw_call.hpp"

#include <cerrno>
#include <cstdint>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/// What runs here changes the calling thread only: libc's wrappers would change all of a process.
namespace sysguard::process::detail {

struct CapabilitySets {
    std::uint64_t effective;
    std::uint64_t permitted;
    std::uint64_t inheritable;
};

SYSGUARD_BARE inline long read_capabilities(CapabilitySets& sets) noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    const long result = raw_call(SYS_capget, &header, data);
    if (result < 0) return result;
    sets.effective = data[0].effective | std::uint64_t{data[1].effective} << 32;
    sets.permitted = data[0].permitted | std::uint64_t{data[1].permitted} << 32;
    sets.inheritable = data[0].inheritable | std::uint64_t{data[1].inheritable} << 32;
    return 0;
}

/// The permitted set becomes the effective one, too.
SYSGUARD_BARE inline long write_capabilities(std::uint64_t permitted, std::uint64_t inheritable) noexcept {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    for (int word = 0; word < 2; ++word) {
        data[word].permitted = data[word].effective = static_cast<std::uint32_t>(permitted >> (32 * word));
        data[word].inheritable = static_cast<std::uint32_t>(inheritable >> (32 * word));
    }
    return raw_call(SYS_capset, &header, data);
}

constexpr bool is_in(int capability, std::uint64_t set) noexcept {
    return (set >> capability & 1) != 0;
}

/// Whether this is a user namespace in which nobody may change groups (user_namespaces(7)).
SYSGUARD_BARE inline bool groups_are_fixed() noexcept {
    const long file = raw_call(SYS_openat, AT_FDCWD, "/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    char text[8] = {};
    raw_call(SYS_read, file, text, sizeof text);
    raw_call(SYS_close, file);
    return text[0] == 'd';
}

SYSGUARD_BARE inline long set_groups(const CredentialPlan& plan, std::uint64_t permitted) noexcept {
    if (plan.groups_are_kept) return 0;
    if (plan.group_count == 0 && raw_call(SYS_getgroups, 0, nullptr) == 0) return 0;
    if (!plan.groups_are_exact && !is_in(CAP_SETGID, permitted)) return 0;
    const long result = raw_call(SYS_setgroups, plan.group_count, plan.groups);
    return result == -EPERM && !plan.groups_are_exact && groups_are_fixed() ? 0 : result;
}

/// Takes from the bounding set what is not in `kept`.
SYSGUARD_BARE inline long bound_capabilities(std::uint64_t kept) noexcept {
    for (int capability = 0; capability < 64; ++capability) {
        if (is_in(capability, kept)) continue;
        const long result = raw_call(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (result == -EINVAL) return 0;  // beyond the kernel's last
        if (result < 0) return result;
    }
    return 0;
}

SYSGUARD_BARE inline long raise_ambient(std::uint64_t kept) noexcept {
    for (int capability = 0; capability < 64; ++capability) {
        if (!is_in(capability, kept)) continue;
        const long result = raw_call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        if (result < 0) return result;
    }
    return 0;
}

/// Sets one of the bits and locks it, unless it is locked.
SYSGUARD_BARE inline void lock_bit(unsigned long& bits, unsigned long bit, bool on) noexcept {
    const unsigned long its_lock = bit << 1;
    if ((bits & its_lock) == 0) bits = (on ? bits | bit : bits & ~bit) | its_lock;
}

/// Root gets nothing by being root, nothing more becomes ambient, and capabilities go when root becomes somebody else,
/// all for good. What is locked already stays.
SYSGUARD_BARE inline long lock_securebits() noexcept {
    const long found = raw_call(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
    if (found < 0) return found;
    auto bits = static_cast<unsigned long>(found);
    lock_bit(bits, SECBIT_NOROOT, true);
    lock_bit(bits, SECBIT_NO_SETUID_FIXUP, false);
    lock_bit(bits, SECBIT_KEEP_CAPS, false);
    lock_bit(bits, SECBIT_NO_CAP_AMBIENT_RAISE, true);
    return raw_call(SYS_prctl, PR_SET_SECUREBITS, bits, 0, 0, 0);
}

/// Nobody who lacks the host's capabilities may look into its memory from here on, though they may have its ids. While
/// it is so, the files of /proc/self are root's (proc(5)): a host that has no more than others need not do it.
SYSGUARD_BARE inline long hide_memory(const CredentialPlan& plan) noexcept {
    return plan.exposes_nothing ? 0 : raw_call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/// Becomes who the plan says. The order: what needs a capability comes before that goes, groups before the user.
/// Meanwhile nobody who already is what this becomes may look into its memory, which may be the host's.
SYSGUARD_BARE inline long change_credentials(const CredentialPlan& plan, CapabilitySets own) noexcept {
    long result = hide_memory(plan);
    if (result < 0) return result;
    if (own.effective != own.permitted) {
        result = write_capabilities(own.permitted, own.inheritable);
        if (result < 0) return result;
    }
    result = set_groups(plan, own.permitted);
    if (result < 0) return result;
    constexpr unsigned as_host = CredentialPlan::as_host;
    if (plan.group != as_host) {
        result = raw_call(SYS_setresgid, plan.group, plan.group, plan.group);
        if (result < 0) return result;
    }
    const std::uint64_t kept = plan.capabilities_are_kept ? own.permitted : plan.capabilities;
    if (is_in(CAP_SETPCAP, own.permitted)) {
        result = bound_capabilities(kept);
        if (result < 0) return result;
    }
    if (plan.user != as_host) {
        raw_call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);  // where that is locked, see below
        result = raw_call(SYS_setresuid, plan.user, plan.user, plan.user);
        if (result < 0) return result;
        // With fs.suid_dumpable = 1 the kernel has set the flag again.
        result = hide_memory(plan);
        if (result < 0) return result;
        result = read_capabilities(own);
        if (result < 0) return result;
    }
    if ((kept & ~own.permitted) != 0) return -EPERM;
    result = write_capabilities(own.permitted, kept);
    if (result >= 0) result = raw_call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (result >= 0) result = raise_ambient(kept);
    if (result < 0) return result;
    if (is_in(CAP_SETPCAP, own.permitted)) {
        result = lock_securebits();
    } else if (plan.user != as_host) {
        const long bits = raw_call(SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
        if (bits >= 0 && (bits & (SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED)) == SECBIT_KEEP_CAPS)
            result = raw_call(SYS_prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
    }
    return result < 0 ? result : write_capabilities(kept, kept);
}

/// Whether a task that has these capabilities becomes another one, as far as the kernel's checks go.
SYSGUARD_BARE inline bool changes_credentials(const CredentialPlan& plan, std::uint64_t capabilities) noexcept {
    return plan.user != CredentialPlan::as_host || plan.group != CredentialPlan::as_host || plan.groups_are_exact ||
           plan.begins_with_capabilities || capabilities != 0;
}

SYSGUARD_BARE inline long take_credentials(const CredentialPlan& plan) noexcept {
    CapabilitySets own;
    long result = read_capabilities(own);
    if (result < 0) return result;
    const bool changes = changes_credentials(plan, own.permitted | own.inheritable);
    const long before = plan.is_of_function ? raw_call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) : 0;
    if (changes) result = change_credentials(plan, own);
    if (result < 0 || !plan.is_of_function) return result;
    const long dumpable = plan.dumpable < 0 ? before == 1 : plan.dumpable;
    return raw_call(SYS_prctl, PR_SET_DUMPABLE, dumpable, 0, 0, 0);
}

/// For a task with memory of its own: the flag belongs to the memory, and stays. Linux 6.3.
SYSGUARD_BARE inline long deny_write_execute(const CredentialPlan& plan) noexcept {
    constexpr int set_mdwe = 65;  // PR_SET_MDWE, which older headers lack (include/uapi/linux/prctl.h)
    constexpr unsigned long refuse_exec_gain = 1;
    return plan.denies_write_execute ? raw_call(SYS_prctl, set_mdwe, refuse_exec_gain, 0, 0, 0) : 0;
}

}  // namespace sysguard::process::detail
