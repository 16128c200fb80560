#pragma once

#include <sysguard/abi/table.hpp>
#include <sysguard/supervise/render/source.hpp>
#include <sysguard/supervise/traced_call.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace support {

inline constexpr std::size_t most_line = 4 << 20;  ///< of what is written of any call
inline constexpr std::size_t most_read = 1 << 14;  ///< of what is read at once

/// The memory of a program that lies: whatever is read is random, mostly of small numbers and of addresses that lead to
/// more; some of it is not there, or only its beginning.
class HostileSource final : public sysguard::supervise::render::Source {
public:
    explicit HostileSource(std::uint64_t seed) noexcept : state_{seed * 2 + 1} {}

    /// From now on, memory is another at each look.
    void change_always() noexcept { changes_ = true; }

    /// How much was asked for at once.
    std::size_t most_asked() const noexcept { return most_asked_; }

    std::size_t read(std::uint64_t address, void* to, std::size_t size) noexcept override {
        most_asked_ = std::max(most_asked_, size);
        if (address < 4096) return 0;
        std::uint64_t mix = address * 0x9e3779b97f4a7c15;
        if (changes_) mix ^= next();
        std::size_t got = size;
        if ((mix >> 60) == 0) return 0;
        if ((mix >> 60) == 1) got = static_cast<std::size_t>(mix >> 20) % (size + 1);
        auto* bytes = static_cast<unsigned char*>(to);
        for (std::size_t i = 0; i < got; i += 8) {
            const std::uint64_t value = number(mix + i);
            std::memcpy(bytes + i, &value, std::min<std::size_t>(8, got - i));
        }
        return got;
    }

    std::size_t path(int descriptor, char* to, std::size_t size) noexcept override {
        const std::size_t length = static_cast<std::size_t>(descriptor) * 37 % std::min<std::size_t>(size, 300);
        for (std::size_t i = 0; i < length; ++i)
            to[i] = static_cast<char>(i * 31 + static_cast<std::size_t>(descriptor));
        return length;
    }

    bool interface(unsigned index, char (&to)[16]) noexcept override {
        std::memcpy(to, "interface", 10);
        return index % 2 == 0;
    }

    /// A call with arguments of all kinds.
    sysguard::supervise::TracedCall call(int number) noexcept {
        sysguard::supervise::TracedCall call;
        call.number = number;
        for (std::uint64_t& argument : call.arguments) argument = this->number(next());
        return call;
    }

    /// How it returns.
    void answer(sysguard::supervise::TracedCall& call) noexcept {
        call.phase = sysguard::supervise::TracedCall::Phase::returned;
        const std::uint64_t kind = next() % 4;
        call.result = kind == 0   ? static_cast<std::int64_t>(next())
                      : kind == 1 ? -static_cast<std::int64_t>(next() % 4096)
                                  : static_cast<std::int64_t>(next() % 300);
        call.is_error = kind == 1;
    }

private:
    std::uint64_t next() noexcept {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }

    static std::uint64_t number(std::uint64_t mix) noexcept {
        mix ^= mix >> 29;
        mix *= 0xbf58476d1ce4e5b9;
        mix ^= mix >> 32;
        switch (mix >> 61) {
            case 0: return 0;
            case 1: return mix & 0x1f;
            case 2: return mix & 0xff;
            case 3: return 1ULL << (mix & 63);
            case 4: return mix & 0xffffffff;
            case 5:
            case 6: return 0x7f0000000000 | (mix & 0xffffff8);
            default: return mix;
        }
    }

    std::uint64_t state_;
    bool changes_ = false;
    std::size_t most_asked_ = 0;
};

}  // namespace support
