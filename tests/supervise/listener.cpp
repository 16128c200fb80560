#include <sysguard/policy.hpp>
#include <sysguard/supervise/listener.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"

namespace sg = sysguard;
using sg::process::Descriptor;
using sg::supervise::Listener;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};

/// A process under a filter that sends getpriority to the host, and the host's listener for it.
struct Supervised {
    template <class Body>
    explicit Supervised(Body&& body) {
        int ends[2];
        ::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
        pid = ::fork();
        if (pid == 0) {
            ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            const sock_fprog filter{static_cast<unsigned short>(policy.program().size),
                                    const_cast<sock_filter*>(policy.program().code)};
            const int fd = static_cast<int>(
                ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
            char byte = 0;
            iovec data{&byte, 1};
            alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
            msghdr message{nullptr, 0, &data, 1, control, sizeof control, 0};
            cmsghdr* const header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof fd);
            std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
            ::sendmsg(ends[1], &message, 0);
            ::close(fd);
            ::close(ends[0]);
            ::close(ends[1]);
            ::_exit(body());
        }
        ::close(ends[1]);
        char byte = 0;
        iovec data{&byte, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{nullptr, 0, &data, 1, control, sizeof control, 0};
        ::recvmsg(ends[0], &message, MSG_CMSG_CLOEXEC);
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        ::close(ends[0]);
        CHECK(listener.open(Descriptor{fd}) == 0);
    }

    bool wait_for_call() const {
        pollfd source{listener.fd(), POLLIN, 0};
        return ::poll(&source, 1, 60000) == 1 && (source.revents & POLLIN) != 0;
    }

    int exit_code() const {
        int status = 0;
        ::waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    pid_t pid;
    Listener listener;
};

}  // namespace

TEST_CASE("a call is received with its number and arguments, and answered with a value") {
    Supervised process{[] { return ::syscall(SYS_getpriority, 5, 6) == 77 ? 1 : 0; }};
    REQUIRE(process.wait_for_call());
    const seccomp_notif* const call = process.listener.receive();
    REQUIRE(call != nullptr);
    CHECK(call->data.nr == SYS_getpriority);
    CHECK(call->data.args[0] == 5);
    CHECK(call->data.args[1] == 6);
    CHECK(call->pid == static_cast<unsigned>(process.pid));
    process.listener.answer(call->id, 77, 0);
    CHECK(process.exit_code() == 1);
}

TEST_CASE("a call is answered with an error, which is no value") {
    Supervised process{[] { return ::syscall(SYS_getpriority, 5, 6) == -1 && errno == EXFULL ? 1 : 0; }};
    REQUIRE(process.wait_for_call());
    const seccomp_notif* const call = process.listener.receive();
    REQUIRE(call != nullptr);
    process.listener.answer(call->id, 77, EXFULL);
    CHECK(process.exit_code() == 1);
}

TEST_CASE("several calls, one after the other: every request is received anew") {
    Supervised process{[] {
        int sum = 0;
        for (int i = 0; i < 50; ++i) sum += ::syscall(SYS_getpriority, i, 0) == i + 1;
        return sum;
    }};
    for (int i = 0; i < 50; ++i) {
        REQUIRE(process.wait_for_call());
        const seccomp_notif* const call = process.listener.receive();
        REQUIRE(call != nullptr);
        process.listener.answer(call->id, static_cast<std::int64_t>(call->data.args[0]) + 1, 0);
    }
    CHECK(process.exit_code() == 50);
}

TEST_CASE("a call that went away is nothing to receive, and nothing to be upset about when it is answered") {
    Supervised process{[] { return static_cast<int>(::syscall(SYS_getpriority, 0, 0)); }};
    REQUIRE(process.wait_for_call());
    ::kill(process.pid, SIGKILL);
    CHECK(process.exit_code() == -SIGKILL);
    CHECK(process.listener.receive() == nullptr);
    process.listener.answer(12345, 0, 0);
}

TEST_CASE("a listener that nobody uses hangs up") {
    Supervised process{[] { return 3; }};
    CHECK(process.exit_code() == 3);
    pollfd source{process.listener.fd(), POLLIN, 0};
    CHECK(::poll(&source, 1, 60000) == 1);
    CHECK((source.revents & POLLIN) == 0);
    CHECK((source.revents & POLLHUP) != 0);
    process.listener.close();
    CHECK_FALSE(process.listener);
}

TEST_CASE("when the host closes its listener, calls fail") {
    Supervised process{[] { return ::syscall(SYS_getpriority, 0, 0) == -1 && errno == ENOSYS ? 1 : 0; }};
    REQUIRE(process.wait_for_call());
    process.listener.close();
    CHECK(process.exit_code() == 1);
}
