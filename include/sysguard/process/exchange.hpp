#pragma once

#include "detail/raw_call.hpp"
#include "result_area.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::process {

/// Requests and replies between the host and a worker that share an area: each has one at a time, and who waits sleeps
/// on a futex of the other's. The host trusts nothing that is in it. Borrows the area.
class Exchange {
public:
    /// Numbers of requests go round below this.
    static constexpr std::uint32_t most_number = 0x7fffffff;

    struct Header {
        alignas(64) std::uint32_t request;  ///< futex: the latest request's number
        std::uint32_t worker_sleeps;
        std::uint32_t request_descriptors;
        std::uint64_t request_size;
        alignas(64) std::uint32_t reply;  ///< futex: the latest reply's number
        std::uint32_t host_sleeps;
        std::uint32_t reply_state;  ///< ResultArea::State
        std::uint32_t reply_descriptors;
        std::uint64_t reply_size;
    };

    /// How large an area has to be.
    static std::size_t size(std::size_t most_request, std::size_t most_reply) {
        constexpr std::size_t most = std::size_t{1} << 46;
        if (most_request > most || most_reply > most) throw Error{ENOMEM, "map memory for requests and replies"};
        return alignof(Header) + sizeof(Header) + rounded(most_request) + most_reply;
    }

    Exchange(ResultArea& area, std::size_t most_request) noexcept
        : header_{reinterpret_cast<Header*>(area.data() + offset(area.data()))},
          request_{reinterpret_cast<unsigned char*>(header_ + 1)},
          reply_{request_ + rounded(most_request)},
          most_request_{most_request},
          most_reply_{static_cast<std::size_t>(area.data() + area.capacity() - reply_)} {}

    unsigned char* request() const noexcept { return request_; }
    unsigned char* reply() const noexcept { return reply_; }
    std::size_t most_request() const noexcept { return most_request_; }
    std::size_t most_reply() const noexcept { return most_reply_; }
    Header& header() const noexcept { return *header_; }

    /// The number after another.
    static std::uint32_t next(std::uint32_t number) noexcept { return number % most_number + 1; }

    /// In the host: `request()` holds so many bytes.
    void publish_request(std::uint32_t number, std::uint64_t size, std::uint32_t descriptors) const noexcept {
        header_->request_size = size;
        header_->request_descriptors = descriptors;
        publish(header_->request, number, header_->worker_sleeps);
    }

    /// In the worker: waits for a request after the one with a number. Returns its number.
    std::uint32_t wait_for_request(std::uint32_t last) const noexcept {
        std::uint32_t number = last;
        if (spin(header_->request, last, number)) return number;
        __atomic_store_n(&header_->worker_sleeps, 1U, __ATOMIC_SEQ_CST);
        while ((number = __atomic_load_n(&header_->request, __ATOMIC_SEQ_CST)) == last)
            detail::raw_call(SYS_futex, &header_->request, FUTEX_WAIT, last, nullptr);
        __atomic_store_n(&header_->worker_sleeps, 0U, __ATOMIC_RELAXED);
        return number;
    }

    /// In the worker: `reply()` holds so many bytes.
    void publish_reply(std::uint32_t number, std::uint64_t size, ResultArea::State state,
                       std::uint32_t descriptors) const noexcept {
        header_->reply_size = size;
        header_->reply_state = static_cast<std::uint32_t>(state);
        header_->reply_descriptors = descriptors;
        publish(header_->reply, number, header_->host_sleeps);
    }

    enum class Wait : std::uint8_t { replied, out_of_time, disturbed };

    /// In the host: waits for the reply to a request with a number, whose predecessor has the number `last`, no longer
    /// than `nanoseconds`, where that is not negative. `disturbed`: the worker has ended, or does not keep to the
    /// rules. `is_over` says whether it has ended: it is asked at least once a second, as whoever else has the memory
    /// could undo what the end left there.
    template <class IsOver>
    Wait wait_for_reply(std::uint32_t number, std::uint32_t last, std::int64_t nanoseconds,
                        const IsOver& is_over) const noexcept {
        std::uint32_t seen = last;
        if (!spin(header_->reply, last, seen)) seen = sleep(last, nanoseconds, is_over);
        if (seen == number) return Wait::replied;
        return seen == last && !is_over() ? (nanoseconds >= 0 ? Wait::out_of_time : Wait::disturbed) : Wait::disturbed;
    }

private:
    static constexpr std::size_t rounded(std::size_t size) noexcept { return (size + 63) / 64 * 64; }

    static std::size_t offset(const unsigned char* data) noexcept {
        return (alignof(Header) - reinterpret_cast<std::uintptr_t>(data) % alignof(Header)) % alignof(Header);
    }

    static void publish(std::uint32_t& word, std::uint32_t number, std::uint32_t& sleeps) noexcept {
        __atomic_store_n(&word, number, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&sleeps, __ATOMIC_SEQ_CST) != 0) detail::raw_call(SYS_futex, &word, FUTEX_WAKE, 1);
    }

    static void pause() noexcept {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("yield" : : : "memory");
#endif
    }

    /// Looks for a short while, less than it takes to fall asleep and be woken; where that has been in vain, as when
    /// both sides have one processor, shorter, and now and then again as long. Returns whether the word changed.
    bool spin(std::uint32_t& word, std::uint32_t last, std::uint32_t& seen) const noexcept {
        for (int i = 0; i < looks_; ++i) {
            seen = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
            if (seen != last) {
                looks_ = most_looks;
                return true;
            }
            pause();
        }
        constexpr unsigned now_and_then = 32;
        looks_ = ++vain_ % now_and_then == 0 ? most_looks : looks_ / 4;
        return false;
    }

    static std::int64_t now() noexcept {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    }

    /// Returns what the word is. A worker that wakes the host for nothing, again and again, is not waited for.
    template <class IsOver>
    std::uint32_t sleep(std::uint32_t last, std::int64_t nanoseconds, const IsOver& is_over) const noexcept {
        constexpr std::int64_t look_after = 1'000'000'000;
        constexpr int most_false_alarms = 1000;
        const std::int64_t start = nanoseconds >= 0 ? now() : 0;
        std::uint32_t seen = last;
        int false_alarms = 0;
        __atomic_store_n(&header_->host_sleeps, 1U, __ATOMIC_SEQ_CST);
        while ((seen = __atomic_load_n(&header_->reply, __ATOMIC_SEQ_CST)) == last && !is_over()) {
            std::int64_t left = look_after;
            if (nanoseconds >= 0) {
                const std::int64_t passed = now() - start;
                if (passed >= nanoseconds) break;
                if (nanoseconds - passed < left) left = nanoseconds - passed;
            }
            const timespec time{static_cast<std::time_t>(left / 1'000'000'000),
                                static_cast<long>(left % 1'000'000'000)};
            const long result = detail::raw_call(SYS_futex, &header_->reply, FUTEX_WAIT, last, &time);
            if (result == 0 && ++false_alarms > most_false_alarms) {
                seen = last + most_number;  // no number that could be
                break;
            }
        }
        __atomic_store_n(&header_->host_sleeps, 0U, __ATOMIC_RELAXED);
        return seen;
    }

    static constexpr int most_looks = 100;

    Header* header_;
    unsigned char* request_;
    unsigned char* reply_;
    std::size_t most_request_;
    std::size_t most_reply_;
    mutable int looks_ = most_looks;
    mutable unsigned vain_ = 0;
};

}  // namespace sysguard::process
