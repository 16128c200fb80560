#pragma once

#include "../abi/errno_names.hpp"
#include "../abi/error.hpp"
#include "../policy/family.hpp"
#include "../policy/handler.hpp"
#include "../policy/matchers.hpp"
#include "../policy/performable.hpp"
#include "decode.hpp"
#include "detail/worker_messages.hpp"
#include "path.hpp"
#include "pending.hpp"
#include "remote_descriptor.hpp"
#include "verdict.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <fcntl.h>

namespace sysguard {

class Deferred;

/// One system call of a worker's that waits for an answer: what every call has. A handler gets it, asks it, and returns
/// one of its endings. Valid until the handler returns. One thread at a time.
class AnyCall {
public:
    explicit AnyCall(supervise::Pending& pending) noexcept : pending_{&pending} {}

    /// "connect".
    std::string_view name() const noexcept { return pending_->call->name; }
    int number() const noexcept { return pending_->number; }

    /// The ABI that it came through. Of one that the policy admits (sysguard/foreign.hpp) the call is shown as the
    /// native call that does the same.
    abi::Abi abi() const noexcept { return pending_->admitted != nullptr ? pending_->admitted->abi : abi::native_abi; }

    /// The six registers, as the kernel got them.
    const std::uint64_t (&registers() const noexcept)[abi::max_arguments] { return pending_->arguments; }

    /// The thread that waits, in the host's pid namespace; 0 where it has no id there.
    pid_t thread() const noexcept { return pending_->thread; }

    /// Its process.
    pid_t pid() const { return supervise::process_of(pending_->thread); }

    /// The worker's first process.
    pid_t worker() const noexcept { return pending_->line->worker; }

    /// Where in the worker's memory the call was made.
    std::uint64_t instruction_pointer() const noexcept { return pending_->instruction_pointer; }

    /// Whether it still waits: it goes away when its thread is killed or, before Linux 5.19, interrupted by a signal.
    bool is_pending() const noexcept { return pending_->is_pending(); }

    /// The call with its arguments, by their names, and what they lead to: connect(fd=3, addr=127.0.0.1:80,
    /// addrlen=16).
    std::string text() const { return supervise::decode(*pending_); }

    /// It does not run and fails with `error`, an errno from 1 to 4095; anything else throws `Error`.
    Verdict deny(int error) const {
        if (error < 1 || error > abi::max_errno) throw Error{EINVAL, "deny a call with something that is no errno"};
        return Verdict{Verdict::Kind::deny, error};
    }

    /// It does not run and is said to have returned `value`. Where something that was to be written to the worker
    /// before could not be, it fails with EFAULT instead.
    Verdict fake(std::int64_t value) const noexcept { return Verdict{Verdict::Kind::fake, value}; }

    /// It does not run, and returns a new descriptor of the worker's for the open file of `fd`, which stays the
    /// host's: what is returned holds a duplicate. Where that cannot be made the call fails with EMFILE.
    Verdict return_fd(int fd, bool close_on_exec = true) const noexcept {
        process::Descriptor copy{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
        if (!copy) return Verdict{Verdict::Kind::deny, errno};
        return Verdict{std::move(copy), close_on_exec};
    }

    /// The whole worker is killed; its outcome tells this call as the violation.
    Verdict kill() const noexcept { return Verdict{Verdict::Kind::kill}; }

    /// The kernel runs the call, and reads its pointers again: another thread of the worker's can have changed what
    /// they lead to since it was looked at. Nothing that was seen of memory may be what this depends on.
    Verdict proceed_unchecked() const noexcept { return Verdict{Verdict::Kind::proceed}; }

    /// Answers later: see Deferred. To be returned as the verdict too: `return later.pending();`. From then on what the
    /// call leads to is to be looked at through `later.call()`; through this it throws `Error`, which refuses the call.
    /// Throws std::bad_alloc, and `Error` (EINVAL) where a further handler is asked (libseccomp.hpp).
    Deferred defer() const;

    /// It is performed on the worker's behalf, or fails with ENOSYS where it is none of those that can be
    /// (policy/performable.hpp): see Call::perform.
    Verdict perform_if_possible() const noexcept {
        return policy::is_performable(pending_->number) ? Verdict{Verdict::Kind::perform}
                                                        : Verdict{Verdict::Kind::deny, ENOSYS};
    }

protected:
    friend class Deferred;

    supervise::Pending& pending() const noexcept { return *pending_; }

private:
    supervise::Pending* pending_;
};

namespace supervise::detail {

/// The type of a register's value.
template <abi::Type type>
using Value = std::conditional_t<(abi::info(type).tested > 0xffffffff),
                                 std::conditional_t<abi::info(type).is_signed, std::int64_t, std::uint64_t>,
                                 std::conditional_t<abi::info(type).is_signed, std::int32_t, std::uint32_t>>;

constexpr bool all_registers(const int* numbers, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        if (!policy::is_all_registers(numbers[i])) return false;
    return true;
}

constexpr bool all_performable(const int* numbers, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        if (!policy::is_performable(numbers[i])) return false;
    return true;
}

constexpr bool all_send_messages(const int* numbers, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        if (!sends_messages(numbers[i])) return false;
    return true;
}

/// An argument that all calls of a rule have: its type, where that is one for all.
struct Common {
    bool present = true;
    bool same_type = true;
    abi::Type type = abi::Type::int32;
    abi::Direction direction = abi::Direction::none;
    bool has_length = false;
};

constexpr Common common(const int* numbers, std::size_t count, abi::ArgName name) noexcept {
    Common common;
    for (std::size_t i = 0; i < count; ++i) {
        const abi::Syscall& call = *abi::find(numbers[i]);
        const int position = call.position(name);
        if (position < 0) return {false, false};
        const abi::Argument& argument = call.arguments[position];
        if (i > 0) common.same_type = common.same_type && argument.type == common.type;
        common.type = argument.type;
        common.direction = argument.direction;
        common.has_length = argument.length != abi::ArgName::none;
    }
    return common;
}

}  // namespace supervise::detail

/// One pending call, with the arguments of `target`: a system call, or a family, of which it has those that all calls
/// of the family have.
template <auto target>
class Call : public AnyCall {
public:
    explicit Call(const AnyCall& call) noexcept : AnyCall{call} {}

    /// An argument. A register's value in the type that the kernel reads; a path as a `Path`, a socket address as a
    /// `const SocketAddress&`, a string and a buffer that the call reads as a std::string_view on the host's copy
    /// (empty where it cannot be read); of all other pointers the address.
    template <abi::ArgName name, abi::ArgName lead>
    decltype(auto) operator[](const policy::Argument<name, lead>&) const {
        constexpr auto argument = check<name>();
        const int at = position(name);
        if constexpr (argument.type == abi::Type::path) {
            return Path{pending(), at};
        } else if constexpr (argument.type == abi::Type::socket_address && argument.direction == abi::Direction::in) {
            return static_cast<const SocketAddress&>(pending().socket_address(at));
        } else if constexpr (argument.type == abi::Type::string ||
                             (argument.type == abi::Type::bytes && argument.direction == abi::Direction::in &&
                              argument.has_length)) {
            return std::string_view{pending().copy(at).bytes};
        } else if constexpr (abi::info(argument.type).kind == abi::TypeInfo::Kind::pointer) {
            return std::uint64_t{registers()[at]};
        } else {
            return static_cast<supervise::detail::Value<argument.type>>(registers()[at] &
                                                                        abi::info(argument.type).tested);
        }
    }

    /// A copy of a structure that a pointer argument leads to; none where it cannot be read, or is shorter. T is the
    /// kernel's struct.
    template <class T, abi::ArgName name, abi::ArgName lead>
    std::optional<T> read(const policy::Argument<name, lead>&) const {
        static_assert(std::is_trivially_copyable_v<T>, "read<T>(arg::x) copies plain structs");
        constexpr auto argument = check<name>();
        static_assert(argument.type != abi::Type::msghdr && argument.type != abi::Type::mmsghdr,
                      "what this structure leads to would be read again, by then perhaps something else: messages() "
                      "has to whom and what is sent, as perform() sends it");
        const supervise::Copied& copied = pending().copy(position(name), sizeof(T));
        if (copied.bytes.size() < sizeof(T)) return std::nullopt;
        T value;
        __builtin_memcpy(&value, copied.bytes.data(), sizeof value);
        return value;
    }

    /// What sendmsg and sendmmsg send: to whom, what, and with which control messages. Copied once: `perform` sends
    /// these copies. No messages where they cannot be read, or are none: then `error()` says why.
    const supervise::Messages& messages() const {
        static_assert(
            supervise::detail::all_send_messages(policy::Calls<target>::numbers.list, policy::Calls<target>::count()),
            "messages() is for sendmsg and sendmmsg");
        return supervise::detail::messages_of(pending());
    }

    /// Writes to the buffer that an argument leads to, no more than the worker says that it has room for. Returns
    /// whether all of it was written: where it was not, a `fake` after it fails with EFAULT.
    template <abi::ArgName name, abi::ArgName lead>
    bool write(const policy::Argument<name, lead>&, std::string_view bytes) const {
        constexpr auto argument = check<name>();
        static_assert(abi::info(argument.type).kind == abi::TypeInfo::Kind::pointer &&
                          (argument.direction == abi::Direction::out || argument.direction == abi::Direction::inout),
                      "write(arg::x, bytes) is for pointers that the call writes to");
        const int at = position(name);
        std::size_t room = bytes.size();
        const abi::ArgName length = pending().call->arguments[at].length;
        if (argument.type == abi::Type::bytes && length != abi::ArgName::none)
            room = static_cast<std::size_t>(registers()[pending().call->position(length)]);
        if (bytes.size() > room) throw Error{EINVAL, "write more to a worker's buffer than it has room for"};
        return pending().write(registers()[at], bytes.data(), bytes.size());
    }

    /// A duplicate of the worker's descriptor; none where it has no such, or the host may not have it: a default
    /// container refuses pidfd_getfd(2), and then a directory comes as O_PATH, and nothing else comes. It is the same
    /// open file: closing it is fine, changing its flags changes the worker's. Performed, the call acts on this one;
    /// one that proceeds acts on what the worker has put in its place by then.
    template <abi::ArgName name, abi::ArgName lead>
    process::Descriptor fd(const policy::Argument<name, lead>&) const {
        constexpr auto argument = check<name>();
        static_assert(argument.type == abi::Type::fd || argument.type == abi::Type::dirfd,
                      "fd(arg::x) is for arguments that are descriptors");
        constexpr auto duplicate =
            argument.type == abi::Type::dirfd ? supervise::duplicate_place : supervise::duplicate_descriptor;
        const int own = pending().descriptor(position(name), duplicate).get();
        return process::Descriptor{::fcntl(own, F_DUPFD_CLOEXEC, 3)};
    }

    /// The kernel runs the call. Only where every argument is a value in a register: nothing of it can change any more.
    Verdict proceed() const noexcept {
        static_assert(
            supervise::detail::all_registers(policy::Calls<target>::numbers.list, policy::Calls<target>::count()),
            "this call has pointer arguments, which the kernel would read again after your decision, and "
            "another thread can change what they lead to: perform() makes the host do the call on what you "
            "have seen; proceed_unchecked() is for decisions that depend on nothing in memory");
        return proceed_unchecked();
    }

    /// The host does the call on the worker's behalf: as the worker, on its descriptors, directories and credentials,
    /// with the copies that have been made of what its pointers lead to, so that nothing can change any more. It does
    /// not hold up other calls, and is abandoned when the worker dies.
    ///
    /// Where the worker has other ids or capabilities than the host, the host is not dumpable meanwhile
    /// (PR_SET_DUMPABLE): that closes its memory, which who performs shares, to the worker. Afterwards it is again.
    ///
    /// The kernel hands over no descriptors opened with O_PATH. Where the handler has not looked at memory, it opens
    /// the place itself, for the worker; otherwise the worker gets a directory opened with O_RDONLY, and for anything
    /// else EOPNOTSUPP.
    Verdict perform() const noexcept {
        static_assert(
            supervise::detail::all_performable(policy::Calls<target>::numbers.list, policy::Calls<target>::count()),
            "the host cannot perform this call on a worker's behalf (policy/performable.hpp lists those it "
            "can): use deny(errno), fake(value), return_fd(fd), kill(), or proceed_unchecked(), after which "
            "the kernel reads what the pointers lead to again");
        return perform_if_possible();
    }

private:
    template <abi::ArgName name>
    static constexpr auto check() noexcept {
        constexpr auto argument =
            supervise::detail::common(policy::Calls<target>::numbers.list, policy::Calls<target>::count(), name);
        static_assert(argument.present,
                      "this system call has no argument of that name (of a family, every call must "
                      "have it); abi/syscalls.def lists the arguments of each call");
        static_assert(!argument.present || argument.same_type,
                      "the calls of this family have different types for this argument");
        return argument;
    }

    int position(abi::ArgName name) const noexcept {
        if constexpr (policy::Calls<target>::count() == 1)
            return abi::find(policy::Calls<target>::numbers.list[0])->position(name);
        else
            return pending().call->position(name);
    }
};

}  // namespace sysguard
