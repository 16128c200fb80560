#pragma once

#include "../abi/architecture.hpp"
#include "../abi/table.hpp"

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace sysguard {

namespace supervise {

/// Whether a call came through the host's own ABI.
constexpr bool is_native(int number, std::uint32_t architecture) noexcept {
    return architecture == abi::audit_architecture(abi::native_abi) &&
           (abi::native_abi != abi::Abi::x86_64 || static_cast<std::uint32_t>(number) < abi::x32_bit);
}

/// "32-bit (i386) ".
inline std::string prefix_of(abi::Abi abi) {
    return std::string{abi::host_of(abi) != abi ? "32-bit (" : "("} + abi::name(abi) + ") ";
}

/// A call that is none of the host's own ABI, or unknown there: "32-bit (i386) system call 4 (write)".
inline std::string foreign_text(int number, std::uint32_t architecture) {
    std::string prefix;
    std::string suffix = " of an unknown ABI";
    std::string_view name;
    std::uint32_t bits = static_cast<std::uint32_t>(number);
    for (const abi::Abi abi : abi::all_abis) {
        if (abi::audit_architecture(abi) != architecture) continue;
        name = abi::name_of(abi, number);
        suffix.clear();
        if (abi == abi::native_abi)
            (suffix = " of ") += abi::name(abi);
        else
            prefix = prefix_of(abi);
    }
    if (architecture == abi::audit_architecture(abi::Abi::x86_64) && bits >= abi::x32_bit) {
        bits -= abi::x32_bit;
        name = abi::name_of(abi::Abi::x86_64, static_cast<int>(bits));
        prefix = "x32 ";
        suffix.clear();
    }
    return prefix + "system call " + std::to_string(bits) + (name.empty() ? "" : " (" + std::string{name} + ")") +
           suffix;
}

/// A register's value for people, as its type says: modes in octal, flags and addresses in hexadecimal.
inline std::string register_text(abi::Type type, std::uint64_t bits) {
    const abi::TypeInfo& info = abi::info(type);
    if (info.is_signed && info.compared == 0xffffffff)
        return std::to_string(static_cast<std::int32_t>(static_cast<std::uint32_t>(bits)));
    if (info.is_signed) return std::to_string(static_cast<std::int64_t>(bits));
    const bool is_mode = type == abi::Type::file_mode || type == abi::Type::directory_mode ||
                         type == abi::Type::node_mode || type == abi::Type::creation_mask;
    const std::uint64_t read = bits & info.tested;
    if (info.kind == abi::TypeInfo::Kind::number && type != abi::Type::address && !is_mode) return std::to_string(read);
    char text[24];
    std::snprintf(text, sizeof text, is_mode ? "%#llo" : "%#llx", static_cast<unsigned long long>(read));
    return text;
}

}  // namespace supervise

/// The call that a worker was killed for.
struct Violation {
    int number = -1;
    std::uint32_t architecture = 0;  ///< AUDIT_ARCH_*
    std::uint64_t arguments[abi::max_arguments]{};
    std::uint64_t instruction_pointer = 0;
    pid_t thread = 0;       ///< as the host sees it
    pid_t process = 0;      ///< the thread's process
    std::string call{};     ///< with its arguments by their names and what they led to, where that could be read
    std::string mapping{};  ///< what the instruction pointer lies in, and where: "/usr/lib/libc.so.6+0xf79b7"; or ""

    /// Whether the call came through the host's own ABI.
    bool is_native() const noexcept { return supervise::is_native(number, architecture); }

    /// The call with its arguments, by their names: "socket(domain=2, type=3, protocol=0)".
    std::string text() const {
        if (!call.empty()) return call;
        const abi::Syscall* const known = is_native() ? abi::find(number) : nullptr;
        if (known == nullptr) return supervise::foreign_text(number, architecture);
        std::string line{known->name};
        line += '(';
        for (int i = 0; i < known->argument_count(); ++i) {
            if (i > 0) line += ", ";
            line += abi::name(known->arguments[i].name);
            line += '=';
            line += supervise::register_text(known->arguments[i].type, arguments[i]);
        }
        return line + ')';
    }
};

}  // namespace sysguard
