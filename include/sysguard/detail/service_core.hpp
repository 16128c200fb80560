#pragma once

#include "../abi/error.hpp"
#include "../abi/numbers.hpp"
#include "../outcome.hpp"
#include "../policy/view.hpp"
#include "../process/descriptor.hpp"
#include "../process/exchange.hpp"
#include "../process/launch.hpp"
#include "../process/order.hpp"
#include "../process/result_area.hpp"
#include "../process/transfer.hpp"
#include "../supervise/supervisor.hpp"
#include "core.hpp"
#include "outcome_maker.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include <linux/futex.h>
#include <pthread.h>
#include <sys/socket.h>

namespace sysguard::detail {

/// How requests to a worker look, whatever is in them.
struct ServiceShape {
    std::size_t most_request = 0;  ///< bytes
    std::size_t most_reply = 0;
    bool takes_descriptors = false;  ///< of the host's, with requests
    bool gives_descriptors = false;  ///< of its own, with replies

    bool has_channel() const noexcept { return takes_descriptors || gives_descriptors; }
};

/// A worker that serves requests: what does not depend on their types.
class ServiceCore {
public:
    using Clock = supervise::Watch::Clock;
    using State = process::ResultArea::State;

    static constexpr int channel = 3;  ///< the worker's descriptor, as preset::channel has it

    /// Starts the process; called once, in the thread that it dies with.
    struct Starter {
        virtual ~Starter() = default;
        virtual process::Order order(const process::Confinement& confinement, const Launch& launch,
                                     process::Child& child) = 0;
        virtual void start(process::Order& order, process::ResultArea& area, process::Child& child) noexcept = 0;
    };

    ServiceCore(const CoreShare& core, Launch launch, const ServiceShape& shape, process::ResultArea&& area,
                Starter& starter)
        : core_{core},
          area_{std::move(area)},
          exchange_{area_, shape.most_request},
          order_{prepare(launch, shape, starter)},
          settings_{core_->watch_settings(launch)} {
        settings_.ended_in_shared_memory = &exchange_.header().reply;
        supervisor_ = &core_->join();
        if (core_->is_embedded()) {
            core_->leave();
            throw Error{EBUSY,
                        "start a worker that serves requests: the host's event loop serves this sandbox, and who waits "
                        "for a reply would not come to it; make a sandbox of its own for it"};
        }
        Start errand{*this, starter};
        supervisor_->post(errand);
        while (__atomic_load_n(&started_, __ATOMIC_ACQUIRE) == 0) supervise::wait_while(started_, 0);
    }
    ServiceCore(const ServiceCore&) = delete;
    ServiceCore& operator=(const ServiceCore&) = delete;
    ~ServiceCore() {
        stop();
        watch_->~Watch();
    }

    pthread_mutex_t& mutex() noexcept { return mutex_; }
    const process::Confinement& confinement() const noexcept { return core_->confinement(); }
    pid_t pid() const noexcept { return pid_; }

    /// Whether the worker has ended. Any thread may ask.
    bool has_ended() const noexcept { return watch_->is_finished(); }

    /// Kills it, also while another thread waits for a reply.
    const Outcome& stop() noexcept {
        {
            const supervise::Locked locked{end_mutex_};
            is_unwanted_ = true;
            if (supervisor_ != nullptr) supervisor_->stop(*watch_);
        }
        const supervise::Locked locked{mutex_};
        return outcome();
    }

    // With the mutex:

    const process::Exchange& exchange() const noexcept { return exchange_; }

    /// Of a worker that ends or has ended; waits for its end.
    const Outcome& outcome() noexcept {
        watch_->wait_until_finished();
        if (supervisor_ == nullptr) return outcome_;
        try {
            OutcomeMaker maker{watch_->take_ending(), "the function", confinement()};
            process::ResultArea::Header header = area_.read_header();
            if (header.state != State::failed_to_start) header.state = State::running;  // it never returns by itself
            outcome_ = std::move(maker).function(header, area_, proof_);
        } catch (const std::bad_alloc&) {
            outcome_ = {};
        }
        {
            const supervise::Locked locked{end_mutex_};
            supervisor_ = nullptr;
        }
        core_->leave();
        return outcome_;
    }

    struct Reply {
        State state = State::silent;  ///< silent: there is none, see `outcome`
        std::uint64_t size = 0;
        std::chrono::nanoseconds wall{};
        int descriptors = 0;
        process::Descriptor received[process::Transfer::most];
    };

    /// Has what is in `exchange().request()` served. Throws `Error` where descriptors cannot be sent.
    Reply request(std::uint64_t size, const process::Transfer& sent, std::optional<TimeLimit> limit) {
        const auto start = Clock::now();
        Reply reply;
        if (sent.count > 0) {
            const int error = process::send_transfer(channel_.get(), sent);
            if (error == EAGAIN || error == EPIPE || error == ECONNRESET) {
                give_up(Outcome::Kind::garbled, "it does not take the descriptors that it is sent");
                return reply;
            }
            if (error != 0) throw Error{error, "send descriptors to a worker"};
        }
        const std::uint32_t number = process::Exchange::next(last_);
        exchange_.publish_request(number, size, static_cast<std::uint32_t>(sent.count));
        const std::int64_t most = limit ? std::chrono::nanoseconds{limit->time()}.count() : -1;
        const auto waited = exchange_.wait_for_reply(number, last_, most, [this] { return has_ended(); });
        last_ = number;
        if (waited == process::Exchange::Wait::out_of_time) {
            give_up(Outcome::Kind::timed_out, "time for a request, " + std::to_string(limit->time().count()) + " ms,");
        } else if (waited == process::Exchange::Wait::disturbed) {
            give_up(Outcome::Kind::garbled, "it does not keep to the rules of its channel");
        } else {
            take(reply);
            reply.wall = Clock::now() - start;
        }
        return reply;
    }

    /// Ends the worker, which did something that it must not.
    void give_up(Outcome::Kind kind, std::string why) noexcept {
        bool is_unwanted = false;
        {
            const supervise::Locked locked{end_mutex_};
            is_unwanted = is_unwanted_;
            if (supervisor_ != nullptr) supervisor_->stop(*watch_);
        }
        outcome();
        if (!is_unwanted) OutcomeMaker::explain_stop(outcome_, kind, std::move(why));
    }

private:
    struct Start final : supervise::Supervisor::Errand {
        Start(ServiceCore& of, Starter& with) noexcept : service{of}, starter{with} {}

        void run() noexcept override {
            ServiceCore& own = service;  // this errand may be gone as soon as the worker has started
            const auto start = Clock::now();
            starter.start(own.order_, own.area_, own.child_);
            own.proof_ = own.order_.plan().pass;
            own.order_.finish_start();
            own.worker_end_.reset();
            own.pid_ = own.child_.pid;
            own.watch_ = new (own.room_for_watch_) supervise::Watch{std::move(own.child_), start, own.settings_};
            own.supervisor_->add(*own.watch_);
            __atomic_store_n(&own.started_, 1U, __ATOMIC_RELEASE);
            supervise::wake_all(own.started_);
        }

        ServiceCore& service;
        Starter& starter;
    };

    process::Order prepare(Launch& launch, const ServiceShape& shape, Starter& starter) {
        refuse_pipes(launch);
        const policy::View rules = confinement().policy();
        const auto needs = [&](int number, std::uint64_t first, std::uint64_t second, const char* instead) {
            const std::uint64_t registers[abi::max_arguments] = {first, second};
            const Decision decision = policy::decide(rules, number, registers);
            if (decision != Action::allow && decision != Action::log)
                throw Error{EINVAL,
                            std::string{"start a worker that serves requests: its policy does not allow "} + instead};
        };
        needs(sys::futex, 0, FUTEX_WAIT, "futex, by which it waits for them; add sg::preset::compute, or the call");
        needs(sys::futex, 0, FUTEX_WAKE, "futex, by which it wakes the host; add sg::preset::compute, or the call");
        if (shape.has_channel()) {
            constexpr const char* instead = "what it takes to exchange descriptors; add sg::preset::channel";
            needs(sys::recvmsg, channel, 0, instead);
            needs(sys::close, channel + 1, 0, instead);
            if (shape.gives_descriptors) needs(sys::sendmsg, channel, 0, instead);
            open_channel(launch, shape);
        }
        return starter.order(confinement(), launch, child_);
    }

    void open_channel(Launch& launch, const ServiceShape& shape) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
            throw Error{errno, "make a socket pair"};
        channel_.reset(process::above_streams(ends[0]));
        worker_end_.reset(process::above_streams(ends[1]));
        if (!channel_ || !worker_end_) throw Error{errno, "make a socket pair"};
        // What is on its way counts for the user, host and worker alike: a worker is to have little on its way.
        const int little = 1;
        ::setsockopt(worker_end_.get(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
        if (!shape.gives_descriptors) ::shutdown(channel_.get(), SHUT_RD);
        launch.descriptors.push_back({worker_end_.get(), channel});
    }

    /// Reads each field once: the worker can write to them.
    void take(Reply& reply) {
        const process::Exchange::Header& header = exchange_.header();
        reply.size = __atomic_load_n(&header.reply_size, __ATOMIC_RELAXED);
        const auto state = static_cast<State>(__atomic_load_n(&header.reply_state, __ATOMIC_RELAXED));
        const std::uint32_t descriptors = __atomic_load_n(&header.reply_descriptors, __ATOMIC_RELAXED);
        const bool is_known = state == State::returned || state == State::threw || state == State::out_of_memory ||
                              state == State::too_large;
        if (!is_known || reply.size > exchange_.most_reply() || descriptors > process::Transfer::most) {
            give_up(Outcome::Kind::garbled, "it left a reply that is none");
            return;
        }
        if (descriptors > 0) {
            reply.descriptors = channel_ ? process::receive_transfer(channel_.get(), reply.received) : -EBADF;
            if (reply.descriptors != static_cast<int>(descriptors)) {
                give_up(Outcome::Kind::garbled, "the descriptors of its reply did not arrive");
                return;
            }
        }
        reply.state = state;
    }

    CoreShare core_;
    process::ResultArea area_;
    process::Exchange exchange_;
    process::Child child_{};
    process::Descriptor channel_{};
    process::Descriptor worker_end_{};
    process::Order order_;
    supervise::Watch::Settings settings_;
    supervise::Supervisor* supervisor_ = nullptr;  ///< until the outcome is known; written with both mutexes
    supervise::Watch* watch_ = nullptr;
    alignas(supervise::Watch) char room_for_watch_[sizeof(supervise::Watch)];
    std::uint32_t started_ = 0;  ///< futex
    std::uint32_t last_ = 0;     ///< request's number
    std::uint64_t proof_ = 0;
    pid_t pid_ = -1;
    bool is_unwanted_ = false;  ///< somebody stopped it; with the second mutex
    Outcome outcome_{};
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;      ///< of requests
    pthread_mutex_t end_mutex_ = PTHREAD_MUTEX_INITIALIZER;  ///< of the supervisor
};

}  // namespace sysguard::detail
