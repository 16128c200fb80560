#pragma once

#include "abi/table.hpp"
#include "supervise/hit_queue.hpp"
#include "supervise/interception.hpp"
#include "tracer.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <sys/types.h>

namespace sysguard {

/// Turns the interception of system calls on and off while programs run, and tells of those that chosen processes make,
/// also of processes that ran before:
///
///     sg::Interceptor interceptor{[](const sg::Hit& hit) { std::puts(hit.text().c_str()); }};
///     interceptor.intercept(SYS_openat);
///     interceptor.monitor(SYS_openat, pid);
///
/// The calls go on as they are. A process is stopped at each of its calls as long as some call of it is monitored
/// (ptrace(2)), and not touched before and afterwards. All functions may be called by any thread; what they answer is
/// an error or nothing (`std::errc{}`), and is checked in this order:
///
/// * `invalid_argument`: a number that is no native call of the table; a negative pid, or one of no living process.
/// * `operation_not_permitted`: only root intercepts, releases and names pid 0, which is every process; others monitor
///   processes of their own user. Also where the kernel does not let the host trace the process: another tracer has it,
///   it is the host itself, it is dumpable for nobody, Yama forbids it.
/// * `invalid_argument` again: the call is released or monitored without being intercepted; a process is not monitored
///   for it.
/// * `device_or_resource_busy`: it is so already.
///
/// Others are the kernel's, such as `not_enough_memory`. What fails has changed nothing.
///
/// A host that waits for a child of its own (wait(2)) while that is monitored takes the stops from its tracer, for the
/// kernel makes no difference between the threads of a process: let another process be the parent, or wait afterwards.
///
/// "Every process" leaves out the host, what another tracer has, and threads of the kernel. A process that comes of one
/// that is left out is found within `rescan` after it has begun. Who the asker is, is the thread's effective user id.
/// Linux 5.3.
class Interceptor {
public:
    static constexpr std::chrono::milliseconds rescan{50};

    /// `on_hit(const Hit&)` is told of each call, one after the other, in a thread of the interceptor's own and without
    /// holding up who makes the call: where it cannot keep up, calls are dropped, and counted. What it throws is
    /// caught, and counts as dropped. It may use the interceptor, but not end it. Throws `Error`, std::system_error,
    /// std::bad_alloc.
    template <class F>
    explicit Interceptor(F on_hit) : parts_{std::make_unique<Parts>()} {
        parts_->start([parts = parts_.get(), on_hit = std::move(on_hit)]() mutable {
            Hit hit;
            while (parts->queue.pop(hit)) {
                try {
                    on_hit(static_cast<const Hit&>(hit));
                } catch (...) {
                    parts->queue.count_dropped();
                }
            }
        });
    }
    Interceptor(const Interceptor&) = delete;
    Interceptor& operator=(const Interceptor&) = delete;

    /// Lets all processes go on untraced, tells of the hits until then, and ends.
    ~Interceptor() = default;

    std::errc intercept(int call) noexcept { return parts_->interception.intercept(call); }
    std::errc release(int call) noexcept { return parts_->interception.release(call); }

    std::errc monitor(int call, pid_t process) noexcept {
        const std::errc error = parts_->interception.monitor(call, process);
        if (process == 0) parts_->look_again();
        return error;
    }
    std::errc unmonitor(int call, pid_t process) noexcept { return parts_->interception.unmonitor(call, process); }

    /// How many hits nobody has been told of.
    std::uint64_t dropped() const noexcept { return parts_->queue.dropped(); }

private:
    struct Parts final : supervise::ProcessTracer {
        Tracer tracer{{.follow = Follow::everything, .results = false}};
        supervise::HitQueue queue{};
        supervise::Interception interception{*this};
        std::mutex mutex{};  ///< of what follows
        std::condition_variable has_changed{};
        bool is_ending = false;
        bool has_served = false;
        std::thread deliverer{};
        std::thread tracing{};
        std::thread finder{};

        template <class Deliver>
        void start(Deliver deliver) {
            deliverer = std::thread{std::move(deliver)};
            tracing = std::thread{[this] {
                tracer.serve([this](const Event& event) { take(event); });
                const std::lock_guard locked{mutex};
                has_served = true;
                has_changed.notify_all();
            }};
            finder = std::thread{[this] { find(); }};
        }

        Parts() = default;
        Parts(const Parts&) = delete;
        Parts& operator=(const Parts&) = delete;
        ~Parts() {
            {
                const std::lock_guard locked{mutex};
                is_ending = true;
                has_changed.notify_all();
            }
            if (finder.joinable()) finder.join();
            if (tracing.joinable()) stop_tracing();
            queue.close();
            if (deliverer.joinable()) deliverer.join();
        }

        /// A stop that comes before the thread serves stops nothing.
        void stop_tracing() {
            std::unique_lock locked{mutex};
            while (!has_served) {
                locked.unlock();
                tracer.stop();
                locked.lock();
                has_changed.wait_for(locked, std::chrono::milliseconds{1}, [this] { return has_served; });
            }
            locked.unlock();
            tracing.join();
        }

        void attach(pid_t process) override { tracer.attach(process); }
        void detach(pid_t process) override { tracer.detach(process); }

        void look_again() noexcept {
            const std::lock_guard locked{mutex};
            has_changed.notify_all();
        }

        void find() {
            std::unique_lock locked{mutex};
            while (!is_ending) {
                if (!interception.is_everybody_watched()) {
                    has_changed.wait(locked);
                    continue;
                }
                has_changed.wait_for(locked, rescan);
                if (is_ending) break;
                locked.unlock();
                interception.find_newcomers();
                locked.lock();
            }
        }

        /// In the tracer's thread.
        void take(const Event& event) {
            switch (event.kind) {
                case Event::Kind::entered: tell(event); break;
                case Event::Kind::started:
                    if (event.origin != Event::Origin::thread && !interception.note_start(event.process))
                        tracer.detach(event.process);
                    break;
                case Event::Kind::exited:
                case Event::Kind::killed:
                    if (event.thread == event.process) interception.note_end(event.process);
                    break;
                case Event::Kind::detached:
                    if (event.thread == event.process) interception.note_detach(event.process);
                    break;
                default: break;
            }
        }

        void tell(const Event& event) noexcept {
            const supervise::TracedCall& call = event.call;
            Hit hit;
            hit.number = call.number;
            if (call.abi != abi::native_abi) {
                const abi::Syscall* const native = abi::find(abi::name_of(call.abi, call.number));
                hit.number = native == nullptr ? -1 : native->number();
            }
            if (!interception.tells(hit.number, event.process)) return;
            hit.process = event.process;
            hit.thread = event.thread;
            for (int i = 0; i < abi::max_arguments; ++i) hit.arguments[i] = call.arguments[i];
            hit.time = event.time;
            queue.push(hit);
        }
    };

    std::unique_ptr<Parts> parts_;
};

}  // namespace sysguard
