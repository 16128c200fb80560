#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sysguard::supervise::render::detail {

/// A short text that is put together without allocating. What does not fit is left out.
class Piece {
public:
    static constexpr std::size_t most = 2048;

    std::string_view view() const noexcept { return {text_, size_}; }
    bool empty() const noexcept { return size_ == 0; }

    Piece& add(std::string_view text) noexcept {
        for (const char c : text) add(c);
        return *this;
    }
    Piece& add(char c) noexcept {
        if (size_ < most) text_[size_++] = c;
        return *this;
    }
    Piece& decimal(std::uint64_t value) noexcept { return digits(value, 10, 1); }
    Piece& number(std::int64_t value) noexcept {
        if (value >= 0) return decimal(static_cast<std::uint64_t>(value));
        return add('-').decimal(0 - static_cast<std::uint64_t>(value));
    }
    /// 0x1f; 0 as it is.
    Piece& hex(std::uint64_t value) noexcept { return value == 0 ? add('0') : add("0x").digits(value, 16, 1); }
    /// At least `width` digits, without a prefix.
    Piece& bare_hex(std::uint64_t value, unsigned width) noexcept { return digits(value, 16, width); }
    /// 0644; at least three digits in all.
    Piece& octal(std::uint64_t value) noexcept {
        return value < 0100 ? digits(value, 8, 3) : add('0').digits(value, 8, 1);
    }
    /// At least `width` digits.
    Piece& padded(std::uint64_t value, unsigned width) noexcept { return digits(value, 10, width); }

private:
    Piece& digits(std::uint64_t value, unsigned base, unsigned width) noexcept {
        char reversed[24];
        unsigned count = 0;
        for (; value != 0 || count < width; value /= base) {
            if (count == sizeof reversed) break;
            reversed[count++] = "0123456789abcdef"[value % base];
        }
        while (count > 0) add(reversed[--count]);
        return *this;
    }

    std::size_t size_ = 0;
    char text_[most];
};

}  // namespace sysguard::supervise::render::detail
