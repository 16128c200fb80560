#pragma once

#include <sysguard/abi/numbers.hpp>

namespace support {

/// By which calls C libraries do here what older architectures have calls of their own for.
namespace libc {

namespace sys = sysguard::sys;

constexpr int either(int older, int newer) {
    return older >= 0 ? older : newer;
}

inline constexpr int access = either(sys::access, sys::faccessat);
inline constexpr int chmod = either(sys::chmod, sys::fchmodat);
inline constexpr int dup2 = either(sys::dup2, sys::dup3);
inline constexpr int fork = either(sys::fork, sys::clone);
inline constexpr int getpgrp = either(sys::getpgrp, sys::getpgid);
inline constexpr int mkdir = either(sys::mkdir, sys::mkdirat);
inline constexpr int open = either(sys::open, sys::openat);
inline constexpr int pause = either(sys::pause, sys::ppoll);
inline constexpr int pipe = either(sys::pipe, sys::pipe2);
inline constexpr int poll = either(sys::poll, sys::ppoll);
inline constexpr int readlink = either(sys::readlink, sys::readlinkat);
inline constexpr int rename = either(sys::rename, sys::renameat);
inline constexpr int rmdir = either(sys::rmdir, sys::unlinkat);
inline constexpr int select = either(sys::select, sys::pselect6);
inline constexpr int stat = either(sys::stat, sys::newfstatat);
inline constexpr int symlink = either(sys::symlink, sys::symlinkat);
inline constexpr int unlink = either(sys::unlink, sys::unlinkat);

}  // namespace libc

}  // namespace support
