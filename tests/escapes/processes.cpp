#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <string>

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/escapes.hpp"
#include "support/namespaces.hpp"

/// Attempts on the processes of the host's, and on those that stand between a worker and the host.
namespace sg = sysguard;
using namespace support;
using namespace std::chrono_literals;
using Kind = sg::Outcome::Kind;

SYSGUARD_ESCAPE("kill a process of the host's", by_rules | by_scopes | by_spaces | by_root) {
    return errno_of(::kill(scene.victim(), SIGCONT));
}

SYSGUARD_ESCAPE("signal the host", by_rules | by_scopes | by_spaces | by_root) {
    return errno_of(::kill(scene.host(), 0));
}

SYSGUARD_ESCAPE("signal a thread of the host's", by_rules | by_scopes | by_spaces | by_root) {
    return errno_of(::syscall(SYS_tgkill, scene.host(), scene.host(), 0));
}

SYSGUARD_ESCAPE("queue a signal to the host", by_rules | by_scopes | by_spaces | by_root) {
    siginfo_t info{};
    info.si_code = SI_QUEUE;
    return errno_of(::syscall(SYS_rt_sigqueueinfo, scene.host(), SIGCONT, &info));
}

SYSGUARD_ESCAPE("signal the host's process group", by_rules | by_scopes | by_spaces | by_root) {
    const pid_t group = ::getpgid(scene.host());
    return group < 0 ? errno : errno_of(::killpg(group, 0));
}

SYSGUARD_ESCAPE("signal the host by a pidfd", by_rules | by_scopes | by_spaces | by_root) {
    const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, scene.host(), 0));
    return pidfd < 0 ? errno : errno_of(::syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0));
}

SYSGUARD_ESCAPE("signal the host by its directory in /proc", by_rules | by_scopes | by_spaces | by_root) {
    const int directory = ::open(("/proc/" + std::to_string(scene.host())).c_str(), O_RDONLY | O_DIRECTORY);
    return directory < 0 ? errno : errno_of(::syscall(SYS_pidfd_send_signal, directory, 0, nullptr, 0));
}

SYSGUARD_ESCAPE("have a descriptor signal the host", by_rules | by_spaces | by_root) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno;
    return errno_of(::fcntl(ends[0], F_SETOWN, scene.host()));
}

SYSGUARD_ESCAPE("have a descriptor send the host a signal of its choice", by_rules | by_spaces | by_root) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno;
    const f_owner_ex owner{F_OWNER_PID, scene.victim()};
    if (::fcntl(ends[0], F_SETSIG, SIGCONT) != 0 || ::fcntl(ends[0], F_SETOWN_EX, &owner) != 0) return errno;
    return errno_of(::fcntl(ends[0], F_SETFL, O_ASYNC));
}

SYSGUARD_ESCAPE("trace a process of the host's", by_rules | by_files | by_spaces | by_root) {
    if (::ptrace(PTRACE_SEIZE, scene.victim(), nullptr, nullptr) != 0) return errno;
    return 0;
}

SYSGUARD_ESCAPE("attach to a process of the host's", by_rules | by_files | by_spaces | by_root) {
    if (::ptrace(PTRACE_ATTACH, scene.victim(), nullptr, nullptr) != 0) return errno;
    ::waitpid(scene.victim(), nullptr, __WALL);
    ::ptrace(PTRACE_DETACH, scene.victim(), nullptr, nullptr);
    return 0;
}

SYSGUARD_ESCAPE("write to a process's memory", by_rules | by_files | by_spaces | by_root) {
    long value = 2;
    iovec from{&value, sizeof value};
    iovec to{&Victim::word, sizeof value};
    return errno_of(::process_vm_writev(scene.victim(), &from, 1, &to, 1, 0));
}

SYSGUARD_ESCAPE("read a process's memory", by_rules | by_files | by_spaces | by_root) {
    long value = 0;
    iovec to{&value, sizeof value};
    iovec from{&Victim::word, sizeof value};
    return errno_of(::process_vm_readv(scene.victim(), &to, 1, &from, 1, 0));
}

SYSGUARD_ESCAPE("write to a process's memory by /proc", by_rules | by_files | by_spaces | by_root) {
    const int memory = ::open(("/proc/" + std::to_string(scene.victim()) + "/mem").c_str(), O_RDWR | O_CLOEXEC);
    if (memory < 0) return errno;
    const long value = 3;
    return errno_of(::pwrite(memory, &value, sizeof value, reinterpret_cast<off_t>(&Victim::word)));
}

SYSGUARD_ESCAPE("take a descriptor from a process", by_rules | by_files | by_spaces | by_root) {
    const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, scene.victim(), 0));
    return pidfd < 0 ? errno : errno_of(::syscall(SYS_pidfd_getfd, pidfd, 1, 0));
}

SYSGUARD_ESCAPE("read a process's environment", by_rules | by_files | by_spaces | by_root) {
    return try_open("/proc/" + std::to_string(scene.victim()) + "/environ", O_RDONLY);
}

SYSGUARD_ESCAPE("look into a process's descriptors", by_files | by_spaces | by_root) {
    char target[64];
    return errno_of(::readlink(("/proc/" + std::to_string(scene.victim()) + "/fd/1").c_str(), target, sizeof target));
}

SYSGUARD_ESCAPE("compare with a process", by_rules | by_files | by_spaces | by_root) {
    return errno_of(::syscall(SYS_kcmp, ::getpid(), scene.victim(), KCMP_FILE, 0, 0));
}

SYSGUARD_ESCAPE("change a process's limits", by_rules | by_spaces | by_root) {
    const rlimit limit{64, 64};
    return errno_of(::syscall(SYS_prlimit64, scene.victim(), RLIMIT_NOFILE, &limit, nullptr));
}

SYSGUARD_ESCAPE("change a process's priority", by_rules | by_spaces | by_root) {
    return errno_of(::setpriority(PRIO_PROCESS, static_cast<id_t>(scene.victim()), 19));
}

SYSGUARD_ESCAPE("change a process's processors", by_rules | by_spaces | by_root) {
    cpu_set_t cpus;
    if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0) return errno;
    return errno_of(::sched_setaffinity(scene.victim(), sizeof cpus, &cpus));
}

SYSGUARD_ESCAPE("enter a process's namespaces", by_rules | by_sandbox | by_files | by_spaces | by_root) {
    if (!is_root()) return not_here;
    const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, scene.victim(), 0));
    return pidfd < 0 ? errno : errno_of(::setns(pidfd, CLONE_NEWUTS | CLONE_NEWIPC));
}

namespace {

/// What a worker in namespaces tries on whoever stands between it and the host, and how it has to end for the host, as
/// a function and as a program: in time, whatever it does, with nothing left.
template <class F>
sg::Outcome end_of(F&& act) {
    const Leftovers leftovers;
    sg::Options options;
    options.namespaces = support::all_namespaces();
    options.network = sg::Network::isolated;
    options.limits.wall = 3s;
    const sg::Sandbox box{anything, options};
    const auto result = box.call(act);
    return result.outcome();
}

bool has_spaces() {
    return box_of(by_spaces, Scene{}).has_value();
}

}  // namespace

#define SYSGUARD_NEED_SPACES() \
    if (!has_spaces()) SYSGUARD_SKIP("namespaces are not offered here")

TEST_CASE("a worker whose parent is to trace it is ended") {
    SYSGUARD_NEED_SPACES();
    const sg::Outcome outcome = end_of([] {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGUSR1);
    });
    CAPTURE(outcome.explain());
    CHECK(outcome.kind() == Kind::signalled);
    CHECK(outcome.signal() == SIGKILL);
}

TEST_CASE("a worker that starts siblings of its own ends with them") {
    SYSGUARD_NEED_SPACES();
    for (const bool lives : {false, true}) {
        const sg::Outcome outcome = end_of([lives] {
            for (int i = 0; i < 3; ++i)
                if (::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr) == 0) {
                    while (lives) ::pause();
                    ::_exit(0);
                }
        });
        CAPTURE(outcome.explain());
        CHECK(outcome.kind() == Kind::returned);
    }
}

TEST_CASE("a worker that starts siblings which their parent is to trace ends with them") {
    SYSGUARD_NEED_SPACES();
    const sg::Outcome outcome = end_of([] {
        for (int i = 0; i < 3; ++i)
            if (::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr) == 0) {
                ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
                for (;;) ::raise(SIGSTOP);
            }
        ::usleep(100'000);
    });
    CAPTURE(outcome.explain());
    CHECK(outcome.kind() == Kind::returned);
}

TEST_CASE("a worker that stops its process group is ended in time") {
    SYSGUARD_NEED_SPACES();
    const sg::Outcome outcome = end_of([] {
        if (::fork() == 0) {
            ::usleep(100'000);
            ::kill(0, SIGSTOP);
            ::_exit(0);
        }
        ::setsid();
        ::setpgid(0, 0);
        for (;;) ::pause();
    });
    CAPTURE(outcome.explain());
    CHECK(outcome.kind() == Kind::timed_out);
}

TEST_CASE("a worker that kills its process group, or all that it can reach, ends alone") {
    SYSGUARD_NEED_SPACES();
    for (const pid_t whom : {0, -1}) {
        const sg::Outcome outcome = end_of([whom] {
            ::kill(whom, SIGKILL);
            ::pause();
        });
        CAPTURE(outcome.explain());
        CHECK(outcome.kind() == (whom == 0 ? Kind::signalled : Kind::timed_out));
    }
}

TEST_CASE("a worker that ends its process group kindly goes on") {
    SYSGUARD_NEED_SPACES();
    const sg::Outcome outcome = end_of([] {
        ::signal(SIGTERM, SIG_IGN);
        ::signal(SIGHUP, SIG_IGN);
        ::signal(SIGINT, SIG_IGN);
        ::kill(0, SIGTERM);
        ::kill(0, SIGHUP);
        ::kill(0, SIGINT);
    });
    CAPTURE(outcome.explain());
    CHECK(outcome.kind() == Kind::returned);
}

TEST_CASE("the first process of a namespace: nobody in it kills, stops, traces, reads or writes it") {
    SYSGUARD_NEED_SPACES();
    const auto box = box_of(by_spaces, Scene{});
    const auto as = box->call([] {
        std::vector<int> errors;
        constexpr pid_t first = 1;
        for (const int signal : {SIGKILL, SIGSTOP, SIGTERM, SIGSEGV}) ::kill(first, signal);
        errors.push_back(errno_of(::kill(first, 0)));
        for (const char* const path : {"mem", "maps", "exe", "root/etc", "cwd/.", "fd/0", "environ", "ns/pid"})
            errors.push_back(try_open(std::string{"/proc/1/"} + path, O_RDONLY));
        errors.push_back(try_open("/proc/1/fd/0", O_WRONLY));
        errors.push_back(try_open("/proc/1/mem", O_RDWR));
        errors.push_back(errno_of(::ptrace(PTRACE_SEIZE, first, nullptr, nullptr)));
        long value = 0;
        iovec own{&value, sizeof value};
        iovec its{reinterpret_cast<void*>(0x400000), sizeof value};
        errors.push_back(errno_of(::process_vm_readv(first, &own, 1, &its, 1, 0)));
        errors.push_back(errno_of(::process_vm_writev(first, &own, 1, &its, 1, 0)));
        const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, first, 0));
        errors.push_back(errno_of(::syscall(SYS_pidfd_getfd, pidfd, 0, 0)));
        errors.push_back(errno_of(::setns(pidfd, CLONE_NEWNS)));
        errors.push_back(errno_of(::execl("/proc/1/exe", "init", nullptr)));
        return errors;
    });
    CAPTURE(as.explain());
    REQUIRE(as);
    CHECK(as->front() == 0);
    for (std::size_t i = 1; i < as->size(); ++i) {
        CAPTURE(i);
        CHECK((*as)[i] != 0);
    }
}
