#pragma once

#include <cstdint>
#include <initializer_list>

#include <linux/capability.h>

namespace sysguard {

/// A set of capabilities (capabilities(7)), of the constants in <linux/capability.h>: `Capabilities{CAP_CHOWN}`.
class Capabilities {
public:
    constexpr Capabilities() noexcept = default;
    constexpr Capabilities(std::initializer_list<int> numbers) noexcept {
        for (const int number : numbers)
            if (number >= 0 && number < 64)
                bits_ |= std::uint64_t{1} << number;
            else
                valid_ = false;
    }

    /// Those that the host has (its permitted set) when a worker starts.
    static constexpr Capabilities kept() noexcept {
        Capabilities all;
        all.bits_ = ~std::uint64_t{0};
        all.kept_ = true;
        return all;
    }

    constexpr bool has(int number) const noexcept { return number >= 0 && number < 64 && (bits_ >> number & 1) != 0; }

    /// One bit a capability, the first of CAP_CHOWN.
    constexpr std::uint64_t bits() const noexcept { return bits_; }
    constexpr bool is_kept() const noexcept { return kept_; }

    /// Whether all numbers that it was made of could be capabilities.
    constexpr bool is_valid() const noexcept { return valid_; }

private:
    std::uint64_t bits_ = 0;
    bool kept_ = false;
    bool valid_ = true;
};

}  // namespace sysguard
