#pragma once

#include "comparison.hpp"

#include <cstddef>
#include <cstring>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

/// The least that a program can do to answer the system calls of another: it waits for a call in the kernel, and
/// answers. Nothing else is served, and nothing that fails is noticed; a worker that dies hangs it on many kernels.
class BareLoop {
public:
    /// Where the child is: a worker has a session of its own, and processes of several sessions take turns more slowly
    /// (autogroups, sched(7)).
    enum class Session { own, same };

    /// Answers `count` calls of `number` of a forked child that does `work`, and waits for the child's end.
    /// `serve(listener, request)` makes the response.
    template <class Work, class Serve>
    static void run(int number, long count, const Work& work, const Serve& serve, Session session = Session::own) {
        int ends[2];
        expect(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair failed");
        const pid_t child = ::fork();
        if (child == 0) {
            if (session == Session::own) ::setsid();
            hand_over(ends[1], install(number));
            work();
            ::_exit(0);
        }
        expect(child > 0, "fork failed");
        const int listener = take_over(ends[0]);
        for (long i = 0; i < count; ++i) {
            seccomp_notif request;
            std::memset(&request, 0, sizeof request);
            expect(::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == 0, "receiving a call failed");
            seccomp_notif_resp response = serve(listener, request);
            expect(::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) == 0, "answering a call failed");
        }
        int status = 0;
        expect(::waitpid(child, &status, 0) == child && status == 0, "the bare loop's child failed");
        for (const int fd : {listener, ends[0], ends[1]}) ::close(fd);
    }

    static seccomp_notif_resp proceed(int, const seccomp_notif& request) {
        seccomp_notif_resp response{};
        response.id = request.id;
        response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        return response;
    }

    /// The same where the second argument leads to a path: reads it first.
    static seccomp_notif_resp read_path_and_refuse(int listener, const seccomp_notif& request) {
        char path[256];
        const iovec local{path, sizeof path};
        const iovec remote{reinterpret_cast<void*>(request.data.args[1]), sizeof path};
        const ssize_t got = ::process_vm_readv(static_cast<pid_t>(request.pid), &local, 1, &remote, 1, 0);
        std::uint64_t id = request.id;
        const bool valid = ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
        seccomp_notif_resp response{};
        response.id = request.id;
        response.error = got > 0 && valid && ::strnlen(path, sizeof path) < sizeof path ? -EACCES : -EFAULT;
        return response;
    }

private:
    static int install(int number) {
        sock_filter filter[] = {
            {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<unsigned>(number)},
            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
        };
        const sock_fprog program{4, filter};
        expect(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS failed");
        const long listener =
            ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        expect(listener >= 0, "installing a filter failed");
        const std::uint64_t sync_wake_up = 1;  // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
        ::ioctl(static_cast<int>(listener), _IOW('!', 4, std::uint64_t), sync_wake_up);
        return static_cast<int>(listener);
    }

    /// A message with a descriptor in it.
    struct Parcel {
        Parcel() noexcept {
            message.msg_iov = &part;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof control;
        }
        char byte = 0;
        iovec part{&byte, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
        msghdr message{};
    };

    static void hand_over(int socket, int fd) {
        Parcel parcel;
        cmsghdr* const header = CMSG_FIRSTHDR(&parcel.message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
        expect(::sendmsg(socket, &parcel.message, 0) == 1, "handing a listener over failed");
        ::close(fd);
    }

    static int take_over(int socket) {
        Parcel parcel;
        expect(::recvmsg(socket, &parcel.message, MSG_CMSG_CLOEXEC) == 1, "taking a listener over failed");
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&parcel.message)), sizeof fd);
        return fd;
    }
};

}  // namespace bench
