#pragma once

#include "handler.hpp"
#include "matchers.hpp"
#include "performable.hpp"
#include "rules.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace sysguard::policy {

namespace detail {

/// What stands between a rule and an argument that its condition names.
enum class Obstacle : std::uint8_t { none, absent, pointer, width_unknown, other_kind };

/// Whether an argument has what a facet looks at.
constexpr bool has(const abi::Argument& argument, Facet facet) noexcept {
    const bool read = argument.direction == abi::Direction::in || argument.direction == abi::Direction::inout;
    switch (facet) {
        case Facet::value: return true;
        case Facet::size: return argument.type == abi::Type::bytes && argument.length != abi::ArgName::none;
        case Facet::text: return read && (argument.type == abi::Type::path || argument.type == abi::Type::string);
        case Facet::path: return read && argument.type == abi::Type::path;
        case Facet::bytes: return read && argument.type == abi::Type::bytes && argument.length != abi::ArgName::none;
        default: return read && argument.type == abi::Type::socket_address;
    }
}

/// The worst over the calls of one rule.
constexpr Obstacle obstacle(const int* numbers, std::size_t count, abi::ArgName argument, Facet facet) noexcept {
    Obstacle worst = Obstacle::none;
    for (std::size_t i = 0; i < count; ++i) {
        if (argument == abi::ArgName::none) return Obstacle::other_kind;  // see Matchers
        const abi::Syscall& call = *abi::find(numbers[i]);
        const int position = call.position(argument);
        if (position < 0) return Obstacle::absent;
        if (!has(call.arguments[position], facet)) return Obstacle::other_kind;
        if (facet != Facet::value) continue;
        const abi::TypeInfo::Kind kind = abi::info(call.arguments[position].type).kind;
        if (kind == abi::TypeInfo::Kind::pointer) worst = Obstacle::pointer;
        if (kind == abi::TypeInfo::Kind::word && worst == Obstacle::none) worst = Obstacle::width_unknown;
    }
    return worst;
}

/// Whether a rule for `target` may look at an argument in the kernel.
template <auto target, abi::ArgName argument, bool has_width, Facet facet>
constexpr bool check_use() noexcept {
    constexpr Obstacle found = obstacle(Calls<target>::numbers.list, Calls<target>::count(), argument, facet);
    static_assert(found != Obstacle::absent,
                  "this system call has no argument of that name (of a family, every call must have it); "
                  "abi/syscalls.def lists the arguments of each call");
    static_assert(
        found != Obstacle::pointer,
        "this argument is a pointer: the filter in the kernel sees the address only; rule on the call's other "
        "arguments, on what the pointer leads to (of paths ==, under(), glob(); of socket addresses family(), "
        "port(), is_loopback(), in(); of buffers size(), starts_with()), or handle() the call");
    static_assert(
        found != Obstacle::other_kind,
        "this argument leads to something else: under() and glob() are for paths, == with a text for paths and "
        "strings, family(), port(), in(network), is_loopback(), is_private(), unix_path() and "
        "abstract_name() for socket addresses, size() and starts_with() for buffers that the call reads");
    static_assert(found != Obstacle::width_unknown || has_width,
                  "how wide this argument is depends on another argument: write "
                  "arg::name.as<int>() or arg::name.as<unsigned long>(), as the kernel reads it");
    static_assert(found != Obstacle::none || !has_width,
                  "the table knows the type of this argument: leave out as<T>()");
    return true;
}

template <class F>
inline constexpr bool captures_nothing = std::is_empty_v<F>&& std::is_default_constructible_v<F>;

}  // namespace detail

/// What may become of the calls that a rule matches. Immutable.
template <std::size_t calls>
class Endings {
public:
    /// The kernel runs the call.
    constexpr auto allow() const noexcept { return ending({Action::allow}); }

    /// The call does not run and fails with `error`, an errno from 1 to 4095.
    constexpr auto deny(int error) const {
        if (error < 1 || error > abi::max_errno) mistake::errno_must_be_between_1_and_4095(numbers_[0]);
        return ending({Action::deny, error});
    }

    /// The call does not run and is said to have returned `value`, which is none from -4095 to -1: those are errors.
    /// Another value than 0 is given by the host, which never answers some calls (`is_answerable`).
    constexpr auto fake(std::int64_t value) const {
        if (value < 0 && value >= -abi::max_errno) mistake::fake_value_is_an_error(numbers_[0]);
        for (const int number : numbers_)
            if (value != 0 && !is_answerable(number)) mistake::value_of_a_call_that_the_host_never_answers(number);
        return ending({Action::fake, value});
    }

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

protected:
    constexpr explicit Endings(const int (&numbers)[calls]) noexcept {
        for (std::size_t i = 0; i < calls; ++i) numbers_[i] = numbers[i];
    }

    constexpr void bind_condition(const Node* nodes, std::size_t count) {
        if (count > max_condition_nodes) mistake::condition_has_more_parts_than_one_rule_holds(numbers_[0]);
        count_ = count;
        for (std::size_t i = 0; i < calls; ++i) bind(nodes, count, *abi::find(numbers_[i]), nodes_[i]);
    }

    /// `with_contexts`: see Rules.
    template <bool with_contexts = false>
    constexpr auto ending(Decision decision, Handler handler = {}) const noexcept {
        Rules<calls, calls * max_condition_nodes, with_contexts> rules;
        for (std::size_t i = 0; i < calls; ++i) rules.add(numbers_[i], nodes_[i], count_, i > 0, decision, handler);
        return rules;
    }

    constexpr int first_number() const noexcept { return numbers_[0]; }

private:
    int numbers_[calls]{};
    BoundNode nodes_[calls][max_condition_nodes]{};
    std::size_t count_ = 0;
};

/// A rule before its ending: the calls it is for, and the condition under which it matches. Immutable.
///
/// `target` is a native system call number or a family. The condition may name only arguments that the call has, and
/// that the kernel's filter can look at; each mistake is a compile error that says what to do.
template <auto target>
class Rule : public Endings<Calls<target>::count()> {
public:
    /// Matches every call of the target.
    constexpr Rule() noexcept : Endings<Calls<target>::count()>{Calls<target>::numbers.list} {}

    template <std::size_t n, Use... uses>
    constexpr explicit Rule(const Condition<n, uses...>& condition) : Rule{} {
        if constexpr ((detail::check_use<target, uses.argument, uses.has_width, uses.facet>() && ...))
            this->bind_condition(condition.nodes, condition.size());
    }

    template <Use use>
    constexpr explicit Rule(const Masked<use>& masked) : Rule{policy::condition(masked)} {}

    /// The host decides: `handler` is called with each call that matches, and says what becomes of it:
    /// `Verdict(const Call<target>&)`, or with `const AnyCall&`. It runs in the thread that supervises the worker;
    /// several calls may be handled at a time, in several threads. One that throws, or takes too long, is as in
    /// supervise/call.hpp. What it has captured lives as long as the policy and the sandboxes made of it.
    template <class F>
    constexpr auto handle(F handler) const {
        check_handler<F>();
        if constexpr (detail::captures_nothing<F>) {
            return this->ending({Action::handle}, {[](const void*, const AnyCall& call) -> VerdictOf<F> {
                                    return F{}(Call<target>{call});
                                }});
        } else {
            if (std::is_constant_evaluated())
                mistake::a_handler_that_captures_something_is_made_at_run_time(this->first_number());
            return a_handler_that_captures_something_is_made_at_run_time(std::move(handler), {Action::handle});
        }
    }

    /// Somebody is asked, in a thread of its own: `asker` is called with a `const Question&` and returns an `Answer`.
    /// Who does not answer in time has said no (decide/ask.hpp). The policy is made at run time.
    template <class Asker>
    auto ask(Asker asker) const {
        return ask(std::move(asker), AskingOf<Asker>{});
    }

    template <class Asker>
    auto ask(Asker asker, const AskingOf<Asker>& how) const {
        static_assert(allowable(),
                      "this call cannot be asked about: a yes would let the kernel read its pointers again, "
                      "which may lead to something else by then, and the host cannot perform it");
        check_handler<AskingHandler<Asker>>();
        return a_handler_that_captures_something_is_made_at_run_time(AskingHandler<Asker>{std::move(asker), how},
                                                                     {Action::handle, 1});
    }

    template <abi::ArgName name, abi::ArgName lead>
    constexpr explicit Rule(const Argument<name, lead>&) {
        detail::refuse_bare<Argument<name, lead>>();
    }

private:
    /// Where the policy is a constant, GCC shows no more than the name of what is no constant.
    template <class F>
    auto a_handler_that_captures_something_is_made_at_run_time(F handler, const Decision& decision) const {
        const SharedContext context = SharedContext::make(std::move(handler));
        const auto invoke = [](const void* held, const AnyCall& call) -> VerdictOf<F> {
            return (*static_cast<const F*>(held))(Call<target>{call});
        };
        auto rules = this->template ending<true>(decision, {invoke, context.template get<F>()});
        rules.contexts().shared = context;
        return rules;
    }

    template <class F>
    static constexpr void check_handler() noexcept {
        static_assert(answerable(),
                      "the host never answers rt_sigreturn, exit, exit_group, restart_syscall, futex and "
                      "close: a thread could not go on, or nobody would try again");
        static_assert(std::is_invocable_v<const F&, const Call<target>&>,
                      "a handler takes a const Call<the rule's call>& or a const AnyCall&, can be called while it is "
                      "const, and returns a Verdict: return call.deny(EPERM)");
    }

    static constexpr bool allowable() noexcept {
        for (const int number : Calls<target>::numbers.list)
            if (!is_all_registers(number) && !is_performable(number)) return false;
        return true;
    }

    static constexpr bool answerable() noexcept {
        for (const int number : Calls<target>::numbers.list)
            if (!is_answerable(number)) return false;
        return true;
    }
};

}  // namespace sysguard::policy

namespace sysguard {
using policy::Rule;
}  // namespace sysguard
