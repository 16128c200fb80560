#pragma once

namespace sysguard::supervise::render {

/// How much is shown of a call.
struct Options {
    unsigned most_bytes = 32;      ///< of a string that is no path; and elements of an array; at most `most_room`
    bool descriptor_paths = true;  ///< 3</etc/passwd>
    bool all_fields = false;       ///< of structures
    static constexpr unsigned most_room = 4096;
};

}  // namespace sysguard::supervise::render
