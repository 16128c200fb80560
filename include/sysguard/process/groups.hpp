#pragma once

#include "block.hpp"

#include <cstddef>
#include <initializer_list>

#include <sys/types.h>

namespace sysguard {

/// The supplementary groups of workers (credentials(7)). Unless something else is said, none are kept where the host
/// may drop them (CAP_SETGID): one that may not cannot (setgroups(2)), and its workers have those that it has.
class Groups {
public:
    Groups() noexcept = default;

    /// Exactly these; an error where the host may not set them.
    Groups(std::initializer_list<gid_t> ids) : ids_{ids.begin(), ids.size()}, what_{What::exactly} {}

    /// None; an error where the host has some and may not drop them.
    static Groups none() {
        Groups groups;
        groups.what_ = What::exactly;
        return groups;
    }

    /// The host's.
    static Groups kept() noexcept {
        Groups groups;
        groups.what_ = What::kept;
        return groups;
    }

    const gid_t* data() const noexcept { return ids_.data(); }
    std::size_t size() const noexcept { return ids_.size(); }
    bool are_kept() const noexcept { return what_ == What::kept; }
    bool are_exact() const noexcept { return what_ == What::exactly; }

private:
    enum class What : unsigned char { dropped_if_allowed, exactly, kept };

    process::Block<gid_t> ids_{};
    What what_ = What::dropped_if_allowed;
};

}  // namespace sysguard
