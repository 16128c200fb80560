#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <sys/types.h>
#include <cerrno>
#include <csignal>

namespace support {

/// The path of one of the programs in tests/helpers.
inline std::string helper(const char* name) {
    const char* const directory = std::getenv("SYSGUARD_TEST_HELPERS");
    return std::string{directory != nullptr ? directory : "."} + "/helper_" + name;
}

/// Waits until `condition` holds. Returns whether it did before a generous time was over.
template <class Condition>
bool eventually(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return true;
}

/// Writes where nothing is.
inline void crash() {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
}

/// Whether a process lives; one that nobody has waited for yet does not.
inline bool lives(pid_t pid) {
    if (::kill(pid, 0) != 0) return errno != ESRCH;
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    std::FILE* const file = std::fopen(path.c_str(), "re");
    if (file == nullptr) return false;
    char text[512] = {};
    const std::size_t bytes = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    const std::string stat(text, bytes);
    const std::size_t behind_name = stat.rfind(')');
    return behind_name != std::string::npos && stat.size() > behind_name + 2 && stat[behind_name + 2] != 'Z';
}

}  // namespace support
