#pragma once

#include "raw_call.hpp"

#include <cerrno>

#include <sys/syscall.h>
#include <sys/wait.h>

namespace sysguard::process::detail {

/// Waits for a child of the host's that nobody will ask about.
inline void reap_quietly(long pid) noexcept {
    while (raw_call(SYS_wait4, pid, nullptr, __WALL, nullptr) == -EINTR) {
    }
}

}  // namespace sysguard::process::detail
