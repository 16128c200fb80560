#pragma once

#include "../policy/tasks.hpp"
#include "../policy/view.hpp"
#include "../process/child.hpp"
#include "../process/detail/courier.hpp"
#include "../process/session.hpp"
#include "../process/stdio.hpp"
#include "ending.hpp"
#include "listener.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <new>
#include <optional>
#include <utility>

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise {

/// Watches one worker from its start to its end, in the thread that calls `run`: answers the calls that its filter
/// sends to the host, collects its output, keeps its time, and when it ends or is ended kills what is left of it and
/// reaps it.
class Watch {
public:
    using Clock = std::chrono::steady_clock;

    struct Settings {
        policy::View policy{};  ///< what the filter was made from
        std::optional<std::chrono::milliseconds> wall{};
        policy::Tasks tasks{};                     ///< it may have started others: its whole session goes
        std::optional<std::size_t> most_output{};  ///< of bytes to collect
        std::optional<std::size_t> most_error{};
        int stop_fd = -1;  ///< readable when the worker is to be stopped
    };

    Watch(process::Child&& child, Clock::time_point started, const Settings& settings) noexcept
        : child_{std::move(child)}, settings_{settings}, started_{started} {
        ending_.failure = child_.failure;
        if (child_.listener && !listener_.open(std::move(child_.listener))) end(ending_.stopped);
    }

    /// Returns when the worker and all of its session are gone.
    Ending run() noexcept {
        if (child_.started()) {
            while (!wait_for_news()) {
            }
            finish();
        }
        ending_.wall = Clock::now() - started_;
        return std::move(ending_);
    }

private:
    enum Source { first_process, calls, hand_over, output, error, stop, source_count };

    bool is_ending() const noexcept { return ending_.timed_out || ending_.stopped || ending_.violation.has_value(); }

    /// Returns whether the first process has ended.
    bool wait_for_news() noexcept {
        pollfd sources[source_count] = {};
        sources[first_process].fd = child_.pidfd.get();
        sources[calls].fd = listener_.fd();
        sources[hand_over].fd = child_.channel.get();
        sources[output].fd = settings_.most_output ? child_.output.get() : -1;
        sources[error].fd = settings_.most_error ? child_.error.get() : -1;
        sources[stop].fd = is_ending() ? -1 : settings_.stop_fd;
        for (pollfd& source : sources) source.events = POLLIN;
        if (::poll(sources, source_count, milliseconds_left()) < 0 && errno != EINTR) {
            end(ending_.stopped);  // the host has no memory to poll with: nothing can be watched
            return true;
        }
        if (sources[hand_over].revents != 0) take_listener();
        if ((sources[calls].revents & POLLIN) != 0)
            answer_call();
        else if (sources[calls].revents != 0)
            listener_.close();  // nobody uses the filter any more, and the hang-up would not cease
        if (sources[output].revents != 0) collect(child_.output, ending_.output, *settings_.most_output);
        if (sources[error].revents != 0) collect(child_.error, ending_.error, *settings_.most_error);
        if (sources[stop].revents != 0) end(ending_.stopped);
        if (!is_ending() && settings_.wall && elapsed() >= *settings_.wall) end(ending_.timed_out);
        return sources[first_process].revents != 0;
    }

    std::chrono::milliseconds elapsed() const noexcept {
        return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_);
    }

    int milliseconds_left() const noexcept {
        if (is_ending() || !settings_.wall) return -1;
        const auto left = (*settings_.wall - elapsed()).count();
        constexpr long long most = 1'000'000'000;
        return static_cast<int>(left < 0 ? 0 : left < most ? left : most);
    }

    void end(bool& reason) noexcept {
        reason = true;
        child_.kill();
    }

    void take_listener() noexcept {
        process::Descriptor received[process::detail::HandOver::most];
        int count = process::detail::receive_descriptors(child_.channel.get(), received);
        child_.channel.reset();
        if (count > 0 && !listener_.open(std::move(received[0]))) count = -1;
        if (count < 0) end(ending_.stopped);  // its calls would wait for ever
    }

    void answer_call() noexcept {
        const seccomp_notif* const call = listener_.receive();
        if (call == nullptr) return;
        std::uint64_t arguments[abi::max_arguments];
        for (int i = 0; i < abi::max_arguments; ++i) arguments[i] = call->data.args[i];
        const bool native = call->data.arch == abi::audit_architecture(abi::native_abi);
        const Decision decision =
            native ? policy::decide(settings_.policy, call->data.nr, arguments) : settings_.policy.foreign;
        if (decision.action == Action::fake) {
            listener_.answer(call->id, decision.value, 0);
            return;
        }
        if (is_ending()) return;  // it is being killed already, and stays where it is
        Violation violation;
        violation.number = call->data.nr;
        violation.architecture = call->data.arch;
        for (int i = 0; i < abi::max_arguments; ++i) violation.arguments[i] = arguments[i];
        violation.instruction_pointer = call->data.instruction_pointer;
        violation.thread = static_cast<pid_t>(call->pid);
        ending_.violation = violation;
        child_.kill();
    }

    /// Takes what is there, and of that keeps no more than was asked for.
    static void collect(process::Descriptor& pipe, Captured& captured, std::size_t most) noexcept {
        char buffer[65536];
        const ssize_t bytes = ::read(pipe.get(), buffer, sizeof buffer);
        if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (bytes <= 0) {
            pipe.reset();
            return;
        }
        const auto got = static_cast<std::size_t>(bytes);
        const std::size_t room = most - captured.text.size();
        const std::size_t kept = got < room ? got : room;
        try {
            captured.text.append(buffer, kept);
            captured.dropped += got - kept;
        } catch (const std::bad_alloc&) {
            captured.dropped += got;
        }
    }

    /// What is still in a pipe, as much as a pipe can hold: somebody may still be writing.
    static void drain(process::Descriptor& pipe, Captured& captured, std::optional<std::size_t> most) noexcept {
        const std::size_t before = captured.text.size() + captured.dropped;
        constexpr std::size_t largest_pipe = 1 << 20;
        while (pipe && most && captured.text.size() + captured.dropped - before < largest_pipe) {
            pollfd source{pipe.get(), POLLIN, 0};
            if (::poll(&source, 1, 0) <= 0) return;
            collect(pipe, captured, *most);
        }
    }

    void finish() noexcept {
        if (settings_.tasks.processes) process::kill_session(child_.pid, settings_.tasks.groups);
        drain(child_.output, ending_.output, settings_.most_output);
        drain(child_.error, ending_.error, settings_.most_error);
        ending_.status = child_.wait();
    }

    process::Child child_;
    Settings settings_;
    Clock::time_point started_;
    Listener listener_;
    Ending ending_{};
};

}  // namespace sysguard::supervise
