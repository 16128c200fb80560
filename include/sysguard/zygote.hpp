#pragma once

#include "detail/inside.hpp"
#include "detail/sent_function.hpp"
#include "detail/service_codec.hpp"
#include "process/zygote.hpp"
#include "sandbox.hpp"
#include "service.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace sysguard {

/// Starts workers at a cost that depends on neither the memory nor the threads of the host. To be made first
/// in main, while the host is small and has one thread; see `process::Zygote` for what a worker inherits. A function is
/// given as such, or as a lambda without captures; its arguments are sent. It sees the memory of the host as it was
/// when the zygote was made. Services and pools take a zygote, too. Thread-safe.
class Zygote : public process::Zygote {
public:
    /// As `Sandbox::call`, but for what the function is: its parameters are what `process::Returnable` allows. Throws
    /// `Error` besides: EFAULT where the function is in code that was loaded later, EPERM where the host has changed
    /// its credentials since, E2BIG where the arguments take more than `Options::most_result` bytes.
    template <class F, class... Arguments>
        requires std::is_invocable_v<F, Arguments...>
    auto call(const Sandbox& box, F&& function, const Arguments&... arguments) {
        return call(box, Launch{}, std::forward<F>(function), arguments...);
    }

    /// The same, with streams, descriptors and a directory.
    template <class F, class... Arguments>
        requires std::is_invocable_v<F, Arguments...>
    auto call(const Sandbox& box, const Launch& launch, F&& function, const Arguments&... arguments) {
        using Function = std::decay_t<F>;
        return Call<Function, typename detail::SignatureOf<Function>::Type>::run(*this, box, launch, function,
                                                                                 arguments...);
    }

    /// Runs a program as `Sandbox::run` does, from a fork of the zygote. `Sandbox::run` is faster and costs the same in
    /// any host, but where it has to copy the host's memory (`Credentials::memory_deny_write_execute`). Throws `Error`
    /// besides: EPERM as for `call`, E2BIG where command and environment take more than 128 KiB.
    Outcome run(const Sandbox& box, std::vector<std::string> command, const Launch& launch = {}) {
        detail::refuse_pipes(launch);
        std::string name = command.empty() ? "" : command.front();
        process::Descriptor memory;
        process::ResultArea area{0, &memory};
        process::Child child;
        process::Order order =
            process::Order::forked_program(detail::Inside::core(box)->confinement(), std::move(command), launch, child);
        supervise::Supervisor supervisor;
        detail::Core::open(supervisor);
        const auto beginning = supervise::Watch::Clock::now();
        start(order, area, memory, child, nullptr, nullptr, 0);
        const std::uint64_t proof = order.plan().pass;
        order.finish_start();
        detail::OutcomeMaker maker =
            detail::Inside::make_outcome(box, supervisor, child, launch, beginning, std::move(name));
        const process::ResultArea::Header header = area.read_header();
        const bool has_failed = header.state == process::ResultArea::State::failed_to_start && header.proof == proof;
        return has_failed ? std::move(maker).function(header, area, proof) : std::move(maker).program();
    }

private:
    template <class F, class Signature>
    struct Call;

    template <class F, class R, class... Parameters>
    struct Call<F, R(Parameters...)> {
        using T = std::remove_cvref_t<R>;
        using State = process::ResultArea::State;

        static_assert(process::Returnable<T> &&
                          ((process::Returnable<std::remove_cvref_t<Parameters>> && !std::is_void_v<Parameters>)&&...),
                      "a function that runs in a worker of a zygote takes and returns strings, numbers, enums, and "
                      "arrays, optionals, structs and the like of these, or vectors; no pointers: see "
                      "process::Returnable");

        static Result<T> run(Zygote& zygote, const Sandbox& box, const Launch& launch, const F& function,
                             const std::remove_cvref_t<Parameters>&... arguments) {
            detail::refuse_pipes(launch);
            process::Descriptor memory;
            process::ResultArea area{detail::Inside::most_result(box), &memory};
            std::uint64_t used = 0;
            [[maybe_unused]] process::Transfer none;
            [[maybe_unused]] process::ResultWriter writer{area.data(), area.capacity(), used};
            if (!(detail::write_argument(writer, area.data(), used, none, arguments) && ...))
                throw Error{E2BIG, "send arguments to a worker: they take more than Options::most_result bytes"};
            const detail::SentFunction<F> sent{function, static_cast<std::size_t>(used)};
            sent.require(zygote, enter);
            const auto& confinement = detail::Inside::core(box)->confinement();
            process::Child child;
            process::Order order = process::Order::function(
                confinement, launch, child,
                zygote.address_space() + sizeof(process::ResultArea::Header) + area.capacity());
            supervise::Supervisor supervisor;
            detail::Core::open(supervisor);
            const auto start = supervise::Watch::Clock::now();
            zygote.start(order, area, memory, child, enter, &sent, sizeof sent);
            memory.reset();
            const std::uint64_t proof = order.plan().pass;
            order.finish_start();
            detail::OutcomeMaker maker = detail::Inside::make_outcome(box, supervisor, child, launch, start);
            const process::ResultArea::Header header = area.read_header();
            return detail::Inside::read<T>(std::move(maker).function(header, area, proof), area,
                                           static_cast<std::size_t>(header.size));
        }

        /// In the worker.
        static void enter(const void* data, void* of_worker) {
            const auto& sent = *static_cast<const detail::SentFunction<F>*>(data);
            auto& area = *static_cast<process::ResultArea*>(of_worker);
            const auto tell = [&](std::string_view message) noexcept { return detail::Inside::tell(area, message); };
            area.header().state = detail::Inside::guarded(tell, [&] {
                detail::ArgumentsReader reader{area.data(), sent.number(), {nullptr, 0}};
                std::tuple<std::remove_cvref_t<Parameters>...> arguments{
                    reader.template next<std::remove_cvref_t<Parameters>>()...};
                State state = State::returned;
                sent.with([&](F& function) {
                    const auto invoke = [&](auto&... each) -> decltype(auto) {
                        return function(static_cast<Parameters&&>(each)...);
                    };
                    if constexpr (std::is_void_v<T>) {
                        std::apply(invoke, arguments);
                    } else {
                        const T value = std::apply(invoke, arguments);
                        if (!process::ResultWriter{area}.write(value)) state = State::too_large;
                    }
                });
                return state;
            });
        }
    };
};

}  // namespace sysguard
