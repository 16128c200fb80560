#pragma once

#include "detail/core.hpp"
#include "detail/outcome_maker.hpp"
#include "outcome.hpp"
#include "policy.hpp"
#include "process/options.hpp"
#include "process/order.hpp"
#include "process/result_codec.hpp"
#include "process/start_function.hpp"
#include "process/start_program.hpp"
#include "supervise/deferred.hpp"
#include "worker.hpp"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __GLIBCXX__
#include <bits/cxxabi_forced.h>  // not <cxxabi.h>: that takes the name ::abi from the host's own code
#endif

namespace sysguard {

namespace detail {
struct Inside;
}  // namespace detail

/// Runs code that is not trusted in processes of its own, under a policy. Immutable: any number of threads may use one
/// at a time. What happens to a worker is its `Outcome`; `Error` is thrown for what the host got wrong and for a
/// machine that refuses.
///
/// A worker has a session of its own, no descriptors but those it is given, and no core dumps. It dies with the host:
/// at the latest when the thread that started it ends. When it ends, whatever else it started is killed, but for what
/// has left its session, where the policy allows setsid and there is no cgroup (`Options::cgroup`). The policy decides
/// over everything that it does, with two exceptions: it may always end itself (exit, exit_group, abort), and the
/// program that it starts with is executed whatever the policy says of execve.
class Sandbox {
public:
    /// Of a `Policy`, or a `DynamicPolicy`, it keeps copies of what it needs. Throws `Error`: ENOTSUP where a limit
    /// cannot be kept, EINVAL where it is none, E2BIG where the filter has no room for what a worker needs to start.
    /// Linux 5.7.
    template <class AnyPolicy>
        requires requires(const AnyPolicy& policy) { policy.context(); }
    explicit Sandbox(const AnyPolicy& of_workers, const Options& options = {})
        : core_{new detail::Core{of_workers.view(), of_workers.program(), options, of_workers.context()}},
          most_result_{options.most_result} {}

    /// Runs a program to its end, or to its wall-clock limit. `command` is its path, taken as it stands, and its
    /// arguments. Throws `Error` for a command or a launch that cannot be: EINVAL, EBADF, EMFILE. Uses 64 KiB of stack.
    Outcome run(std::vector<std::string> command, const Launch& launch = {}) const {
        detail::refuse_pipes(launch);
        std::string name = command.empty() ? "" : command.front();
        process::Child child;
        process::Order order = process::Order::program(core_->confinement(), std::move(command), launch, child);
        supervise::Supervisor supervisor;  // after the launch has been looked at: its descriptors are not the host's
        detail::Core::open(supervisor);
        const auto start = supervise::Watch::Clock::now();
        process::start_program(order.plan(), child);
        order.finish_start();
        return make_outcome(supervisor, child, launch, start, std::move(name)).program();
    }

    /// Starts a program. One thread of the sandbox's own serves all its workers that run at a time, or the host's event
    /// loop does. Errors are those of `run`.
    Worker spawn(std::vector<std::string> command, const Launch& launch = {}) const {
        return Worker::start(core_, std::move(command), launch);
    }

    /// For a host with an event loop: a descriptor that is readable (poll(2), epoll(7)) when there is something to
    /// `dispatch`. From the first call on, no thread serves the workers that `spawn` starts. Throws `Error`: EBUSY
    /// where one does already.
    int event_fd() const { return core_->embed().fd(); }

    /// Does what there is to do for spawned workers, without waiting for anything but handlers. Returns whether there
    /// was something. To be called by the one thread that also spawns and destroys the workers.
    bool dispatch() const { return core_->embed().dispatch(); }

    /// Runs a function in a fork of the host, to its end, and brings back what it returns (`process::Returnable`) or
    /// the message of what it throws. The function sees a copy of the host's memory, and none of its descriptors.
    /// Errors are those of `run`.
    template <class F, class... Arguments>
        requires std::is_invocable_v<F, Arguments...>
    auto call(F&& function, Arguments&&... arguments) const {
        return call(Launch{}, std::forward<F>(function), std::forward<Arguments>(arguments)...);
    }

    /// The same, with streams, descriptors and a directory.
    template <class F, class... Arguments>
        requires std::is_invocable_v<F, Arguments...>
    auto call(const Launch& launch, F&& function, Arguments&&... arguments) const {
        using T = std::remove_cvref_t<std::invoke_result_t<F, Arguments...>>;
        static_assert(
            process::Returnable<T>,
            "a function in a worker returns void, a string, numbers, enums, and arrays, optionals, structs and "
            "the like of these, or a vector; no pointers, and nothing that could hold one: see "
            "process::Returnable and, for classes of yours, process::holds_no_pointers");
        const auto body = [&](process::ResultArea& area) noexcept {
            using State = process::ResultArea::State;
            area.header().state =
                guarded([&](std::string_view message) noexcept { return tell(area, message); },
                        [&] {
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
        std::uint64_t size = 0;
        Outcome outcome = run_forked(launch, area, body, size);
        return read<T>(std::move(outcome), area, size);
    }

private:
    friend class RunningPipeline;
    friend struct detail::Inside;

    detail::OutcomeMaker make_outcome(supervise::Supervisor& supervisor, process::Child& child, const Launch& launch,
                                      supervise::Watch::Clock::time_point start, std::string name) const {
        supervise::Watch watch{std::move(child), start, core_->watch_settings(launch)};
        supervisor.add(watch);
        supervisor.run(watch);
        return detail::OutcomeMaker{watch.take_ending(), std::move(name), core_->confinement()};
    }

    template <class Body>
    Outcome run_forked(const Launch& launch, process::ResultArea& area, const Body& body, std::uint64_t& size) const {
        detail::refuse_pipes(launch);
        process::Child child;
        process::Order order = process::Order::function(core_->confinement(), launch, child);
        supervise::Supervisor supervisor;
        detail::Core::open(supervisor);
        const auto start = supervise::Watch::Clock::now();
        process::start_function(order.plan(), area, child, body);
        const std::uint64_t proof = order.plan().pass;
        order.finish_start();
        detail::OutcomeMaker maker = make_outcome(supervisor, child, launch, start, "the function");
        const process::ResultArea::Header header = area.read_header();
        size = header.size;
        return std::move(maker).function(header, area, proof);
    }

    /// Runs in the worker. `tell` gets the message of an exception.
    template <class Tell, class Body>
    static process::ResultArea::State guarded(const Tell& tell, const Body& body) noexcept {
        using State = process::ResultArea::State;
        try {
            return body();
        } catch (const std::bad_alloc&) {
            return State::out_of_memory;
        } catch (const std::exception& exception) {
            return tell(exception.what());
#ifdef __GLIBCXX__
        } catch (const __cxxabiv1::__forced_unwind&) {
            // pthread_exit: further up there is only the host, whose destructors must not run here. Threads that the
            // function started go on; the last one ends the process.
            ::fflush(stdout);
            ::syscall(SYS_exit, 0);
            __builtin_unreachable();
#endif
        } catch (...) {
            return tell("something that is no std::exception");
        }
    }

    static process::ResultArea::State tell(process::ResultArea& area, std::string_view message) noexcept {
        area.header().size = 0;
        const std::size_t room = area.capacity();
        process::ResultWriter{area}.bytes(message.data(), message.size() < room ? message.size() : room);
        return process::ResultArea::State::threw;
    }

    template <class T>
    static Result<T> read(Outcome outcome, process::ResultArea& area, std::size_t size) {
        if constexpr (std::is_void_v<T>) {
            return Result<T>{std::move(outcome)};
        } else {
            try {
                std::optional<T> value = outcome ? process::read_result<T>(area.data(), size) : std::nullopt;
                if (outcome && !value)
                    detail::OutcomeMaker::garble(outcome, "its result is no value of the function's type");
                return Result<T>{std::move(outcome), std::move(value)};
            } catch (const std::bad_alloc&) {
                detail::OutcomeMaker::garble(outcome, "the host has no memory for its result");
                return Result<T>{std::move(outcome), std::nullopt};
            }
        }
    }

    detail::CoreShare core_;
    std::size_t most_result_;
};

}  // namespace sysguard
