#pragma once

#include "../../event.hpp"
#include "../../tampering.hpp"
#include "../../traced_call.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace sysguard::supervise {

/// What the engine knows of one thread that it traces.
struct Tracee {
    enum class Hold : std::uint8_t {
        none,
        newcomer,  ///< it has stopped before its parent has told of it
        entry,     ///< it stands still before a call
        exit,      ///< it stands still behind one
    };

    pid_t thread = 0;
    pid_t process = 0;
    pid_t root = 0;                ///< the process that it comes from, which was started or attached to
    bool was_started = false;      ///< the tracer started that
    bool has_filter = false;       ///< only chosen calls stop it
    bool is_known = false;         ///< an event has told of it
    bool is_starting = false;      ///< it is still on its way to the program that was to be started
    bool is_attaching = false;     ///< it has been seized, and not stopped since
    bool is_listening = false;     ///< it is stopped by job control
    bool is_leaving = false;       ///< it is to be detached
    bool in_call = false;          ///< its next stop for a call is a return
    bool reports = false;          ///< its call has been told of
    bool looks_for_child = false;  ///< its call is clone3: whether its child is traced shows when that returns
    Hold hold = Hold::none;
    int first_signal = 0;         ///< of a newcomer's stop
    std::int64_t held_until = 0;  ///< nanoseconds of CLOCK_MONOTONIC
    std::uint16_t done = 0;
    Decision decision{Action::allow};
    Tampering tampering{};
    TracedCall call{};
    std::vector<std::uint32_t> counts{};  ///< of calls, for each injection

    Tracee* next = nullptr;
    std::size_t index = 0;
};

/// All tracees, by thread id. What was removed is used again, so that a storm of threads allocates nothing. Throws
/// std::bad_alloc.
class TraceeTable {
public:
    TraceeTable() : buckets_(64, nullptr) {}
    TraceeTable(const TraceeTable&) = delete;
    TraceeTable& operator=(const TraceeTable&) = delete;
    ~TraceeTable() {
        for (Tracee* const tracee : all_) delete tracee;
        while (unused_ != nullptr) delete take(unused_);
    }

    Tracee* find(pid_t thread) const noexcept {
        Tracee* tracee = buckets_[place(thread)];
        while (tracee != nullptr && tracee->thread != thread) tracee = tracee->next;
        return tracee;
    }

    Tracee& add(pid_t thread) {
        if (all_.size() == buckets_.size()) grow();
        if (unused_ == nullptr) unused_ = new Tracee;
        all_.push_back(unused_);
        Tracee* const tracee = take(unused_);
        std::vector<std::uint32_t> counts = std::move(tracee->counts);
        counts.clear();
        *tracee = Tracee{};
        tracee->counts = std::move(counts);
        tracee->thread = thread;
        tracee->index = all_.size() - 1;
        link(*tracee);
        return *tracee;
    }

    void remove(Tracee& tracee) noexcept {
        unlink(tracee);
        all_[tracee.index] = all_.back();
        all_[tracee.index]->index = tracee.index;
        all_.pop_back();
        tracee.next = unused_;
        unused_ = &tracee;
    }

    /// Gives a tracee another thread id, which no other has.
    void rename(Tracee& tracee, pid_t thread) noexcept {
        unlink(tracee);
        tracee.thread = thread;
        link(tracee);
    }

    std::size_t size() const noexcept { return all_.size(); }

    /// Calls `function(Tracee&)` for each that is there when this begins and has not been removed. It may add and
    /// remove any; then it may get one twice.
    template <class F>
    void for_each(const F& function) {
        for (std::size_t i = all_.size(); i-- > 0;)
            if (i < all_.size()) function(*all_[i]);
    }

private:
    static Tracee* take(Tracee*& list) noexcept {
        Tracee* const first = list;
        list = first->next;
        return first;
    }

    std::size_t place(pid_t thread) const noexcept { return static_cast<std::size_t>(thread) & (buckets_.size() - 1); }

    void link(Tracee& tracee) noexcept {
        Tracee*& bucket = buckets_[place(tracee.thread)];
        tracee.next = bucket;
        bucket = &tracee;
    }

    void unlink(Tracee& tracee) noexcept {
        Tracee** at = &buckets_[place(tracee.thread)];
        while (*at != &tracee) at = &(*at)->next;
        *at = tracee.next;
    }

    void grow() {
        std::vector<Tracee*> larger(buckets_.size() * 2, nullptr);
        larger.swap(buckets_);
        for (Tracee* const tracee : all_) link(*tracee);
    }

    std::vector<Tracee*> buckets_;
    std::vector<Tracee*> all_{};
    Tracee* unused_ = nullptr;
};

}  // namespace sysguard::supervise
