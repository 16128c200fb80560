#pragma once

#include <sysguard/sandbox.hpp>

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

namespace support {

/// Every call that can be performed.
struct Performable {
    static constexpr const auto& numbers = sysguard::policy::detail::performable_calls;
};
inline constexpr auto performable = sysguard::policy::Calls<Performable{}>::numbers;

/// Where all paths of a call lead, one after the other.
template <int number>
void resolve_all(const sysguard::AnyCall& any, std::string& places) {
    namespace arg = sysguard::arg;
    using sysguard::abi::ArgName;
    if (any.number() != number) return;
    constexpr const sysguard::abi::Syscall& known = *sysguard::abi::find(number);
    const sysguard::Call<number> call{any};
    if constexpr (known.position(ArgName::path) >= 0) places += call[arg::path].resolved() + "\n";
    if constexpr (known.position(ArgName::oldpath) >= 0) places += call[arg::oldpath].resolved() + "\n";
    if constexpr (known.position(ArgName::newpath) >= 0) places += call[arg::newpath].resolved() + "\n";
    if constexpr (known.position(ArgName::linkpath) >= 0) places += call[arg::linkpath].resolved() + "\n";
}

template <std::size_t... i>
std::string places_of(const sysguard::AnyCall& call, std::index_sequence<i...>) {
    std::string places;
    (resolve_all<performable.list[i]>(call, places), ...);
    return places;
}

inline std::string places_of(const sysguard::AnyCall& call) {
    return places_of(call, std::make_index_sequence<sysguard::policy::Calls<Performable{}>::count()>{});
}

/// The host performs all that it can.
inline constexpr sysguard::Policy performed{
    sysguard::Rule<Performable{}>{}.handle([](const sysguard::AnyCall& call) { return call.perform_if_possible(); }),
    sysguard::otherwise.allow()};

/// The same, after it has decided on where each path leads.
inline constexpr sysguard::Policy decided{
    sysguard::Rule<Performable{}>{}.handle([](const sysguard::AnyCall& call) {
        return places_of(call).find("/forbidden") != std::string::npos ? call.deny(EACCES) : call.perform_if_possible();
    }),
    sysguard::otherwise.allow()};

/// The same worker without that.
inline constexpr sysguard::Policy native{sysguard::otherwise.allow()};

}  // namespace support
