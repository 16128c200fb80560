#pragma once

#include "../abi/error.hpp"
#include "../abi/take.hpp"
#include "answer.hpp"
#include "call.hpp"
#include "describe.hpp"
#include "line.hpp"
#include "pending.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <utility>

namespace sysguard {

/// The answer to one call that is given later, once, by any thread. Dropped without an answer, it refuses the call with
/// EPERM; where its handler has not returned yet, what that returns comes first. May outlive the worker, the sandbox
/// and the thread that made it. One thread at a time.
class Deferred {
public:
    Deferred(Deferred&& other) noexcept : call_{abi::take(other.call_)}, expires_{abi::take(other.expires_)} {}
    Deferred& operator=(Deferred&& other) noexcept {
        std::swap(call_, other.call_);
        std::swap(expires_, other.expires_);
        return *this;
    }
    ~Deferred() {
        if (call_ != nullptr) drop();
    }

    /// What the handler returns.
    Verdict pending() const noexcept { return Verdict{Verdict::Kind::later}; }

    /// The call, to be looked at and to make its answer of: `later.answer(later.call().deny(EACCES))`. Only while it
    /// has not been answered.
    AnyCall call() const noexcept { return AnyCall{*call_}; }

    /// The same with its arguments. `target` is the call, or a family that it belongs to.
    template <auto target>
    Call<target> as() const noexcept {
        return Call<target>{call()};
    }

    bool is_answered() const noexcept { return call_ == nullptr; }

    /// Where nobody has answered when `time` is over, the call fails with `error`.
    void expire_after(std::chrono::milliseconds time, int error) noexcept {
        if (call_ == nullptr) return;
        const supervise::Locked locked{call_->line->mutex};
        supervise::Desk* const desk = call_->line->desk;
        if (desk == nullptr) return;
        expires_ = desk->expire(*call_->line->watch, call_->id, supervise::Desk::after(time), error);
        if (!expires_) call_->line->listener.answer(call_->id, 0, error);
    }

    /// Answers. Returns whether this was the answer: false where the call has gone away, or has been answered, or has
    /// expired.
    bool answer(Verdict verdict) noexcept {
        supervise::Pending* const call = abi::take(call_);
        if (call == nullptr) return false;
        const bool answered = carry_out(*call, std::move(verdict));
        delete call;
        return answered;
    }

private:
    friend class AnyCall;

    explicit Deferred(supervise::Pending* call) noexcept : call_{call} {}

    /// While the handler runs in this thread, the worker is not to go on with a refusal: it may yet be killed.
    void drop() noexcept {
        supervise::Pending* const handled = supervise::Pending::in_handler;
        if (handled == nullptr || handled->id != call_->id || handled->line != call_->line) {
            answer(Verdict{Verdict::Kind::deny, EPERM});
            return;
        }
        handled->is_dropped = true;
        if (expires_) {
            const supervise::Locked locked{call_->line->mutex};
            if (call_->line->desk != nullptr) call_->line->desk->claim(*call_->line->watch, call_->id);
        }
        delete abi::take(call_);
    }

    bool carry_out(supervise::Pending& call, Verdict verdict) noexcept {
        using Kind = Verdict::Kind;
        const supervise::LineShare line = call.line;
        supervise::Description description;
        if (verdict.kind_ == Kind::kill) description = supervise::describe(call);
        const supervise::Locked locked{line->mutex};
        supervise::Desk* const desk = line->desk;
        if (desk == nullptr || !line->listener.is_pending(call.id)) return false;
        if (abi::take(expires_) && !desk->claim(*line->watch, call.id)) return false;
        if (!description.failure.empty()) desk->note_failure(*line->watch, std::move(description.failure));
        if (verdict.kind_ == Kind::perform)
            desk->perform(*line->watch, std::move(call));
        else if (verdict.kind_ == Kind::kill)
            desk->kill(*line->watch, call, std::move(description.text), std::move(description.mapping));
        else
            return supervise::Answerer::answer(line->listener, call, verdict);
        return true;
    }

    supervise::Pending* call_;
    bool expires_ = false;
};

inline Deferred AnyCall::defer() const {
    if (pending_->is_for_now)
        throw Error{EINVAL, "defer a call: a handler of the policy's, too, decides it, as soon as this one has"};
    const supervise::LineShare line = pending_->line;
    const std::uint64_t id = pending_->id;
    auto* const moved = new supervise::Pending{std::move(*pending_)};
    pending_->line = line;
    pending_->id = id;
    pending_->is_deferred = true;
    pending_->touch();
    return Deferred{moved};
}

}  // namespace sysguard
