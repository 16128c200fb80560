#pragma once

#include "../../abi/numbers.hpp"
#include "../memory.hpp"
#include "../messages.hpp"
#include "../pending.hpp"
#include "../remote_descriptor.hpp"
#include "bare_text.hpp"
#include "procfs.hpp"

#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/types.h>

namespace sysguard::supervise::detail {

/// The thread of a pending call, for whoever copies its messages. Borrows the call.
class CallingThread final : public MessageSource {
public:
    CallingThread(const Pending& call, pid_t process) noexcept : call_{call}, process_{process} {}

    std::size_t read(std::uint64_t address, void* to, std::size_t bytes) noexcept override {
        return read_memory(call_.thread, address, static_cast<char*>(to), bytes);
    }
    process::Descriptor duplicate(int fd) noexcept override { return duplicate_descriptor(call_, fd); }
    pid_t own_pid() noexcept override {
        char path[40];
        append(append(append(path, "/proc/"), static_cast<unsigned long>(process_)), "/status");
        unsigned long ids[32];
        const int count = read_ids(AT_FDCWD, path, ids);
        return count > 0 ? static_cast<pid_t>(ids[count - 1]) : -1;
    }
    pid_t pid() noexcept override { return process_; }

private:
    const Pending& call_;
    pid_t process_;
};

/// The messages of a pending sendmsg or sendmmsg: whoever decides on them and whoever sends them has the same copy.
inline Messages& messages_of(Pending& call) {
    return call.messages([&call] {
        CallingThread worker{call, process_of(call.thread)};
        const int socket = call.descriptor(0, duplicate_descriptor).get();
        const std::uint64_t place = call.arguments[1];
        const std::size_t most = call.line->most_read;
        return call.number == sys::sendmmsg ? Messages::of_sendmmsg(worker, socket, place, call.arguments[2], most)
                                            : Messages::of_sendmsg(worker, socket, place, most);
    });
}

constexpr bool sends_messages(int number) noexcept {
    return number >= 0 && (number == sys::sendmsg || number == sys::sendmmsg);
}

}  // namespace sysguard::supervise::detail
