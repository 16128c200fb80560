#pragma once

#include "abi/errno_names.hpp"
#include "abi/error.hpp"
#include "abi/signal_names.hpp"
#include "process/layer.hpp"
#include "process/limits.hpp"
#include "supervise/decode.hpp"
#include "supervise/ending.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <csignal>

namespace sysguard {

namespace detail {
class OutcomeMaker;
}  // namespace detail

/// What a worker used. Figures are those of its first process and of all that this waited for (getrusage(2)), unless
/// they are said to be of all: in a cgroup (`Options::cgroup`), of every process that ever was in it.
struct Usage {
    std::chrono::nanoseconds wall{};
    std::chrono::microseconds user{};
    std::chrono::microseconds system{};

    /// Bytes resident, the most that one of those processes had at a time. Of all: what they were charged for together
    /// at a time, the page cache of their files included (memory.peak, Linux 5.19).
    std::uint64_t peak_memory = 0;

    /// Context switches: of its own will, as it waited, and because its turn was over. Never of all: cgroups do not
    /// count them.
    std::uint64_t voluntary_switches = 0;
    std::uint64_t involuntary_switches = 0;

    /// Bytes of pages of files on block devices that it made dirty, written to the device or not
    /// (ru_oublock, which the kernel counts in units of 512 bytes: task_io_account_write). Not what went to pipes,
    /// sockets, terminals and tmpfs. Of all: what went to the devices by now (io.stat).
    std::uint64_t written = 0;

    /// Where it had a cgroup with a limit on processes: the most processes and threads at a time (Linux 6.1, else 0),
    /// and how often one was refused.
    std::uint64_t peak_processes = 0;
    std::uint64_t refused_processes = 0;

    bool cpu_of_all = false;  ///< user and system
    bool memory_of_all = false;
    bool written_of_all = false;
};

/// What happened to a worker: a value. True where all went well: a program exited with 0, a function returned.
class [[nodiscard]] Outcome {
public:
    enum class Kind : std::uint8_t {
        exited,           ///< a program ended by itself: `exit_code()`
        returned,         ///< a function returned
        threw,            ///< a function threw: `message()` is what() of its exception
        ended_early,      ///< a function's process exited before the function returned: `exit_code()`
        garbled,          ///< a function's process left something that is no result: `message()` says what
        signalled,        ///< ended by a signal, a crash mostly: `signal()`
        violation,        ///< killed for a call that its policy forbids: `violation()`, if the host was asked
        timed_out,        ///< its wall-clock or processor time was over: `message()` says which
        out_of_memory,    ///< a function could not get memory (std::bad_alloc), or the limit of its cgroup was reached
        stopped,          ///< the host stopped it
        unsupervised,     ///< the host ended it because it could not watch it any more: `message()` says why
        could_not_start,  ///< `step()` failed with `error()`
        lost,             ///< something else in the host waited for it and took its exit status
    };

    Kind kind() const noexcept { return kind_; }
    explicit operator bool() const noexcept {
        return kind_ == Kind::returned || (kind_ == Kind::exited && exit_code_ == 0);
    }

    /// Of `exited` and `ended_early`; otherwise -1.
    int exit_code() const noexcept { return exit_code_; }

    /// The signal that ended it, whatever the reason; 0 for none.
    int signal() const noexcept { return signal_; }

    /// The call that it was killed for, or nullptr. With `kill_now` the kernel does not tell.
    const Violation* violation() const noexcept { return violation_ ? &*violation_ : nullptr; }

    /// Of `could_not_start`: what failed, and the errno.
    const char* step() const noexcept { return process::name(failure_.step); }
    int error() const noexcept { return failure_.error; }

    /// What the worker or the host says of it; from a worker, not to be trusted.
    const std::string& message() const noexcept { return message_; }

    /// What was captured of standard output and standard error (`Stdio::capture`).
    const std::string& output() const noexcept { return output_.text; }
    const std::string& error_output() const noexcept { return error_.text; }

    /// How many bytes were beyond what was to be captured.
    std::size_t output_dropped() const noexcept { return output_.dropped; }
    std::size_t error_output_dropped() const noexcept { return error_.dropped; }

    /// How many of its calls were refused because a handler of its policy threw, and what the last one threw.
    unsigned failed_handlers() const noexcept { return failed_handlers_; }
    const std::string& handler_message() const noexcept { return handler_message_; }

    const Usage& usage() const noexcept { return usage_; }

    /// Which limit ended it, where one is known to have; else none. A program that gets no more memory, processes or
    /// descriptors ends as it will, and does not tell why.
    Limit limit() const noexcept { return limit_; }

    /// Why the worker went without a layer that was asked for as optional (`Options::optional`); empty where it had it.
    const std::string& missing(Layer layer) const noexcept { return missing_.reason(layer); }

    /// The program or "function", as given.
    const std::string& name() const noexcept { return name_; }

    /// One paragraph for a person. What a worker says is shown in ASCII: other bytes as escapes, for terminals' sake.
    std::string explain() const { return printable(name_) + " " + reason() + "." + handlers_text() + missing_text(); }

private:
    friend class detail::OutcomeMaker;

    std::string reason() const {
        switch (kind_) {
            case Kind::exited: return exit_code_ == 0 ? "exited" : "exited with code " + std::to_string(exit_code_);
            case Kind::returned: return "returned";
            case Kind::threw: return "threw an exception: " + printable(message_);
            case Kind::ended_early:
                return "ended with exit code " + std::to_string(exit_code_) + " before its function returned";
            case Kind::garbled: return "left no valid result: " + message_;
            case Kind::signalled:
                return "was ended by " + signal_text() +
                       (limit_ == Limit::file_size ? ": a file had the size that it may have at most" : "");
            case Kind::violation: return violation_text();
            case Kind::timed_out: return "was ended because its " + message_ + " was over";
            case Kind::out_of_memory:
                return signal_ != 0 ? "was killed by the kernel as it used up its " + message_
                                    : "could not get the memory it asked for" +
                                          (limit_ == Limit::memory ? ", " + message_ : std::string{});
            case Kind::stopped: return "was stopped by the host";
            case Kind::unsupervised: return "was ended because the host could not watch it any more: " + message_;
            case Kind::could_not_start: return "could not start: to " + std::string{step()} + " failed" + start_error();
            case Kind::lost:
                return "ended, but its exit status is lost: something else in the host waits for all children, or "
                       "ignores SIGCHLD";
        }
        return "?";
    }

    std::string violation_text() const {
        if (!violation_) return "was killed by the kernel for a system call that its policy forbids";
        char place[64];
        std::snprintf(place, sizeof place, " at address %#llx",
                      static_cast<unsigned long long>(violation_->instruction_pointer));
        std::string text = "was killed for a system call that its policy forbids: " + violation_->text() + place;
        if (!violation_->mapping.empty()) text += " (" + printable(violation_->mapping) + ")";
        text += " in thread " + std::to_string(violation_->thread);
        if (violation_->process > 0 && violation_->process != violation_->thread)
            text += " of process " + std::to_string(violation_->process);
        return text;
    }

    std::string handlers_text() const {
        if (failed_handlers_ == 0) return {};
        return " " + std::to_string(failed_handlers_) +
               " of its calls were refused because a handler threw: " + printable(handler_message_) + ".";
    }

    std::string missing_text() const {
        std::string text;
        for (int i = 0; i < layer_count; ++i) {
            const auto layer = static_cast<Layer>(i);
            if (!missing(layer).empty())
                text += std::string{" It went without the "} + sysguard::name(layer) + ": " + missing(layer) + ".";
        }
        return text;
    }

    std::string signal_text() const {
        const std::string_view known = abi::signal_name(signal_);
        return known.empty() ? "signal " + std::to_string(signal_) : std::string{known};
    }

    std::string start_error() const {
        const std::string_view known = abi::errno_name(failure_.error);
        std::string text = " with " + (known.empty() ? std::to_string(failure_.error) : std::string{known}) + ", " +
                           std::generic_category().message(failure_.error);
        if (failure_.step == process::Step::root && !message_.empty()) text += ", at " + printable(message_);
        if (failure_.step == process::Step::filter && failure_.error == EBUSY)
            text +=
                " (it is inside a sandbox that has a listener already, and the kernel allows one: write kill_now() "
                "for kill(), sg::foreign.kill_now() too, and fake() nothing but 0)";
        if (failure_.step == process::Step::execute && failure_.error == EACCES && is_held_to_files_)
            text +=
                " (Options::files: the program, the interpreter that its first line names, or its dynamic loader is "
                "under no path with read_only() or execute())";
        if (failure_.step == process::Step::execute && name_.find('/') == std::string::npos)
            text += " (a name without a slash is not looked for in PATH)";
        if (failure_.step == process::Step::execute && failure_.error == EAGAIN)
            text += " (its user runs more tasks than RLIMIT_NPROC allows)";
        if (failure_.step == process::Step::scheduling && failure_.error == EINVAL)
            text += " (none of the processors that it may use is there, or in the host's cpuset)";
        if (failure_.step == process::Step::credentials && failure_.error == EPERM)
            text += " (the host lacks a capability for them, as in a container)";
        return text;
    }

    /// As in the texts of calls, without the quotes around.
    static std::string printable(std::string_view text) {
        const std::string shown = supervise::quoted(text, text.size());
        return shown.substr(1, shown.size() - 2);
    }

    Kind kind_ = Kind::lost;
    Limit limit_ = Limit::none;
    int exit_code_ = -1;
    int signal_ = 0;
    process::StartFailure failure_{};
    std::optional<Violation> violation_{};
    supervise::Captured output_{};
    supervise::Captured error_{};
    Usage usage_{};
    unsigned failed_handlers_ = 0;
    std::string handler_message_{};
    process::MissingLayers missing_{};
    bool is_held_to_files_ = false;  ///< by Landlock
    std::string name_{};
    std::string message_{};
};

/// A function's value, or what kept it from returning one.
template <class T>
class [[nodiscard]] Result {
public:
    Result(Outcome outcome, std::optional<T> value) : outcome_{std::move(outcome)}, value_{std::move(value)} {}

    explicit operator bool() const noexcept { return value_.has_value(); }

    /// Throws `Error` (ECANCELED) with the explanation where there is none.
    const T& value() const& { return check(), *value_; }
    T&& value() && { return check(), std::move(*value_); }
    const T& operator*() const& { return value(); }
    const T* operator->() const { return &value(); }

    const Outcome& outcome() const noexcept { return outcome_; }
    std::string explain() const { return outcome_.explain(); }

private:
    void check() const {
        if (!value_) throw Error{ECANCELED, outcome_.explain()};
    }

    Outcome outcome_;
    std::optional<T> value_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    explicit Result(Outcome outcome) : outcome_{std::move(outcome)} {}

    explicit operator bool() const noexcept { return static_cast<bool>(outcome_); }
    const Outcome& outcome() const noexcept { return outcome_; }
    std::string explain() const { return outcome_.explain(); }

private:
    Outcome outcome_;
};

}  // namespace sysguard
