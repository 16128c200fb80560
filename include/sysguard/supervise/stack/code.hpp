#pragma once

#include "../../abi/architecture.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::supervise {

/// A call instruction, as far as its bytes say.
struct CallInstruction {
    bool is_one = false;
    bool is_direct = false;  ///< `target` is known
    std::uint64_t target = 0;
};

/// How many bytes before a return address are looked at.
inline constexpr std::size_t most_call_bytes = 7;

namespace detail {

/// How long `call r/m` (FF /2) is, by its ModRM and SIB bytes; 0 where it is none (Intel SDM volume 2, table 2-2).
constexpr std::size_t length_of_indirect_call(unsigned modrm, unsigned sib) noexcept {
    if ((modrm >> 3 & 7) != 2) return 0;
    const unsigned mode = modrm >> 6;
    const unsigned base = modrm & 7;
    if (mode == 3) return 2;
    std::size_t length = base == 4 ? 3 : 2;
    if (mode == 0 && base == 5) length += 4;
    if (mode == 0 && base == 4 && (sib & 7) == 5) length += 4;
    return mode == 1 ? length + 1 : mode == 2 ? length + 4 : length;
}

constexpr CallInstruction x86_call_before(const unsigned char* end, std::uint64_t address) noexcept {
    if (end[-5] == 0xe8) {
        std::uint32_t distance = 0;
        for (int i = 0; i < 4; ++i) distance |= std::uint32_t{end[i - 4]} << (8 * i);
        return {true, true, address + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(distance)})};
    }
    for (std::size_t length = 2; length <= most_call_bytes; ++length) {
        const unsigned char* const at = end - length;
        if (at[0] == 0xff && length_of_indirect_call(at[1], length > 2 ? at[2] : 0U) == length) return {true, false, 0};
    }
    return {};
}

constexpr CallInstruction aarch64_call_before(const unsigned char* end, std::uint64_t address) noexcept {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) code |= std::uint32_t{end[i - 4]} << (8 * i);
    if ((code & 0xfc000000) == 0x94000000) {  // BL
        const auto words = static_cast<std::int32_t>(code << 6) >> 6;
        return {true, true, address - 4 + static_cast<std::uint64_t>(std::int64_t{words} * 4)};
    }
    const bool is_indirect = (code & 0xfffffc1f) == 0xd63f0000 ||  // BLR
                             (code & 0xfefff800) == 0xd63f0800;    // BLRAA and the like
    return {is_indirect, false, 0};
}

constexpr CallInstruction riscv64_call_before(const unsigned char* end) noexcept {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i) code |= std::uint32_t{end[i - 4]} << (8 * i);
    const bool is_long = (code & 0xfff) == 0x0ef || (code & 0x7fff) == 0x00e7;            // JAL ra, JALR ra
    const bool is_short = (code >> 16 & 0xf07f) == 0x9002 && (code >> 16 & 0x0f80) != 0;  // C.JALR
    return {is_long || is_short, false, 0};
}

}  // namespace detail

/// Whether the instruction that ends at `end`, where `address` is, is a call. There must be `most_call_bytes` before.
constexpr CallInstruction call_before(abi::Abi abi, const unsigned char* end, std::uint64_t address) noexcept {
    switch (abi) {
        case abi::Abi::x86_64: return detail::x86_call_before(end, address);
        case abi::Abi::i386: {
            CallInstruction call = detail::x86_call_before(end, address);
            call.target &= 0xffffffff;
            return call;
        }
        case abi::Abi::aarch64: return detail::aarch64_call_before(end, address);
        case abi::Abi::riscv64: return detail::riscv64_call_before(end);
        case abi::Abi::arm: return {};  // not told apart: a trace has no more than where the call was made
    }
    return {};
}

}  // namespace sysguard::supervise
