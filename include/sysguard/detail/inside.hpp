#pragma once

#include "../sandbox.hpp"

#include <string>
#include <utility>

namespace sysguard::detail {

/// What the other ways to run a function need of a sandbox.
struct Inside {
    static const CoreShare& core(const Sandbox& box) noexcept { return box.core_; }
    static std::size_t most_result(const Sandbox& box) noexcept { return box.most_result_; }

    static OutcomeMaker make_outcome(const Sandbox& box, supervise::Supervisor& supervisor, process::Child& child,
                                     const Launch& launch, supervise::Watch::Clock::time_point start,
                                     std::string name = "the function") {
        return box.make_outcome(supervisor, child, launch, start, std::move(name));
    }

    template <class T>
    static Result<T> read(Outcome outcome, process::ResultArea& area, std::size_t size) {
        return Sandbox::read<T>(std::move(outcome), area, size);
    }

    static process::ResultArea::State tell(process::ResultArea& area, std::string_view message) noexcept {
        return Sandbox::tell(area, message);
    }

    template <class Tell, class Body>
    static process::ResultArea::State guarded(const Tell& tell, const Body& body) noexcept {
        return Sandbox::guarded(tell, body);
    }
};

}  // namespace sysguard::detail
