#pragma once

#include <cstdint>

namespace sysguard::abi {

/// The names of arguments, one for each meaning: `fd` is a file descriptor in every call that has one.
enum class ArgName : std::uint16_t {
    none,
#define SYSGUARD_ARGUMENT(name) name,
#include "arguments.def"
#undef SYSGUARD_ARGUMENT
};

inline constexpr const char* argument_names[] = {
    "",
#define SYSGUARD_ARGUMENT(name) #name,
#include "arguments.def"
#undef SYSGUARD_ARGUMENT
};

constexpr const char* name(ArgName argument) noexcept {
    return argument_names[static_cast<unsigned>(argument)];
}

}  // namespace sysguard::abi
