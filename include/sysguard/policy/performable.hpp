#pragma once

#include "../abi/numbers.hpp"
#include "detail/cells.hpp"
#include "mistakes.hpp"
#include "view.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sysguard::policy {

namespace detail {

inline constexpr int performable_calls[] = {
    sys::connect,     sys::bind,        sys::sendto,       sys::sendmsg,      sys::sendmmsg,      sys::open,
    sys::openat,      sys::openat2,     sys::creat,        sys::stat,         sys::lstat,         sys::fstat,
    sys::newfstatat,  sys::statx,       sys::statfs,       sys::fstatfs,      sys::access,        sys::faccessat,
    sys::faccessat2,  sys::readlink,    sys::readlinkat,   sys::unlink,       sys::unlinkat,      sys::rmdir,
    sys::mkdir,       sys::mkdirat,     sys::mknod,        sys::mknodat,      sys::rename,        sys::renameat,
    sys::renameat2,   sys::link,        sys::linkat,       sys::symlink,      sys::symlinkat,     sys::chmod,
    sys::fchmod,      sys::fchmodat,    sys::fchmodat2,    sys::chown,        sys::lchown,        sys::fchown,
    sys::fchownat,    sys::truncate,    sys::ftruncate,    sys::utime,        sys::utimes,        sys::futimesat,
    sys::utimensat,   sys::setxattr,    sys::lsetxattr,    sys::fsetxattr,    sys::setxattrat,    sys::getxattr,
    sys::lgetxattr,   sys::fgetxattr,   sys::getxattrat,   sys::listxattr,    sys::llistxattr,    sys::flistxattr,
    sys::listxattrat, sys::removexattr, sys::lremovexattr, sys::fremovexattr, sys::removexattrat,
};

/// Calls that the host never answers: a thread that waits for an answer to one of these cannot return from a signal
/// handler, end, or go on, and nobody retries an interrupted close.
inline constexpr int unanswerable_calls[] = {
    sys::rt_sigreturn, sys::exit, sys::exit_group, sys::restart_syscall, sys::futex, sys::close,
};

template <std::size_t n>
constexpr bool contains(const int (&list)[n], int number) noexcept {
    for (const int each : list)
        if (each == number && each >= 0) return true;
    return false;
}

}  // namespace detail

/// Whether the host can carry out a call on a worker's behalf, on copies of what its pointers lead to: `perform()`.
constexpr bool is_performable(int number) noexcept {
    return detail::contains(detail::performable_calls, number);
}

/// Whether a call may be sent to the host at all.
constexpr bool is_answerable(int number) noexcept {
    return !detail::contains(detail::unanswerable_calls, number);
}

namespace detail {

constexpr bool runs(const Decision& decision) noexcept {
    return decision.action == Action::allow || decision.action == Action::log;
}

/// Whether with some registers a call is allowed after a rule has looked at memory. Where there are too many cases to
/// look at, yes if any rule from there on allows it.
template <std::size_t capacity>
constexpr bool is_allowed_after_a_look(const View& view, const RulesByCall<capacity>& by_call, int number) {
    Grid grid;
    for (int i = by_call.first(number); i >= 0; i = by_call.next(i))
        grid.add(view.condition(view.rules[i]), view.rules[i].node_count);
    bool exact = false;
    exact = grid.split(std::is_constant_evaluated() ? 1U << 10 : 1U << 16);
    for (std::size_t combination = 0; combination < (exact ? grid.size() : 1); ++combination) {
        std::uint64_t arguments[abi::max_arguments]{};
        if (exact) grid.get(combination, arguments);
        bool looked = false;
        bool ended = false;
        for (int i = by_call.first(number); i >= 0 && !ended; i = by_call.next(i)) {
            const RuleRecord& rule = view.rules[i];
            const bool always = rule.node_count == 0;
            if (!always && exact && !matches(view.condition(rule), arguments, Memory::favourable)) continue;
            looked = looked || rule.in_memory;
            if (looked && runs(rule.decision)) return true;
            ended = always || (exact && matches(view.condition(rule), arguments, Memory::unfavourable));
        }
        if (!ended && looked && runs(view.otherwise)) return true;
    }
    return false;
}

}  // namespace detail

/// Refuses a policy that would allow a call after the host has looked at what its pointers lead to, where the host
/// cannot perform it: the kernel would read that memory again.
template <std::size_t capacity>
constexpr void check_performable(const View& view, const RulesByCall<capacity>& by_call) {
    for (std::size_t i = 0; i < view.rule_count; ++i) {
        const int number = view.rules[i].number;
        if (!view.rules[i].in_memory || is_performable(number)) continue;
        if (detail::is_allowed_after_a_look(view, by_call, number))
            mistake::call_allowed_after_a_look_at_memory_cannot_be_performed(number);
    }
}

/// Whether every argument of a call is a value in a register, so that nothing of it can change after a check.
constexpr bool is_all_registers(int number) noexcept {
    for (const abi::Argument& argument : abi::find(number)->arguments) {
        if (argument.name == abi::ArgName::none) continue;
        const abi::TypeInfo::Kind kind = abi::info(argument.type).kind;
        if (kind == abi::TypeInfo::Kind::pointer || kind == abi::TypeInfo::Kind::word) return false;
    }
    return true;
}

}  // namespace sysguard::policy
