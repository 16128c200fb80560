#pragma once

#include "../outcome.hpp"
#include "../process/confinement.hpp"
#include "../process/result_area.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include <sys/resource.h>
#include <csignal>

namespace sysguard::detail {

/// Reads what happened out of what is known of a worker.
class OutcomeMaker {
public:
    using Kind = Outcome::Kind;

    OutcomeMaker(supervise::Ending&& ending, std::string name, const process::Confinement& confinement)
        : ending_{std::move(ending)}, isolation_{confinement.isolation()} {
        outcome_.missing_ = confinement.missing();
        outcome_.is_held_to_files_ = confinement.landlock().holds_files();
        outcome_.name_ = std::move(name);
        outcome_.failure_ = ending_.failure;
        outcome_.violation_ = std::move(ending_.violation);
        outcome_.failed_handlers_ = ending_.failed_handlers;
        outcome_.handler_message_ = std::move(ending_.handler_message);
        outcome_.output_ = std::move(ending_.output);
        outcome_.error_ = std::move(ending_.error);
        outcome_.usage_.wall = ending_.wall;
        outcome_.usage_.user = to_duration(ending_.status.used.ru_utime);
        outcome_.usage_.system = to_duration(ending_.status.used.ru_stime);
        outcome_.usage_.peak_memory = static_cast<std::uint64_t>(ending_.status.used.ru_maxrss) * 1024;
        outcome_.usage_.voluntary_switches = static_cast<std::uint64_t>(ending_.status.used.ru_nvcsw);
        outcome_.usage_.involuntary_switches = static_cast<std::uint64_t>(ending_.status.used.ru_nivcsw);
        outcome_.usage_.written = static_cast<std::uint64_t>(ending_.status.used.ru_oublock) * 512;
        if (ending_.cgroup.known) take_from_cgroup(ending_.cgroup);
        if (confinement.limits().memory) memory_limit_ = *confinement.limits().memory;
        if (ending_.status.known && !ending_.status.exited) outcome_.signal_ = ending_.status.value;
        judge(confinement.limits(), confinement.kills_in_the_kernel());
        name_mount();
    }

    Outcome program() && { return std::move(outcome_); }

    /// The same for a function, whose process left `area`, and in it, when that was looked at, `header`.
    /// `proof` is what only a worker knows whose function has not begun.
    Outcome function(const process::ResultArea::Header& header, process::ResultArea& area, std::uint64_t proof) && {
        using State = process::ResultArea::State;
        if (outcome_.kind_ != Kind::exited && outcome_.kind_ != Kind::lost) return std::move(outcome_);
        if (outcome_.exit_code_ > 0 || header.state == State::running || header.state == State::silent) {
            if (outcome_.kind_ == Kind::exited) outcome_.kind_ = Kind::ended_early;
        } else if (header.state == State::failed_to_start && header.proof == proof) {
            outcome_.kind_ = Kind::could_not_start;
            outcome_.failure_ = {static_cast<process::Step>(header.step), static_cast<int>(header.error),
                                 static_cast<std::uint32_t>(header.size)};
            outcome_.exit_code_ = -1;
            name_mount();
        } else if (header.size > area.capacity()) {
            garbled("its result claims to be larger than the room for it");
        } else if (header.state == State::threw) {
            outcome_.kind_ = Kind::threw;
            constexpr std::uint64_t most = 65536;
            outcome_.message_.assign(reinterpret_cast<const char*>(area.data()),
                                     static_cast<std::size_t>(header.size < most ? header.size : most));
        } else if (header.state == State::out_of_memory) {
            outcome_.kind_ = Kind::out_of_memory;
            if (memory_limit_ != 0) {
                outcome_.limit_ = Limit::memory;
                outcome_.message_ = "of which it may have " + std::to_string(memory_limit_) + " bytes";
            }
        } else if (header.state == State::too_large) {
            garbled("its result is larger than the " + std::to_string(area.capacity()) +
                    " bytes that there is room for");
        } else if (header.state == State::returned) {
            outcome_.kind_ = Kind::returned;
        } else {
            garbled("its result is of no known kind");
        }
        return std::move(outcome_);
    }

    /// Of one request to a worker that goes on. `message` is that of an exception.
    static Outcome request(const process::Confinement& confinement, process::ResultArea::State state,
                           std::string message, std::chrono::nanoseconds wall) {
        using State = process::ResultArea::State;
        Outcome outcome;
        outcome.missing_ = confinement.missing();
        outcome.name_ = "the function";
        outcome.kind_ = state == State::returned        ? Kind::returned
                        : state == State::threw         ? Kind::threw
                        : state == State::out_of_memory ? Kind::out_of_memory
                                                        : Kind::garbled;
        outcome.message_ = std::move(message);
        outcome.usage_.wall = wall;
        return outcome;
    }

    /// Why the host stopped a worker, where that is what ended it.
    static void explain_stop(Outcome& outcome, Kind kind, std::string why) {
        if (outcome.kind_ != Kind::stopped) return;
        outcome.kind_ = kind;
        outcome.message_ = std::move(why);
    }

    /// A result that turned out to be none.
    static void garble(Outcome& outcome, std::string why) {
        outcome.kind_ = Kind::garbled;
        outcome.message_ = std::move(why);
    }

private:
    /// Which part of a private root could not be made.
    void name_mount() {
        if (outcome_.failure_.step == process::Step::root && outcome_.failure_.part < isolation_.mounts().size())
            outcome_.message_ = isolation_.mounts()[outcome_.failure_.part].target();
    }

    static std::chrono::microseconds to_duration(const timeval& time) {
        return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
    }

    void judge(const Limits& limits, bool filter_kills) {
        const bool may_be_killed = !ending_.status.known || outcome_.signal_ == SIGKILL;  // else it was faster
        if (outcome_.failure_.step != process::Step::none) {
            outcome_.kind_ = Kind::could_not_start;
        } else if (outcome_.violation_) {
            outcome_.kind_ = Kind::violation;
        } else if (may_be_killed && ending_.supervision_error != 0) {
            outcome_.kind_ = Kind::unsupervised;
            outcome_.message_ = std::generic_category().message(ending_.supervision_error);
        } else if (may_be_killed && ending_.timed_out) {
            timed_out("wall-clock time of " + std::to_string(limits.wall->time().count()) + " ms");
            outcome_.limit_ = Limit::wall;
        } else if (may_be_killed && ending_.used_up) {
            timed_out(cpu_text(limits));
            outcome_.limit_ = Limit::cpu;
        } else if (may_be_killed && ending_.stopped) {
            outcome_.kind_ = Kind::stopped;
        } else if (!ending_.status.known) {
            outcome_.kind_ = Kind::lost;
        } else if (ending_.status.exited) {
            outcome_.kind_ = Kind::exited;
            outcome_.exit_code_ = ending_.status.value;
        } else if (outcome_.signal_ == SIGSYS && filter_kills) {
            outcome_.kind_ = Kind::violation;
        } else if (used_up_cpu(limits)) {
            timed_out(cpu_text(limits));
            outcome_.limit_ = Limit::cpu;
        } else if (outcome_.signal_ == SIGKILL && ending_.cgroup.killed_for_memory > 0) {
            outcome_.kind_ = Kind::out_of_memory;
            const bool is_its_own = limits.memory && ending_.cgroup.reached_memory_limit;
            outcome_.limit_ = is_its_own ? Limit::memory : Limit::none;
            outcome_.message_ = is_its_own ? "memory of " + std::to_string(*limits.memory) + " bytes"
                                           : "share of the memory that the machine or a cgroup above has";
        } else {
            outcome_.kind_ = Kind::signalled;
            if (outcome_.signal_ == SIGXFSZ && limits.file_size) outcome_.limit_ = Limit::file_size;
        }
    }

    bool used_up_cpu(const Limits& limits) const {
        if (!limits.cpu) return false;
        // of the processes that are held to it by themselves
        const auto used = to_duration(ending_.status.used.ru_utime) + to_duration(ending_.status.used.ru_stime);
        if (outcome_.signal_ == SIGXCPU)
            return used >= limits.cpu->time() / 10;  // the limit goes by ticks, `used` does not
        return outcome_.signal_ == SIGKILL && used >= limits.cpu->time();
    }

    void take_from_cgroup(const process::CgroupFigures& figures) {
        Usage& usage = outcome_.usage_;
        usage.cpu_of_all = true;
        usage.user = std::chrono::microseconds{static_cast<std::int64_t>(figures.user)};
        usage.system = std::chrono::microseconds{static_cast<std::int64_t>(figures.system)};
        usage.memory_of_all = figures.knows_memory;
        if (figures.knows_memory) usage.peak_memory = figures.peak_memory;
        usage.written_of_all = figures.knows_written;
        if (figures.knows_written) usage.written = figures.written;
        usage.peak_processes = figures.peak_tasks;
        usage.refused_processes = figures.refused_tasks;
    }

    static std::string cpu_text(const Limits& limits) {
        return "processor time of " + std::to_string(limits.cpu->time().count()) + " ms";
    }

    void timed_out(std::string which) {
        outcome_.kind_ = Kind::timed_out;
        outcome_.message_ = std::move(which);
    }

    void garbled(std::string why) { garble(outcome_, std::move(why)); }

    supervise::Ending ending_;
    const process::Isolation& isolation_;  ///< borrowed
    Outcome outcome_{};
    std::uint64_t memory_limit_ = 0;
};

}  // namespace sysguard::detail
