#pragma once

#include "../abi/error.hpp"
#include "capabilities.hpp"
#include "detail/host_facts.hpp"
#include "given.hpp"
#include "groups.hpp"

#include <cerrno>
#include <cstdint>
#include <string>

#include <sys/types.h>
#include <unistd.h>

namespace sysguard {

/// Who a worker is to the kernel (credentials(7)). What is left out is as the host's, but for capabilities and
/// supplementary groups: unless they are asked for, no worker has any.
struct Credentials {
    /// Its user: the real, effective, saved and file system id. For another than the host's the host needs CAP_SETUID,
    /// and CAP_KILL to be able to end it; to read its memory for handlers, CAP_SYS_PTRACE.
    Given<uid_t> user{};

    /// Its group; must be given where the user is another than the host's.
    Given<gid_t> group{};

    /// Its supplementary groups.
    Groups groups{};

    /// What it keeps of the host's capabilities. All others leave its effective, permitted, inheritable, bounding and
    /// ambient sets before it runs; those kept are in all of them, and so survive an execve, whoever the user. Where
    /// the host has CAP_SETPCAP, root's programs get none back by being root's (SECBIT_NOROOT), and none can be raised
    /// into the ambient set, for good; where it does not have it, the bounding set stays, and no_new_privs, which every
    /// worker has, keeps execve from giving any.
    Capabilities capabilities{};

    /// Whether others with the same credentials may ptrace a worker that runs a function, and so read its copy of the
    /// host's memory (PR_SET_DUMPABLE). Unless it is said: no, but where the policy asks the host, it is as the host.
    /// One that is not dumpable can be asked about only by a host with CAP_SYS_PTRACE, and calls on paths below its own
    /// /proc/self are not performed for it. A program's memory is its own: execve makes it dumpable.
    Given<bool> dumpable{};

    /// Memory that was writable never becomes executable, and no memory is both, in the worker and in what it starts
    /// (PR_SET_MDWE, Linux 6.3; `Layer::memory_deny_write_execute`). That ends just-in-time compilers, libraries with
    /// text relocations, and executable stacks. The flag belongs to memory: to start a program with it takes a copy of
    /// the host's, as a fork does, and so costs more the larger the host is.
    bool memory_deny_write_execute = false;
};

namespace process {

/// Whether the kernel can deny memory that is writable and executable (Layer::memory_deny_write_execute).
inline Offer offer_write_execute_denial() {
    return detail::offer_of_mdwe();
}

/// Throws `Error` where the host may not give workers these credentials: EINVAL for what is none, EPERM where it lacks
/// a capability. Within `in_user_namespace` a worker begins with all capabilities that there are in it.
inline void check(const Credentials& credentials, bool in_user_namespace = false) {
    constexpr auto nobody_at_all = static_cast<uid_t>(-1);  // setresuid(2): leave it as it is
    if (credentials.user.is(nobody_at_all) || credentials.group.is(nobody_at_all))
        throw Error{EINVAL, "set user and group: -1 is no id"};
    for (std::size_t i = 0; i < credentials.groups.size(); ++i)
        if (credentials.groups.data()[i] == nobody_at_all) throw Error{EINVAL, "set supplementary groups: -1 is no id"};
    if (!credentials.capabilities.is_valid())
        throw Error{EINVAL, "keep capabilities: one of the numbers is no capability's"};
    if (in_user_namespace) return;

    const detail::HostCapabilities own = detail::host_capabilities();
    const std::uint64_t lacks = credentials.capabilities.bits() & ~own.permitted;
    if (lacks != 0 && !credentials.capabilities.is_kept())
        throw Error{EPERM, "keep capability number " + std::to_string(__builtin_ctzll(lacks)) +
                               ": the host does not have it (CapPrm in /proc/self/status); leave it out, or give it to "
                               "the host"};
    uid_t users[3];
    gid_t groups[3];
    if (::getresuid(&users[0], &users[1], &users[2]) != 0 || ::getresgid(&groups[0], &groups[1], &groups[2]) != 0)
        throw Error{errno, "read the host's ids"};
    if (credentials.user && *credentials.user != users[0] && !credentials.group)
        throw Error{EINVAL,
                    "set user: without a group it would keep the host's rights to that group's files; give "
                    "Credentials::group, too"};
    const auto is_one_of = [](unsigned id, const unsigned(&ids)[3]) {
        return id == ids[0] || id == ids[1] || id == ids[2];
    };
    if (credentials.user && !is_one_of(*credentials.user, users) && !own.has(CAP_SETUID))
        throw Error{EPERM, "set user: the host is another user and has no CAP_SETUID"};
    if (credentials.group && !is_one_of(*credentials.group, groups) && !own.has(CAP_SETGID))
        throw Error{EPERM, "set group: the host is in another group and has no CAP_SETGID"};
    if (credentials.user && *credentials.user != users[0] && *credentials.user != users[1] &&
        (own.effective >> CAP_KILL & 1) == 0)
        throw Error{EPERM, "set user: the host could not end a worker of another user, as it has no CAP_KILL"};
    const bool has_to_set_groups =
        credentials.groups.are_exact() && (credentials.groups.size() != 0 || ::getgroups(0, nullptr) != 0);
    if (has_to_set_groups && !own.has(CAP_SETGID))
        throw Error{EPERM,
                    "set supplementary groups: the host has no CAP_SETGID; leave them out, and workers have those of "
                    "the host"};
}

}  // namespace process

}  // namespace sysguard
