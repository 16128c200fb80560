#pragma once

#include "../policy/tasks.hpp"
#include "../process/child.hpp"
#include "../process/limits.hpp"
#include "../process/session.hpp"
#include "ending.hpp"
#include "line.hpp"
#include "performance.hpp"
#include "rulebook.hpp"
#include "turn.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <poll.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise {

class Supervisor;

/// One worker, from its start to its end: what the host knows of it, and what is to be done for it. A supervisor serves
/// it. All of it, but for what is said otherwise, is the supervisor's.
class Watch {
public:
    using Clock = Desk::Clock;

    struct Settings {
        const Rulebook* rules = nullptr;  ///< what the filter was made from; borrowed
        std::optional<TimeLimit> wall{};
        std::optional<TimeLimit> cpu{};            ///< of all its processes together, where it has a cgroup
        policy::Tasks tasks{};                     ///< it may have started others: its whole session goes
        std::optional<std::size_t> most_output{};  ///< of bytes to collect
        std::optional<std::size_t> most_error{};
        std::size_t most_read = std::size_t{1} << 20;  ///< bytes of one buffer of a call
        int ruleset = -1;                              ///< of Landlock; borrowed; -1: none
        Witness* witness = nullptr;                    ///< borrowed
        std::uint32_t* ended = nullptr;                ///< futex: one more when it has finished; borrowed
        /// Futex, in memory that the worker has too: becomes `Watch::ended` just before it has finished; borrowed.
        std::uint32_t* ended_in_shared_memory = nullptr;
    };

    Watch(process::Child&& child, Clock::time_point started, const Settings& settings) noexcept
        : child_{std::move(child)}, settings_{settings}, started_{started} {
        ending_.failure = child_.failure;
        for (int i = 0; i < Source::of_a_watch; ++i) sources_[i] = {this, static_cast<Source::Kind>(i)};
        if (child_.started()) return;
        child_.cgroup.remove();
        finished_ = 1;
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    static constexpr std::uint32_t ended = ~0U;

    /// Whether the worker and all of its session are gone. Any thread may ask.
    bool is_finished() const noexcept { return __atomic_load_n(&finished_, __ATOMIC_ACQUIRE) != 0; }

    /// Waits for that, in a thread that does not serve, no longer than to `end`. Returns whether it has finished.
    bool wait_until_finished(Clock::time_point end = Clock::time_point::max()) const noexcept {
        while (!is_finished()) {
            const Clock::time_point now = Clock::now();
            if (end <= now) return false;
            const auto time = std::chrono::nanoseconds{end - now}.count();
            const timespec left{time / 1'000'000'000, time % 1'000'000'000};
            wait_while(finished_, 0, &left);
        }
        return true;
    }

    /// What became of it, when it has finished.
    Ending take_ending() noexcept {
        if (ending_.failure.step != process::Step::none) ending_.wall = Clock::now() - started_;
        return std::move(ending_);
    }

private:
    friend class Supervisor;

    static constexpr int most_performances = 64;

    bool is_ending() const noexcept {
        return ending_.timed_out || ending_.used_up || ending_.stopped || ending_.violation.has_value() ||
               ending_.supervision_error != 0;
    }

    bool is_out_of_time(Clock::time_point now) const noexcept {
        return settings_.wall && now - started_ >= settings_.wall->time();
    }

    /// Whether it has used up its processor time. Where not, it cannot have before `next_look_`.
    bool is_out_of_cpu(Clock::time_point now) noexcept {
        if (!settings_.cpu || !child_.cgroup || now < next_look_) return false;
        const auto most = std::chrono::duration_cast<std::chrono::nanoseconds>(settings_.cpu->time()).count();
        const std::int64_t left = most - static_cast<std::int64_t>(child_.cgroup.processor_time()) * 1000;
        if (left <= 0) return true;
        const std::int64_t soonest = left / ::sysconf(_SC_NPROCESSORS_ONLN);
        constexpr std::int64_t pause = 2'000'000;
        next_look_ = now + std::chrono::nanoseconds{soonest > pause ? soonest : pause};
        return false;
    }

    void end(bool& reason) noexcept {
        if (is_ending()) return;
        reason = true;
        child_.kill();
    }

    /// A worker whose calls nobody answers would wait for ever.
    void give_up(int reason) noexcept {
        if (!is_ending()) ending_.supervision_error = reason;
        child_.kill();
    }

    /// Makes the listener, where there is one, a line. Returns 0 or an errno.
    int open_line(Desk& desk) noexcept {
        if (!child_.listener) return 0;
        Line* const line = new (std::nothrow) Line;
        if (line == nullptr) return ENOMEM;
        line_ = LineShare{line};
        line->worker = line->session = child_.pid;
        line->most_read = settings_.most_read;
        line->ruleset = settings_.ruleset;
        line->witness = settings_.witness;
        line->policy = &settings_.rules->policy();
        line->desk = &desk;
        line->watch = this;
        return line->listener.open(std::move(child_.listener));
    }

    void violate(const Pending& call, std::string&& text, std::string&& mapping) noexcept {
        if (is_ending()) return;  // it is being killed already
        Violation violation;
        violation.number = call.number_in_abi;
        violation.architecture = call.architecture;
        for (int i = 0; i < abi::max_arguments; ++i) violation.arguments[i] = call.arguments[i];
        violation.instruction_pointer = call.instruction_pointer;
        violation.thread = call.thread;
        violation.process = process_of(call.thread);
        violation.call = std::move(text);
        violation.mapping = std::move(mapping);
        ending_.violation = std::move(violation);
        child_.kill();
    }

    /// Takes what is there, and of that keeps no more than was asked for. Returns whether there may be more.
    static bool collect(process::Descriptor& pipe, Captured& captured, std::size_t most) noexcept {
        char buffer[65536];
        const ssize_t bytes = ::read(pipe.get(), buffer, sizeof buffer);
        if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return true;
        if (bytes <= 0) return false;
        const auto got = static_cast<std::size_t>(bytes);
        const std::size_t room = most - captured.text.size();
        const std::size_t kept = got < room ? got : room;
        try {
            captured.text.append(buffer, kept);
            captured.dropped += got - kept;
        } catch (const std::bad_alloc&) {
            captured.dropped += got;
        }
        return true;
    }

    /// What is still in a pipe, as much as a pipe can hold: somebody may still be writing.
    static void drain(process::Descriptor& pipe, Captured& captured, std::optional<std::size_t> most) noexcept {
        const std::size_t before = captured.text.size() + captured.dropped;
        constexpr std::size_t largest_pipe = 1 << 20;
        while (pipe && most && captured.text.size() + captured.dropped - before < largest_pipe) {
            pollfd source{pipe.get(), POLLIN, 0};
            if (::poll(&source, 1, 0) <= 0) return;
            if (!collect(pipe, captured, *most)) pipe.reset();
        }
    }

    /// Kills what is left of the worker and of what is done for it, and reaps it. May take long.
    void clear_away(Performance* performances) noexcept {
        child_.cgroup.kill();
        if (settings_.tasks.processes) process::kill_session(child_.pid, settings_.tasks.groups);
        child_.cgroup.empty();
        while (performances != nullptr) delete std::exchange(performances, performances->next);
        drain(child_.output, ending_.output, settings_.most_output);
        drain(child_.error, ending_.error, settings_.most_error);
        if (settings_.tasks.processes || process::adopts_orphans()) process::reap_members(child_.pid);
        child_.guard.stop();
        ending_.status = child_.wait();
        ending_.cgroup = child_.cgroup.figures();
        child_.cgroup.remove();
        ending_.wall = Clock::now() - started_;
    }

    process::Child child_;
    Settings settings_;
    Clock::time_point started_;
    LineShare line_{};
    Ending ending_{};
    Source sources_[Source::of_a_watch]{};

    Watch* next_ = nullptr;              ///< in the supervisor's list
    Performance* performing_ = nullptr;  ///< list
    Performance* waiting_ = nullptr;     ///< list, the next one first
    int performing_count_ = 0;
    Clock::time_point next_look_{};  ///< at its processor time
    bool is_clearing_ = false;
    std::uint32_t finished_ = 0;
};

}  // namespace sysguard::supervise
