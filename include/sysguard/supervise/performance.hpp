#pragma once

#include "../abi/take.hpp"
#include "../process/descriptor.hpp"
#include "../process/dumpable.hpp"
#include "../process/task.hpp"
#include "answer.hpp"
#include "detail/descriptor_table.hpp"
#include "pending.hpp"
#include "perform/credentials.hpp"
#include "preparation.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::supervise {

class Performance;
class Watch;

/// Something that a supervisor waits for.
struct Source {
    enum Kind : std::uint8_t { first_process, calls, hand_over, output, error, performance, bell, timer };
    static constexpr int of_a_watch = 5;

    Watch* watch = nullptr;
    Kind kind = first_process;
};

struct PerformanceSource : Source {
    Performance* performance = nullptr;
};

/// One call that is carried out on a worker's behalf, in a task of its own: a process that shares the host's memory, so
/// that it costs little, and nothing else: it has its own descriptors, directories, umask and credentials, and can be
/// killed, with all that it holds, wherever it waits. Prepared, started and ended by a thread that supervises.
class Performance : private Preparation {
public:
    explicit Performance(Pending&& call) : Preparation{std::move(call)} {}
    Performance(const Performance&) = delete;
    Performance& operator=(const Performance&) = delete;
    ~Performance() {
        abandon();
        if (stack_ != nullptr) ::munmap(stack_, stack_size);
    }

    using Preparation::prepare;

    const Pending& call() const noexcept { return call_; }
    int task_fd() const noexcept { return task_.get(); }  ///< readable when it has ended

    /// Starts the task. Returns 0 or an errno.
    int start() noexcept {
        stack_ =
            ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack_ == MAP_FAILED) {
            stack_ = nullptr;
            return errno;
        }
        host_ = ::getpid();
        answers_itself_ = !Listener::keeps_threads_waiting();
        listener_ = call_.line->listener.fd();
        int pidfd = -1;
        process::Dumpable::enter();
        pid_ = process::start_task(run, this, stack_, stack_size, pidfd);
        if (pid_ < 0) {
            process::Dumpable::leave();
            return static_cast<int>(-abi::take(pid_));
        }
        task_.reset(pidfd);
        for (Copied& copied : call_.copies) copied.descriptor.reset();
        return 0;
    }

    /// To be called when the task has ended: gives the worker what came of it.
    void finish() noexcept {
        reap();
        if (is_delivered_) return;
        if (result_ >= 0) write_outputs();
        const int error = result_ < 0 ? static_cast<int>(-result_) : call_.write_error;
        const int sending = messages_ ? messages_->failed() : error;
        const int signal = wants_sigpipe_ && sending == EPIPE ? SIGPIPE : signal_;
        if (signal != 0)
            answer_with(signal, error);
        else
            call_.line->listener.answer(call_.id, result_, error);
    }

    /// Refuses the call instead.
    void refuse(int error) noexcept { call_.line->listener.answer(call_.id, 0, error); }

    /// Whether nobody waits for it any more. A call that is being answered is not pending either, but must be left
    /// alone: the kernel, interrupted between answer and descriptor (seccomp_notify_addfd), says 0 without a
    /// descriptor.
    bool is_vain() const noexcept { return !call_.is_pending() && !__atomic_load_n(&is_delivering_, __ATOMIC_SEQ_CST); }

    /// Kills the task, which then ends soon.
    void kill() const noexcept { ::syscall(SYS_pidfd_send_signal, task_.get(), SIGKILL, nullptr, 0); }

    /// Kills the task, if there is one, and waits for its end. One that is giving its thread a descriptor is left some
    /// time to do so: see `is_vain`.
    void abandon() noexcept {
        if (pid_ <= 0) return;
        pollfd end{task_.get(), POLLIN, 0};
        constexpr int patience = 1000;  // milliseconds
        if (__atomic_load_n(&is_delivering_, __ATOMIC_SEQ_CST)) ::poll(&end, 1, patience);
        kill();
        reap();
    }

    Performance* next = nullptr;  ///< in the list of whoever keeps it
    PerformanceSource source{};

private:
    static constexpr std::size_t stack_size = 512 * 1024;

    void reap() noexcept {
        process::reap_task(pid_);
        process::Dumpable::leave();
        pid_ = 0;
        task_.reset();
    }

    /// The thread gets the signal before it comes back from its call: it waits for the answer, which only a signal that
    /// ends it can spare it (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV). Kernels without handles on threads (before Linux
    /// 6.9) may lack that, and the signal would interrupt the call: there it follows the answer.
    void answer_with(int signal, int error) noexcept {
        constexpr unsigned of_thread = O_EXCL;
        const process::Descriptor thread{static_cast<int>(::syscall(SYS_pidfd_open, call_.thread, of_thread))};
        if (thread && call_.is_pending()) ::syscall(SYS_pidfd_send_signal, thread.get(), signal, nullptr, 0);
        if (call_.line->listener.answer(call_.id, result_, error) && !thread)
            ::syscall(SYS_tgkill, job_.caller.process, call_.thread, signal);
    }

    SYSGUARD_BARE static void run(void* argument) noexcept {
        auto& self = *static_cast<Performance*>(argument);
        self.result_ = self.carry_out();
    }

    SYSGUARD_BARE long carry_out() noexcept {
        using process::raw_call;
        if (!ends_with_host()) return -EPERM;
        raw_call(SYS_setsid);  // the host's terminal is not the worker's
        if (const long result = close_others(); result < 0) return result;
        job_.root = static_cast<int>(open_of_caller("/root"));
        job_.cwd = static_cast<int>(open_of_caller("/cwd"));
        if (job_.root < 0) return job_.root;
        if (returns_descriptor()) job_.has_full_table = detail::is_table_full(job_.caller.thread);
        if (const long result = perform::assume(job_.caller, job_.has_own_users); result < 0) return result;
        // All of this was the caller's if it still waits: its id was nobody else's.
        if (raw_call(SYS_ioctl, listener_, SECCOMP_IOCTL_NOTIF_ID_VALID, &call_.id) < 0) return -EPERM;
        if (!ends_with_host()) return -EPERM;  // other credentials clear that
        const long result = performer_(job_);
        if (result == -EFBIG && is_pending(SIGXFSZ)) signal_ = SIGXFSZ;
        return result >= 0 && returns_descriptor() ? deliver(result) : result;
    }

    SYSGUARD_BARE bool ends_with_host() const noexcept {
        process::raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        return process::raw_call(SYS_getppid) == host_;
    }

    SYSGUARD_BARE long open_of_caller(const char* what) const noexcept {
        char path[40];
        char* end = detail::append(path, "/proc/");
        end = detail::append(end, static_cast<unsigned long>(job_.caller.thread));
        detail::append(end, what);
        return process::raw_call(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
    }

    /// Whether the kernel has sent this task, which blocks all signals, one that the worker's thread would have got.
    SYSGUARD_BARE static bool is_pending(int signal) noexcept {
        std::uint64_t signals = 0;
        return process::raw_call(SYS_rt_sigpending, &signals, sizeof signals) == 0 &&
               (signals >> (signal - 1) & 1) != 0;
    }

    bool returns_descriptor() const noexcept { return call_.call->returns == abi::Return::fd; }

    /// The kernel hands over no descriptors opened with O_PATH (seccomp_notify_addfd in kernel/seccomp.c, fget): of a
    /// directory the worker gets one to read it.
    SYSGUARD_BARE static long deliverable(long fd) noexcept {
        const long flags = process::raw_call(SYS_fcntl, fd, F_GETFL);
        if (flags < 0 || (flags & O_PATH) == 0) return fd;
        const long directory = process::raw_call(SYS_openat, fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return directory == -ENOTDIR ? -EOPNOTSUPP : directory;
    }

    /// The thread goes on when this task has ended, and with it what it has opened: a file that is open for writing
    /// here cannot be executed there (ETXTBSY), and a pipe has no end. Where a signal could make the thread go on
    /// before, it gets descriptor and answer at one stroke.
    SYSGUARD_BARE long deliver(long opened) noexcept {
        const long fd = deliverable(opened);
        if (fd < 0) return fd;
        if (!answers_itself_)
            return Listener::add_descriptor(listener_, call_.id, static_cast<int>(fd), closes_on_exec(), false);
        __atomic_store_n(&is_delivering_, true, __ATOMIC_SEQ_CST);
        const long result = Listener::add_descriptor(listener_, call_.id, static_cast<int>(fd), closes_on_exec(), true);
        is_delivered_ = result >= 0 || result == -ENOENT;
        return result;
    }

    SYSGUARD_BARE bool closes_on_exec() const noexcept {
        if (call_.number == sys::openat2) {
            std::uint64_t flags = 0;
            for (int i = 0; i < abi::max_arguments; ++i)
                if (call_.call->arguments[i].type == abi::Type::open_how && job_.in[i].size >= sizeof flags)
                    __builtin_memcpy(&flags, job_.in[i].data, sizeof flags);
            return (flags & O_CLOEXEC) != 0;
        }
        for (int i = 0; i < abi::max_arguments; ++i)
            if (call_.call->arguments[i].type == abi::Type::open_flags) return (job_.arguments[i] & O_CLOEXEC) != 0;
        return false;
    }

    /// Closes all of the host's descriptors but those that the call is about.
    SYSGUARD_BARE long close_others() const noexcept {
        for (int from = 0;;) {
            int kept = nearer(nearer(-1, listener_, from), job_.ruleset, from);
            for (const int fd : job_.fds) kept = nearer(kept, fd, from);
            if (messages_)
                for (const process::Descriptor& fd : messages_->descriptors()) kept = nearer(kept, fd.get(), from);
            if (kept != from) {
                const unsigned last = kept < 0 ? ~0U : static_cast<unsigned>(kept) - 1;
                if (const long result = process::close_descriptors(static_cast<unsigned>(from), last); result < 0)
                    return result;
            }
            if (kept < 0) return 0;
            from = kept + 1;
        }
    }

    SYSGUARD_BARE static int nearer(int kept, int fd, int from) noexcept {
        if (fd < from) return kept;
        return kept < 0 || fd < kept ? fd : kept;
    }

    void* stack_ = nullptr;
    long pid_ = 0;
    pid_t host_ = 0;
    int listener_ = -1;
    process::Descriptor task_{};
    long result_ = -EPERM;
    int signal_ = 0;  ///< comes with the result
    bool answers_itself_ = false;
    bool is_delivering_ = false;
    bool is_delivered_ = false;
};

}  // namespace sysguard::supervise
