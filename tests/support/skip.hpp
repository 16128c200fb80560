#pragma once

#include <cstdio>

/// Ends a test that this machine does not offer what it needs for. CTest counts it as skipped.
#define SYSGUARD_SKIP(reason)                  \
    do {                                       \
        std::printf("[skipped] %s\n", reason); \
        return;                                \
    } while (false)
