#pragma once

#include "../abi/numbers.hpp"
#include "detail/cells.hpp"
#include "view.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace sysguard::policy {

/// Which new tasks a policy lets a worker start, and what of their ties it lets them cut.
struct Tasks {
    bool processes = false;
    bool threads = false;
    bool groups = false;  ///< and processes may leave the worker's process group (setpgid) or session (setsid)
    bool untied = false;  ///< a worker may cancel that it dies with the host: by PR_SET_PDEATHSIG, by changing its
                          ///< credentials, or by executing from a second thread (prctl(2))
};

namespace detail {

constexpr bool may_run(const Decision& decision) noexcept {
    return decision.action == Action::allow || decision.action == Action::log || decision.action == Action::handle;
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

/// The same where the bits `mask` of the first argument are `value`. Where there are too many cases to look at, yes.
constexpr bool some_may_run(const View& view, int number, std::uint64_t mask, std::uint64_t value) noexcept {
    if (!some_may_run(view, number)) return false;
    Grid grid;
    grid.add_test(0, mask, value);
    for (std::size_t i = 0; i < view.rule_count; ++i)
        if (view.rules[i].number == number) grid.add(view.condition(view.rules[i]), view.rules[i].node_count);
    if (!grid.split(1U << 16)) return true;
    for (std::size_t combination = 0; combination < grid.size(); ++combination) {
        std::uint64_t arguments[abi::max_arguments]{};
        grid.get(combination, arguments);
        if ((arguments[0] & mask) == value && may_run(decide(view, number, arguments))) return true;
    }
    return false;
}

}  // namespace detail

/// Which tasks a worker under the policy may start. Errs on the side of more.
constexpr Tasks tasks_of(const View& view) noexcept {
    constexpr std::uint64_t clone_thread = 0x00010000;  // CLONE_THREAD, clone(2)
    constexpr std::uint64_t set_pdeathsig = 1;          // PR_SET_PDEATHSIG, prctl(2)
    constexpr std::uint64_t all_bits = 0xffffffff;
    const bool hidden = detail::some_may_run(view, sys::clone3);
    const bool forks =
        sys::fork >= 0 && (detail::some_may_run(view, sys::fork) || detail::some_may_run(view, sys::vfork));
    Tasks tasks;
    tasks.processes = hidden || forks || detail::some_may_run(view, sys::clone, clone_thread, 0);
    tasks.threads = hidden || detail::some_may_run(view, sys::clone, clone_thread, clone_thread);
    tasks.groups = detail::some_may_run(view, sys::setpgid) || detail::some_may_run(view, sys::setsid);
    tasks.untied =
        detail::some_may_run(view, sys::prctl, all_bits, set_pdeathsig) ||
        (tasks.threads && (detail::some_may_run(view, sys::execve) || detail::some_may_run(view, sys::execveat)));
    for (const int number : {sys::setuid, sys::setreuid, sys::setresuid, sys::setfsuid, sys::setgid, sys::setregid,
                             sys::setresgid, sys::setfsgid, sys::capset, sys::unshare, sys::setns})
        tasks.untied = tasks.untied || detail::some_may_run(view, number);
    return tasks;
}

}  // namespace sysguard::policy
