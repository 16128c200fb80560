#pragma once

#include "process/signals.hpp"
#include "service.hpp"

#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace sysguard {

/// How many workers a pool keeps ready, and for how long each is used.
struct PoolOptions {
    std::size_t workers = 2;

    /// After so many requests a worker is replaced; 0: never. 1: each request has a worker of its own, which has not
    /// seen another's.
    std::size_t most_requests = 0;

    ServiceOptions service{};  ///< descriptors in its launch must stay open as long as the pool
};

template <class Signature>
class Pool;

/// Keeps workers ready that serve requests (see `Service`): a request goes to one that is idle, or waits for one. A
/// worker that has ended, or has served its requests, is replaced by a thread of the pool's own, ahead of the next
/// request. No request is sent twice: what ends a worker is the outcome of the request that it was serving.
///
/// The function is copied into the pool, and runs in forks of the host, as it is when each worker is started. Any
/// number of threads may call at a time. A pool must not be destroyed while one does; that ends all workers.
template <class Reply, class... Parameters>
class Pool<Reply(Parameters...)> {
public:
    /// Starts the workers. Errors are those of `Service`, and EINVAL for a pool without workers.
    template <class F>
        requires std::is_invocable_r_v < Reply, std::decay_t<F>
    &, Parameters... > Pool(const Sandbox& box, F&& function, const PoolOptions& options = {})
        : most_requests_{options.most_requests} {
        maker_ = std::make_unique<Forking<std::decay_t<F>>>(box, std::forward<F>(function), options.service);
        begin(options.workers);
    }

    /// The same with workers that a zygote forks (see `Service`), which must live as long as the pool.
    template <class F>
        requires std::is_invocable_r_v < Reply, std::decay_t<F>
    &, Parameters... > Pool(process::Zygote& zygote, const Sandbox& box, F&& function, const PoolOptions& options = {})
        : most_requests_{options.most_requests} {
        maker_ = std::make_unique<FromZygote<std::decay_t<F>>>(zygote, box, function, options.service);
        begin(options.workers);
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;
    ~Pool() {
        {
            const std::lock_guard locked{mutex_};
            is_ending_ = true;
        }
        spent_.notify_all();
        keeper_.join();
    }

    /// Has the function called in an idle worker, for which it waits. Errors are those of `Service::call`, and what
    /// starting a worker anew fails with.
    Result<Reply> call(const std::remove_cvref_t<Parameters>&... arguments) {
        return use([&](Worker& worker) { return worker.call(arguments...); });
    }

    /// The same, but no longer than `limit`, from when there is a worker: then that is ended.
    Result<Reply> call(TimeLimit limit, const std::remove_cvref_t<Parameters>&... arguments) {
        return use([&](Worker& worker) { return worker.call(limit, arguments...); });
    }

    /// How many workers could serve a request at once.
    std::size_t idle() const {
        const std::lock_guard locked{mutex_};
        std::size_t count = 0;
        for (const Slot& slot : slots_) count += slot.state == State::idle && !slot.worker->has_ended();
        return count;
    }

private:
    using Worker = Service<Reply(Parameters...)>;

    struct Maker {
        virtual ~Maker() = default;
        virtual std::unique_ptr<Worker> make() = 0;
    };

    template <class F>
    struct Forking final : Maker {
        template <class G>
        Forking(const Sandbox& with, G&& made_of, const ServiceOptions& as)
            : box{with}, function{std::forward<G>(made_of)}, options{as} {}
        std::unique_ptr<Worker> make() override { return std::make_unique<Worker>(box, function, options); }

        Sandbox box;
        F function;
        ServiceOptions options;
    };

    template <class F>
    struct FromZygote final : Maker {
        FromZygote(process::Zygote& from, const Sandbox& with, const F& made_of, const ServiceOptions& as)
            : zygote{from}, box{with}, function{made_of}, options{as} {}
        std::unique_ptr<Worker> make() override { return std::make_unique<Worker>(zygote, box, function, options); }

        process::Zygote& zygote;
        Sandbox box;
        F function;
        ServiceOptions options;
    };

    enum class State : unsigned char { idle, busy, spent };

    struct Slot {
        std::unique_ptr<Worker> worker{};
        std::size_t requests = 0;
        State state = State::idle;
    };

    /// Of one thread, while it uses a slot.
    class Lease {
    public:
        Lease(Pool& pool, Slot& slot) noexcept : pool_{pool}, slot_{slot} {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease() {
            bool is_spent = false;
            {
                const std::lock_guard locked{pool_.mutex_};
                const bool is_used_up = pool_.most_requests_ != 0 && slot_.requests >= pool_.most_requests_;
                is_spent = is_used_up || slot_.worker->has_ended();
                slot_.state = is_spent ? State::spent : State::idle;
            }
            (is_spent ? pool_.spent_ : pool_.free_).notify_one();
        }

    private:
        Pool& pool_;
        Slot& slot_;
    };

    void begin(std::size_t workers) {
        if (workers == 0) throw Error{EINVAL, "make a pool: of no workers; a request would wait for ever"};
        slots_.resize(workers);
        for (Slot& slot : slots_) slot.worker = maker_->make();
        const process::HandlersBlocked blocked;  // the host's handlers are not for the thread
        keeper_ = std::thread{[this] { keep(); }};
    }

    template <class Use>
    Result<Reply> use(const Use& use) {
        Slot& slot = wait_for_one();
        const Lease lease{*this, slot};
        ++slot.requests;
        return use(*slot.worker);
    }

    /// One whose worker has ended without a request is replaced first, unless it could not even start: then its outcome
    /// says why.
    Slot& wait_for_one() {
        std::unique_lock locked{mutex_};
        for (;;) {
            bool is_one_spent = false;
            for (Slot& slot : slots_) {
                if (slot.state == State::idle) {
                    if (!slot.worker->has_ended() || slot.worker->stop().kind() == Outcome::Kind::could_not_start) {
                        slot.state = State::busy;
                        return slot;
                    }
                    slot.state = State::spent;
                }
                is_one_spent = is_one_spent || slot.state == State::spent;
            }
            if (failure_) throw Error{*std::exchange(failure_, std::nullopt)};
            if (is_one_spent) spent_.notify_one();
            free_.wait(locked);
        }
    }

    /// The pool's own thread: replaces workers. One that cannot be replaced is tried again when somebody waits for it.
    void keep() {
        std::unique_lock locked{mutex_};
        while (!is_ending_) {
            Slot* const slot = find_spent();
            if (slot == nullptr) {
                spent_.wait(locked);
                continue;
            }
            locked.unlock();
            std::unique_ptr<Worker> fresh;
            std::optional<Error> failure;
            slot->worker.reset();
            try {
                fresh = maker_->make();
            } catch (const Error& error) {
                failure = error;
            } catch (const std::exception& exception) {
                failure = Error{ENOMEM, exception.what()};
            }
            locked.lock();
            if (fresh) {
                slot->worker = std::move(fresh);
                slot->requests = 0;
                slot->state = State::idle;
                free_.notify_one();
            } else {
                failure_ = std::move(failure);
                free_.notify_all();
                if (!is_ending_) spent_.wait(locked);
            }
        }
    }

    Slot* find_spent() noexcept {
        for (Slot& slot : slots_)
            if (slot.state == State::spent) return &slot;
        return nullptr;
    }

    std::size_t most_requests_;
    std::unique_ptr<Maker> maker_;
    mutable std::mutex mutex_;
    std::condition_variable free_;
    std::condition_variable spent_;
    std::vector<Slot> slots_;
    std::optional<Error> failure_;  ///< of the latest replacement, for one who waits
    bool is_ending_ = false;
    std::thread keeper_;
};

template <class F>
Pool(const Sandbox&, F&&) -> Pool<typename detail::SignatureOf<std::decay_t<F>>::Type>;
template <class F>
Pool(const Sandbox&, F&&, const PoolOptions&) -> Pool<typename detail::SignatureOf<std::decay_t<F>>::Type>;

template <class F>
Pool(process::Zygote&, const Sandbox&, F&&) -> Pool<typename detail::SignatureOf<std::decay_t<F>>::Type>;
template <class F>
Pool(process::Zygote&, const Sandbox&, F&&, const PoolOptions&)
    -> Pool<typename detail::SignatureOf<std::decay_t<F>>::Type>;

}  // namespace sysguard
