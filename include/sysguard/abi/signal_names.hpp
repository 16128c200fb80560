#pragma once

#include <string_view>

namespace sysguard::abi {

/// Names of the standard signals of x86_64 and aarch64: signal(7), include/uapi/asm-generic/signal.h.
inline constexpr std::string_view signal_names[] = {
    "",          "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
    "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
    "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
};

/// "SIGKILL" for 9; an empty string for real-time signals and for what is no signal.
constexpr std::string_view signal_name(int signal) noexcept {
    constexpr int count = sizeof signal_names / sizeof signal_names[0];
    return signal > 0 && signal < count ? signal_names[signal] : std::string_view{};
}

}  // namespace sysguard::abi
