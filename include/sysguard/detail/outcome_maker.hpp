#pragma once

#include "../outcome.hpp"
#include "../process/limits.hpp"
#include "../process/result_area.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <sys/resource.h>
#include <csignal>

namespace sysguard {

/// Reads what happened out of what is known of a worker.
class OutcomeMaker {
public:
    using Kind = Outcome::Kind;

    OutcomeMaker(supervise::Ending&& ending, std::string name, const Limits& limits) : ending_{std::move(ending)} {
        outcome_.name_ = std::move(name);
        outcome_.failure_ = ending_.failure;
        outcome_.violation_ = ending_.violation;
        outcome_.output_ = std::move(ending_.output);
        outcome_.error_ = std::move(ending_.error);
        outcome_.usage_.wall = ending_.wall;
        outcome_.usage_.user = to_duration(ending_.status.used.ru_utime);
        outcome_.usage_.system = to_duration(ending_.status.used.ru_stime);
        outcome_.usage_.peak_memory = static_cast<std::uint64_t>(ending_.status.used.ru_maxrss) * 1024;
        if (ending_.status.known && !ending_.status.exited) outcome_.signal_ = ending_.status.value;
        judge(limits);
    }

    Outcome program() && { return std::move(outcome_); }

    /// The same for a function, whose process left `area`.
    Outcome function(process::ResultArea& area) && {
        using State = process::ResultArea::State;
        if (outcome_.kind_ != Kind::exited && outcome_.kind_ != Kind::lost) return std::move(outcome_);
        const process::ResultArea::Header header = area.header();
        if (outcome_.exit_code_ > 0 || header.state == State::running || header.state == State::silent) {
            if (outcome_.kind_ == Kind::exited) outcome_.kind_ = Kind::ended_early;
        } else if (header.state == State::failed_to_start) {
            could_not_start(header);
        } else if (header.size > area.capacity()) {
            garbled("its result claims to be larger than the room for it");
        } else if (header.state == State::threw) {
            outcome_.kind_ = Kind::threw;
            outcome_.message_.assign(reinterpret_cast<const char*>(area.data()), header.size);
        } else if (header.state == State::out_of_memory) {
            outcome_.kind_ = Kind::out_of_memory;
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

    /// A result that turned out to be none.
    static void garble(Outcome& outcome, std::string why) {
        outcome.kind_ = Kind::garbled;
        outcome.message_ = std::move(why);
    }

private:
    static std::chrono::microseconds to_duration(const timeval& time) {
        return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
    }

    void judge(const Limits& limits) {
        if (outcome_.failure_.step != process::Step::none) {
            outcome_.kind_ = Kind::could_not_start;
        } else if (outcome_.violation_) {
            outcome_.kind_ = Kind::violation;
        } else if (ending_.timed_out) {
            timed_out("wall-clock time of " + std::to_string(limits.wall->count()) + " ms");
        } else if (ending_.stopped) {
            outcome_.kind_ = Kind::stopped;
        } else if (!ending_.status.known) {
            outcome_.kind_ = Kind::lost;
        } else if (ending_.status.exited) {
            outcome_.kind_ = Kind::exited;
            outcome_.exit_code_ = ending_.status.value;
        } else if (outcome_.signal_ == SIGSYS) {
            outcome_.kind_ = Kind::violation;
        } else if (used_up_cpu(limits)) {
            timed_out("processor time of " + std::to_string(limits.cpu->count()) + " ms");
        } else {
            outcome_.kind_ = Kind::signalled;
        }
    }

    bool used_up_cpu(const Limits& limits) const {
        if (!limits.cpu) return false;
        if (outcome_.signal_ == SIGXCPU) return true;
        return outcome_.signal_ == SIGKILL && outcome_.usage_.user + outcome_.usage_.system >= *limits.cpu;
    }

    void timed_out(std::string which) {
        outcome_.kind_ = Kind::timed_out;
        outcome_.message_ = std::move(which);
    }

    void garbled(std::string why) { garble(outcome_, std::move(why)); }

    void could_not_start(const process::ResultArea::Header& header) {
        if (header.step > static_cast<std::uint32_t>(process::Step::execute)) {
            garbled("its result is of no known kind");
            return;
        }
        outcome_.kind_ = Kind::could_not_start;
        outcome_.failure_ = {static_cast<process::Step>(header.step), static_cast<int>(header.error)};
        outcome_.exit_code_ = -1;
    }

    supervise::Ending ending_;
    Outcome outcome_{};
};

}  // namespace sysguard
