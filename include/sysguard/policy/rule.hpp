#pragma once

#include "operand.hpp"
#include "rules.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::policy {

namespace detail {

constexpr bool every_call_has(const int* numbers, std::size_t count, abi::ArgName argument) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        if (abi::find(numbers[i])->position(argument) < 0) return false;
    return true;
}

constexpr bool some_call_has(const int* numbers, std::size_t count, abi::ArgName argument,
                             abi::TypeInfo::Kind kind) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        const abi::Syscall& call = *abi::find(numbers[i]);
        const int position = call.position(argument);
        if (position >= 0 && abi::info(call.arguments[position].type).kind == kind) return true;
    }
    return false;
}

/// Whether a rule for `target` may look at an argument in the kernel.
template <auto target, abi::ArgName argument, bool has_width>
constexpr bool check_use() noexcept {
    using Kind = abi::TypeInfo::Kind;
    constexpr const auto& numbers = Calls<target>::numbers.list;
    constexpr std::size_t count = Calls<target>::count();
    constexpr bool present = every_call_has(numbers, count, argument);
    constexpr bool pointer = some_call_has(numbers, count, argument, Kind::pointer);
    constexpr bool word = some_call_has(numbers, count, argument, Kind::word);
    static_assert(present,
                  "this system call has no argument of that name (of a family, every call must have it); "
                  "abi/syscalls.def lists the arguments of each call");
    static_assert(!pointer,
                  "this argument is a pointer: the filter in the kernel sees the address only, and what is "
                  "there can change after the check; rule on the call's other arguments, or on the call as a whole");
    static_assert(!word || has_width,
                  "how wide this argument is depends on another argument: write "
                  "arg::name.as<int>() or arg::name.as<unsigned long>(), as the kernel reads it");
    static_assert(word || !present || !has_width, "the table knows the type of this argument: leave out as<T>()");
    return true;
}

}  // namespace detail

/// A rule before its ending: the calls it is for, and the condition under which it matches. Immutable.
///
/// `target` is a native system call number or a family. The condition may name only arguments that the call has, and
/// that the kernel's filter can look at; each mistake is a compile error that says what to do.
template <auto target>
class Rule {
public:
    /// Matches every call of the target.
    constexpr Rule() noexcept = default;

    template <std::size_t n, Use... uses>
    constexpr explicit Rule(const Condition<n, uses...>& condition) {
        if constexpr ((detail::check_use<target, uses.argument, uses.has_width>() && ...)) {
            count_ = condition.size();
            if (count_ > max_condition_nodes)
                mistake::condition_has_more_parts_than_one_rule_holds(Calls<target>::numbers.list[0]);
            for (std::size_t i = 0; i < calls; ++i)
                bind(condition.nodes, count_, *abi::find(Calls<target>::numbers.list[i]), nodes_[i]);
        }
    }

    template <Use use>
    constexpr explicit Rule(const Masked<use>& masked) : Rule{policy::condition(masked)} {}

    /// The kernel runs the call.
    constexpr auto allow() const noexcept { return ending({Action::allow}); }

    /// The call does not run and fails with `error`, an errno from 1 to 4095.
    constexpr auto deny(int error) const {
        if (error < 1 || error > abi::max_errno)
            mistake::errno_must_be_between_1_and_4095(Calls<target>::numbers.list[0]);
        return ending({Action::deny, error});
    }

    /// The call does not run and is said to have returned `value`.
    constexpr auto fake(std::int64_t value) const noexcept { return ending({Action::fake, value}); }

    /// The whole worker is killed, and its outcome tells what it tried. Where the host is gone, the call fails.
    constexpr auto kill() const noexcept { return ending({Action::kill}); }

    /// The kernel kills the process on the spot (SECCOMP_RET_KILL_PROCESS; Linux 4.14).
    constexpr auto kill_now() const noexcept { return ending({Action::kill_now}); }

    /// The kernel runs the call and writes it to the audit log.
    constexpr auto log() const noexcept { return ending({Action::log}); }

    template <class T = void>
    constexpr void deny() const noexcept {
        static_assert(detail::never<T>, "deny(errno): say what the call fails with, such as deny(EPERM)");
    }

private:
    static constexpr std::size_t calls = Calls<target>::count();

    constexpr auto ending(Decision decision) const noexcept {
        Rules<calls, calls * max_condition_nodes> rules;
        for (std::size_t i = 0; i < calls; ++i)
            rules.add(Calls<target>::numbers.list[i], nodes_[i], count_, i > 0, decision);
        return rules;
    }

    BoundNode nodes_[calls][max_condition_nodes]{};
    std::size_t count_ = 0;
};

}  // namespace sysguard::policy

namespace sysguard {
using policy::Rule;
}  // namespace sysguard
