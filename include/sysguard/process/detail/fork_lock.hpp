#pragma once

#include "../../abi/error.hpp"

#include <pthread.h>

namespace sysguard::process::detail {

inline pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;

/// Held while a fork would inherit memory that is for one worker alone. In a process that was forked meanwhile nobody
/// holds it.
class ForkLock {
public:
    ForkLock() {
        static const int registered =
            ::pthread_atfork(nullptr, nullptr, [] { fork_mutex = PTHREAD_MUTEX_INITIALIZER; });
        const int error = registered != 0 ? registered : ::pthread_mutex_lock(&fork_mutex);
        if (error != 0) throw Error{error, "keep other threads from forking"};
    }
    ForkLock(const ForkLock&) = delete;
    ForkLock& operator=(const ForkLock&) = delete;
    ~ForkLock() { ::pthread_mutex_unlock(&fork_mutex); }
};

}  // namespace sysguard::process::detail
