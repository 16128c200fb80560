#pragma once

#include "../abi/numbers.hpp"
#include "detail/cells.hpp"
#include "view.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::policy {

/// Which new tasks a policy lets a worker start.
struct Tasks {
    bool processes = false;
    bool threads = false;
    bool groups = false;  ///< and processes may leave the worker's process group (setpgid) or session (setsid)
};

namespace detail {

/// CLONE_THREAD of clone(2).
inline constexpr std::uint64_t clone_thread = 0x00010000;

constexpr bool may_run(const Decision& decision) noexcept {
    return decision.action == Action::allow || decision.action == Action::log;
}

/// Whether some arguments of a call make it run.
constexpr bool some_may_run(const View& view, int number) noexcept {
    for (std::size_t i = 0; i < view.rule_count; ++i) {
        if (view.rules[i].number != number) continue;
        if (may_run(view.rules[i].decision)) return true;
        if (view.rules[i].node_count == 0) return false;
    }
    return may_run(view.otherwise);
}

/// Adds what the flags of clone may start. Where there are too many cases to look at, anything.
constexpr void add_clone(const View& view, Tasks& tasks) noexcept {
    Grid grid;
    grid.add_mask(0, clone_thread);
    for (std::size_t i = 0; i < view.rule_count; ++i)
        if (view.rules[i].number == sys::clone) grid.add(view.condition(view.rules[i]), view.rules[i].node_count);
    if (!grid.split(1U << 16)) {
        tasks.processes = tasks.threads = true;
        return;
    }
    for (std::size_t combination = 0; combination < grid.size(); ++combination) {
        std::uint64_t arguments[abi::max_arguments]{};
        grid.get(combination, arguments);
        if (!may_run(decide(view, sys::clone, arguments))) continue;
        ((arguments[0] & clone_thread) != 0 ? tasks.threads : tasks.processes) = true;
    }
}

}  // namespace detail

/// Which tasks a worker under the policy may start. Errs on the side of more.
constexpr Tasks tasks_of(const View& view) noexcept {
    Tasks tasks;
    if (detail::some_may_run(view, sys::clone)) detail::add_clone(view, tasks);
    if (detail::some_may_run(view, sys::clone3)) tasks.processes = tasks.threads = true;
    if (sys::fork >= 0 && (detail::some_may_run(view, sys::fork) || detail::some_may_run(view, sys::vfork)))
        tasks.processes = true;
    tasks.groups = detail::some_may_run(view, sys::setpgid) || detail::some_may_run(view, sys::setsid);
    return tasks;
}

}  // namespace sysguard::policy
