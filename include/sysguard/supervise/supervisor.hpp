#pragma once

#include "watch.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace sysguard::supervise {

/// Serves workers: answers the calls that their filters send to the host, collects their output, keeps their time, and
/// clears away what is left of them. One serves any number of workers, in one thread: the one that calls `run`, one of
/// its own (`start_thread`), or the host's event loop (`fd`, `dispatch`). In the first two cases another thread stands
/// by once a policy has handlers or a worker is to be killed for a call, and takes over where a handler or a look at a
/// worker's memory takes long. Where so many hang that nobody could take over, further calls fail with EAGAIN.
class Supervisor final : private Desk {
public:
    using Clock = Watch::Clock;

    Supervisor() noexcept = default;
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Waits for its threads: for handlers that still run, too.
    ~Supervisor() {
        stop_threads();
        while (errands_ != nullptr) std::exchange(errands_, errands_->next)->run();  // of workers that have ended
    }

    /// Returns 0 or an errno.
    int open() noexcept {
        epoll_.reset(process::above_streams(::epoll_create1(EPOLL_CLOEXEC)));
        bell_.reset(process::above_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
        timer_.reset(process::above_streams(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)));
        if (!epoll_ || !bell_ || !timer_) return errno;
        if (const int error = listen_to(timer_.get(), timer_source_); error != 0) return error;
        return listen_to(bell_.get(), bell_source_);
    }

    /// Readable when there is something to dispatch.
    int fd() const noexcept { return epoll_.get(); }

    /// Takes a worker over that has been started. It is served until it has finished, and must live until then. To be
    /// called by a thread that serves.
    void add(Watch& watch) noexcept {
        if (watch.is_finished() || take_in(watch)) return;
        finish(watch, turn_.number());
    }

    /// Serves in this thread until a worker has finished, and returns when no other thread serves.
    void run(const Watch& watch) noexcept {
        lead(turn_.number(), &watch);
        watch.wait_until_finished();
        stop_threads();
    }

    /// Serves what there is to serve now, without waiting; no thread stands by. Returns whether there was something.
    bool dispatch() noexcept {
        stands_alone_ = true;
        constexpr int most = 256;
        Pending call;
        for (int i = 0; i < most; ++i) {
            epoll_event event{};
            if (::epoll_wait(epoll_.get(), &event, 1, 0) <= 0) return i > 0;
            serve(event, call, turn_.number());
        }
        return true;
    }

    /// Serves in a thread of its own until `stop_threads`. Returns 0 or an errno. For one thread, once.
    int start_thread() noexcept {
        const Locked locked{mutex_};
        return add_thread(lead_in_thread);
    }

    /// Whether the calling thread is one of its own: a handler's.
    bool runs_here() noexcept {
        const Locked locked{mutex_};
        for (int i = 0; i < thread_count_; ++i)
            if (::pthread_equal(threads_[i], ::pthread_self()) != 0) return true;
        return false;
    }

    void stop_threads() noexcept {
        turn_.stop();
        ring();
        for (;;) {
            pthread_t thread{};
            {
                const Locked locked{mutex_};
                if (thread_count_ == 0) return;
                thread = threads_[--thread_count_];
            }
            ::pthread_join(thread, nullptr);
        }
    }

    /// Ends a worker. Any thread.
    void stop(Watch& watch) noexcept {
        const Locked locked{mutex_};
        if (!watch.is_finished() && !watch.is_clearing_) watch.end(watch.ending_.stopped);
    }

    /// Something that a thread which serves is to do soon.
    struct Errand {
        virtual ~Errand() = default;
        virtual void run() noexcept = 0;
        Errand* next = nullptr;
    };

    /// Any thread. The errand is borrowed until it has run.
    void post(Errand& errand) noexcept {
        {
            const Locked locked{mutex_};
            Errand** last = &errands_;
            while (*last != nullptr) last = &(*last)->next;
            *last = &errand;
        }
        ring();
    }

private:
    struct Expiry {
        Watch* watch;
        std::uint64_t id;
        Clock::time_point when;
        int error;
        Expiry* next;
    };

    /// Takes out of the list those that `is_meant` says. Returns how many they were. With the mutex.
    template <class F>
    int remove_expiries(const F& is_meant) noexcept {
        int removed = 0;
        for (Expiry** place = &expiries_; *place != nullptr;) {
            if (!is_meant(**place)) {
                place = &(*place)->next;
                continue;
            }
            Expiry* const expiry = *place;
            *place = expiry->next;
            delete expiry;
            ++removed;
        }
        return removed;
    }

    static constexpr std::chrono::milliseconds look_after{250};
    static constexpr int enough_to_come_close = 200;  ///< calls of one worker in a row, without anything else
    static constexpr int most_threads = 64;           ///< so many handlers may hang at a time

    int listen_to(int fd, Source& source) noexcept {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &source;
        return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
    }

    /// Returns whether its end will be noticed. Where not, it has been killed.
    bool take_in(Watch& watch) noexcept {
        const Locked locked{mutex_};
        watch.next_ = watches_;
        watches_ = &watch;
        int error = watch.open_line(*this);
        const process::Child& child = watch.child_;
        const auto listen = [&](int fd, Source::Kind kind) {
            const int failed = fd < 0 ? 0 : listen_to(fd, watch.sources_[kind]);
            if (failed != 0) error = failed;
            return failed == 0;
        };
        const bool is_noticed = listen(child.pidfd.get(), Source::first_process);
        listen(watch.line_ ? watch.line_->listener.fd() : -1, Source::calls);
        listen(child.channel.get(), Source::hand_over);
        if (watch.settings_.most_output) listen(child.output.get(), Source::output);
        if (watch.settings_.most_error) listen(child.error.get(), Source::error);
        if (error != 0) watch.give_up(error);
        const Clock::time_point now = Clock::now();
        if (watch.is_out_of_time(now)) watch.end(watch.ending_.timed_out);  // its start took that long
        if (watch.is_out_of_cpu(now)) watch.end(watch.ending_.used_up);
        set_timer();
        return is_noticed;
    }

    void ignore(int fd) noexcept {
        if (fd >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    }

    void ring() const noexcept {
        const std::uint64_t one = 1;
        while (::write(bell_.get(), &one, sizeof one) < 0 && errno == EINTR) {
        }
    }

    /// Serves as the leader. Returns false where the turn became another's, true where it is over.
    bool lead(std::uint32_t turn, const Watch* until) noexcept {
        Pending call;
        const Source* last = nullptr;
        int in_a_row = 0;
        while (until != nullptr ? !until->is_finished() : !turn_.is_stopped()) {
            epoll_event event{};  // one at a time: what is served may end what another event is about
            if (::epoll_wait(epoll_.get(), &event, 1, -1) <= 0) continue;
            Source& source = *static_cast<Source*>(event.data.ptr);
            in_a_row = source.kind == Source::calls && &source == last ? in_a_row + 1 : 0;
            last = &source;
            if (!serve(event, call, turn)) return false;
            if (in_a_row < enough_to_come_close) continue;
            in_a_row = 0;
            if (may_come_close(*source.watch) && !serve_closely(*source.watch, call, turn)) return false;
        }
        return true;
    }

    static void* lead_in_thread(void* self) noexcept {
        Supervisor& supervisor = *static_cast<Supervisor*>(self);
        if (supervisor.lead(supervisor.turn_.number(), nullptr)) return nullptr;
        __atomic_fetch_add(&supervisor.standing_by_, 1, __ATOMIC_SEQ_CST);
        return stand_by_in_thread(self);
    }

    /// A thread that lost its turn stands by again: it does not end, as what it has started would die with it. Counted
    /// by whoever starts it, so that nobody starts another meanwhile.
    static void* stand_by_in_thread(void* self) noexcept {
        Supervisor& supervisor = *static_cast<Supervisor*>(self);
        for (;;) {
            const Turn::Taken taken = supervisor.turn_.stand_by(supervisor.epoll_.get());
            __atomic_fetch_sub(&supervisor.standing_by_, 1, __ATOMIC_SEQ_CST);
            if (taken.from_close) supervisor.take_from_close(taken);
            if (taken.number == 0 || supervisor.lead(taken.number, nullptr)) return nullptr;
            __atomic_fetch_add(&supervisor.standing_by_, 1, __ATOMIC_SEQ_CST);
        }
    }

    int add_thread(void* (*entry)(void*)) noexcept {
        if (thread_count_ == most_threads) return EAGAIN;
        const process::HandlersBlocked blocked;  // the host's handlers are not for the thread
        const int error = ::pthread_create(&threads_[thread_count_], nullptr, entry, this);
        if (error == 0) ++thread_count_;
        return error;
    }

    /// Sees to it that somebody is there to take over. Returns whether there is, or this serves alone.
    bool have_a_stand_by() noexcept {
        if (stands_alone_ || __atomic_load_n(&standing_by_, __ATOMIC_SEQ_CST) > 0) return true;
        const Locked locked{mutex_};
        if (turn_.is_stopped()) return true;
        __atomic_fetch_add(&standing_by_, 1, __ATOMIC_SEQ_CST);
        const bool is_there = add_thread(stand_by_in_thread) == 0;
        if (!is_there) __atomic_fetch_sub(&standing_by_, 1, __ATOMIC_SEQ_CST);
        return is_there;
    }

    // Below, in service.hpp. Those that return whether the turn is still the caller's do what may take long while
    // another may take over: then they touch only what is theirs alone, and else only with the mutex.
    bool serve(const epoll_event& event, Pending& call, std::uint32_t turn) noexcept;
    bool serve_call(Watch& watch, bool is_there, Pending& call, std::uint32_t turn) noexcept;
    bool may_come_close(const Watch& watch) noexcept;
    bool serve_closely(Watch& watch, Pending& call, std::uint32_t turn) noexcept;
    void take_from_close(const Turn::Taken& taken) noexcept;
    void listen_again(Line& line) noexcept;
    bool serve_performance(PerformanceSource& source, std::uint32_t turn) noexcept;
    bool finish(Watch& watch, std::uint32_t turn) noexcept;
    void serve_output(Watch& watch, Source::Kind kind) noexcept;
    void take_listener(Watch& watch) noexcept;
    static void begin(Pending& call, const LineShare& line, const seccomp_notif& request) noexcept;
    void decide(const Rulebook& rules, Pending& call) noexcept;
    void kill(Pending& call) noexcept;
    void perform(Pending&& call) noexcept;
    inline void perform(Watch& watch, Pending&& call) noexcept override;
    inline void kill(Watch& watch, const Pending& call, std::string&& text, std::string&& mapping) noexcept override;
    inline void note_failure(Watch& watch, std::string&& message) noexcept override;
    inline bool expire(Watch& watch, std::uint64_t id, Clock::time_point when, int error) noexcept override;
    inline bool claim(Watch& watch, std::uint64_t id) noexcept override;
    void admit(Watch& watch, Performance* performance) noexcept;
    void start(Watch& watch, Performance* performance) noexcept;
    bool run_errand(std::uint32_t turn) noexcept;
    void keep_time() noexcept;
    void set_timer() noexcept;

    process::Descriptor epoll_{};
    process::Descriptor bell_{};
    process::Descriptor timer_{};
    Source bell_source_{nullptr, Source::bell};
    Source timer_source_{nullptr, Source::timer};
    Turn turn_{};
    LineShare close_line_{};  ///< the leader's: of the worker that it is close to
    bool stands_alone_ = false;
    int standing_by_ = 0;

    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads_[most_threads]{};
    int thread_count_ = 0;
    Watch* watches_ = nullptr;
    Expiry* expiries_ = nullptr;
    Errand* errands_ = nullptr;
};

}  // namespace sysguard::supervise

#include "closeness.hpp"
#include "service.hpp"
