#pragma once

#include "detail/inside.hpp"
#include "detail/sent_function.hpp"
#include "detail/service_codec.hpp"
#include "detail/service_core.hpp"
#include "process/zygote.hpp"
#include "sandbox.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace sysguard {

/// Owns a descriptor: as a parameter of a function that serves requests, one that the worker gets; as its result, or
/// the second of a pair, one that the host gets. A std::vector of them holds up to 16.
using process::Descriptor;

/// How a worker that serves requests starts, and how much it may be asked.
struct ServiceOptions {
    Launch launch{};

    /// The most bytes of one request. The most of a reply is the sandbox's `Options::most_result`. Memory is taken as
    /// it is written to, and kept.
    std::size_t most_request = 64_MiB;
};

namespace detail {

template <class F>
struct SignatureOf : SignatureOf<decltype(&F::operator())> {};
template <class R, class... P>
struct SignatureOf<R (*)(P...)> {
    using Type = R(P...);
};
template <class R, class... P>
struct SignatureOf<R (*)(P...) noexcept> {
    using Type = R(P...);
};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...)> {
    using Type = R(P...);
};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const> {
    using Type = R(P...);
};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) noexcept> {
    using Type = R(P...);
};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const noexcept> {
    using Type = R(P...);
};

}  // namespace detail

template <class Signature>
class Service;

/// A worker that serves typed requests, one at a time, for as long as it lives: `call` has a function called in it.
/// The function runs in a fork of the host, made when the service is, under the sandbox's policy; what it changes it
/// finds again at the next request. An exception is that request's outcome, and the worker goes on; what ends the
/// worker (a crash, a violation, a limit of the sandbox, a request that takes too long) is the outcome of that request
/// and of all later ones. Destroying a service ends its worker. The sandbox's wall-clock limit is for the worker's
/// whole life: give each request a time of its own.
///
/// Parameters and results are what `process::Returnable` allows, and `Descriptor`s (see there). The policy must allow
/// futex (`preset::compute` does), and where there are descriptors what `preset::channel` has.
///
/// Any number of threads may call: one at a time is served.
template <class Reply, class... Parameters>
class Service<Reply(Parameters...)> {
    static_assert(detail::Replyable<Reply> && (detail::Requestable<std::remove_cvref_t<Parameters>> && ...),
                  "a function that serves requests takes and returns strings, numbers, enums, and arrays, optionals, "
                  "structs and the like of these, or vectors; no pointers, and nothing that could hold one: see "
                  "process::Returnable; and sg::Descriptor, of which it may return one beside a value, as a std::pair");

public:
    /// Starts the worker. Throws `Error`: EINVAL where the policy lacks what it takes, EBUSY where the host's event
    /// loop serves the sandbox, and as `Sandbox::call`. A worker that could not start says so in its first outcome.
    template <class F>
        requires std::is_invocable_r_v<Reply, F&, Parameters...> Service(const Sandbox& box, F&& function,
                                                                         const ServiceOptions& options = {}) {
            struct Fork final : detail::ServiceCore::Starter {
                Fork(F& served, std::size_t most) noexcept : function{served}, most_request{most} {}
                process::Order order(const process::Confinement& confinement, const Launch& launch,
                                     process::Child& child) override {
                    return process::Order::function(confinement, launch, child);
                }
                void start(process::Order& order, process::ResultArea& area, process::Child& child) noexcept override {
                    const auto body = [this](process::ResultArea& shared) noexcept {
                        detail::serve_requests<Reply, Parameters...>(shared, most_request, function);
                    };
                    process::start_function(order.plan(), area, child, body);
                }
                std::remove_reference_t<F>& function;
                std::size_t most_request;
            } fork{function, options.most_request};
            const detail::ServiceShape shape = shape_of(box, options.most_request);
            core_ = std::make_unique<detail::ServiceCore>(
                detail::Inside::core(box), options.launch, shape,
                process::ResultArea{process::Exchange::size(shape.most_request, shape.most_reply)}, fork);
        }

    /// The same in a fork of a zygote (see `Zygote`): `function` is one, or a lambda without captures. Errors besides
    /// are those of `Zygote::call`.
    template <class F>
        requires std::is_invocable_r_v<Reply, F&, Parameters...> Service(process::Zygote& zygote, const Sandbox& box,
                                                                         F&& function,
                                                                         const ServiceOptions& options = {}) {
            using Sent = detail::SentFunction<std::decay_t<F>>;
            struct FromZygote final : detail::ServiceCore::Starter {
                FromZygote(process::Zygote& from, const Sent& served, std::size_t area) noexcept
                    : zygote{from}, sent{served}, area_size{area} {}
                process::Order order(const process::Confinement& confinement, const Launch& launch,
                                     process::Child& child) override {
                    return process::Order::function(confinement, launch, child, zygote.address_space() + area_size);
                }
                void start(process::Order& order, process::ResultArea& area, process::Child& child) noexcept override {
                    try {
                        zygote.start(order, area, memory, child, enter<std::decay_t<F>>, &sent, sizeof sent);
                    } catch (const Error& error) {
                        child.failure = {process::Step::create, error.code().value()};
                        failure = error;
                    }
                    memory.reset();
                }
                process::Zygote& zygote;
                Sent sent;
                std::size_t area_size;
                process::Descriptor memory{};
                std::optional<Error> failure{};
            };
            const detail::ServiceShape shape = shape_of(box, options.most_request);
            const std::size_t size = process::Exchange::size(shape.most_request, shape.most_reply);
            FromZygote starter{zygote, Sent{function, options.most_request}, size};
            starter.sent.require(zygote, enter<std::decay_t<F>>);
            process::ResultArea area{size, &starter.memory};
            core_ = std::make_unique<detail::ServiceCore>(detail::Inside::core(box), options.launch, shape,
                                                          std::move(area), starter);
            if (starter.failure) throw Error{*starter.failure};
        }

    /// Has the function called, and waits for its reply. Throws `Error`: E2BIG where the arguments take more than
    /// `most_request` bytes or hold more than 16 descriptors; the worker goes on. Descriptors stay the host's.
    Result<Reply> call(const std::remove_cvref_t<Parameters>&... arguments) {
        return exchange(std::nullopt, arguments...);
    }

    /// The same, but no longer than `limit`: then the worker is ended, as it cannot be told to stop.
    Result<Reply> call(TimeLimit limit, const std::remove_cvref_t<Parameters>&... arguments) {
        return exchange(limit, arguments...);
    }

    /// Whether the worker has ended.
    bool has_ended() const noexcept { return core_->has_ended(); }

    /// The worker's process id; -1 where it could not start.
    pid_t pid() const noexcept { return core_->pid(); }

    /// Ends the worker, whatever it does; one that has ended keeps its outcome. Any thread.
    const Outcome& stop() noexcept { return core_->stop(); }

private:
    using State = process::ResultArea::State;

    /// In the worker.
    template <class F>
    static void enter(const void* data, void* area) {
        const auto& sent = *static_cast<const detail::SentFunction<F>*>(data);
        sent.with([&](F& function) {
            detail::serve_requests<Reply, Parameters...>(*static_cast<process::ResultArea*>(area), sent.number(),
                                                         function);
        });
    }

    static detail::ServiceShape shape_of(const Sandbox& box, std::size_t most_request) noexcept {
        return {most_request, detail::Inside::most_result(box),
                (detail::is_carrier<std::remove_cvref_t<Parameters>> || ...),
                detail::ReplyParts<Reply>::has_descriptors};
    }

    Result<Reply> exchange(std::optional<TimeLimit> limit, const std::remove_cvref_t<Parameters>&... arguments) {
        detail::ServiceCore& core = *core_;
        const supervise::Locked locked{core.mutex()};
        if (core.has_ended()) return without_value(core.outcome());
        std::uint64_t size = 0;
        process::Transfer sent;
        unsigned char* const to = core.exchange().request();
        [[maybe_unused]] process::ResultWriter writer{to, core.exchange().most_request(), size};
        if (!(detail::write_argument(writer, to, size, sent, arguments) && ...))
            throw Error{E2BIG, "send a request: it takes more than " + std::to_string(core.exchange().most_request()) +
                                   " bytes, or holds more than 16 descriptors"};
        detail::ServiceCore::Reply reply = core.request(size, sent, limit);
        if (reply.state == State::silent) return without_value(core.outcome());
        return read(reply);
    }

    Result<Reply> read(detail::ServiceCore::Reply& reply) {
        detail::ServiceCore& core = *core_;
        const unsigned char* const bytes = core.exchange().reply();
        const auto size = static_cast<std::size_t>(reply.size);
        std::string message;
        if (reply.state == State::threw) {
            constexpr std::size_t most = 65536;
            message.assign(reinterpret_cast<const char*>(bytes), size < most ? size : most);
        } else if (reply.state == State::too_large) {
            message = "its result is larger than the " + std::to_string(core.exchange().most_reply()) +
                      " bytes that there is room for";
        }
        Outcome outcome =
            detail::OutcomeMaker::request(core.confinement(), reply.state, std::move(message), reply.wall);
        if constexpr (std::is_void_v<Reply>) {
            return Result<Reply>{std::move(outcome)};
        } else {
            try {
                std::optional<Reply> value;
                if (outcome)
                    value = value_of(bytes, size, {reply.received, static_cast<std::size_t>(reply.descriptors)});
                if (!outcome || value) return Result<Reply>{std::move(outcome), std::move(value)};
            } catch (const std::bad_alloc&) {
                detail::OutcomeMaker::garble(outcome, "the host has no memory for its result");
                return Result<Reply>{std::move(outcome), std::nullopt};
            }
            core.give_up(Outcome::Kind::garbled, "its result is no value of the function's type");
            return without_value(core.outcome());
        }
    }

    static auto value_of(const unsigned char* bytes, std::size_t size, detail::Arrived arrived) {
        using Parts = detail::ReplyParts<Reply>;
        if constexpr (!Parts::has_descriptors) {
            return process::read_result<Reply>(bytes, size);
        } else if constexpr (detail::is_carrier<Reply>) {
            return arrived.take<Reply>(arrived.count);
        } else {
            auto first = process::read_result<typename Parts::Value>(bytes, size);
            auto second = arrived.take<typename Reply::second_type>(arrived.count);
            if (!first || !second) return std::optional<Reply>{};
            return std::optional<Reply>{std::in_place, std::move(*first), std::move(*second)};
        }
    }

    static Result<Reply> without_value(const Outcome& outcome) {
        if constexpr (std::is_void_v<Reply>)
            return Result<Reply>{outcome};
        else
            return Result<Reply>{outcome, std::nullopt};
    }

    std::unique_ptr<detail::ServiceCore> core_;
};

template <class F>
Service(const Sandbox&, F&&) -> Service<typename detail::SignatureOf<std::decay_t<F>>::Type>;
template <class F>
Service(const Sandbox&, F&&, const ServiceOptions&) -> Service<typename detail::SignatureOf<std::decay_t<F>>::Type>;

template <class F>
Service(process::Zygote&, const Sandbox&, F&&) -> Service<typename detail::SignatureOf<std::decay_t<F>>::Type>;
template <class F>
Service(process::Zygote&, const Sandbox&, F&&, const ServiceOptions&)
    -> Service<typename detail::SignatureOf<std::decay_t<F>>::Type>;

}  // namespace sysguard
