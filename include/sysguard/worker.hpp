#pragma once

#include "abi/take.hpp"
#include "detail/core.hpp"
#include "detail/outcome_maker.hpp"
#include "outcome.hpp"
#include "process/descriptor.hpp"
#include "process/order.hpp"
#include "process/signals.hpp"
#include "process/start_program.hpp"
#include "supervise/supervisor.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace sysguard {

/// A program that runs under a policy while the host goes on: a supervisor starts it, answers its calls and keeps its
/// time. Destroying a worker stops it. Movable; one that was moved from may be assigned to and destroyed. One
/// thread at a time may use it.
class [[nodiscard]] Worker {
public:
    Worker(Worker&& other) noexcept : state_{abi::take(other.state_)} {}
    Worker& operator=(Worker&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~Worker() {
        if (state_ == nullptr) return;
        stop();
        delete state_;
    }

    /// Its process id in the host; -1 where it could not start. When it has ended, the id may be another's.
    pid_t pid() const noexcept { return state_->pid; }

    /// The host's ends of pipes (`Stdio::pipe()`): what is written to `input` it reads. `reset()` closes one. Writing
    /// to the pipe of a worker that has ended raises SIGPIPE, as for any pipe: `write` does not.
    process::Descriptor& input() noexcept { return state_->input; }
    process::Descriptor& output() noexcept { return state_->output; }
    process::Descriptor& error() noexcept { return state_->error; }

    /// Writes all of `bytes` to `input`; waits where it is full. Returns whether that succeeded: no where the worker
    /// reads no more. Unlike write(2) of a pipe, it never raises SIGPIPE.
    bool write(std::string_view bytes) noexcept {
        const process::PipeSignalHeld held;
        while (!bytes.empty()) {
            const ssize_t written = ::write(state_->input.get(), bytes.data(), bytes.size());
            if (written < 0 && errno != EINTR) return false;
            if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
        }
        return true;
    }

    /// Waits for its end. One with a full pipe for output that nobody reads does not end. Where the host's event loop
    /// serves, this serves meanwhile.
    const Outcome& wait() noexcept {
        wait_until(Clock::time_point::max());
        return state_->outcome;
    }

    /// Waits for its end, but no longer than `time`. Returns whether it has ended.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> time) noexcept {
        return wait_until(after(time));
    }

    /// Kills it, with all that it started, and waits for its end. One that has ended keeps its outcome.
    const Outcome& stop() noexcept {
        if (state_->supervisor != nullptr) state_->supervisor->stop(*state_->watch);
        return wait();
    }

private:
    friend class Sandbox;
    friend class RunningPipeline;

    using Clock = supervise::Watch::Clock;

    /// So long from now, thirty years at most; now, where that is negative.
    template <class Rep, class Period>
    static Clock::time_point after(std::chrono::duration<Rep, Period> time) noexcept {
        const double seconds = std::chrono::duration<double>{time}.count();  // holds any duration
        constexpr double most = 1e9;
        const double bounded = seconds < 0 ? 0 : seconds < most ? seconds : most;
        return Clock::now() + std::chrono::nanoseconds{static_cast<std::int64_t>(bounded * 1e9 + 1)};
    }

    struct State {
        State(const detail::CoreShare& shared, std::vector<std::string> command, const Launch& launch)
            : core{shared},
              name{command.empty() ? "" : command.front()},
              settings{core->watch_settings(launch)},
              order{process::Order::program(core->confinement(), std::move(command), launch, child)} {}
        State(const State&) = delete;
        State& operator=(const State&) = delete;
        ~State() {
            if (watch != nullptr) watch->~Watch();
        }

        bool is_embedded() const noexcept { return !is_lent && core->is_embedded(); }

        detail::CoreShare core;
        std::string name;
        process::Child child{};
        supervise::Watch::Settings settings;
        process::Order order;
        supervise::Supervisor* supervisor = nullptr;  ///< while it serves
        bool is_lent = false;                         ///< the supervisor: it is not the core's
        supervise::Watch* watch = nullptr;            ///< in its room, once the worker has started
        alignas(supervise::Watch) char room_for_watch[sizeof(supervise::Watch)];
        std::uint32_t started = 0;  ///< futex
        process::Descriptor input{};
        process::Descriptor output{};
        process::Descriptor error{};
        pid_t pid = -1;
        Outcome outcome{};
    };

    /// Starts the worker in the thread that serves: it dies with the thread that starts it.
    struct Start final : supervise::Supervisor::Errand {
        explicit Start(State& of) noexcept : state{of} {}

        void run() noexcept override {
            State& own = state;  // this errand may be gone as soon as the worker has started
            const auto start = Clock::now();
            process::start_program(own.order.plan(), own.child);
            own.order.finish_start();
            own.pid = own.child.pid;
            own.input = std::move(own.child.input);
            if (!own.settings.most_output) own.output = std::move(own.child.output);
            if (!own.settings.most_error) own.error = std::move(own.child.error);
            own.watch = new (own.room_for_watch) supervise::Watch{std::move(own.child), start, own.settings};
            own.supervisor->add(*own.watch);
            __atomic_store_n(&own.started, 1U, __ATOMIC_RELEASE);
            supervise::wake_all(own.started);
        }

        State& state;
    };

    explicit Worker(State* state) noexcept : state_{state} {}

    /// `lent`: a supervisor with a thread of its own that is to serve instead of the core's. `ended`: see
    /// `Watch::Settings`.
    static Worker start(const detail::CoreShare& core, std::vector<std::string> command, const Launch& launch,
                        supervise::Supervisor* lent = nullptr, std::uint32_t* ended = nullptr) {
        Worker worker{new State{core, std::move(command), launch}};
        State& state = *worker.state_;
        state.settings.ended = ended;
        state.is_lent = lent != nullptr;
        state.supervisor = state.is_lent ? lent : &core->join();
        Start errand{state};
        if (state.is_embedded())
            errand.run();
        else
            state.supervisor->post(errand);
        while (__atomic_load_n(&state.started, __ATOMIC_ACQUIRE) == 0) supervise::wait_while(state.started, 0);
        return worker;
    }

    bool wait_until(Clock::time_point end) noexcept {
        if (state_->supervisor == nullptr) return true;
        if (state_->is_embedded()) {
            while (!state_->watch->is_finished()) {
                pollfd events{state_->supervisor->fd(), POLLIN, 0};
                const auto left = std::chrono::nanoseconds{end - Clock::now()}.count() / 1'000'000 + 1;
                constexpr std::int64_t most = 1'000'000'000;
                ::poll(&events, 1, static_cast<int>(left < 0 ? 0 : left < most ? left : most));
                state_->supervisor->dispatch();
                if (Clock::now() >= end && !state_->watch->is_finished()) return false;
            }
        } else if (!state_->watch->wait_until_finished(end)) {
            return false;
        }
        finish();
        return true;
    }

    void finish() noexcept {
        try {
            state_->outcome =
                detail::OutcomeMaker{state_->watch->take_ending(), state_->name, state_->core->confinement()}.program();
        } catch (const std::bad_alloc&) {
            state_->name.clear();  // what is left is an outcome that says that its story is lost
        }
        state_->supervisor = nullptr;
        if (!state_->is_lent) state_->core->leave();
    }

    State* state_;
};

}  // namespace sysguard
