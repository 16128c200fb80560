#pragma once

#include "../process/descriptor.hpp"

#include <cstdint>
#include <ctime>

#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::supervise {

/// Waits while `word` is `value`, no longer than `time` where that is not null. May return for no reason (futex(2)).
inline void wait_while(const std::uint32_t& word, std::uint32_t value, const timespec* time = nullptr) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, time, nullptr, 0);
}

inline void wake_all(const std::uint32_t& word) noexcept {
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

/// Whose turn it is to serve, among the threads of a supervisor. The leader says when it begins and ends something that
/// may take long: a handler, a look at a worker's memory. Where it has not come back after a while, a stand-by takes
/// the turn, so that other calls are served meanwhile.
///
/// A leader may also be close to one worker: it waits for that worker's next call in the kernel, and for nothing else.
/// Meanwhile a stand-by watches over all other events, and takes the turn as soon as there is one.
class Turn {
public:
    /// What a stand-by took.
    struct Taken {
        std::uint32_t number = 0;  ///< 0: nothing, it is to stop
        bool from_close = false;   ///< the leader was close to a worker,
        bool from_busy = false;    ///< and served a call; or else it waits for one
    };

    /// Of the leader: something that may take long begins.
    void begin() noexcept {
        const std::uint64_t now = __atomic_load_n(&word_, __ATOMIC_RELAXED);
        const std::uint64_t count = (now + step) & (turn_one - 1);
        __atomic_store_n(&word_, (now & ~(turn_one - 1)) | count | busy, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&sleepers_, __ATOMIC_SEQ_CST) != 0) wake();
    }

    /// Of the leader whose turn has the number `turn`: it has come back. Returns false where the turn is another's by
    /// now.
    bool end(std::uint32_t turn) noexcept {
        std::uint64_t now = __atomic_load_n(&word_, __ATOMIC_RELAXED);
        if (now >> turn_shift != turn) return false;
        return __atomic_compare_exchange_n(&word_, &now, now & ~busy, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }

    /// Of the leader, which must know of a stand-by: from now on it is close to a worker. Returns false where that
    /// cannot be.
    bool come_close() noexcept {
        if (!nudge_) nudge_.reset(process::above_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
        if (!nudge_) return false;
        __atomic_store_n(&word_, __atomic_load_n(&word_, __ATOMIC_RELAXED) | close, __ATOMIC_SEQ_CST);
        wake_all(stopped_);  // who misses this looks again when it runs out of patience
        wake();
        return true;
    }

    /// Of the leader that is close and whose turn has the number `turn`: a call has come, whose handler may take long.
    /// Returns false where the turn is another's by now.
    bool begin_close(std::uint32_t turn) noexcept {
        std::uint64_t now = __atomic_load_n(&word_, __ATOMIC_RELAXED);
        if (now >> turn_shift != turn) return false;
        const std::uint64_t next = (now & ~(turn_one - 1)) | ((now + step) & (turn_one - 1)) | busy;
        if (!__atomic_compare_exchange_n(&word_, &now, next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) return false;
        if (__atomic_load_n(&sleepers_, __ATOMIC_SEQ_CST) != 0 || __atomic_load_n(&dozing_, __ATOMIC_SEQ_CST) != 0)
            wake();
        return true;
    }

    /// Of the same: it is close no more. Returns false where the turn is another's by now.
    bool end_close(std::uint32_t turn) noexcept {
        std::uint64_t now = __atomic_load_n(&word_, __ATOMIC_RELAXED);
        if (now >> turn_shift != turn) return false;
        return __atomic_compare_exchange_n(&word_, &now, now & ~close, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }

    std::uint32_t number() const noexcept {
        return static_cast<std::uint32_t>(__atomic_load_n(&word_, __ATOMIC_SEQ_CST) >> turn_shift);
    }

    /// Of a stand-by: waits until the leader is held up, or is close to a worker while there is something else to serve
    /// (`events` is readable), and then takes the turn.
    Taken stand_by(int events) noexcept {
        while (__atomic_load_n(&stopped_, __ATOMIC_SEQ_CST) == 0) {
            std::uint64_t seen = __atomic_load_n(&word_, __ATOMIC_SEQ_CST);
            if ((seen & close) != 0 && __atomic_exchange_n(&watching_, 1U, __ATOMIC_SEQ_CST) == 0) {
                const Taken taken = watch_over(events, seen);
                __atomic_store_n(&watching_, 0U, __ATOMIC_SEQ_CST);
                if (taken.number != 0) return taken;
                continue;
            }
            constexpr timespec patience{0, 10'000'000};
            wait_while(stopped_, 0, &patience);
            const std::uint64_t now = __atomic_load_n(&word_, __ATOMIC_SEQ_CST);
            if (now != seen) continue;
            if ((now & busy) == 0) {
                sleep(now);
                continue;
            }
            if (const Taken taken = take(seen); taken.number != 0) return taken;
        }
        return {};
    }

    /// Ends all standing by, for good.
    void stop() noexcept {
        __atomic_store_n(&stopped_, 1U, __ATOMIC_SEQ_CST);
        wake_all(stopped_);
        wake();
    }

    bool is_stopped() const noexcept { return __atomic_load_n(&stopped_, __ATOMIC_SEQ_CST) != 0; }

private:
    static constexpr std::uint64_t busy = 1;
    static constexpr std::uint64_t close = 2;
    static constexpr std::uint64_t step = 4;  ///< counts what was begun
    static constexpr int turn_shift = 40;
    static constexpr std::uint64_t turn_one = std::uint64_t{1} << turn_shift;

    Taken take(std::uint64_t seen) noexcept {
        const std::uint64_t next = ((seen >> turn_shift) + 1) << turn_shift;
        std::uint64_t now = seen;
        if (!__atomic_compare_exchange_n(&word_, &now, next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) return {};
        return {static_cast<std::uint32_t>(next >> turn_shift), (seen & close) != 0, (seen & busy) != 0};
    }

    /// Of the one stand-by that watches over the events while the leader is close to a worker. Returns when it has
    /// taken the turn, and now and then.
    Taken watch_over(int events, std::uint64_t seen) noexcept {
        pollfd sources[] = {{events, POLLIN, 0}, {nudge_.get(), POLLIN, 0}};
        constexpr int patience = 10;  // milliseconds
        const int ready = ::poll(sources, 2, patience);
        std::uint64_t now = __atomic_load_n(&word_, __ATOMIC_SEQ_CST);
        if (is_stopped()) return {};
        if (ready > 0 && sources[1].revents != 0) be_awake();
        if (ready > 0 && sources[0].revents != 0) {  // the leader may be serving one call after another
            for (; now >> turn_shift == seen >> turn_shift && (now & close) != 0;
                 now = __atomic_load_n(&word_, __ATOMIC_SEQ_CST))
                if (const Taken taken = take(now); taken.number != 0) return taken;
            return {};
        }
        if (ready != 0 || now != seen) return {};
        if ((now & busy) != 0) return take(now);
        __atomic_store_n(&dozing_, 1U, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&word_, __ATOMIC_SEQ_CST) == seen && !is_stopped()) ::poll(sources, 2, -1);
        __atomic_store_n(&dozing_, 0U, __ATOMIC_SEQ_CST);
        be_awake();
        return {};
    }

    void be_awake() const noexcept {
        std::uint64_t nudges = 0;
        [[maybe_unused]] const ssize_t bytes = ::read(nudge_.get(), &nudges, sizeof nudges);
    }

    /// Until the leader begins something. It stores the word before it looks for sleepers, and a sleeper counts itself
    /// before it looks at the word: one of them sees the other. A call to wake is a number that none of them takes
    /// back, so that no sleeper can miss it, whatever others do that fall asleep or wake up meanwhile.
    void sleep(std::uint64_t seen) noexcept {
        __atomic_fetch_add(&sleepers_, 1U, __ATOMIC_SEQ_CST);
        const std::uint32_t calls = __atomic_load_n(&wake_calls_, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&word_, __ATOMIC_SEQ_CST) == seen && !is_stopped() &&
               __atomic_load_n(&wake_calls_, __ATOMIC_SEQ_CST) == calls)
            wait_while(wake_calls_, calls);
        __atomic_fetch_sub(&sleepers_, 1U, __ATOMIC_SEQ_CST);
    }

    void wake() noexcept {
        __atomic_fetch_add(&wake_calls_, 1U, __ATOMIC_SEQ_CST);
        wake_all(wake_calls_);
        if (__atomic_exchange_n(&dozing_, 0U, __ATOMIC_SEQ_CST) == 0) return;
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t bytes = ::write(nudge_.get(), &one, sizeof one);
    }

    std::uint64_t word_ = turn_one;
    std::uint32_t sleepers_ = 0;
    std::uint32_t wake_calls_ = 0;
    std::uint32_t stopped_ = 0;
    std::uint32_t watching_ = 0;   ///< a stand-by watches over the events,
    std::uint32_t dozing_ = 0;     ///< for longer than its patience, as nothing happens
    process::Descriptor nudge_{};  ///< wakes it
};

}  // namespace sysguard::supervise
