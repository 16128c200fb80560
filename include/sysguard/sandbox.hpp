#pragma once

#include "detail/outcome_maker.hpp"
#include "detail/supervision.hpp"
#include "outcome.hpp"
#include "policy.hpp"
#include "process/confinement.hpp"
#include "process/order.hpp"
#include "process/result_codec.hpp"
#include "process/start_function.hpp"
#include "process/start_program.hpp"
#include "worker.hpp"

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sysguard {

/// What a sandbox gives its workers besides the policy.
struct Options {
    Limits limits{};

    /// The most bytes that a function's result may have. Memory is taken only as a worker writes to it.
    std::size_t most_result = 64_MiB;
};

/// Runs code that is not trusted in processes of its own, under a policy. Immutable: any number of threads may use one
/// at a time. What happens to a worker is its `Outcome`; `Error` is thrown for what the host got wrong and for a
/// machine that refuses.
///
/// A worker has a session of its own, no descriptors but those it is given, and no core dumps. It dies with the host:
/// at the latest when the thread that started it ends. When it ends, whatever else it started is killed. The policy
/// decides over everything that it does, with two exceptions: it may always end itself (exit, exit_group, abort), and
/// the program that it starts with is executed whatever the policy says of execve.
class Sandbox {
public:
    /// Keeps copies of what it needs of the policy.
    template <std::size_t rules, std::size_t nodes>
    explicit Sandbox(const Policy<rules, nodes>& of_workers, const Options& options = {})
        : confinement_{of_workers.view(), of_workers.program(), options.limits}, most_result_{options.most_result} {}

    /// Runs a program to its end. `command` is its path, taken as it stands, and its arguments.
    Outcome run(std::vector<std::string> command, const Launch& launch = {}) const {
        detail::refuse_pipes(launch);
        std::string name = command.empty() ? "" : command.front();
        process::Child child;
        process::Order order = process::Order::program(confinement_, std::move(command), launch, child);
        const auto start = supervise::Watch::Clock::now();
        process::start_program(order.plan(), child);
        return make_outcome(order, child, launch, start, std::move(name)).program();
    }

    /// Starts a program. A thread of the host's watches it until it ends.
    Worker spawn(std::vector<std::string> command, const Launch& launch = {}) const {
        return Worker::start(confinement_, std::move(command), launch);
    }

    /// Runs a function in a fork of the host, to its end, and brings back what it returns (`process::Returnable`) or
    /// the message of what it throws. The function sees a copy of the host's memory, and none of its descriptors.
    template <class F, class... Arguments>
        requires std::is_invocable_v<F, Arguments...>
    auto call(F&& function, Arguments&&... arguments) const {
        return call(Launch{}, std::forward<F>(function), std::forward<Arguments>(arguments)...);
    }

    template <class F, class... Arguments>
        requires std::is_invocable_v<F, Arguments...>
    auto call(const Launch& launch, F&& function, Arguments&&... arguments) const {
        using T = std::remove_cvref_t<std::invoke_result_t<F, Arguments...>>;
        static_assert(process::Returnable<T>,
                      "a function in a worker returns void, a trivially copyable type without "
                      "pointers, a string, or a vector of either");
        const auto body = [&](process::ResultArea& area) noexcept {
            using State = process::ResultArea::State;
            area.header().state = guarded(area, [&] {
                if constexpr (std::is_void_v<T>) {
                    std::forward<F>(function)(std::forward<Arguments>(arguments)...);
                    return State::returned;
                } else {
                    const T value = std::forward<F>(function)(std::forward<Arguments>(arguments)...);
                    return process::ResultWriter{area}.write(value) ? State::returned : State::too_large;
                }
            });
        };
        process::ResultArea area{most_result_};
        return read<T>(run_forked(launch, area, body), area);
    }

private:
    static supervise::Ending watch(process::Order& order, process::Child& child,
                                   const supervise::Watch::Settings& settings,
                                   supervise::Watch::Clock::time_point start) noexcept {
        order.close_worker_ends();
        return supervise::Watch{std::move(child), start, settings}.run();
    }

    OutcomeMaker make_outcome(process::Order& order, process::Child& child, const Launch& launch,
                              supervise::Watch::Clock::time_point start, std::string name) const {
        return OutcomeMaker{watch(order, child, detail::watch_settings(confinement_, launch), start), std::move(name),
                            confinement_.limits()};
    }

    template <class Body>
    Outcome run_forked(const Launch& launch, process::ResultArea& area, const Body& body) const {
        detail::refuse_pipes(launch);
        process::Child child;
        process::Order order = process::Order::function(confinement_, launch, child);
        const auto start = supervise::Watch::Clock::now();
        process::start_function(order.plan(), area, child, body);
        return make_outcome(order, child, launch, start, "the function").function(area);
    }

    /// Runs in the worker.
    template <class Body>
    static process::ResultArea::State guarded(process::ResultArea& area, const Body& body) noexcept {
        using State = process::ResultArea::State;
        try {
            return body();
        } catch (const std::bad_alloc&) {
            return State::out_of_memory;
        } catch (const std::exception& exception) {
            return tell(area, exception.what());
        } catch (...) {
            return tell(area, "something that is no std::exception");
        }
    }

    static process::ResultArea::State tell(process::ResultArea& area, std::string_view message) noexcept {
        area.header().size = 0;
        const std::size_t room = area.capacity();
        process::ResultWriter{area}.bytes(message.data(), message.size() < room ? message.size() : room);
        return process::ResultArea::State::threw;
    }

    template <class T>
    static Result<T> read(Outcome outcome, process::ResultArea& area) {
        if constexpr (std::is_void_v<T>) {
            return Result<T>{std::move(outcome)};
        } else {
            std::optional<T> value;
            if (outcome) value = process::read_result<T>(area.data(), area.header().size);
            if (outcome && !value) OutcomeMaker::garble(outcome, "its result is no value of the function's type");
            return Result<T>{std::move(outcome), std::move(value)};
        }
    }

    process::Confinement confinement_;
    std::size_t most_result_;
};

}  // namespace sysguard
