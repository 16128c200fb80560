#pragma once

#include "../abi/arguments.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::policy {

/// What is known of an argument: its bits under `mask` are `value`, or, where it `differs`, are not.
struct Known {
    abi::ArgName argument{};
    std::uint64_t mask = 0;
    std::uint64_t value = 0;
    bool differs = false;
};

/// Several things known of one call's arguments. Those about arguments that a call lacks say nothing of it.
class Knowledge {
public:
    constexpr Knowledge() noexcept = default;
    constexpr Knowledge(const Known& one) noexcept { add(one); }
    constexpr Knowledge(const Known& one, const Known& other) noexcept {
        add(one);
        add(other);
    }

    /// No more than six.
    constexpr void add(const Known& known) noexcept { list_[size_++] = known; }
    constexpr const Known* begin() const noexcept { return list_; }
    constexpr const Known* end() const noexcept { return list_ + size_; }

private:
    Known list_[6]{};
    std::size_t size_ = 0;
};

}  // namespace sysguard::policy
