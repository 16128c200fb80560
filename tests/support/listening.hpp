#pragma once

#include <sysguard/filter/program.hpp>
#include <sysguard/process/child.hpp>
#include <sysguard/process/detail/courier.hpp>
#include <sysguard/supervise/line.hpp>
#include <sysguard/supervise/pending.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace support {

/// Sends a descriptor whose number it reads from `numbers`, and ends. Its exit gives no signal: who waits for any child
/// does not see it.
inline void start_courier(int numbers, int channel) {
    if (::syscall(SYS_clone, CLONE_FILES, nullptr, nullptr, nullptr, nullptr) != 0) return;
    int fd = -1;
    if (::read(numbers, &fd, sizeof fd) != sizeof fd) ::_exit(1);
    const sysguard::process::detail::HandOver sent{{fd, -1}, 1};
    ::_exit(sysguard::process::detail::send_descriptors(channel, sent) == 1 ? 0 : 1);
}

/// A process under a filter that sends some of its calls to the host, and the host's line to it.
struct Supervised {
    /// `body` runs in the process, which ends with what it returns. Before, it needs read, write and close.
    template <class Body>
    Supervised(const sysguard::filter::ProgramView& program, Body&& body) {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
        pid = ::fork();
        if (pid == 0) {
            int numbers[2];
            if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, numbers) != 0) ::_exit(255);
            start_courier(numbers[0], ends[1]);
            ::setsid();
            ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            const sock_fprog filter{static_cast<unsigned short>(program.size), const_cast<sock_filter*>(program.code)};
            const int fd = static_cast<int>(
                ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
            char byte = 0;
            if (::write(numbers[1], &fd, sizeof fd) != sizeof fd || ::read(ends[1], &byte, 1) != 1) ::_exit(255);
            ::close(fd);
            ::close(numbers[0]);
            ::close(numbers[1]);
            ::close(ends[0]);
            ::close(ends[1]);
            ::_exit(body());
        }
        ::close(ends[1]);
        sysguard::process::Descriptor received[sysguard::process::detail::HandOver::most];
        pollfd sent{ends[0], POLLIN, 0};
        REQUIRE(::poll(&sent, 1, 60000) == 1);
        REQUIRE(sysguard::process::detail::receive_descriptors(ends[0], received) == 1);
        REQUIRE(::write(ends[0], "", 1) == 1);
        ::close(ends[0]);
        CHECK(listener.open(std::move(received[0])) == 0);
        line->worker = line->session = pid;
        line->most_read = 1 << 20;
    }
    Supervised(const Supervised&) = delete;
    Supervised& operator=(const Supervised&) = delete;
    ~Supervised() {
        if (pid < 0) return;
        ::kill(pid, SIGKILL);
        exit_code();
    }

    bool wait_for_call() const {
        pollfd source{listener.fd(), POLLIN, 0};
        return ::poll(&source, 1, 60000) == 1 && (source.revents & POLLIN) != 0;
    }

    /// Its next call, in the place of the one before.
    void receive(sysguard::supervise::Pending& call) {
        REQUIRE(wait_for_call());
        const seccomp_notif* const request = listener.receive();
        REQUIRE(request != nullptr);
        call.begin(line, *request);
    }
    sysguard::supervise::Pending receive() {
        sysguard::supervise::Pending call;
        receive(call);
        return call;
    }

    int exit_code() {
        int status = 0;
        ::waitpid(std::exchange(pid, -1), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    /// Hands it over, to be watched.
    sysguard::process::Child to_child() {
        sysguard::process::Child child;
        child.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
        child.listener.reset(::fcntl(listener.fd(), F_DUPFD_CLOEXEC, 3));
        listener.close();
        child.pid = std::exchange(pid, -1);
        return child;
    }

    pid_t pid;
    sysguard::supervise::LineShare line{new sysguard::supervise::Line};
    sysguard::supervise::Listener& listener{line->listener};
};

}  // namespace support
