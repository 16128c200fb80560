#pragma once

#include "../../abi/table.hpp"

#include <cstddef>
#include <cstdint>

#include <sys/types.h>

namespace sysguard::supervise::perform {

/// What a pointer argument pointed to, copied once. The host owns the memory.
struct Input {
    const char* data = nullptr;  ///< of a path or a string: ended by a zero byte
    std::size_t size = 0;        ///< bytes; of a path or a string, without the zero byte
    int error = 0;               ///< errno where it could not be read (EFAULT, ENAMETOOLONG): `data` is nullptr then
};

/// Room for what the call writes to a pointer argument. The host copies it to the worker when the call has succeeded.
struct Output {
    char* data = nullptr;
    std::size_t capacity = 0;  ///< bytes: never more than the worker's own buffer has
    std::size_t size = 0;      ///< bytes that the call wrote; set by the performer
};

/// On whose behalf a call is performed, as the host sees it.
struct Caller {
    pid_t thread = 0;
    pid_t process = 0;  ///< thread group
    pid_t session = 0;  ///< of the worker
};

/// One system call that is performed on a worker's behalf. The host prepares it; the performer, a short-lived task of
/// its own that shares the host's memory but neither its descriptors nor its credentials, umask or directories, carries
/// it out. Arguments that are descriptors are duplicates of the worker's, in the performer's own table.
struct Job {
    const abi::Syscall* call = nullptr;
    std::uint64_t arguments[abi::max_arguments]{};  ///< as the worker made the call
    Caller caller{};

    Input in[abi::max_arguments]{};    ///< by position; of arguments that the kernel reads
    Output out[abi::max_arguments]{};  ///< by position; of arguments that the kernel writes

    /// By position, of arguments of type fd and dirfd: the performer's own descriptor for the same open file, AT_FDCWD,
    /// or -EBADF.
    int fds[abi::max_arguments] = {-1, -1, -1, -1, -1, -1};

    /// By position, of paths that somebody has already decided on: where the path led then, from the worker's root. A
    /// path that leads elsewhere now fails with EACCES.
    const char* decided[abi::max_arguments]{};

    int root = -1;  ///< the worker's root directory (O_PATH), in the performer's table
    int cwd = -1;   ///< the worker's working directory (O_PATH)

    /// Of Landlock: what the worker is held to, in the performer's table; -1: nothing. The performer stands outside.
    int ruleset = -1;

    bool has_own_users = false;   ///< the worker is in another user namespace than the host: ids that it names are not
                                  ///< the performer's
    bool has_full_table = false;  ///< the worker's table of descriptors has no room for another one: EMFILE

    void* extra = nullptr;  ///< what the call's own preparation made

    int position(abi::ArgName name) const noexcept { return call->position(name); }
};

/// Carries out one call. Runs in the performer: bare code (process/detail/raw_call.hpp), no allocation, no errno.
/// Returns what the call returns, or a negative errno; of a call that makes a descriptor, the descriptor.
using Performer = long (*)(Job& job) noexcept;

}  // namespace sysguard::supervise::perform
