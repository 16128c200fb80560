#pragma once

#include <cstdint>
#include <cstdlib>

#include "support/skip.hpp"

namespace support {

inline std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

/// The seed of the first round of a test that tries something random; each other has the next number.
/// SYSGUARD_TEST_SEED sets another.
inline std::uint64_t first_seed() {
    return from_environment("SYSGUARD_TEST_SEED", 20261124);
}

/// How many rounds there are, in per cent of what there are otherwise, is what SYSGUARD_TEST_ROUNDS says. Under a
/// sanitizer, which makes each ten times as long, there are fewer.
inline std::uint64_t rounds(std::uint64_t otherwise) {
#ifdef SYSGUARD_SANITIZED
    constexpr std::uint64_t usual = 10;
#else
    constexpr std::uint64_t usual = 100;
#endif
    return 1 + otherwise * from_environment("SYSGUARD_TEST_ROUNDS", usual) / 100;
}

}  // namespace support
