#pragma once

#include "../abi/errno_names.hpp"
#include "../abi/table.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace sysguard {

/// How bad a finding is.
enum class Severity : std::uint8_t {
    breakage,  ///< programs fail that the policy means to let run
    risk,      ///< a worker can do much; whether it may is for the host to say
    hole,      ///< what the policy forbids can be had all the same
};

constexpr const char* name(Severity severity) noexcept {
    switch (severity) {
        case Severity::breakage: return "breakage";
        case Severity::risk: return "risk";
        case Severity::hole: return "hole";
    }
    return "?";
}

/// One thing that `lint` finds in a policy. A plain value; its texts are static.
struct Finding {
    enum class Kind : std::uint8_t {
        sibling,            ///< a call does what the policy refuses to another one
        io_uring,           ///< work that no filter sees
        clone3,             ///< flags that no filter sees
        terminal_input,     ///< typing into the terminal: TIOCSTI, TIOCLINUX
        other_memory,       ///< writing and reading other processes' memory
        exfiltration,       ///< reading any file and sending it away
        write_and_execute,  ///< writing files and executing them
        executable_memory,  ///< writing memory and executing it
        powerful_call,      ///< a call that reaches beyond the worker, allowed without a condition
        foreign_abi,        ///< calls by other numbers than those that the rules are for: x32, 32-bit
        missing_call,       ///< a call that the kernel or a libc makes by itself
        needs_enosys,       ///< a libc takes an older call, but only where the newer one answers ENOSYS
    };

    Kind kind{};
    std::int16_t call = 0;         ///< the native number of the call concerned; -1 where it is none in particular
    std::int16_t beside = 0;       ///< the other call that takes part; -1 where there is none
    std::int16_t error = 0;        ///< of a closing rule that only denies the call: the errno
    const char* why = nullptr;     ///< what can be done, or breaks
    const char* closed = nullptr;  ///< the closing rule, or nullptr where it only denies the call

    constexpr Severity severity() const noexcept {
        switch (kind) {
            case Kind::missing_call:
            case Kind::needs_enosys: return Severity::breakage;
            case Kind::other_memory:
            case Kind::exfiltration:
            case Kind::write_and_execute:
            case Kind::executable_memory:
            case Kind::powerful_call: return Severity::risk;
            default: return Severity::hole;
        }
    }

    /// What is wrong, in words.
    std::string reason() const {
        const std::string text{call < 0 ? "foreign" : abi::name_of(abi::native_abi, call)};
        if (kind != Kind::sibling) return text + ": " + why;
        return text + " does what the policy refuses to " + std::string{abi::name_of(abi::native_abi, beside)} +
               ": it " + why;
    }

    /// The rule that closes it, as C++: to be written before the policy's other rules, with `namespace sg = sysguard`,
    /// `namespace arg = sysguard::arg` and `using sg::Rule`. It is the plainest one; another may suit the policy
    /// better.
    std::string rule() const {
        if (closed != nullptr) return closed;
        return "Rule<sg::sys::" + std::string{abi::name_of(abi::native_abi, call)} + ">{}.deny(" +
               std::string{abi::errno_name(error)} + ")";
    }

    /// Both, and what it is.
    std::string explain() const;
};

constexpr const char* name(Finding::Kind kind) noexcept {
    using Kind = Finding::Kind;
    switch (kind) {
        case Kind::sibling: return "sibling";
        case Kind::io_uring: return "io_uring";
        case Kind::clone3: return "clone3";
        case Kind::terminal_input: return "terminal_input";
        case Kind::other_memory: return "other_memory";
        case Kind::exfiltration: return "exfiltration";
        case Kind::write_and_execute: return "write_and_execute";
        case Kind::executable_memory: return "executable_memory";
        case Kind::powerful_call: return "powerful_call";
        case Kind::foreign_abi: return "foreign_abi";
        case Kind::missing_call: return "missing_call";
        case Kind::needs_enosys: return "needs_enosys";
    }
    return "?";
}

inline std::string Finding::explain() const {
    return std::string{name(severity())} + ", " + name(kind) + ": " + reason() + "\n    " + rule() + ",";
}

/// What `lint` finds, in the order in which it looks. A plain value, in constant expressions too.
class Findings {
public:
    using Kind = Finding::Kind;

    static constexpr std::size_t capacity = 352;

    constexpr const Finding* begin() const noexcept { return list_; }
    constexpr const Finding* end() const noexcept { return list_ + size_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr const Finding& operator[](std::size_t i) const noexcept { return list_[i]; }

    constexpr bool contains(Kind kind) const noexcept {
        for (const Finding& finding : *this)
            if (finding.kind == kind) return true;
        return false;
    }

    /// `number`: the native number of the call concerned.
    constexpr bool contains(Kind kind, int number) const noexcept {
        for (const Finding& finding : *this)
            if (finding.kind == kind && finding.call == number) return true;
        return false;
    }

    constexpr bool contains(Severity severity) const noexcept {
        for (const Finding& finding : *this)
            if (finding.severity() == severity) return true;
        return false;
    }

    /// The others: what the host knows and accepts is left out.
    template <class... Kinds>
    constexpr Findings without(Kind kind, Kinds... more) const noexcept {
        Findings rest;
        for (const Finding& finding : *this)
            if (finding.kind != kind && ((finding.kind != more) && ...)) rest.add(finding);
        return rest;
    }

    /// The same for one call only: `without_call(Kind::sibling, SYS_dup2)`.
    constexpr Findings without_call(Kind kind, int number) const noexcept {
        Findings rest;
        for (const Finding& finding : *this)
            if (finding.kind != kind || finding.call != number) rest.add(finding);
        return rest;
    }

    constexpr Findings without(Severity severity) const noexcept {
        Findings rest;
        for (const Finding& finding : *this)
            if (finding.severity() != severity) rest.add(finding);
        return rest;
    }

    constexpr void add(const Finding& finding) noexcept { list_[size_++] = finding; }

    /// A paragraph for each, ended by a line feed; "nothing found\n" where there is none.
    std::string explain() const {
        std::string text;
        for (const Finding& finding : *this) text += finding.explain() + "\n";
        return empty() ? "nothing found\n" : text;
    }

private:
    Finding list_[capacity]{};
    std::size_t size_ = 0;
};

}  // namespace sysguard
