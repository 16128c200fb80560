#pragma once

#include <cstdio>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SYSGUARD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SYSGUARD_SANITIZED 1
#endif
#endif

/// Ends a test that this machine does not offer what it needs for. CTest counts it as skipped.
#define SYSGUARD_SKIP(reason)                  \
    do {                                       \
        std::printf("[skipped] %s\n", reason); \
        return;                                \
    } while (false)

/// Ends a test whose worker would do, for a sanitizer's runtime, what its policy forbids.
#ifdef SYSGUARD_SANITIZED
#define SYSGUARD_SKIP_SANITIZED() SYSGUARD_SKIP("a sanitizer's runtime does more than this policy allows")
#else
#define SYSGUARD_SKIP_SANITIZED() static_cast<void>(0)
#endif

/// Ends a test that forks functions while other threads of the host allocate. The address sanitizer of GCC before 14
/// has no fork handlers: a child can begin with its allocator locked for ever.
#if defined(SYSGUARD_SANITIZED) && !defined(__clang__) && __GNUC__ < 14
#define SYSGUARD_SKIP_UNSAFE_FORK() \
    SYSGUARD_SKIP("this sanitizer's allocator may stay locked in a threaded host's forks")
#else
#define SYSGUARD_SKIP_UNSAFE_FORK() static_cast<void>(0)
#endif
