#pragma once

#include "../abi/error.hpp"
#include "child.hpp"
#include "descriptor.hpp"
#include "detail/host_facts.hpp"
#include "detail/loaded_code.hpp"
#include "detail/plan_image.hpp"
#include "detail/raw_call.hpp"
#include "detail/reap.hpp"
#include "detail/setup.hpp"
#include "order.hpp"
#include "result_area.hpp"
#include "session.hpp"
#include "signals.hpp"
#include "start_function.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <csignal>

namespace sysguard::process {

namespace detail {

/// Where libc keeps the id of the calling thread, which the kernel is to set in a fork, as libc's own fork has it;
/// nullptr where that is not known (PR_GET_TID_ADDRESS needs a kernel with CONFIG_CHECKPOINT_RESTORE).
inline int* thread_id_of_libc() noexcept {
    int* address = nullptr;
    constexpr int get_tid_address = 40;  // PR_GET_TID_ADDRESS, Linux 3.5
    if (::prctl(get_tid_address, &address, 0, 0, 0) != 0 || address == nullptr) return nullptr;
    return *address == static_cast<int>(raw_call(SYS_gettid)) ? address : nullptr;
}

/// A fork without libc: the caller has one thread, and holds no lock. Its end is told by no signal. Returns 0 in the
/// child.
inline long fork_bare(unsigned long flags, int& pidfd, int* thread_id) noexcept {
    flags |= CLONE_PIDFD;
    if (thread_id != nullptr) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#if defined(__x86_64__)
    return raw_call(SYS_clone, flags, nullptr, &pidfd, thread_id, nullptr);
#else
    return raw_call(SYS_clone, flags, nullptr, &pidfd, nullptr, thread_id);
#endif
}

/// Who a process is. What a zygote starts is what the host was.
struct Identity {
    Identity() noexcept {
        std::memset(static_cast<void*>(this), 0, sizeof *this);
        ::getresuid(&users[0], &users[1], &users[2]);
        ::getresgid(&groups[0], &groups[1], &groups[2]);
        more_count = ::getgroups(64, more);
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        ::syscall(SYS_capget, &header, capabilities);
        no_new_privileges = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    }
    bool operator==(const Identity& other) const noexcept { return std::memcmp(this, &other, sizeof *this) == 0; }

    uid_t users[3];
    gid_t groups[3];
    gid_t more[64];
    int more_count;
    int no_new_privileges;
    __user_cap_data_struct capabilities[2];
};

}  // namespace detail

/// A small process, forked from the host while that is small and has one thread, which forks workers for it later: at a
/// cost that does not depend on what the host has become. The workers are the host's children.
///
/// A worker is what the host was when it made the zygote, in memory, namespaces, cgroup, resource limits and priority,
/// but for what the sandbox sets. Its working directory is the host's of now. Handlers of pthread_atfork(3) do not run
/// in it. It dies with the thread that made the zygote: main's, mostly. So does the zygote. Thread-safe.
class Zygote {
public:
    /// What runs in a worker: a function of the program or of a library that was loaded when the zygote was made.
    using Entry = void (*)(const void* data, void* area);

    /// Throws `Error`: EBUSY where the host has threads already. Linux 5.2.
    Zygote() {
        const detail::Stat own = detail::read_stat(::getpid());
        if (own.threads != 1)
            throw Error{EBUSY,
                        "make a zygote: the host has " + std::to_string(own.threads) +
                            " threads, one of which may hold locks; make it first in main (/proc must be there)"};
        void* const memory =
            ::mmap(nullptr, image_capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw Error{errno, "map memory for a zygote"};
        image_ = static_cast<unsigned char*>(memory);
        try {
            begin();
        } catch (...) {
            ::munmap(image_, image_capacity);
            throw;
        }
    }
    Zygote(const Zygote&) = delete;
    Zygote& operator=(const Zygote&) = delete;

    /// Ends the zygote; its workers go on.
    ~Zygote() {
        ::munmap(image_, image_capacity);
        if (::getpid() != host_) return;
        ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
        detail::reap_quietly(pid_);
    }

    pid_t pid() const noexcept { return static_cast<pid_t>(pid_); }

    /// Bytes of address space that a worker begins with.
    std::uint64_t address_space() const noexcept { return address_space_; }

    /// Throws `Error` where the code at an address is not the zygote's: EFAULT.
    void require(const void* code) const {
        if (!code_.holds(code))
            throw Error{
                EFAULT,
                "run a function from a zygote: it lies in a library that was loaded, or in code that was made, "
                "after the zygote was, or in one that may have been loaded anew; make the zygote later, or fork "
                "the host"};
    }

    /// Starts a worker that confines itself and then runs `entry(data, area)`, or the order's program; `memory` is the
    /// area's, which was made for `area_size` bytes. What fails is noted in the child. Throws `Error` where the host
    /// has become another, or the plan is none for a zygote.
    void start(Order& order, ResultArea& area, const Descriptor& memory, Child& child, Entry entry, const void* data,
               std::size_t size) {
        detail::Plan& plan = order.plan();
        const std::lock_guard locked{mutex_};
        if (::getpid() != host_) throw Error{ECHILD, "start a worker from a zygote: it is another process's"};
        if (!(detail::Identity{} == identity_))
            throw Error{EPERM,
                        "start a worker from a zygote: the host has changed its user, groups, capabilities or "
                        "no_new_privs since; make the zygote after that"};
        detail::PlanImage image{image_, image_capacity};
        const int error = image.fill(plan);
        if (error == ENOTSUP) throw Error{ENOTSUP, "start a worker from a zygote: it starts functions, no programs"};
        if (error != 0 || !image.set_entry(entry, data, size, area.capacity()))
            throw Error{error != 0 ? error : E2BIG, "start a worker from a zygote: there is too much to send"};
        const Descriptor directory{above_streams(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC))};
        if (!directory) throw Error{errno, "open the working directory"};
        long worker = exchange(image, memory.get(), directory.get(), child.pidfd);
        if (worker > 0 && !child.pidfd) {
            ::kill(static_cast<pid_t>(worker), SIGKILL);
            detail::reap_quietly(worker);
            worker = -EMFILE;
        }
        if (worker < 0) {
            child.failure = {Step::create, static_cast<int>(-worker)};
            child.guard.stop();
            return;
        }
        child.pid = static_cast<pid_t>(worker);
        if (plan.guarded_session != nullptr) __atomic_store_n(plan.guarded_session, child.pid, __ATOMIC_RELEASE);
        detail::let_go(area.header());
    }

private:
    static constexpr std::size_t image_capacity = 128 * 1024;
    static constexpr std::size_t most_descriptors = detail::PlanImage::most_descriptors + 2;

    union Control {
        cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * most_descriptors)];
    };

    void begin() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
            throw Error{errno, "make a socket pair"};
        channel_.reset(above_streams(ends[0]));
        const Descriptor zygotes{above_streams(ends[1])};
        if (!channel_ || !zygotes) throw Error{errno, "make a socket pair"};
        const int room = 2 * image_capacity;
        ::setsockopt(channel_.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        thread_id_ = detail::thread_id_of_libc();
        address_space_ = detail::address_space_size();
        int pidfd = -1;
        const SignalsBlocked blocked;  // for good, in the zygote
        pid_ = detail::fork_bare(0, pidfd, thread_id_);
        if (pid_ == 0) serve(zygotes.get());
        if (pid_ < 0) throw Error{static_cast<int>(-pid_), "fork a zygote"};
        pidfd_.reset(above_streams(pidfd));
    }

    /// Returns the worker's id or a negative errno.
    long exchange(const detail::PlanImage& image, int memory, int directory, Descriptor& pidfd) noexcept {
        Control control{};
        int numbers[most_descriptors];
        const std::size_t count = image.descriptor_count() + 2;
        numbers[0] = memory;
        numbers[1] = directory;
        std::memcpy(numbers + 2, image.descriptors(), (count - 2) * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        std::memcpy(CMSG_DATA(&control.header), numbers, sizeof(int) * count);
        iovec data{image_, image.size()};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        ssize_t bytes = 0;
        do bytes = ::sendmsg(channel_.get(), &message, MSG_NOSIGNAL);
        while (bytes < 0 && errno == EINTR);
        const int error = errno;
        std::memset(image_, 0, image.size());  // there is a secret in it
        if (bytes < 0) return -error;
        long worker = 0;
        data = {&worker, sizeof worker};
        message.msg_controllen = sizeof control;
        do bytes = ::recvmsg(channel_.get(), &message, MSG_CMSG_CLOEXEC);
        while (bytes < 0 && errno == EINTR);
        if (bytes != sizeof worker) return -EPIPE;
        const cmsghdr* const header = CMSG_FIRSTHDR(&message);
        if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
            pidfd.reset(above_streams(fd));
        }
        return worker;
    }

    /// The zygote, to its end.
    [[noreturn]] void serve(int channel) noexcept {
        const auto end = [] {
            for (;;) detail::raw_call(SYS_exit_group, 0);
        };
        detail::raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (detail::raw_call(SYS_getppid) != host_) end();
        detail::raw_call(SYS_setsid);
        detail::raw_call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);  // workers may be of the same user
        detail::raw_call(SYS_prctl, PR_SET_NAME, "sysguard-zygote", 0, 0, 0);
        if (detail::close_gap(0, static_cast<unsigned>(channel) - 1) < 0 ||
            detail::close_gap(static_cast<unsigned>(channel) + 1, ~0U) < 0)
            end();
        for (;;) {
            Control control{};
            iovec data{image_, image_capacity};
            msghdr message{};
            message.msg_iov = &data;
            message.msg_iovlen = 1;
            message.msg_control = &control;
            message.msg_controllen = sizeof control;
            const long bytes = detail::raw_call(SYS_recvmsg, channel, &message, MSG_CMSG_CLOEXEC);
            if (bytes == -EINTR) continue;
            if (bytes <= 0) end();
            fork_one(channel, message, bytes);
            std::memset(image_, 0, static_cast<std::size_t>(bytes));
        }
    }

    void fork_one(int channel, msghdr& message, long bytes) noexcept {
        auto& head = *reinterpret_cast<detail::PlanImage::Head*>(image_);
        int received[most_descriptors];
        std::size_t count = 0;
        const cmsghdr* const header = CMSG_FIRSTHDR(&message);
        if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
            count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            std::memcpy(received, CMSG_DATA(header), count * sizeof(int));
        }
        long worker = -EMFILE;
        int pidfd = -1;
        const bool is_whole = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
                              head.size == static_cast<std::size_t>(bytes) && count == head.descriptor_count + 2;
        if (is_whole) worker = detail::fork_bare(CLONE_PARENT, pidfd, thread_id_);
        if (worker == 0) become_worker(head, received);
        for (std::size_t i = 0; i < count; ++i) detail::raw_call(SYS_close, received[i]);
        answer(channel, worker, pidfd);
    }

    static void answer(int channel, long worker, int pidfd) noexcept {
        Control control{};
        iovec data{&worker, sizeof worker};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        if (worker > 0) {
            control.header.cmsg_level = SOL_SOCKET;
            control.header.cmsg_type = SCM_RIGHTS;
            control.header.cmsg_len = CMSG_LEN(sizeof pidfd);
            std::memcpy(CMSG_DATA(&control.header), &pidfd, sizeof pidfd);
            message.msg_control = &control;
            message.msg_controllen = CMSG_SPACE(sizeof pidfd);
        }
        while (detail::raw_call(SYS_sendmsg, channel, &message, MSG_NOSIGNAL) == -EINTR) {
        }
        if (pidfd >= 0) detail::raw_call(SYS_close, pidfd);
    }

    [[noreturn]] void become_worker(const detail::PlanImage::Head& head, const int* received) noexcept {
        detail::Plan& plan = *head.plan;
        detail::raw_call(SYS_prctl, PR_SET_DUMPABLE, is_dumpable_, 0, 0, 0);
        ResultArea area;
        bool is_fine =
            detail::raw_call(SYS_fchdir, received[1]) == 0 && ResultArea::adopt(received[0], head.area_size, area) == 0;
        for (std::size_t i = 0; i < head.descriptor_count; ++i) *head.descriptors[i] = received[2 + i];
        for (std::size_t i = 0; i < head.descriptor_count; ++i) {
            if (head.is_move[i]) continue;
            *head.descriptors[i] = static_cast<int>(detail::duplicate_aside(plan, received[2 + i]));
            is_fine = is_fine && *head.descriptors[i] >= 0;
        }
        if (!is_fine) detail::raw_call(SYS_exit_group, 127);
        if (plan.path != nullptr) {
            const auto execute = [&plan, pass = plan.pass](ResultArea& own) noexcept {
                const long error = detail::raw_call(SYS_execve, plan.path, plan.argv, plan.envp, 0, 0, pass);
                own.header().step = static_cast<std::uint32_t>(Step::execute);
                own.header().error = static_cast<std::uint32_t>(-error);
                own.header().proof = pass;
                own.header().state = ResultArea::State::failed_to_start;
            };
            detail::run_forked(plan, area, execute);
        }
        const auto body = [entry = head.entry, data = head.data](ResultArea& own) noexcept { entry(data, &own); };
        detail::run_forked(plan, area, body);
    }

    pid_t host_ = ::getpid();
    detail::Identity identity_{};
    detail::LoadedCode code_{};
    unsigned char* image_ = nullptr;
    int* thread_id_ = nullptr;
    bool is_dumpable_ = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
    std::uint64_t address_space_ = 0;
    Descriptor channel_{};
    Descriptor pidfd_{};
    long pid_ = -1;
    std::mutex mutex_{};
};

}  // namespace sysguard::process
