#pragma once

#include "../abi/take.hpp"

#include <utility>

namespace sysguard {

class AnyCall;
class Verdict;

/// One pending call of a worker, with the arguments of `target`, a call or a family (supervise/call.hpp).
template <auto target>
class Call;

struct Asking;

/// What a rule that asks hands its calls to (decide/ask.hpp).
template <class Asker>
class AskingHandler;

namespace policy {

namespace detail {

template <class F>
struct Late {
    using Type = Verdict;
    using How = Asking;
};

}  // namespace detail

/// Verdict, by a name that waits for F: a rule is declared where a verdict is not complete yet.
template <class F>
using VerdictOf = typename detail::Late<F>::Type;

template <class F>
using AskingOf = typename detail::Late<F>::How;

/// What a rule calls in the host. Owns nothing.
struct Handler {
    Verdict (*invoke)(const void* context, const AnyCall& call) = nullptr;
    const void* context = nullptr;

    constexpr explicit operator bool() const noexcept { return invoke != nullptr; }
    friend constexpr bool operator==(const Handler&, const Handler&) = default;
};

/// What handlers have captured, shared by all copies of their rules; or nothing. Thread-safe as far as the captured
/// things are.
class SharedContext {
public:
    constexpr SharedContext() noexcept = default;

    /// What both hold.
    static inline SharedContext join(const SharedContext& a, const SharedContext& b);

    template <class F>
    static SharedContext make(F&& function) {
        SharedContext context;
        context.holder_ = new Held<std::remove_cvref_t<F>>{std::forward<F>(function)};
        return context;
    }

    constexpr SharedContext(const SharedContext& other) noexcept : holder_{other.holder_} {
        if (holder_ != nullptr) share();
    }
    constexpr SharedContext(SharedContext&& other) noexcept : holder_{abi::take(other.holder_)} {}
    constexpr SharedContext& operator=(SharedContext other) noexcept {
        std::swap(holder_, other.holder_);
        return *this;
    }
    constexpr ~SharedContext() {
        if (holder_ != nullptr) drop();
    }

    template <class F>
    const F* get() const noexcept {
        return &static_cast<const Held<F>*>(holder_)->function;
    }

private:
    struct Holder {
        virtual ~Holder() = default;
        long count = 1;
    };

    template <class F>
    struct Held : Holder {
        template <class G>
        explicit Held(G&& from) : function{std::forward<G>(from)} {}
        F function;
    };

    struct Pair;

    void share() const noexcept { __atomic_fetch_add(&holder_->count, 1, __ATOMIC_RELAXED); }
    void drop() const noexcept {
        if (__atomic_sub_fetch(&holder_->count, 1, __ATOMIC_ACQ_REL) == 0) delete holder_;
    }

    Holder* holder_ = nullptr;
};

struct SharedContext::Pair {
    SharedContext first;
    SharedContext second;
};

inline SharedContext SharedContext::join(const SharedContext& a, const SharedContext& b) {
    if (a.holder_ == nullptr) return b;
    return b.holder_ == nullptr ? a : make(Pair{a, b});
}

/// What the handlers of some rules have captured.
template <bool some>
struct Contexts {
    template <bool others>
    constexpr void take(const Contexts<others>&) noexcept {
        static_assert(!others,
                      "rules with handlers that capture something do not fit into a group without: let the "
                      "compiler deduce the group's type, Rules{...}");
    }
    SharedContext context() const noexcept { return {}; }
};

template <>
struct Contexts<true> {
    template <bool others>
    void take(const Contexts<others>& other) {
        shared = SharedContext::join(shared, other.context());
    }
    SharedContext context() const noexcept { return shared; }

    SharedContext shared{};
};

}  // namespace policy

}  // namespace sysguard
