#pragma once

#include "../process/descriptor.hpp"
#include "../process/exchange.hpp"
#include "../process/result_codec.hpp"
#include "../process/transfer.hpp"
#include "inside.hpp"
#include "service_core.hpp"

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <stdio.h>
#include <stdio_ext.h>

namespace sysguard::detail {

using process::Descriptor;

template <class T>
inline constexpr bool is_carrier = std::is_same_v<T, Descriptor> || std::is_same_v<T, std::vector<Descriptor>>;

template <class T>
struct ReplyParts {
    using Value = std::conditional_t<is_carrier<T>, void, T>;
    static constexpr bool has_descriptors = is_carrier<T>;
};
template <class V, class C>
    requires is_carrier<C>
struct ReplyParts<std::pair<V, C>> {
    using Value = V;
    static constexpr bool has_descriptors = true;
};

template <class T>
concept Replyable = process::Returnable<typename ReplyParts<T>::Value>;
template <class T>
concept Requestable = is_carrier<T> ||(process::Returnable<T> && !std::is_void_v<T>);

inline bool collect(const Descriptor& descriptor, process::Transfer& sent) noexcept {
    return sent.add(descriptor.get());
}
inline bool collect(const std::vector<Descriptor>& descriptors, process::Transfer& sent) noexcept {
    for (const Descriptor& each : descriptors)
        if (!sent.add(each.get())) return false;
    return true;
}

/// Descriptors that came, taken one after the other.
struct Arrived {
    Descriptor* descriptors;
    std::size_t count;

    template <class C>
    std::optional<C> take(std::size_t wanted) {
        if (wanted > count) return std::nullopt;
        count -= wanted;
        Descriptor* const first = std::exchange(descriptors, descriptors + wanted);
        if constexpr (std::is_same_v<C, Descriptor>) {
            if (wanted != 1) return std::nullopt;
            return std::move(*first);
        } else {
            C taken;
            for (std::size_t i = 0; i < wanted; ++i) taken.push_back(std::move(first[i]));
            return taken;
        }
    }
};

/// Writes one argument: its size, and it; of descriptors, how many they are.
template <class T>
bool write_argument(process::ResultWriter& writer, unsigned char* begin, std::uint64_t& used, process::Transfer& sent,
                    const T& argument) noexcept {
    const std::uint64_t at = used;
    std::uint64_t size = 0;
    if (!writer.bytes(&size, sizeof size)) return false;
    if constexpr (is_carrier<T>) {
        const std::size_t before = sent.count;
        if (!collect(argument, sent)) return false;
        size = sent.count - before;
    } else {
        if (!writer.write(argument)) return false;
        size = used - at - sizeof size;
    }
    std::memcpy(begin + at, &size, sizeof size);
    return true;
}

/// Reads the arguments of a request, one after the other. Throws where there are none.
class ArgumentsReader {
public:
    ArgumentsReader(const unsigned char* bytes, std::size_t size, Arrived arrived) noexcept
        : bytes_{bytes}, size_{size}, arrived_{arrived} {}

    template <class T>
    T next() {
        std::uint64_t size = 0;
        if (size_ < sizeof size) throw std::runtime_error{"a request that is cut"};
        std::memcpy(&size, bytes_, sizeof size);
        skip(sizeof size);
        std::optional<T> value;
        if constexpr (is_carrier<T>) {
            value = arrived_.take<T>(size);
        } else if (size <= size_) {
            value = process::read_result<T>(bytes_, size);
            skip(size);
        }
        if (!value) throw std::runtime_error{"a request without what its function takes"};
        return std::move(*value);
    }

private:
    void skip(std::size_t size) noexcept {
        bytes_ += size;
        size_ -= size;
    }

    const unsigned char* bytes_;
    std::size_t size_;
    Arrived arrived_;
};

/// Serves requests, in the worker, for ever.
template <class Reply, class... Parameters, class F>
[[noreturn]] void serve_requests(process::ResultArea& area, std::size_t most_request, F& function) noexcept {
    using State = process::ResultArea::State;
    const process::Exchange exchange{area, most_request};
    std::uint32_t number = 0;
    for (;;) {
        number = exchange.wait_for_request(number);
        std::uint64_t size = 0;
        process::Transfer sent;
        process::ResultWriter writer{exchange.reply(), exchange.most_reply(), size};
        const auto tell = [&](std::string_view message) noexcept {
            size = 0;
            sent.count = 0;
            const std::size_t room = exchange.most_reply();
            writer.bytes(message.data(), message.size() < room ? message.size() : room);
            return State::threw;
        };
        const State state = Inside::guarded(tell, [&] {
            Descriptor received[process::Transfer::most];
            Arrived arrived{received, 0};
            const std::uint32_t expected = exchange.header().request_descriptors;
            if (expected > 0) {
                const int came = process::receive_transfer(ServiceCore::channel, received);
                if (came != static_cast<int>(expected))
                    throw std::runtime_error{"the descriptors of a request did not arrive: too many are open"};
                arrived.count = expected;
            }
            ArgumentsReader reader{exchange.request(), exchange.header().request_size, arrived};
            std::tuple<std::remove_cvref_t<Parameters>...> arguments{
                reader.template next<std::remove_cvref_t<Parameters>>()...};
            const auto invoke = [&](auto&... each) -> decltype(auto) {
                return function(static_cast<Parameters&&>(each)...);
            };
            if constexpr (std::is_void_v<Reply>) {
                std::apply(invoke, arguments);
                return State::returned;
            } else {
                const Reply reply = std::apply(invoke, arguments);
                bool fits = true;
                if constexpr (is_carrier<Reply>)
                    fits = collect(reply, sent);
                else if constexpr (ReplyParts<Reply>::has_descriptors)
                    fits = collect(reply.second, sent) && writer.write(reply.first);
                else
                    fits = writer.write(reply);
                if (!fits) sent.count = 0;
                if (sent.count > 0 && process::send_transfer(ServiceCore::channel, sent) != 0)
                    throw std::runtime_error{"the descriptors of a reply could not be sent"};
                return fits ? State::returned : State::too_large;
            }
        });
        if (::__fpending(stdout) > 0) ::fflush(stdout);
        exchange.publish_reply(number, size, state, static_cast<std::uint32_t>(sent.count));
    }
}

}  // namespace sysguard::detail
