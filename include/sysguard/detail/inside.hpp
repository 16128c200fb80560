#pragma once

#include "../sandbox.hpp"

namespace sysguard::detail {

/// What the other ways to run a function need of a sandbox.
struct Inside {
    static const CoreShare& core(const Sandbox& box) noexcept { return box.core_; }
    static std::size_t most_result(const Sandbox& box) noexcept { return box.most_result_; }

    template <class Tell, class Body>
    static process::ResultArea::State guarded(const Tell& tell, const Body& body) noexcept {
        return Sandbox::guarded(tell, body);
    }
};

}  // namespace sysguard::detail
