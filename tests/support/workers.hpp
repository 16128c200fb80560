#pragma once

#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <sys/syscall.h>

#include "support/helpers.hpp"
#include "support/libc.hpp"

namespace support {

namespace sg = sysguard;
using sg::Outcome;

inline constexpr sg::Policy static_program{sg::preset::static_runtime, sg::otherwise.kill()};
inline constexpr sg::Policy anything{sg::otherwise.allow()};
inline constexpr sg::Policy with_processes{sg::preset::cpp_runtime, sg::preset::processes,
                                           sg::allow<SYS_setpgid, libc::pause, SYS_tgkill>, sg::otherwise.deny(EPERM)};

inline bool has(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

inline std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> list;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);) list.push_back(line);
    return list;
}

/// What inspect prints in a worker, line by line.
inline std::vector<std::string> inspect(const sg::Sandbox& box, sg::Launch launch = {},
                                        std::vector<std::string> command = {helper("inspect")}) {
    launch.output = sg::Stdio::capture();
    const Outcome outcome = box.run(std::move(command), launch);
    CAPTURE(outcome.explain());
    CHECK(outcome);
    return lines(outcome.output());
}

inline bool contains(const std::vector<std::string>& list, const std::string& line) {
    for (const std::string& each : list)
        if (each == line) return true;
    return false;
}

inline std::vector<std::string> starting(const std::vector<std::string>& list, const std::string& word) {
    std::vector<std::string> found;
    for (const std::string& each : list)
        if (each.rfind(word + " ", 0) == 0) found.push_back(each.substr(word.size() + 1));
    return found;
}

}  // namespace support
