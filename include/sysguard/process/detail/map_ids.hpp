#pragma once

#include "clone.hpp"
#include "plan.hpp"
#include "raw_call.hpp"
#include "reap.hpp"
#include "world.hpp"

#include <cerrno>
#include <cstdint>
#include <ctime>

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/// Mapping the ids of a worker's user namespace (user_namespaces(7)). Bare code.
namespace sysguard::process::detail {

/// Writes all of a text at one stroke, as these files demand.
SYSGUARD_BARE inline long write_file(const char* path, const Text& text) noexcept {
    const long fd = raw_call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fd;
    const long written = raw_call(SYS_write, fd, text.text, text.size);
    raw_call(SYS_close, fd);
    if (written < 0) return written;
    return written == static_cast<long>(text.size) ? 0 : -EIO;
}

SYSGUARD_BARE inline long write_process_file(long pid, const char* name, const Text& text) noexcept {
    char path[64] = "/proc/";
    char digits[12];
    int count = 0;
    for (long rest = pid; rest > 0; rest /= 10) digits[count++] = static_cast<char>('0' + rest % 10);
    char* end = path + 6;
    while (count > 0) *end++ = digits[--count];
    while ((*end++ = *name++) != 0) {
    }
    return write_file(path, text);
}

/// What the mapper's stages are: a futex in the plan.
enum Mapping : int { not_yet = 0, wanted = 1, not_wanted = 2, done = 3 };

/// Runs as the mapper: a task of who starts the worker, in its user namespace and with its capabilities, which maps ids
/// that the worker itself may not map.
SYSGUARD_BARE inline void map_when_wanted(void* argument) noexcept {
    Plan& plan = *static_cast<Plan*>(argument);
    while (__atomic_load_n(&plan.mapping, __ATOMIC_ACQUIRE) == not_yet)
        raw_call(SYS_futex, &plan.mapping, FUTEX_WAIT, not_yet, nullptr);
    if (__atomic_load_n(&plan.mapping, __ATOMIC_ACQUIRE) == not_wanted) return;
    plan.mapping_result = write_process_file(plan.outer_pid, "/uid_map", plan.world->users);
    if (plan.mapping_result >= 0)
        plan.mapping_result = write_process_file(plan.outer_pid, "/gid_map", plan.world->groups);
    __atomic_store_n(&plan.mapping, static_cast<int>(done), __ATOMIC_RELEASE);
    raw_call(SYS_futex, &plan.mapping, FUTEX_WAKE, 1);
}

/// Starts the mapper, where one is needed, on a stack that lives until `end_mapper`. Returns its id, 0 for none, or a
/// negative errno.
SYSGUARD_BARE inline long start_mapper(Plan& plan, void* stack, std::uint64_t stack_size) noexcept {
    if (plan.world == nullptr || !plan.world->is_mapped_by_host) return 0;
    plan.mapping = not_yet;
    CloneArguments arguments;
    arguments.flags = CLONE_VM;
    arguments.stack = reinterpret_cast<std::uint64_t>(stack);
    arguments.stack_size = stack_size;
    return start_task(arguments, map_when_wanted, &plan);
}

SYSGUARD_BARE inline void end_mapper(Plan& plan, long mapper) noexcept {
    if (mapper <= 0) return;
    int before = not_yet;
    __atomic_compare_exchange_n(&plan.mapping, &before, static_cast<int>(not_wanted), false, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    raw_call(SYS_futex, &plan.mapping, FUTEX_WAKE, 1);
    reap_quietly(mapper);
}

/// The same, of one of the running task's own files. While another thread of the host starts a worker that changes its
/// ids, the host's memory, which this task shares, is not dumpable, and these files are root's (proc(5)).
SYSGUARD_BARE inline long write_own_file(const char* path, const Text& text) noexcept {
    constexpr int most_tries = 10'000;
    const timespec pause{0, 200'000};
    long result = write_file(path, text);
    for (int tries = 1; result == -EACCES && tries < most_tries; ++tries) {
        raw_call(SYS_nanosleep, &pause, nullptr);
        result = write_file(path, text);
    }
    return result;
}

/// Of who runs in the new namespace. The worker's own ids may be mapped by whoever has them, to one number each; for
/// groups, setgroups(2) must be given up before.
SYSGUARD_BARE inline long map_ids(Plan& plan) noexcept {
    const World& world = *plan.world;
    if (!world.is_mapped_by_host) {
        constexpr Text deny{"deny", 4};
        long result = write_own_file("/proc/self/setgroups", deny);
        if (result >= 0) result = write_own_file("/proc/self/uid_map", world.users);
        return result < 0 ? result : write_own_file("/proc/self/gid_map", world.groups);
    }
    __atomic_store_n(&plan.mapping, static_cast<int>(wanted), __ATOMIC_RELEASE);
    raw_call(SYS_futex, &plan.mapping, FUTEX_WAKE, 1);
    while (__atomic_load_n(&plan.mapping, __ATOMIC_ACQUIRE) == wanted)
        raw_call(SYS_futex, &plan.mapping, FUTEX_WAIT, wanted, nullptr);
    if (plan.mapping_result < 0) return plan.mapping_result;
    // The host's own ids may be nobody's here. Capabilities stay: those that a change of ids takes are root's of here.
    const long result = raw_call(SYS_setresgid, world.group, world.group, world.group);
    return result < 0 ? result : raw_call(SYS_setresuid, world.user, world.user, world.user);
}

}  // namespace sysguard::process::detail
