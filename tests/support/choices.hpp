#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace support {

/// Choices at random, or those that a fuzzer's bytes make; when they are used up, the first of each.
class Choices {
public:
    explicit Choices(std::uint64_t seed) : random_{seed} {}
    Choices(const std::uint8_t* bytes, std::size_t size) : next_{bytes}, left_{size}, by_bytes_{true} {}

    std::uint64_t number() { return by_bytes_ ? take(8) : random_(); }

    /// From 0 to `limit` - 1.
    std::uint64_t below(std::uint64_t limit) {
        if (!by_bytes_) return random_() % limit;
        return take(limit <= 0x100 ? 1 : limit <= 0x10000 ? 2 : 8) % limit;
    }

    /// True once in `n` times; where the bytes are used up, never.
    bool one_in(std::uint64_t n) { return below(n) == n - 1; }

    template <class T>
    const T& pick(const std::vector<T>& list) {
        return list[below(list.size())];
    }

private:
    std::uint64_t take(std::size_t count) {
        std::uint64_t value = 0;
        for (; count > 0 && left_ > 0; --count, --left_) value = value << 8 | *next_++;
        return value;
    }

    std::mt19937_64 random_{};
    const std::uint8_t* next_ = nullptr;
    std::size_t left_ = 0;
    bool by_bytes_ = false;
};

}  // namespace support
