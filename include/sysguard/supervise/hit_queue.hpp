#pragma once

#include "../abi/table.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <deque>
#include <mutex>
#include <string>

#include <sys/types.h>

namespace sysguard {

/// A call that an `Interceptor` tells of. A plain value.
struct Hit {
    pid_t process = 0;  ///< as the host sees it
    pid_t thread = 0;
    int number = -1;  ///< of the native call; of a 32-bit program's the one of the same name
    std::uint64_t arguments[abi::max_arguments]{};  ///< the registers, as they were when the call began
    timespec time{};                                ///< CLOCK_REALTIME

    /// "1234: openat(0xffffff9c, 0x7ffd3c00, 0, 0, 0, 0)".
    std::string text() const {
        std::string line = std::to_string(process) + ": ";
        line += abi::name_of(abi::native_abi, number);
        for (int i = 0; i < abi::max_arguments; ++i) {
            char argument[24];
            std::snprintf(argument, sizeof argument, "%s%#llx", i == 0 ? "(" : ", ",
                          static_cast<unsigned long long>(arguments[i]));
            line += argument;
        }
        return line + ')';
    }
};

namespace supervise {

/// Hits on their way from who sees them, and is never held up, to who is told. Thread-safe.
class HitQueue {
public:
    static constexpr std::size_t capacity = 1 << 12;

    /// One more, or, where there is no room, one more that is dropped.
    void push(const Hit& hit) noexcept {
        const std::lock_guard locked{mutex_};
        try {
            if (hits_.size() < capacity) {
                hits_.push_back(hit);
                arrived_.notify_one();
                return;
            }
        } catch (...) {  // no memory
        }
        ++dropped_;
    }

    /// Waits for the next. Returns false where there is none and will be none.
    bool pop(Hit& hit) {
        std::unique_lock locked{mutex_};
        arrived_.wait(locked, [this] { return !hits_.empty() || is_closed_; });
        if (hits_.empty()) return false;
        hit = hits_.front();
        hits_.pop_front();
        return true;
    }

    /// After that, what is there is taken, and nothing waited for.
    void close() noexcept {
        const std::lock_guard locked{mutex_};
        is_closed_ = true;
        arrived_.notify_all();
    }

    void count_dropped() noexcept {
        const std::lock_guard locked{mutex_};
        ++dropped_;
    }

    std::uint64_t dropped() const noexcept {
        const std::lock_guard locked{mutex_};
        return dropped_;
    }

private:
    mutable std::mutex mutex_{};
    std::condition_variable arrived_{};
    std::deque<Hit> hits_{};
    std::uint64_t dropped_ = 0;
    bool is_closed_ = false;
};

}  // namespace supervise
}  // namespace sysguard
