#pragma once

#include "../../abi/architecture.hpp"
#include "../../abi/errno_names.hpp"
#include "../../policy/action.hpp"

#include <cstdint>
#include <string_view>

namespace sysguard::oci::detail {

/// An action of the runtime specification (config-linux.md, "Seccomp"), as libseccomp means it: SCMP_ACT_KILL ends the
/// thread (seccomp_init(3)).
struct ActionWord {
    std::string_view word;
    Action action;
    bool has_value;  ///< takes an errnoRet
};

inline constexpr ActionWord action_words[] = {
    {"SCMP_ACT_KILL", Action::kill_thread, false},
    {"SCMP_ACT_KILL_THREAD", Action::kill_thread, false},
    {"SCMP_ACT_KILL_PROCESS", Action::kill_now, false},
    {"SCMP_ACT_TRAP", Action::trap, false},
    {"SCMP_ACT_ERRNO", Action::deny, true},
    {"SCMP_ACT_TRACE", Action::trace, true},
    {"SCMP_ACT_ALLOW", Action::allow, false},
    {"SCMP_ACT_LOG", Action::log, false},
    {"SCMP_ACT_NOTIFY", Action::handle, false},
};

enum class Operator : std::uint8_t { ne, lt, le, eq, ge, gt, masked_eq };

struct OperatorWord {
    std::string_view word;
    Operator op;
};

inline constexpr OperatorWord operator_words[] = {
    {"SCMP_CMP_NE", Operator::ne},
    {"SCMP_CMP_LT", Operator::lt},
    {"SCMP_CMP_LE", Operator::le},
    {"SCMP_CMP_EQ", Operator::eq},
    {"SCMP_CMP_GE", Operator::ge},
    {"SCMP_CMP_GT", Operator::gt},
    {"SCMP_CMP_MASKED_EQ", Operator::masked_eq},
};

inline constexpr std::string_view native_architecture =
    abi::native_abi == abi::Abi::x86_64 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64";

/// The architecture of 32-bit programs here, which a policy can admit.
inline constexpr std::string_view compat_architecture =
    abi::compat_abi == abi::Abi::i386 ? "SCMP_ARCH_X86" : "SCMP_ARCH_ARM";

inline constexpr std::string_view architecture_words[] = {
    "SCMP_ARCH_NATIVE",      "SCMP_ARCH_X86",         "SCMP_ARCH_X86_64", "SCMP_ARCH_X32",       "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64",     "SCMP_ARCH_MIPS",        "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",    "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",    "SCMP_ARCH_PPC64",     "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",       "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",  "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K",        "SCMP_ARCH_SH",     "SCMP_ARCH_SHEB",
};

/// What `arches` of a condition calls this architecture (moby/profiles, seccomp_linux.go, goToNative).
inline constexpr std::string_view native_machine = abi::native_abi == abi::Abi::x86_64 ? "amd64" : "arm64";

inline constexpr std::string_view machine_words[] = {
    "x86",      "amd64",  "x32",         "arm",      "arm64",       "mips",        "mips64", "mips64n32", "mipsel",
    "mipsel64", "mipsle", "mipsel64n32", "mips64le", "mips3l64n32", "ppc",         "ppc64",  "ppc64le",   "s390",
    "s390x",    "parisc", "parisc64",    "riscv64",  "loong64",     "loongarch64", "386",
};

/// In the order of their numbers: linux/capability.h, capabilities(7).
inline constexpr std::string_view capability_words[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

template <std::size_t n>
constexpr int index_of(const std::string_view (&words)[n], std::string_view word) noexcept {
    for (std::size_t i = 0; i < n; ++i)
        if (words[i] == word) return static_cast<int>(i);
    return -1;
}

/// The number of an errno's name, or -1.
constexpr int errno_of(std::string_view name) noexcept {
    return name.empty() ? -1 : index_of(abi::errno_names, name);
}

/// How much a decision keeps from a worker: the order in which the kernel takes the word of one filter over that of
/// another (seccomp(2), "the first-seen action value of highest precedence").
constexpr int strictness(const Decision& decision) noexcept {
    switch (decision.action) {
        case Action::kill:
        case Action::kill_now: return 7;
        case Action::kill_thread: return 6;
        case Action::trap: return 5;
        case Action::deny:
        case Action::fake: return 4;
        case Action::handle: return 3;
        case Action::trace: return 2;
        case Action::log: return 1;
        case Action::allow: return 0;
    }
    return 7;
}

}  // namespace sysguard::oci::detail
