#pragma once

#include "abi/take.hpp"
#include "sandbox.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>
#include <csignal>
#include <ctime>

namespace sysguard {

/// One program of a pipeline, and the sandbox that it runs in.
struct Stage {
    Sandbox box;  ///< a share of it: a copy of a `Sandbox` is the same sandbox

    /// Its path, taken as it stands, and its arguments.
    std::vector<std::string> command;

    /// The first one's `input`, the last one's `output` and every one's `error` are as they are here. What connects the
    /// stages is the pipeline's: `output` of any but the last, and `input` of any but the first, stay as they are by
    /// themselves.
    Launch launch{};
};

/// What becomes of the other stages when one has failed: its outcome is false, and not for SIGPIPE alone, which any but
/// the last may get because what reads from it had enough.
enum class OnFailure : std::uint8_t {
    go_on,      ///< they go on: what reads from it finds the end of its input, what writes to it gets SIGPIPE or EPIPE
    stop_rest,  ///< they are stopped
};

/// A pipeline that runs: one thread of its own starts and serves its stages. Destroying it stops them all. Movable; one
/// that was moved from may be assigned to and destroyed. One thread at a time may use it.
class [[nodiscard]] RunningPipeline {
public:
    RunningPipeline(RunningPipeline&& other) noexcept : state_{abi::take(other.state_)} {}
    RunningPipeline& operator=(RunningPipeline&& other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~RunningPipeline() {
        if (state_ == nullptr) return;
        stop_stages();
        state_->workers.clear();
        detail::Core::end(state_->supervisor);
        delete state_;
    }

    std::size_t size() const noexcept { return state_->workers.size(); }

    /// Of one stage, in the host; -1 where it could not start. When it has ended, the id may be another's.
    pid_t pid(std::size_t stage) const noexcept { return state_->workers[stage].pid(); }

    /// The host's ends of pipes (`Stdio::pipe()`): to the first stage, from the last, and from any stage's standard
    /// error. See `Worker::input()`.
    process::Descriptor& input() noexcept { return state_->workers.front().input(); }
    process::Descriptor& output() noexcept { return state_->workers.back().output(); }
    process::Descriptor& error(std::size_t stage) noexcept { return state_->workers[stage].error(); }

    /// Writes all of `bytes` to `input`; see `Worker::write`.
    bool write(std::string_view bytes) noexcept { return state_->workers.front().write(bytes); }

    /// Waits until all stages have ended. Returns what became of them, in their order.
    const std::vector<Outcome>& wait() noexcept {
        wait_until(Clock::time_point::max());
        return state_->outcomes;
    }

    /// Waits for that, but no longer than `time`. Returns whether all have ended.
    template <class Rep, class Period>
    bool wait_for(std::chrono::duration<Rep, Period> time) noexcept {
        return wait_until(Worker::after(time));
    }

    /// Kills all stages, each with all that it started, and waits for their end. Those that have ended keep their
    /// outcomes.
    const std::vector<Outcome>& stop() noexcept {
        stop_stages();
        return wait();
    }

private:
    friend class Pipeline;

    using Clock = supervise::Watch::Clock;

    struct State {
        std::vector<Worker> workers{};
        std::vector<Outcome> outcomes{};
        std::vector<bool> has_ended{};
        std::size_t ended_count = 0;
        OnFailure on_failure = OnFailure::go_on;
        supervise::Supervisor* supervisor = nullptr;
        std::uint32_t ended = 0;  ///< futex
    };

    explicit RunningPipeline(State* state) noexcept : state_{state} {}

    /// A pipe between two stages. Each end is closed here as soon as the one that is to hold it has started.
    struct Pipe {
        Pipe() {
            int ends[2];
            if (::pipe2(ends, O_CLOEXEC) != 0) throw Error{errno, "make a pipe between two stages"};
            reading.reset(process::above_streams(ends[0]));
            writing.reset(process::above_streams(ends[1]));
            if (!reading || !writing) throw Error{errno, "make a pipe between two stages"};
        }

        process::Descriptor reading{};
        process::Descriptor writing{};
    };

    static RunningPipeline start(const std::vector<Stage>& stages, OnFailure on_failure) {
        for (const Stage& stage : stages)
            if (stage.box.core_->is_embedded())
                throw Error{EBUSY,
                            "start a pipeline: the host's event loop serves a stage's sandbox, and a thread of the "
                            "pipeline's own would call its handlers; make another Sandbox of that policy for it"};
        RunningPipeline running{new State};
        State& state = *running.state_;
        state.on_failure = on_failure;
        state.outcomes.resize(stages.size());
        state.has_ended.resize(stages.size());
        state.workers.reserve(stages.size());
        state.supervisor = detail::Core::begin();
        process::Descriptor from_last;
        for (const Stage& stage : stages) {
            Launch launch = stage.launch;
            process::Descriptor reading;
            process::Descriptor writing;
            if (from_last) launch.input = Stdio::from(from_last.get());
            if (&stage != &stages.back()) {
                Pipe pipe;
                reading = std::move(pipe.reading);
                writing = std::move(pipe.writing);
                launch.output = Stdio::from(writing.get());
            }
            state.workers.push_back(
                Worker::start(stage.box.core_, stage.command, launch, state.supervisor, &state.ended));
            from_last = std::move(reading);
        }
        return running;
    }

    void stop_stages() noexcept {
        for (Worker& worker : state_->workers)
            if (worker.state_->supervisor != nullptr) state_->supervisor->stop(*worker.state_->watch);
    }

    bool wait_until(Clock::time_point end) noexcept {
        for (;;) {
            const std::uint32_t seen = __atomic_load_n(&state_->ended, __ATOMIC_ACQUIRE);
            collect();
            if (state_->ended_count == size()) return true;
            const Clock::time_point now = Clock::now();
            if (end <= now) return false;
            const auto time = std::chrono::nanoseconds{end - now}.count();
            const timespec left{time / 1'000'000'000, time % 1'000'000'000};
            supervise::wait_while(state_->ended, seen, &left);
        }
    }

    /// Takes the outcomes of those that have ended since.
    void collect() noexcept {
        for (std::size_t i = 0; i < size(); ++i) {
            if (state_->has_ended[i] || !state_->workers[i].wait_until(Clock::time_point::min())) continue;
            state_->outcomes[i] = std::move(state_->workers[i].state_->outcome);
            state_->has_ended[i] = true;
            ++state_->ended_count;
            if (state_->on_failure == OnFailure::stop_rest && is_failure(i)) stop_stages();
        }
    }

    /// SIGPIPE says that the reader had enough, or has failed itself.
    bool is_failure(std::size_t stage) const noexcept {
        const Outcome& outcome = state_->outcomes[stage];
        const bool has_no_reader = outcome.kind() == Outcome::Kind::signalled && outcome.signal() == SIGPIPE;
        return !outcome && (!has_no_reader || stage + 1 == size());
    }

    State* state_;
};

/// Programs, each in a sandbox of its own or of several's, the standard output of each connected to the standard input
/// of the next by a pipe that nobody but these two holds. Immutable: any number of threads may run one at a time.
///
/// Stages start in their order and run at the same time. Every limit of a sandbox holds for each of its stages. When a
/// stage ends, by itself or not, or cannot start, what reads from it finds the end of its input, and what writes to it
/// gets SIGPIPE, or EPIPE; the exception is a stage that leaves somebody behind who holds its end (a policy that allows
/// setsid).
///
///     const sg::Pipeline pipeline{{unpacking, {"/bin/gzip", "-dc"}, {.input = sg::Stdio::from(fd)}},
///                                 {sorting, {"/usr/bin/sort"}, {.output = sg::Stdio::capture()}}};
///     for (const sg::Outcome& outcome : pipeline.run())
///         if (!outcome) std::puts(outcome.explain().c_str());
class Pipeline {
public:
    static constexpr std::size_t most_stages = 64;

    /// Throws `Error` (EINVAL): no stage or more than `most_stages`, an empty command, or `input` or `output` that is
    /// to be the pipeline's own.
    Pipeline(std::initializer_list<Stage> stages) : Pipeline{std::vector<Stage>(stages)} {}
    explicit Pipeline(std::vector<Stage> stages) : stages_{std::move(stages)} {
        if (stages_.empty() || stages_.size() > most_stages)
            throw Error{EINVAL, "make a pipeline: of 1 to " + std::to_string(most_stages) + " stages"};
        for (std::size_t i = 0; i < stages_.size(); ++i) {
            const std::string which = "make a pipeline: stage " + std::to_string(i);
            const Stage& stage = stages_[i];
            if (stage.command.empty() || stage.command.front().empty())
                throw Error{EINVAL, which + ": the command is empty"};
            if (i > 0 && stage.launch.input.kind() != Stdio::Kind::null)
                throw Error{EINVAL, which + ": its input is what the stage before it writes; leave it out"};
            if (i + 1 < stages_.size() && stage.launch.output.kind() != Stdio::Kind::inherited)
                throw Error{EINVAL, which + ": its output goes to the stage behind it; leave it out"};
        }
    }

    /// Runs all stages to their ends. Returns what became of them, in their order. Errors are those of `spawn`, and
    /// EINVAL for a pipe (`Stdio::pipe()`) to or from the host, which waits.
    std::vector<Outcome> run(OnFailure on_failure = OnFailure::go_on) const {
        for (const Stage& stage : stages_) detail::refuse_pipes(stage.launch);
        RunningPipeline running = spawn(on_failure);
        running.wait();
        return std::move(running.state_->outcomes);
    }

    /// Starts all stages. With `OnFailure::stop_rest`, failures are noticed while `wait` or `wait_for` waits. Throws
    /// `Error` for what `Sandbox::spawn` does, with what had started stopped, and EBUSY where the host's event loop
    /// serves one of the sandboxes (`Sandbox::event_fd`).
    RunningPipeline spawn(OnFailure on_failure = OnFailure::go_on) const {
        check_descriptors();
        return RunningPipeline::start(stages_, on_failure);
    }

private:
    /// Before a pipe could get the number of one that is not open.
    void check_descriptors() const {
        const auto check = [](int fd) {
            if (::fcntl(fd, F_GETFD) < 0) throw Error{errno, "pass descriptor " + std::to_string(fd) + " to a stage"};
        };
        for (const Stage& stage : stages_) {
            for (const Stdio* const stream : {&stage.launch.input, &stage.launch.output, &stage.launch.error})
                if (stream->kind() == Stdio::Kind::descriptor) check(stream->fd());
            for (const PassedDescriptor& passed : stage.launch.descriptors) check(passed.host);
        }
    }

    std::vector<Stage> stages_;
};

}  // namespace sysguard
