#pragma once

#include <sysguard/abi/error.hpp>

#include <string>
#include <vector>

namespace support {

/// What an action is refused with; empty where it is not.
std::string error_of(const auto& action) {
    try {
        action();
    } catch (const sysguard::Error& error) {
        return error.what();
    }
    return "";
}

/// Whether one of several texts has these words.
inline bool has(const std::vector<std::string>& list, const std::string& words) {
    for (const std::string& each : list)
        if (each.find(words) != std::string::npos) return true;
    return false;
}

}  // namespace support
