#pragma once

#include "architecture.hpp"
#include "arguments.hpp"
#include "types.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sysguard::abi {

inline constexpr int max_arguments = 6;

struct Argument {
    ArgName name{};
    Type type{};
    Direction direction{};  ///< of a pointer
    ArgName length{};       ///< the argument that holds the length: bytes, or elements of an array
};

struct Syscall {
    std::string_view name;
    std::int16_t numbers[abi_count];  ///< by Abi; -1 where the ABI lacks the call
    Return returns;
    Argument arguments[max_arguments];

    constexpr int number(Abi abi = native_abi) const noexcept { return numbers[static_cast<unsigned>(abi)]; }

    constexpr int argument_count() const noexcept {
        int count = 0;
        while (count < max_arguments && arguments[count].name != ArgName::none) ++count;
        return count;
    }

    /// The position of an argument, 0 to 5, or -1 where the call has none of that name.
    constexpr int position(ArgName argument) const noexcept {
        for (int i = 0; i < max_arguments; ++i)
            if (arguments[i].name == argument) return i;
        return -1;
    }
};

/// A call that only foreign ABIs have: names and numbers, no arguments.
struct ForeignSyscall {
    std::string_view name;
    std::int16_t i386;
    std::int32_t arm;  ///< __ARM_NR_* are beyond 16 bits
    std::int16_t riscv64;

    /// -1 where the ABI lacks the call.
    constexpr int number(Abi abi) const noexcept {
        return abi == Abi::i386 ? i386 : abi == Abi::arm ? arm : abi == Abi::riscv64 ? riscv64 : -1;
    }
};

namespace detail {

namespace rows {
using N = ArgName;
using T = Type;
using D = Direction;
using R = Return;

inline constexpr Syscall syscalls[] = {
#define SYSGUARD_SYSCALL(name, x86_64, i386, aarch64, arm, riscv64, returns, ...) \
    {{#name, sizeof #name - 1}, {x86_64, i386, aarch64, arm, riscv64}, returns, {__VA_ARGS__}},
#include "syscalls.def"
#undef SYSGUARD_SYSCALL
};

inline constexpr ForeignSyscall foreign_syscalls[] = {
#define SYSGUARD_FOREIGN_SYSCALL(name, ...) {{#name, sizeof #name - 1}, __VA_ARGS__},
#include "syscalls.def"
#undef SYSGUARD_FOREIGN_SYSCALL
};
}  // namespace rows

constexpr int highest_native_number() noexcept {
    int highest = 0;
    for (const Syscall& call : rows::syscalls)
        if (call.number() > highest) highest = call.number();
    return highest;
}

}  // namespace detail

/// Every system call of x86_64 and aarch64 up to Linux 6.18, sorted by name. A call whose native number is -1 exists
/// on the other of the two only.
using detail::rows::syscalls;

/// Calls that neither native ABI has, sorted by name.
using detail::rows::foreign_syscalls;

/// One more than the highest native number: from here on a number is newer than this table.
inline constexpr int native_limit = detail::highest_native_number() + 1;

namespace detail {

struct NumberIndex {
    std::int16_t rows[native_limit];
};

constexpr NumberIndex index_by_number() noexcept {
    NumberIndex index{};
    for (std::int16_t& row : index.rows) row = -1;
    std::int16_t row = 0;
    for (const Syscall& call : syscalls) {
        if (call.number() >= 0) index.rows[call.number()] = row;
        ++row;
    }
    return index;
}

inline constexpr NumberIndex number_index = index_by_number();

}  // namespace detail

/// Whether a native number is a call of the table. In constant expressions to be asked instead of `find() != nullptr`,
/// which GCC takes for no constant under -fsanitize=undefined.
constexpr bool is_known(int number) noexcept {
    return number >= 0 && number < native_limit && detail::number_index.rows[number] >= 0;
}

/// The call with a native number, or nullptr. The pointer is to static storage.
constexpr const Syscall* find(int number) noexcept {
    return is_known(number) ? &syscalls[detail::number_index.rows[number]] : nullptr;
}

/// The call of a name, or nullptr.
constexpr const Syscall* find(std::string_view name) noexcept {
    std::size_t low = 0;
    std::size_t high = sizeof syscalls / sizeof syscalls[0];
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (syscalls[middle].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof syscalls / sizeof syscalls[0] && syscalls[low].name == name ? &syscalls[low] : nullptr;
}

/// The name of a number in any ABI, or an empty string.
constexpr std::string_view name_of(Abi abi, int number) noexcept {
    if (number < 0) return {};
    if (abi == native_abi) {
        return is_known(number) ? find(number)->name : std::string_view{};
    }
    for (const Syscall& call : syscalls)
        if (call.number(abi) == number) return call.name;
    for (const ForeignSyscall& call : foreign_syscalls)
        if (call.number(abi) == number) return call.name;
    return {};
}

}  // namespace sysguard::abi
