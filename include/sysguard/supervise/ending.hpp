#pragma once

#include "../process/child.hpp"
#include "violation.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace sysguard::supervise {

/// What was collected of an output stream.
struct Captured {
    std::string text{};
    std::size_t dropped = 0;  ///< bytes beyond the most that was to be kept
};

/// All that is known of a worker that is no more.
struct Ending {
    process::StartFailure failure{};
    process::ExitStatus status{};
    std::optional<Violation> violation{};
    process::CgroupFigures cgroup{};  ///< known where it had one
    bool timed_out = false;           ///< the host ended it when its time was over
    bool used_up = false;             ///< the host ended it when all of it had used up its processor time
    bool stopped = false;             ///< the host ended it because it was told to
    unsigned failed_handlers = 0;     ///< calls that were refused because their handler threw
    std::string handler_message{};    ///< what the last of them threw
    int supervision_error = 0;        ///< errno: the host ended it because it could not watch it any more
    std::chrono::nanoseconds wall{};
    Captured output{};
    Captured error{};
};

}  // namespace sysguard::supervise
