#pragma once

#include "pending.hpp"
#include "place.hpp"
#include "text_match.hpp"

#include <string>
#include <string_view>

namespace sysguard {

/// A path that a worker gave to a system call: what it wrote, and where that leads, resolved as the kernel would for
/// this worker at this moment, with its root, its working directory and its /proc/self, symbolic links and `..`
/// included. Whoever asks where it leads decides on that place: performed, the call fails with EACCES where the path
/// leads elsewhere by then. Valid as long as the call.
class Path {
public:
    Path(supervise::Pending& call, int position) noexcept : call_{&call}, position_{position} {}

    /// As the worker wrote it; empty where it cannot be read (`error`).
    std::string_view text() const { return call_->copy(position_).bytes; }

    /// 0, or the errno that the call fails with: EFAULT where it cannot be read, ENAMETOOLONG.
    int error() const { return call_->copy(position_).error; }

    /// Where it leads: an absolute path in the worker's own root, of a file that there is, or of one that the call
    /// would create. Empty where it leads nowhere, a directory on the way is missing, or it cannot be seen where.
    const std::string& resolved() const { return supervise::place_of(*call_, position_); }

    /// What Matchers::under, == and glob say of it: nothing of one that leads nowhere.
    bool under(std::string_view directory) const { return leads() && supervise::is_under(resolved(), directory); }
    bool glob(std::string_view pattern) const { return leads() && supervise::matches_glob(resolved(), pattern); }
    friend bool operator==(const Path& path, std::string_view other) {
        return path.leads() && path.resolved() == other;
    }

private:
    bool leads() const { return !resolved().empty(); }

    supervise::Pending* call_;
    int position_;
};

}  // namespace sysguard
