#pragma once

#include "../abi/take.hpp"
#include "listener.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <pthread.h>
#include <sys/types.h>

namespace sysguard {
class Witness;
namespace policy {
struct View;
}  // namespace policy
}  // namespace sysguard

namespace sysguard::supervise {

struct Pending;
class Watch;

/// Holds a mutex (pthread_mutex_lock(3)) for as long as it lives.
class Locked {
public:
    explicit Locked(pthread_mutex_t& mutex) noexcept : mutex_{mutex} { ::pthread_mutex_lock(&mutex_); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { ::pthread_mutex_unlock(&mutex_); }

private:
    pthread_mutex_t& mutex_;
};

/// Who carries out what is decided of a worker's calls. For any thread that holds the mutex of the worker's line.
class Desk {
public:
    using Clock = std::chrono::steady_clock;

    /// So long from now, or a century; now, where that is negative.
    static Clock::time_point after(std::chrono::milliseconds time) noexcept {
        const Clock::time_point now = Clock::now();
        constexpr std::chrono::hours most{24 * 365 * 100};
        if (time <= time.zero()) return now;
        return now + (time < most ? std::chrono::nanoseconds{time} : std::chrono::nanoseconds{most});
    }

    /// Performs a call on its thread's behalf, and answers it. Where that cannot be, refuses it.
    virtual void perform(Watch& worker, Pending&& call) noexcept = 0;

    /// Kills the worker for a call, which is told as its violation: `text` says what it was, `mapping` where it came
    /// from.
    virtual void kill(Watch& worker, const Pending& call, std::string&& text, std::string&& mapping) noexcept = 0;

    /// Tells of a call that was refused because its handler threw.
    virtual void note_failure(Watch& worker, std::string&& message) noexcept = 0;

    /// Refuses a call with an errno at some time, if nobody has claimed it before.
    virtual bool expire(Watch& worker, std::uint64_t id, Clock::time_point when, int error) noexcept = 0;

    /// Takes a call out of those that expire. Returns false where it has expired.
    virtual bool claim(Watch& worker, std::uint64_t id) noexcept = 0;

protected:
    ~Desk() = default;
};

/// The host's connection to one worker, shared by all who have to do with one of its calls.
struct Line {
    Listener listener{};
    pid_t worker = -1;   ///< its first process
    pid_t session = -1;  ///< the same, as a session's id
    std::size_t most_read = 0;
    int ruleset = -1;                      ///< of Landlock: what the worker is held to; borrowed; -1: nothing
    const policy::View* policy = nullptr;  ///< borrowed from the sandbox
    Witness* witness = nullptr;            ///< borrowed from the host

    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    Desk* desk = nullptr;  ///< under the mutex; nullptr when the worker has ended
    Watch* watch = nullptr;
    long users = 1;
};

/// One share of a line. Copies may be made and dropped in any thread.
class LineShare {
public:
    LineShare() noexcept = default;
    explicit LineShare(Line* line) noexcept : line_{line} {}
    LineShare(const LineShare& other) noexcept : line_{other.line_} {
        if (line_ != nullptr) __atomic_fetch_add(&line_->users, 1, __ATOMIC_RELAXED);
    }
    LineShare(LineShare&& other) noexcept : line_{abi::take(other.line_)} {}
    LineShare& operator=(LineShare other) noexcept {
        std::swap(line_, other.line_);
        return *this;
    }
    ~LineShare() {
        if (line_ != nullptr && __atomic_sub_fetch(&line_->users, 1, __ATOMIC_ACQ_REL) == 0) delete line_;
    }

    explicit operator bool() const noexcept { return line_ != nullptr; }
    friend bool operator==(const LineShare& a, const LineShare& b) noexcept { return a.line_ == b.line_; }
    Line* operator->() const noexcept { return line_; }
    Line& operator*() const noexcept { return *line_; }

private:
    Line* line_ = nullptr;
};

}  // namespace sysguard::supervise
