#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/skip.hpp"
#include "support/supervised.hpp"

/// Starts that others hold up, and machines on which a limit would not hold.
namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::Outcome;
using Kind = Outcome::Kind;

namespace {

constexpr sg::Policy silent{sg::foreign.kill_now(), sg::otherwise.allow()};
constexpr sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};

/// A process that holds a lease on a file: who opens it waits until the lease is given back, which does not happen, or
/// until /proc/sys/fs/lease-break-time is over (fcntl(2)).
class Lease {
public:
    explicit Lease(const std::string& path) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::signal(SIGIO, SIG_IGN);
            const int fd = ::open(path.c_str(), O_RDWR);
            const char held = ::fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
            if (::write(ends[1], &held, 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        ::close(ends[1]);
        char held = 0;
        is_held_ = ::read(ends[0], &held, 1) == 1 && held == 1;
        ::close(ends[0]);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    bool is_held() const { return is_held_; }

private:
    pid_t pid_;
    bool is_held_ = false;
};

}  // namespace

TEST_CASE("a program that cannot be opened: the time limit holds while the worker starts") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Workplace place;
    const std::string program = place.file("program", "#!/bin/sh\n");
    REQUIRE(::chmod(program.c_str(), 0755) == 0);
    const Lease lease{program};
    if (!lease.is_held()) SYSGUARD_SKIP("no leases on files here");
    for (const sg::Sandbox& box :
         {sg::Sandbox{silent, {.limits = {.wall = 200ms}}}, sg::Sandbox{asking, {.limits = {.wall = 200ms}}}}) {
        const Outcome outcome = box.run({program});
        CAPTURE(outcome.explain());
        CHECK(outcome.kind() == Kind::timed_out);
        CHECK(outcome.usage().wall < 30s);
        sg::Worker worker = box.spawn({program});
        CHECK(worker.wait().kind() == Kind::timed_out);
    }
}

TEST_CASE("the timer of a start ends with it") {
    for (const sg::Sandbox& box :
         {sg::Sandbox{silent, {.limits = {.wall = 60s}}}, sg::Sandbox{asking, {.limits = {.wall = 60s}}}}) {
        const Outcome outcome = box.run({"/bin/cat", "/proc/self/timers"}, {.output = sg::Stdio::capture()});
        CAPTURE(outcome.explain());
        CHECK(outcome);
        CHECK(outcome.output().empty());
    }
}

TEST_CASE("a listener that cannot be handed over: the worker is ended at once, whatever it does") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    if (::getuid() != 0) SYSGUARD_SKIP("only root can be a user who has nothing else in flight");
    const std::string said = support::in_fork([] {
        const rlimit few{64, 64};
        if (::setresuid(54321, 54321, 54321) != 0 || ::setrlimit(RLIMIT_NOFILE, &few) != 0)
            return std::string{"cannot become another user"};
        int ends[2];
        ::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
        alignas(cmsghdr) char control[CMSG_SPACE(100 * sizeof(int))] = {};
        char byte = 0;
        iovec piece{&byte, 1};
        msghdr message{nullptr, 0, &piece, 1, control, sizeof control, 0};
        CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(100 * sizeof(int));
        if (::sendmsg(ends[0], &message, 0) != 1) return std::string{"nothing in flight"};  // 100 times descriptor 0
        const Outcome outcome = sg::Sandbox{asking}.run({support::helper("behave"), "sleep"});
        return outcome.explain();
    });
    CHECK(support::has(said, "hand the listener over to the host failed with ETOOMANYREFS"));
}

TEST_CASE("a host that gives up its ids can still end its workers that may start others") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    if (::getuid() != 0) SYSGUARD_SKIP("only root can become somebody else");
    const std::string said = support::in_fork([] {
        const sg::Sandbox box{asking};
        const sg::Launch quiet{.output = sg::Stdio::null()};
        sg::Worker stopped = box.spawn({support::helper("behave"), "gather", "3"}, quiet);
        sg::Worker ended = box.spawn({support::helper("behave"), "exit", "3"}, quiet);
        if (::setresuid(54323, 54323, 54323) != 0) return std::string{"cannot become another user"};  // in all threads
        return stopped.stop().explain() + ended.wait().explain();
    });
    CHECK(support::has(said, "was stopped by the host"));
    CHECK(support::has(said, "exited with code 3"));
}

TEST_CASE("a function starts under any limit on processes, and is held to it") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    if (::getuid() != 0) SYSGUARD_SKIP("only root can be a user who runs nothing else");
    const std::string said = support::in_fork([] {
        constexpr uid_t nobody_else = 54322;
        if (::setgroups(0, nullptr) != 0 || ::setresgid(nobody_else, nobody_else, nobody_else) != 0 ||
            ::setresuid(nobody_else, nobody_else, nobody_else) != 0)
            return std::string{"cannot become another user"};
        std::string text;
        for (const std::uint64_t most : {1U, 2U, 3U, 5U}) {
            if (!support::eventually([] { return sg::process::detail::count_tasks_of(nobody_else) == 1; }))
                return std::string{"what the worker before has started is still there"};
            const auto forks = sg::Sandbox{asking, {.limits = {.processes = most}}}.call([] {
                int count = 0;
                for (pid_t pid = 0; count < 50 && (pid = ::fork()) >= 0; ++count)
                    if (pid == 0)
                        for (;;) ::pause();
                return count;
            });
            text += forks ? std::to_string(*forks) + " " : forks.explain();
        }
        return text;
    });
    CHECK(said == "0 0 1 3 ");
}

TEST_CASE("a limit on processes that the kernel would not hold a worker to is refused") {
    if (::getuid() != 0) SYSGUARD_SKIP("only root can be somebody with such capabilities");
    const auto refused = [](int capability) {
        return support::in_fork([capability] {
            ::prctl(PR_SET_KEEPCAPS, 1);
            if (::setresuid(54324, 54324, 54324) != 0) return std::string{"cannot become another user"};
            __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
            __user_cap_data_struct data[2]{};
            if (capability >= 0) data[0].permitted = data[0].effective = 1U << capability;
            if (::syscall(SYS_capset, &header, data) != 0) return std::string{"cannot keep capabilities"};
            (void)sg::Sandbox{asking,
                              {.credentials = {.capabilities = sg::Capabilities::kept()}, .limits = {.processes = 5}}};
            return std::string{"made"};
        });
    };
    CHECK(refused(-1) == "made");
    CHECK(refused(CAP_NET_RAW) == "made");
    int tried = 0;
    for (const int capability : {CAP_SYS_ADMIN, CAP_SYS_RESOURCE}) {  // some machines leave root neither, or one
        const std::string said = refused(capability);
        if (said == "cannot keep capabilities") continue;
        CHECK(support::has(said, "limit processes"));
        ++tried;
    }
    if (tried == 0) SYSGUARD_SKIP("not offered here: CAP_SYS_ADMIN and CAP_SYS_RESOURCE");
}

TEST_CASE("where a worker's processes cannot be found, none that may start some runs") {
    const std::string said = support::in_fork([] {
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("nothing", "/proc", "tmpfs", 0, nullptr) != 0)
            return std::string{"no mounts"};
        if (!sg::Sandbox{support::static_program}.run({support::helper("noop")})) return std::string{"no start"};
        (void)sg::Sandbox{asking};
        return std::string{"made"};
    });
    if (said == "no mounts") SYSGUARD_SKIP("mounts are not offered here");
    CHECK(support::has(said, "/proc, where they are looked for, is not mounted"));
}
