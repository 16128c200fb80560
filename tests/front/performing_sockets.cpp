#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/reach.hpp"
#include "support/same_results.hpp"
#include "support/skip.hpp"

/// Sockets in calls that the host performs, end to end.
namespace sg = sysguard;
namespace arg = sysguard::arg;
using support::Log;
using support::same;
using Kind = sg::Outcome::Kind;

namespace {

volatile std::sig_atomic_t signals = 0;
volatile long signalled_thread = 0;

void count_signal(int) {
    signals = signals + 1;
    signalled_thread = ::syscall(SYS_gettid);
}

long send_by(int number, int fd, int flags) {
    char data[] = "data";
    iovec piece{data, 4};
    mmsghdr message{};
    message.msg_hdr.msg_iov = &piece;
    message.msg_hdr.msg_iovlen = 1;
    if (number == SYS_sendto) return ::syscall(SYS_sendto, fd, data, 4, flags, nullptr, 0);
    if (number == SYS_sendmsg) return ::syscall(SYS_sendmsg, fd, &message.msg_hdr, flags);
    return ::syscall(SYS_sendmmsg, fd, &message, 1, flags);
}

/// A socket whose other end is closed.
int lonely(int type) {
    int ends[2];
    if (::socketpair(AF_UNIX, type, 0, ends) != 0) return -1;
    ::close(ends[1]);
    return ends[0];
}

}  // namespace

TEST_CASE("SIGPIPE comes with EPIPE, to the thread that sent") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    same([](Log& log) {
        struct sigaction action {};
        action.sa_handler = count_signal;
        ::sigaction(SIGPIPE, &action, nullptr);
        for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
            for (const int number : {SYS_sendto, SYS_sendmsg, SYS_sendmmsg})
                for (const int flags : {0, int{MSG_NOSIGNAL}}) {
                    const int fd = lonely(type);
                    log.note("send", send_by(number, fd, flags));
                    log.say("signals: " + std::to_string(signals));
                    ::close(fd);
                }
        long id = 0;
        signalled_thread = 0;
        std::thread{[&] {
            id = ::syscall(SYS_gettid);
            log.note("send in a thread", send_by(SYS_sendto, lonely(SOCK_STREAM), 0));
        }}.join();
        log.say("its own signal: " + std::to_string(signalled_thread == id));

        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, SIGPIPE);
        ::sigprocmask(SIG_BLOCK, &set, nullptr);
        log.note("send with the signal blocked", send_by(SYS_sendto, lonely(SOCK_STREAM), 0));
        ::sigpending(&set);
        log.say("pending: " + std::to_string(::sigismember(&set, SIGPIPE)));
        ::signal(SIGPIPE, SIG_IGN);
        log.note("send with the signal ignored", send_by(SYS_sendmsg, lonely(SOCK_STREAM), 0));
    });
}

TEST_CASE("a worker that SIGPIPE ends, ends") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    for (const sg::Sandbox& box : {sg::Sandbox{support::native}, sg::Sandbox{support::performed}}) {
        const auto called = box.call([] {
            ::signal(SIGPIPE, SIG_DFL);
            send_by(SYS_sendto, lonely(SOCK_STREAM), 0);
            return 1;
        });
        CHECK(called.outcome().kind() == Kind::signalled);
        CHECK(called.outcome().signal() == SIGPIPE);
    }
}

namespace {

int unix_socket(const std::string& path, bool binds) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto* const plain = reinterpret_cast<const sockaddr*>(&address);
    const int result = binds ? ::bind(fd, plain, sizeof address) : ::connect(fd, plain, sizeof address);
    const int error = errno;
    if (result == 0 && (!binds || ::listen(fd, 4096) == 0)) return fd;
    ::close(fd);
    errno = error;
    return -1;
}

}  // namespace

TEST_CASE("sockets with a path") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    same([](Log& log) {
        const int server = unix_socket("dir/s", true);
        log.say(std::to_string(server));
        log.note("bound again", unix_socket("dir/s", true));
        log.note("connect", unix_socket("dir/s", false));
        log.note("by a link", unix_socket("to_dir/s", false));
        log.note("to a file", unix_socket("file", false));
        log.note("to nothing", unix_socket("missing", false));
        log.note("unlink", ::unlink("dir/s"));
        log.note("to one that is gone", unix_socket("dir/s", false));
        log.note("bind by a link to nothing", unix_socket("dangling", true));
        log.note("accept", ::accept(server, nullptr, nullptr));
    });
}

TEST_CASE("a link that comes and goes never leads to a socket that was not allowed") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const support::Scratch scratch;
    for (const char* name : {"good", "evil"}) REQUIRE(::mkdir((scratch / name).c_str(), 0777) == 0);
    const int good = unix_socket(scratch / "good/s", true);
    const int evil = unix_socket(scratch / "evil/s", true);
    REQUIRE(good >= 0);
    REQUIRE(evil >= 0);
    REQUIRE(::symlink("good", (scratch / "link").c_str()) == 0);
    REQUIRE(::symlink("evil", (scratch / "other").c_str()) == 0);
    const sg::Policy policy{
        sg::Rule<SYS_connect>{arg::addr.unix_path().under(scratch / "good")}.allow(),
        sg::Rule<SYS_connect>{}.deny(EPERM),
        sg::otherwise.allow(),
    };
    const std::string link = scratch / "link/s";
    const pid_t swapper = ::fork();
    if (swapper == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::chdir(scratch.path().c_str()) != 0) ::_exit(1);
        for (;;) ::syscall(SYS_renameat2, AT_FDCWD, "link", AT_FDCWD, "other", 2);  // RENAME_EXCHANGE
    }
    const auto called = sg::Sandbox{policy}.call([&] {
        int connected = 0;
        int refused = 0;
        int strange = 0;
        for (int i = 0; i < 1000 || ((connected == 0 || refused == 0) && i < 100'000); ++i) {
            const int fd = unix_socket(link, false);
            const bool is_there = fd >= 0 || errno == EAGAIN;  // or would be, if somebody accepted
            ++(is_there ? connected : errno == EPERM || errno == EACCES ? refused : strange);
            ::close(fd);
        }
        return std::vector<int>{connected, refused, strange};
    });
    ::kill(swapper, SIGKILL);
    ::waitpid(swapper, nullptr, 0);
    CAPTURE(called.explain());
    REQUIRE(called);
    CHECK(called->at(0) > 0);
    CHECK(called->at(1) > 0);
    CHECK(called->at(2) == 0);
    CHECK(::accept4(evil, nullptr, nullptr, SOCK_CLOEXEC) == -1);
    CHECK(errno == EAGAIN);
    ::close(good);
    ::close(evil);
}
