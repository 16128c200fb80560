#pragma once

#include "detail/outcome_maker.hpp"
#include "detail/supervision.hpp"
#include "outcome.hpp"
#include "process/confinement.hpp"
#include "process/descriptor.hpp"
#include "process/order.hpp"
#include "process/start_program.hpp"
#include "supervise/watch.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace sysguard {

/// A program that runs under a policy while the host goes on: a thread of the host's starts it, watches it and keeps
/// its time. Destroying a worker stops it. Movable. One thread at a time may use it.
class Worker {
public:
    Worker(Worker&& other) noexcept : state_{std::exchange(other.state_, nullptr)} {}
    Worker& operator=(Worker&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~Worker() {
        if (state_ == nullptr) return;
        stop();
        delete state_;
    }

    /// Its process id in the host; -1 where it could not start.
    pid_t pid() const noexcept { return state_->pid; }

    /// The host's ends of pipes (`Stdio::pipe()`): what is written to `input` it reads. `reset()` closes one.
    process::Descriptor& input() noexcept { return state_->input; }
    process::Descriptor& output() noexcept { return state_->output; }
    process::Descriptor& error() noexcept { return state_->error; }

    /// Waits for its end.
    const Outcome& wait() noexcept {
        wait_until_finished(-1);
        return state_->outcome;
    }

    /// Waits for its end, but no longer than `time`. Returns whether it has ended.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> time) noexcept {
        const auto end = std::chrono::steady_clock::now() + time;
        for (;;) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
            constexpr long long most = 1'000'000'000;
            if (wait_until_finished(static_cast<int>(left < 0 ? 0 : left < most ? left : most))) return true;
            if (left <= 0) return false;
        }
    }

    /// Kills it, with all that it started, and waits for its end. One that has ended keeps its outcome.
    const Outcome& stop() noexcept {
        ring(state_->stop);
        return wait();
    }

private:
    friend class Sandbox;

    /// What the worker's thread and the host share: the thread writes all of it before it rings `started`, and the
    /// outcome before it rings `finished`.
    struct State {
        State(const process::Confinement& shared, std::vector<std::string> command, const Launch& launch)
            : confinement{shared},
              name{command.empty() ? "" : command.front()},
              settings{detail::watch_settings(confinement, launch)},
              order{process::Order::program(confinement, std::move(command), launch, child)} {
            settings.stop_fd = stop.get();
        }

        process::Confinement confinement;
        std::string name;
        process::Child child{};
        supervise::Watch::Settings settings;
        process::Order order;
        process::Descriptor stop{::eventfd(0, EFD_CLOEXEC)};
        process::Descriptor started{::eventfd(0, EFD_CLOEXEC)};
        process::Descriptor finished{::eventfd(0, EFD_CLOEXEC)};
        process::Descriptor input{};
        process::Descriptor output{};
        process::Descriptor error{};
        pid_t pid = -1;
        pthread_t thread{};
        bool joined = false;
        Outcome outcome{};
    };

    explicit Worker(State* state) noexcept : state_{state} {}

    static Worker start(const process::Confinement& confinement, std::vector<std::string> command,
                        const Launch& launch) {
        auto state = std::make_unique<State>(confinement, std::move(command), launch);
        if (!state->stop || !state->started || !state->finished) throw Error{EMFILE, "make an eventfd"};
        {
            const process::detail::SignalsBlocked blocked;  // the host's handlers are not for the thread
            const int error = ::pthread_create(&state->thread, nullptr, supervise_worker, state.get());
            if (error != 0) throw Error{error, "start the thread that watches a worker"};
        }
        wait_for_bell(state->started, -1);
        return Worker{state.release()};
    }

    static void* supervise_worker(void* argument) noexcept {
        State& state = *static_cast<State*>(argument);
        const auto start = supervise::Watch::Clock::now();
        process::start_program(state.order.plan(), state.child);
        state.order.close_worker_ends();
        state.pid = state.child.pid;
        state.input = std::move(state.child.input);
        if (!state.settings.most_output) state.output = std::move(state.child.output);
        if (!state.settings.most_error) state.error = std::move(state.child.error);
        ring(state.started);
        supervise::Watch watch{std::move(state.child), start, state.settings};
        supervise::Ending ending = watch.run();
        try {
            state.outcome = OutcomeMaker{std::move(ending), state.name, state.confinement.limits()}.program();
        } catch (const std::bad_alloc&) {
            state.name.clear();  // what is left is an outcome that says that its story is lost
        }
        ring(state.finished);
        return nullptr;
    }

    static void ring(const process::Descriptor& bell) noexcept {
        const std::uint64_t one = 1;
        while (::write(bell.get(), &one, sizeof one) < 0 && errno == EINTR) {
        }
    }

    static bool wait_for_bell(const process::Descriptor& bell, int milliseconds) noexcept {
        pollfd source{bell.get(), POLLIN, 0};
        int ready = 0;
        do {
            ready = ::poll(&source, 1, milliseconds);
        } while (ready < 0 && errno == EINTR && milliseconds < 0);
        return ready > 0;
    }

    bool wait_until_finished(int milliseconds) noexcept {
        if (state_->joined) return true;
        if (!wait_for_bell(state_->finished, milliseconds)) return false;
        ::pthread_join(state_->thread, nullptr);
        state_->joined = true;
        return true;
    }

    State* state_;
};

}  // namespace sysguard
