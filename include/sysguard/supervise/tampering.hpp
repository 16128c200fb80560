#pragma once

#include "../abi/call_set.hpp"
#include "../abi/errno_names.hpp"
#include "../abi/error.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <csignal>

namespace sysguard {

/// What is done to a call by who traces it: `Tampering::refuse(ENOENT)`, `Tampering{}.change_argument(2, 0)`. What does
/// not contradict can be put together.
class Tampering {
public:
    enum class Fate : std::uint8_t { runs, refused, faked, killed };

    /// The kernel runs it as it is.
    constexpr Tampering() noexcept = default;

    /// It does not run, and fails with an errno, 1 to 4095. Throws `Error` EINVAL for others, and for those from 512 on
    /// that the kernel keeps for itself (ERESTARTSYS and its like, include/linux/errno.h).
    static constexpr Tampering refuse(int error) {
        if (error < 1 || error > abi::max_errno || (error >= 512 && error <= 517))
            throw Error{EINVAL,
                        "refuse a call: with an errno from 1 to 4095, and not one from 512 to 517, which make "
                        "the kernel start the call again"};
        return Tampering{Fate::refused, -error};
    }

    /// It does not run, and is said to have returned a value. Throws `Error` EINVAL for one that would be an error.
    static constexpr Tampering fake(std::int64_t value) {
        if (value < 0 && value >= -abi::max_errno)
            throw Error{EINVAL, "fake a result: this one is an error; use refuse(errno)"};
        return Tampering{Fate::faked, value};
    }

    /// It does not run, and its process is killed, with all that has the same origin.
    static constexpr Tampering kill() noexcept { return Tampering{Fate::killed, 0}; }

    /// It runs with another value in a register, 0 to 5. The program finds its own value there afterwards.
    constexpr Tampering& change_argument(int position, std::uint64_t value) {
        if (position < 0 || position >= abi::max_arguments)
            throw Error{EINVAL, "change an argument: a call has six, 0 to 5"};
        arguments_[position] = value;
        changed_ = static_cast<std::uint8_t>(changed_ | 1U << position);
        return *this;
    }

    /// When it has run, it is said to have returned this; a negative errno is a failure.
    constexpr Tampering& change_result(std::int64_t value) noexcept {
        changes_result_ = true;
        result_ = value;
        return *this;
    }

    /// The thread gets a signal as the call begins. It runs all the same.
    constexpr Tampering& add_signal(int signal) {
        if (signal < 1 || signal > 64) throw Error{EINVAL, "add a signal: there are 1 to 64"};
        signal_ = signal;
        return *this;
    }

    /// The thread stands still for so long before the call, or behind it. Others go on.
    constexpr Tampering& delay(std::chrono::nanoseconds before, std::chrono::nanoseconds behind = {}) noexcept {
        before_ = before.count() > 0 ? before.count() : 0;
        behind_ = behind.count() > 0 ? behind.count() : 0;
        return *this;
    }

    constexpr Fate fate() const noexcept { return fate_; }
    /// Of one that does not run: what it is said to return, a negative errno where it is refused.
    constexpr std::int64_t value() const noexcept { return value_; }
    constexpr bool changes_argument(int position) const noexcept { return (changed_ >> position & 1) != 0; }
    constexpr bool changes_arguments() const noexcept { return changed_ != 0; }
    constexpr std::uint64_t argument(int position) const noexcept { return arguments_[position]; }
    constexpr bool changes_result() const noexcept { return changes_result_; }
    constexpr std::int64_t result() const noexcept { return result_; }
    constexpr int signal() const noexcept { return signal_; }
    constexpr std::int64_t delay_before() const noexcept { return before_; }  ///< nanoseconds
    constexpr std::int64_t delay_behind() const noexcept { return behind_; }

    /// Whether it changes nothing.
    constexpr bool is_nothing() const noexcept {
        return fate_ == Fate::runs && changed_ == 0 && !changes_result_ && signal_ == 0 && before_ == 0 && behind_ == 0;
    }

    /// Whether something is to be done when the call returns.
    constexpr bool needs_return() const noexcept {
        return fate_ != Fate::runs || changed_ != 0 || changes_result_ || behind_ != 0;
    }

private:
    constexpr Tampering(Fate fate, std::int64_t value) noexcept : fate_{fate}, value_{value} {}

    Fate fate_ = Fate::runs;
    std::uint8_t changed_ = 0;
    bool changes_result_ = false;
    int signal_ = 0;
    std::int64_t value_ = 0;
    std::int64_t result_ = 0;
    std::int64_t before_ = 0;
    std::int64_t behind_ = 0;
    std::uint64_t arguments_[abi::max_arguments]{};
};

/// Which calls of a thread, counted from 1: `first`, and every `step`th after it up to `last`.
struct When {
    static constexpr std::uint32_t no_end = std::numeric_limits<std::uint32_t>::max();

    std::uint32_t first = 1;
    std::uint32_t last = no_end;
    std::uint32_t step = 1;

    constexpr bool holds(std::uint32_t count) const noexcept {
        return count >= first && count <= last && (step == 0 ? count == first : (count - first) % step == 0);
    }

    /// Reads what strace(1) takes for `when=`: "3" (the third), "3+" (from the third on), "3+2", "3..9", "3..9+2".
    /// Throws `Error` EINVAL.
    static When parse(std::string_view text) {
        const std::string whole{text};
        const auto number = [&](std::uint32_t& value) {
            std::uint64_t read = 0;
            std::size_t digits = 0;
            for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && read < no_end; ++digits)
                read = read * 10 + static_cast<std::uint64_t>(text[digits] - '0');
            text.remove_prefix(digits);
            if (digits == 0 || read == 0 || read >= no_end)
                throw Error{EINVAL, "read \"" + whole +
                                        "\": write first, first+, first+step, first..last or "
                                        "first..last+step, with numbers from 1 on"};
            value = static_cast<std::uint32_t>(read);
        };
        When when;
        number(when.first);
        when.last = when.first;
        if (text.substr(0, 2) == "..") {
            text.remove_prefix(2);
            number(when.last);
        } else if (!text.empty()) {
            when.last = no_end;
        }
        if (text.substr(0, 1) == "+") {
            text.remove_prefix(1);
            if (!text.empty()) number(when.step);
        }
        if (!text.empty() || when.last < when.first)
            throw Error{EINVAL,
                        "read \"" + whole + "\": " +
                            (text.empty() ? "the last comes before the first" : "what comes behind it is not known")};
        return when;
    }
};

/// Something that is done to some of the calls of a set, each thread's counted by itself.
struct Injection {
    CallSet calls{};
    Tampering what{};
    When when{};
};

}  // namespace sysguard
