#pragma once

#include "../abi/error.hpp"
#include "block.hpp"
#include "detail/host_facts.hpp"
#include "given.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include <sched.h>
#include <sys/resource.h>

namespace sysguard {

/// A set of processors, of any number: `Cpus{0, 2}`, `Cpus::range(0, 3)`. An empty one: those of the host.
class Cpus {
public:
    Cpus() noexcept = default;
    Cpus(std::initializer_list<int> numbers) {
        for (const int number : numbers) add(number);
    }

    /// From `first` to `last`, both included.
    static Cpus range(int first, int last) {
        Cpus cpus;
        for (int number = last; number >= first; --number) cpus.add(number);
        return cpus;
    }

    bool has(int number) const noexcept {
        return number >= 0 && word_of(number) < words_.size() && (words_[word_of(number)] & bit_of(number)) != 0;
    }
    bool empty() const noexcept { return words_.size() == 0; }
    const unsigned long* data() const noexcept { return words_.data(); }
    std::size_t size_in_bytes() const noexcept { return words_.size() * sizeof(unsigned long); }

private:
    static constexpr int bits = 8 * sizeof(unsigned long);

    static std::size_t word_of(int number) noexcept { return static_cast<std::size_t>(number / bits); }
    static unsigned long bit_of(int number) noexcept { return 1UL << (number % bits); }

    void add(int number) {
        constexpr int beyond_any = 1 << 20;
        if (number < 0 || number >= beyond_any) throw Error{EINVAL, "name processors: there is none of this number"};
        if (word_of(number) >= words_.size()) {
            process::Block<unsigned long> more{word_of(number) + 1};
            for (std::size_t i = 0; i < words_.size(); ++i) more[i] = words_[i];
            words_ = static_cast<process::Block<unsigned long>&&>(more);
        }
        words_[word_of(number)] |= bit_of(number);
    }

    process::Block<unsigned long> words_{};
};

/// How the scheduler treats a worker (sched(7)).
enum class SchedulingPolicy : int {
    as_host = -1,
    normal = 0,  ///< SCHED_OTHER
    batch = 3,   ///< SCHED_BATCH: does not get ahead for having slept
    idle = 5,    ///< SCHED_IDLE: when nobody else wants the processor
};

/// How a worker's reads and writes are ordered among others', by the schedulers that go by that (ioprio_set(2)).
class IoPriority {
public:
    constexpr IoPriority() noexcept = default;  ///< as the host

    static constexpr IoPriority idle() noexcept { return IoPriority{3 << 13}; }

    /// From 0, the first, to 7.
    static constexpr IoPriority best_effort(int level) noexcept {
        return IoPriority{level >= 0 && level < 8 ? 2 << 13 | level : invalid};
    }

    constexpr int value() const noexcept { return value_; }
    constexpr bool is_valid() const noexcept { return value_ != invalid; }

private:
    static constexpr int invalid = -2;

    constexpr explicit IoPriority(int value) noexcept : value_{value} {}

    int value_ = -1;
};

/// How a worker, and what it starts, is served where others want the same. What is left out is as the host's. That it
/// stays so is for the policy to say (setpriority, sched_setaffinity and the like).
struct Scheduling {
    /// From -20, the most, to 19. Less than the host's needs CAP_SYS_NICE, or RLIMIT_NICE. A worker has a session of
    /// its own, and where the kernel groups tasks by sessions (sched_autogroup_enabled), the group's value counts: it
    /// is set, too, but the kernel takes only ten such changes a second from all who lack CAP_SYS_ADMIN.
    Given<int> nice{};
    SchedulingPolicy policy = SchedulingPolicy::as_host;
    IoPriority io{};

    /// Where it may run; the kernel leaves out those that the host's cpuset does not have. Where that leaves none, it
    /// does not start (EINVAL).
    Cpus cpus{};

    /// From -1000 to 1000: whom the kernel ends first where memory is short (proc_pid_oom_score_adj(5)). Less than the
    /// host's needs CAP_SYS_RESOURCE.
    Given<int> oom_score_adj{};
};

namespace process {

/// Throws `Error`: EINVAL for what is not a value, EPERM for a nice value that the host may not give.
inline void check(const Scheduling& scheduling) {
    if (!scheduling.io.is_valid()) throw Error{EINVAL, "set the io priority: levels are 0 to 7"};
    if (scheduling.oom_score_adj && (*scheduling.oom_score_adj < -1000 || *scheduling.oom_score_adj > 1000))
        throw Error{EINVAL, "set oom_score_adj: it is from -1000 to 1000"};
    if (!scheduling.nice) return;
    const int nice = *scheduling.nice;
    if (nice < -20 || nice > 19) throw Error{EINVAL, "set nice: it is from -20 to 19"};
    rlimit least{};
    ::getrlimit(RLIMIT_NICE, &least);
    const bool is_within = nice >= ::getpriority(PRIO_PROCESS, 0) || least.rlim_cur >= static_cast<rlim_t>(20 - nice);
    if (!is_within && (detail::host_capabilities().effective >> CAP_SYS_NICE & 1) == 0)
        throw Error{EPERM, "set nice: less than the host's own needs CAP_SYS_NICE; leave it out, or give more"};
}

}  // namespace process

}  // namespace sysguard
