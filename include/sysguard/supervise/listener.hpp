#pragma once

#include "../process/descriptor.hpp"
#include "../process/signals.hpp"
#include "../process/task.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::supervise {

/// The host's end of a seccomp filter: calls that the filter sends to the host wait here for an answer
/// (seccomp_unotify(2), Linux 5.0). One thread at a time may open and receive; answers may come from any thread.
class Listener {
public:
    /// Takes ownership of a listener. Returns 0 or an errno.
    int open(process::Descriptor fd) noexcept {
        seccomp_notif_sizes sizes{};
        if (::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) return errno;
        if (sizes.seccomp_notif > sizeof request_ || sizes.seccomp_notif_resp > most_response) return ENOTSUP;
        fd_ = std::move(fd);
        wake_up_on_the_same_processor();
        return 0;
    }

    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
    int fd() const noexcept { return fd_.get(); }
    void close() noexcept { fd_.reset(); }

    /// Takes the next pending call, which must be there (POLLIN): with none, this waits. Returns nullptr where it went
    /// away meanwhile, as its thread was killed or interrupted. The call is valid until the next one is received.
    const seccomp_notif* receive() noexcept {
        std::memset(request_, 0, sizeof request_);  // the kernel refuses anything else
        while (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_RECV, request_) != 0)
            if (errno != EINTR) return nullptr;
        return reinterpret_cast<const seccomp_notif*>(request_);
    }

    /// Whether a call still waits for its answer.
    bool is_pending(std::uint64_t id) const noexcept {
        return ::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
    }

    /// Answers a call: it returns `value`, or fails with `error` (an errno) where that is not 0. Returns whether this
    /// was its answer: a call may have gone away, or have been answered.
    bool answer(std::uint64_t id, std::int64_t value, int error) const noexcept {
        return send(id, error != 0 ? 0 : value, -error, 0);
    }

    /// Lets the kernel run a call. What its pointers lead to may have changed since.
    bool proceed(std::uint64_t id) const noexcept { return send(id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }

    /// Answers a call with a new descriptor of the worker's for the same open file as `fd`, at one stroke
    /// (SECCOMP_ADDFD_FLAG_SEND; Linux 5.14, before it fails with EINVAL). Returns the errno that kept the worker from
    /// getting it; the call then still waits. ENOENT where it has gone away.
    int answer_with_descriptor(std::uint64_t id, int fd, bool close_on_exec) const noexcept {
        // Interrupted between answer and descriptor (seccomp_notify_addfd), the kernel says 0 without a descriptor.
        const process::SignalsBlocked blocked;
        const long result = add_descriptor(fd_.get(), id, fd, close_on_exec, true);
        return result >= 0 ? 0 : static_cast<int>(-result);
    }

    /// Gives the worker a descriptor, and where it `answers` the call with it. Bare code. Returns the descriptor's
    /// number in the worker, or a negative errno.
    SYSGUARD_BARE static long add_descriptor(int listener, std::uint64_t id, int fd, bool close_on_exec,
                                             bool answers) noexcept {
        seccomp_notif_addfd request{};
        request.id = id;
        request.srcfd = static_cast<std::uint32_t>(fd);
        request.newfd_flags = close_on_exec ? O_CLOEXEC : 0;
        request.flags = answers ? 2 : 0;  // SECCOMP_ADDFD_FLAG_SEND
        long result = 0;
        do {
            result = process::raw_call(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_ADDFD, &request);
        } while (result == -EINTR);
        return result;
    }

    /// Whether a thread whose call has been received waits for its answer whatever signal comes, unless it is one that
    /// ends it (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV; Linux 5.19).
    static bool keeps_threads_waiting() noexcept {
        static const bool does = [] {
            constexpr unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | 1U << 5;
            return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, nullptr) != 0 && errno == EFAULT;
        }();
        return does;
    }

private:
    /// The running kernel's structs may be larger than those of its headers here.
    static constexpr std::size_t most_request = 256;
    static constexpr std::size_t most_response = 256;

    bool send(std::uint64_t id, std::int64_t value, int error, std::uint32_t flags) const noexcept {
        alignas(8) char buffer[most_response] = {};
        auto& response = *reinterpret_cast<seccomp_notif_resp*>(buffer);
        response.id = id;
        response.val = value;
        response.error = error;
        response.flags = flags;
        while (::ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, buffer) != 0)
            if (errno != EINTR) return false;
        return true;
    }

    /// Worker and host take turns, so neither gains by a processor of its own: a round trip takes a tenth of the time
    /// (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP; Linux 6.6, 48a1084a8b74). An older kernel does without.
    void wake_up_on_the_same_processor() const noexcept {
        constexpr std::uint64_t sync_wake_up = 1;
        ::ioctl(fd_.get(), _IOW('!', 4, std::uint64_t), sync_wake_up);
    }

    process::Descriptor fd_{};
    alignas(8) char request_[most_request]{};
};

}  // namespace sysguard::supervise
