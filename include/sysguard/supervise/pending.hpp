#pragma once

#include "../abi/error.hpp"
#include "../abi/table.hpp"
#include "../policy/view.hpp"
#include "../process/descriptor.hpp"
#include "address.hpp"
#include "line.hpp"
#include "memory.hpp"
#include "messages.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <linux/limits.h>
#include <linux/seccomp.h>
#include <sys/types.h>

namespace sysguard::supervise {

/// A copy of what a pointer argument leads to.
struct Copied {
    std::string bytes{};
    int error = 0;            ///< errno where it could not be had: EFAULT, ENAMETOOLONG, EBADF
    bool is_cut = false;      ///< there was more than the host wants to read
    bool is_there = false;    ///< it has been read, or tried to
    bool is_decided = false;  ///< a path: somebody has asked where it leads
    std::string place{};      ///< where it led then, from the worker's root

    process::Descriptor descriptor{};  ///< of a descriptor: a duplicate, where there is one
};

/// One call that waits for its answer, with copies of what was read for it. What is read is read once: who asks again,
/// and who performs the call, gets the same copy. One thread at a time.
struct Pending {
    LineShare line{};
    std::uint64_t id = 0;
    pid_t thread = 0;  ///< as the host sees it; 0 where it cannot
    int number = -1;
    int number_in_abi = -1;  ///< the same, but for a call of a foreign ABI that is served as a native one
    std::uint32_t architecture = 0;
    std::uint64_t instruction_pointer = 0;
    std::uint64_t arguments[abi::max_arguments]{};
    const abi::Syscall* call = nullptr;  ///< nullptr where it came through a foreign ABI, or is newer than the table
    const policy::AdmittedAbi* admitted = nullptr;  ///< the foreign ABI that it came through, if that is admitted
    bool is_undecided = false;                      ///< of such a call: some rule cannot be applied to it
    bool memory_decided = false;                    ///< something that was read has played a part in what becomes of it
    int write_error = 0;                            ///< errno of the first write to its memory that failed
    bool is_deferred = false;                       ///< its copies have gone to who answers it later
    bool is_dropped = false;                        ///< who was to answer it later has gone while its handler ran
    bool is_for_now = false;                        ///< nobody may answer it later: somebody else is asked, too

    Copied copies[abi::max_arguments]{};
    SocketAddress address{};
    bool has_address = false;
    std::optional<Messages> taken_messages{};

    /// The call whose handler this thread runs.
    static inline thread_local Pending* in_handler = nullptr;

    /// Takes over what the kernel says of a call, and forgets the one before.
    void begin(const LineShare& of, const seccomp_notif& request) {
        if (line != of) line = of;  // most calls are of the same worker as the one before: no counting of shares
        id = request.id;
        thread = static_cast<pid_t>(request.pid);
        number = number_in_abi = request.data.nr;
        architecture = request.data.arch;
        instruction_pointer = request.data.instruction_pointer;
        for (int i = 0; i < abi::max_arguments; ++i) arguments[i] = request.data.args[i];
        admitted = nullptr;
        is_undecided = false;
        call = nullptr;
        if (architecture == abi::audit_architecture(abi::native_abi))
            call = abi::is_known(number) ? abi::find(number) : nullptr;
        else if (line->policy != nullptr)
            translate(*line->policy);
        if (dirty_) forget();
    }

    bool is_pending() const noexcept { return line->listener.is_pending(id); }

    /// The copy of what the argument at `position` leads to: of a path or string all of it, of a buffer as many bytes
    /// as the call's length says, but no more than the host wants to read, of a structure its bytes, which are
    /// `otherwise` where neither the call nor its type says how many. Throws std::bad_alloc, and `Error` where the call
    /// has been deferred.
    const Copied& copy(int position, std::size_t otherwise = 0) {
        require_own_copies();
        Copied& copied = copies[position];
        if (copied.is_there) return copied;
        dirty_ = true;
        copied.is_there = true;
        const abi::Argument& argument = call->arguments[position];
        if (arguments[position] == 0) {
            if (!stands_for_descriptor(position)) copied.error = EFAULT;
            return copied;
        }
        if (is_text(argument.type))
            copied.error = read_string(thread, arguments[position], longest(argument.type), copied.bytes);
        else
            copy_bytes(copied, position, size_of(argument, otherwise));
        if (!is_pending()) {  // its memory may have been somebody else's
            copied.bytes.clear();
            copied.error = EFAULT;
        }
        return copied;
    }

    /// The socket address at `position`; an empty one where it cannot be read.
    const SocketAddress& socket_address(int position) {
        require_own_copies();
        if (!has_address) {
            const Copied& copied = copy(position);
            using Use = SocketAddress::Use;
            const Use use = call->name == "bind" ? Use::bind : call->name == "connect" ? Use::connect : Use::send;
            address = SocketAddress{copied.bytes.data(), copied.bytes.size(), use};
            has_address = true;
            dirty_ = true;
        }
        return address;
    }

    /// What sendmsg and sendmmsg send, copied once. `take` copies it.
    template <class F>
    Messages& messages(const F& take) {
        require_own_copies();
        if (!taken_messages) {
            dirty_ = true;
            taken_messages.emplace(take());
            if (!is_pending()) taken_messages->withdraw(EFAULT);  // its memory may have been somebody else's
        }
        return *taken_messages;
    }

    /// A duplicate of the descriptor at `position`, made once, or none: whoever performs the call acts on what was
    /// there then, whatever the worker has put in its place. `duplicate` makes it of its number.
    template <class F>
    const process::Descriptor& descriptor(int position, const F& duplicate) {
        require_own_copies();
        Copied& copied = copies[position];
        if (copied.is_there) return copied.descriptor;
        dirty_ = true;
        copied.is_there = true;
        copied.descriptor = duplicate(*this, static_cast<int>(arguments[position]));
        if (!copied.descriptor) copied.error = errno;
        return copied.descriptor;
    }

    /// Writes to the thread's memory. Returns whether that went well; where it did not, the call is not going to be
    /// told a success.
    bool write(std::uint64_t to, const char* from, std::size_t size) noexcept {
        if (!is_deferred && is_pending() && write_memory(thread, to, from, size)) return true;
        if (write_error == 0) write_error = EFAULT;
        dirty_ = true;
        return false;
    }

    /// Whether nobody has looked at its thread's memory for it: then nothing there is what anything depends on.
    bool is_untouched() const noexcept { return !dirty_; }

    /// Marks it as one whose copies are to be forgotten before the next.
    void touch() noexcept { dirty_ = true; }

    static bool is_text(abi::Type type) noexcept { return type == abi::Type::path || type == abi::Type::string; }

    /// The value of an argument that is a flag or a number; 0 of one that the call lacks.
    std::uint64_t value(abi::ArgName name) const noexcept {
        const int position = call->position(name);
        return position < 0 ? 0 : arguments[position];
    }

    /// Whether the path at `position` may be empty, and then is the descriptor before it (AT_EMPTY_PATH,
    /// readlinkat(2)).
    bool may_be_empty(int position) const noexcept {
        if (position == 0 || call->arguments[position - 1].type != abi::Type::dirfd) return false;
        if (call->name == "readlinkat") return true;
        const int flags = call->position(abi::ArgName::flags);
        return flags >= 0 && call->arguments[flags].type == abi::Type::at_flags &&
               call->arguments[position].name != abi::ArgName::newpath && (arguments[flags] & AT_EMPTY_PATH) != 0;
    }

    /// Whether the path at `position` is a null pointer, which some calls take for the descriptor before it:
    /// futimens(3), and with AT_EMPTY_PATH newer ones (Linux 6.11).
    bool stands_for_descriptor(int position) const noexcept {
        if (arguments[position] != 0 || call->arguments[position].type != abi::Type::path) return false;
        if (call->name == "utimensat" || call->name == "futimesat") return true;
        return may_be_empty(position) && call->name != "readlinkat";
    }

private:
    /// What is not there any more would look like an empty path or address, which no rule forbids.
    void require_own_copies() const {
        if (is_deferred)
            throw Error{EINVAL, "look at a call that has been deferred: what it leads to is with Deferred::call()"};
    }

    static constexpr std::size_t most_structure = 4096;  ///< the kernel refuses larger ones

    static std::size_t longest(abi::Type type) noexcept { return type == abi::Type::path ? PATH_MAX - 1 : 65535; }

    void copy_bytes(Copied& copied, int position, std::size_t size) {
        copied.is_cut = size > line->most_read;
        const std::size_t wanted = copied.is_cut ? line->most_read : size;
        copied.bytes.resize(wanted);
        if (read_memory(thread, arguments[position], copied.bytes.data(), wanted) == wanted) return;
        copied.bytes.clear();
        copied.error = EFAULT;
    }

    /// How many bytes a pointer argument leads to.
    std::size_t size_of(const abi::Argument& argument, std::size_t otherwise) const noexcept {
        const int length = argument.length == abi::ArgName::none ? -1 : call->position(argument.length);
        switch (argument.type) {
            case abi::Type::socket_address: {
                const auto size = static_cast<std::int32_t>(arguments[length]);
                return size > 0 && static_cast<std::size_t>(size) <= SocketAddress::most
                           ? static_cast<std::size_t>(size)
                           : 0;
            }
            case abi::Type::timespec_pair:
            case abi::Type::timeval_pair: return 32;
            case abi::Type::timespec:
            case abi::Type::timeval:
            case abi::Type::utimbuf: return 16;
            default: break;
        }
        if (length < 0) return otherwise;
        const std::uint64_t size = arguments[length] & abi::info(call->arguments[length].type).tested;
        const bool is_structure = argument.type == abi::Type::open_how || argument.type == abi::Type::xattr_args;
        return static_cast<std::size_t>(is_structure && size > most_structure ? most_structure : size);
    }

    /// A call of an admitted ABI, where the host can serve it as the native call that does the same, becomes that.
    void translate(const policy::View& policy) noexcept {
        if (policy.admitted == nullptr || architecture != abi::audit_architecture(policy.admitted->abi)) return;
        admitted = policy.admitted;
        const policy::NativeCall native = admitted->translate(policy, number, arguments);
        if (!native.is_served) return;
        number = native.number;
        call = abi::find(number);
        for (int i = 0; i < abi::max_arguments; ++i) arguments[i] = native.arguments[i];
    }

    void forget() {
        for (Copied& copied : copies)
            if (copied.is_there) copied = {};
        memory_decided = false;
        write_error = 0;
        is_deferred = false;
        is_dropped = false;
        has_address = false;
        taken_messages.reset();
        dirty_ = false;
    }

    bool dirty_ = false;
};

}  // namespace sysguard::supervise
