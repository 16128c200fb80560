#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/cgroups.hpp"
#include "support/escapes.hpp"
#include "support/namespaces.hpp"

/// Attempts to outlive the worker, or the host.
namespace sg = sysguard;
using namespace support;

namespace {

/// A pipe whose one end all processes of a worker have. When the last of them is gone, it hangs up.
class Lifeline {
public:
    Lifeline() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        own_.reset(::fcntl(ends[0], F_DUPFD_CLOEXEC, 200));
        theirs_.reset(::fcntl(ends[1], F_DUPFD_CLOEXEC, 200));
        ::close(ends[0]);
        ::close(ends[1]);
    }

    int theirs() const { return theirs_.get(); }

    /// The host's own copy of their end.
    void let_go() { theirs_.reset(); }

    /// Of who is not to hold the host's end.
    void leave_host() { own_.reset(); }

    /// Waits until somebody says that it is there. Returns its process id in its own namespace, 0 where all are gone.
    pid_t hears() const {
        pid_t who = 0;
        return ::read(own_.get(), &who, sizeof who) == sizeof who ? who : 0;
    }

    bool hangs_up_within(int milliseconds) const {
        pollfd news{own_.get(), 0, 0};
        return ::poll(&news, 1, milliseconds) == 1 && (news.revents & POLLHUP) != 0;
    }
    bool hangs_up() const { return hangs_up_within(60'000); }

private:
    sg::process::Descriptor own_, theirs_;
};

/// Of what is to live on: says that it is there, and lives until the host has heard enough.
[[noreturn]] void live(int line) {
    const pid_t own = ::getpid();
    if (::write(line, &own, sizeof own) < 0) ::_exit(1);
    pollfd reader{line, 0, 0};
    ::poll(&reader, 1, 120'000);
    ::_exit(0);
}

void ignore_signals() {
    for (int signal = 1; signal < 65; ++signal) ::signal(signal, SIG_IGN);
    ::prctl(PR_SET_PDEATHSIG, 0);
}

struct Orphan {
    const char* name;
    void (*leave)(int line);
    bool leaves_session;
};

constexpr Orphan orphans[] = {
    {"a child",
     [](int line) {
         if (::fork() == 0) live(line);
     },
     false},
    {"a child that ignores signals",
     [](int line) {
         if (::fork() != 0) return;
         ignore_signals();
         live(line);
     },
     false},
    {"a grandchild in a group of its own",
     [](int line) {
         if (::fork() != 0) return;
         ::setpgid(0, 0);
         if (::fork() == 0) live(line);
         ::_exit(0);
     },
     false},
    {"a grandchild in a session of its own, which ignores signals",
     [](int line) {
         if (::fork() != 0) return;
         ignore_signals();
         ::setsid();
         if (::fork() == 0) live(line);
         ::_exit(0);
     },
     true},
    {"a sibling",
     [](int line) {
         if (::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr) == 0) {
             ::setsid();
             live(line);
         }
     },
     true},
    {"the first process of a namespace of its own",
     [](int line) {
         if (::fork() != 0) return;
         ::setsid();
         static_cast<void>(enter_namespaces(CLONE_NEWPID));
         if (::fork() == 0) live(line);
         ::_exit(0);
     },
     true},
};

sg::Options spaces() {
    sg::Options options;
    options.namespaces = support::all_namespaces();
    options.network = sg::Network::isolated;
    return options;
}

/// Each, left by a function that waits until it is there, in a sandbox.
void show_left(const sg::Sandbox& box, bool leave_session) {
    for (const Orphan& orphan : orphans) {
        if (orphan.leaves_session && !leave_session) continue;
        CAPTURE(orphan.name);
        Lifeline line;
        const int end = line.theirs();
        const auto result = box.call({.descriptors = {{end, end}}}, [&] {
            orphan.leave(end);
            ::usleep(20'000);
            return 0;
        });
        CAPTURE(result.explain());
        CHECK(result);
        line.let_go();
        CHECK(line.hangs_up());
    }
}

}  // namespace

TEST_CASE("without a sandbox, they live on") {
    for (const Orphan& orphan : orphans) {
        CAPTURE(orphan.name);
        Lifeline line;
        CHECK(without_sandbox([&] {
                  line.leave_host();
                  orphan.leave(line.theirs());
                  return 0;
              }) == 0);
        line.let_go();
        CHECK(line.hears() != 0);
        CHECK_FALSE(line.hangs_up_within(100));
    }
}

TEST_CASE("what stays in the worker's session ends with it") {
    show_left(sg::Sandbox{anything}, false);
}

TEST_CASE("everything ends with the worker's pid namespace") {
    if (!box_of(by_spaces, Scene{})) SYSGUARD_SKIP("namespaces are not offered here");
    show_left(sg::Sandbox{anything, spaces()}, true);
}

TEST_CASE("everything ends with the worker's cgroup") {
    SYSGUARD_NEED_SUBTREE(subtree);
    show_left(sg::Sandbox{anything, {.cgroup = subtree.option()}}, true);
}

TEST_CASE("what a program leaves in a session of its own, with the program's output") {
    if (!box_of(by_spaces, Scene{})) SYSGUARD_SKIP("namespaces are not offered here");
    for (const bool holds_output : {false, true}) {
        Lifeline line;
        const int end = line.theirs();
        const std::string output = holds_output ? "" : " > /dev/null";
        const std::string command = "trap '' HUP TERM INT; (setsid sleep 90" + output + " &); echo done";
        const sg::Outcome outcome = sg::Sandbox{anything, spaces()}.run(
            {"/bin/sh", "-c", command},
            {.output = sg::Stdio::capture(), .environment = {"PATH=/usr/bin:/bin"}, .descriptors = {{end, end}}});
        CAPTURE(outcome.explain());
        CHECK(outcome);
        CHECK(outcome.output() == "done\n");
        line.let_go();
        CHECK(line.hangs_up());
    }
}

namespace {

/// A host that is killed while its worker, and what that has started, run. `program`: not a function.
void kill_host(const sg::Options& options, bool program, bool leaves_session) {
    Lifeline line;
    const int end = line.theirs();
    const pid_t host = ::fork();
    if (host == 0) {
        ::alarm(120);
        try {
            const sg::Sandbox box{anything, options};
            const sg::Launch launch{.environment = {"PATH=/usr/bin:/bin"}, .descriptors = {{end, end}}};
            if (program) {
                // Says who it is in as many bytes as a process id has, when all have been started.
                const std::string start = leaves_session ? "(trap '' HUP TERM; setsid sleep 90 &); " : "sleep 90 & ";
                const std::string command = start + "printf pids >&" + std::to_string(end) + "; sleep 90";
                static_cast<void>(box.run({"/bin/bash", "-c", command}, launch));
            } else {
                static_cast<void>(box.call(launch, [&] {
                    for (const Orphan& orphan : orphans)
                        if (leaves_session || !orphan.leaves_session) orphan.leave(end);
                    live(end);
                }));
            }
        } catch (const sg::Error& error) {
            std::printf("%s\n", error.what());
            std::fflush(stdout);
        }
        ::_exit(0);
    }
    line.let_go();
    int expected = 1;
    if (!program)
        for (const Orphan& orphan : orphans) expected += leaves_session || !orphan.leaves_session;
    for (int i = 0; i < expected; ++i) CHECK(line.hears() != 0);
    CHECK_FALSE(line.hangs_up_within(0));
    ::kill(host, SIGKILL);
    CHECK(::waitpid(host, nullptr, 0) == host);
    CHECK(line.hangs_up());
}

}  // namespace

TEST_CASE("a host that is killed takes workers in their session with it") {
    for (const bool program : {true, false}) {
        CAPTURE(program);
        kill_host({}, program, false);
    }
}

TEST_CASE("a host that is killed takes workers in namespaces with it") {
    if (!box_of(by_spaces, Scene{})) SYSGUARD_SKIP("namespaces are not offered here");
    for (const bool program : {true, false}) {
        CAPTURE(program);
        kill_host(spaces(), program, true);
    }
}

TEST_CASE("a host that is killed takes workers in a pid namespace alone with it") {
    if (!box_of(by_spaces, Scene{})) SYSGUARD_SKIP("namespaces are not offered here");
    sg::Options options;
    options.namespaces.pid = true;
    for (const bool program : {true, false}) {
        CAPTURE(program);
        kill_host(options, program, true);
    }
}

TEST_CASE("a host that is killed takes workers with it that are others in their namespace, and outside") {
    if (!is_root()) SYSGUARD_SKIP("only root can map others");
    if (!box_of(by_spaces, Scene{})) SYSGUARD_SKIP("namespaces are not offered here");
    sg::Options options = spaces();
    options.namespaces.users = {{0, 65534, 1}};
    options.namespaces.groups = {{0, 65534, 1}};
    for (const bool program : {true, false}) {
        CAPTURE(program);
        kill_host(options, program, true);
    }
}

TEST_CASE("a host that is killed takes workers in cgroups with it") {
    SYSGUARD_NEED_SUBTREE(subtree);
    for (const bool program : {true, false}) {
        CAPTURE(program);
        kill_host({.cgroup = subtree.option()}, program, true);
        CHECK(eventually([&] { return subtree.left() == 0; }));
    }
}
