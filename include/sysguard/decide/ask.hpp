#pragma once

#include "../abi/take.hpp"
#include "../policy/performable.hpp"
#include "../process/signals.hpp"
#include "../supervise/deferred.hpp"
#include "../supervise/turn.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

namespace sysguard {

/// What somebody says who was asked about a call.
enum class Answer : std::uint8_t {
    refuse,  ///< it does not run and fails
    allow,   ///< it runs: by the kernel, or where its pointers lead to something by the host on what was shown
    kill,    ///< the whole worker is killed
};

/// How a rule asks.
struct Asking {
    std::chrono::milliseconds time{30'000};  ///< from the call on; when it is over, the call fails
    int error = EPERM;                       ///< what a call fails with that is refused, or about which nobody answered
};

/// One call that somebody is asked about. Lives while the asker runs.
class Question {
public:
    using Clock = std::chrono::steady_clock;

    Question(const AnyCall& call, Clock::time_point end) noexcept : call_{call}, end_{end} {}

    const AnyCall& call() const noexcept { return call_; }

    /// The real path of the program that asks, with escapes for what is no plain text; "?" where it cannot be seen.
    std::string program() const {
        char link[32];
        std::snprintf(link, sizeof link, "/proc/%d/exe", call_.pid());
        char path[PATH_MAX];
        const ssize_t size = ::readlink(link, path, sizeof path);
        if (size <= 0 || !call_.is_pending()) return "?";
        const std::string shown = supervise::quoted({path, static_cast<std::size_t>(size)}, PATH_MAX);
        return shown.substr(1, shown.size() - 2);
    }

    /// How long an answer still counts; nothing, where it does not any more: the time is over, or the call is gone.
    std::chrono::milliseconds time_left() const noexcept {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now());
        return left.count() > 0 && call_.is_pending() ? left : std::chrono::milliseconds{0};
    }

private:
    AnyCall call_;
    Clock::time_point end_;
};

/// What `Rule::ask` hands its calls to: a thread of its own asks about one after the other, so that nobody who thinks
/// holds up a worker's other calls, or another worker.
template <class Asker>
class AskingHandler {
public:
    AskingHandler(Asker asker, Asking how) : state_{new State{std::move(asker), how}} {}
    AskingHandler(AskingHandler&& other) noexcept : state_{abi::take(other.state_)} {}
    AskingHandler& operator=(AskingHandler&&) = delete;
    ~AskingHandler() {
        if (state_ == nullptr) return;
        state_->stop();
        delete state_;
    }

    Verdict operator()(const AnyCall& call) const {
        Deferred later = call.defer();
        later.expire_after(state_->how.time, state_->how.error);
        Verdict verdict = later.pending();
        state_->add(std::move(later));
        return verdict;
    }

private:
    struct Item {
        Deferred call;
        Question::Clock::time_point end;
        Item* next = nullptr;
    };

    struct State {
        State(Asker&& by, Asking in) : asker{std::move(by)}, how{in} {}

        void add(Deferred&& call) {
            auto* const item = new Item{std::move(call), supervise::Desk::after(how.time)};
            {
                const supervise::Locked locked{mutex};
                Item** last = &items;
                while (*last != nullptr) last = &(*last)->next;
                *last = item;
                if (!has_thread) {
                    const process::HandlersBlocked blocked;  // the host's handlers are not for the thread
                    has_thread = ::pthread_create(&thread, nullptr, run, this) == 0;
                }
                if (!has_thread) drop();
            }
            __atomic_fetch_add(&news, 1, __ATOMIC_SEQ_CST);
            supervise::wake_all(news);
        }

        static void* run(void* self) noexcept {
            State& state = *static_cast<State*>(self);
            for (;;) {
                const std::uint32_t seen = __atomic_load_n(&state.news, __ATOMIC_SEQ_CST);
                if (Item* const item = state.take(); item != nullptr) {
                    state.ask(*item);
                    delete item;
                } else if (__atomic_load_n(&state.stopped, __ATOMIC_SEQ_CST)) {
                    return nullptr;
                } else {
                    supervise::wait_while(state.news, seen);
                }
            }
        }

        Item* take() noexcept {
            const supervise::Locked locked{mutex};
            return items == nullptr ? nullptr : std::exchange(items, items->next);
        }

        void ask(Item& item) noexcept {
            const AnyCall call = item.call.call();
            const Question question{call, item.end};
            if (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST) || question.time_left().count() == 0) {
                miss(question);
                return;
            }
            Answer answer = Answer::refuse;
            try {
                answer = asker(question);
            } catch (...) {  // no answer is a no
            }
            const bool runs_in_kernel = policy::is_all_registers(call.number());
            switch (answer) {
                case Answer::allow:
                    item.call.answer(runs_in_kernel ? call.proceed_unchecked() : call.perform_if_possible());
                    break;
                case Answer::kill: item.call.answer(call.kill()); break;
                default: item.call.answer(Verdict{call.deny(how.error)}); break;
            }
        }

        /// Nobody was asked: an asker that wants to know has `missed(const Question&)`.
        void miss(const Question& question) noexcept {
            if constexpr (requires { asker.missed(question); }) {
                try {
                    asker.missed(question);
                } catch (...) {  // it was refused anyway
                }
            }
        }

        /// What is waiting is refused.
        void drop() noexcept {
            while (items != nullptr) delete std::exchange(items, items->next);
        }

        /// Waits for the question that is being asked.
        void stop() noexcept {
            {
                const supervise::Locked locked{mutex};
                drop();
            }
            __atomic_store_n(&stopped, true, __ATOMIC_SEQ_CST);
            __atomic_fetch_add(&news, 1, __ATOMIC_SEQ_CST);
            supervise::wake_all(news);
            if (has_thread) ::pthread_join(thread, nullptr);
        }

        Asker asker;
        Asking how;
        pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        Item* items = nullptr;
        pthread_t thread{};
        bool has_thread = false;
        bool stopped = false;
        std::uint32_t news = 0;
    };

    State* state_;
};

}  // namespace sysguard
