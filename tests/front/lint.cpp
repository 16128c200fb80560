#include <sysguard/lint.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/probe.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"
#include "support/workers.hpp"

/// What lint says, against the real kernel: what it finds works, and no longer where the rule that it suggests is
/// there.
namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace preset = sysguard::preset;
namespace sys = sysguard::sys;
using sg::Rule;
using Kind = sg::Finding::Kind;
using support::make_calls;
using support::Probe;

namespace {

std::uint64_t address(const void* at) {
    return reinterpret_cast<std::uintptr_t>(at);
}

/// What a call comes to under a policy, in a process of its own.
template <class Policy>
long result(const Policy& policy, const Probe& probe) {
    return make_calls(policy.program(), {probe})[0].result;
}

const auto open_else = sg::otherwise.allow();

/// Starts a process with clone3, which exits at once. 0, or an errno.
int start_by_clone3() {
    std::uint64_t arguments[8]{};  // struct clone_args, the first version
    arguments[4] = SIGCHLD;
    const long pid = ::syscall(sys::clone3, arguments, sizeof arguments);
    if (pid == 0) ::_exit(0);
    if (pid < 0) return errno;
    ::waitpid(static_cast<pid_t>(pid), nullptr, 0);
    return 0;
}

/// What /proc says of a process: 'S' where it waits.
char state(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(')');
    return name_end == std::string::npos ? '?' : text[name_end + 2];
}

/// Starts a thread. 0, or an errno.
int start_thread() {
    try {
        std::thread{[] {}}.join();
        return 0;
    } catch (const std::system_error& error) {
        return error.code().value();
    }
}

}  // namespace

TEST_CASE("openat2 opens for writing what openat may not, until it answers ENOSYS") {
    const support::Scratch scratch;
    const std::string path = scratch / "file";
    const std::uint64_t how[3] = {O_WRONLY | O_CREAT, 0600, 0};
    const std::uint64_t here = static_cast<std::uint64_t>(AT_FDCWD);
    const Probe by_openat{SYS_openat, {here, address(path.c_str()), O_WRONLY | O_CREAT, 0600}};
    const Probe by_openat2{sys::openat2, {here, address(path.c_str()), address(how), sizeof how}};

    const auto held = Rule<SYS_openat>{(arg::flags & O_ACCMODE) != O_RDONLY}.deny(EACCES);
    const sg::Policy bad{held, open_else};
    CHECK(sg::lint(bad).contains(Kind::sibling, sys::openat2));
    CHECK(result(bad, by_openat) == -EACCES);
    CHECK(result(bad, by_openat2) >= 0);
    REQUIRE(::access(path.c_str(), F_OK) == 0);
    ::unlink(path.c_str());

    const sg::Policy good{held, Rule<sg::sys::openat2>{}.deny(ENOSYS), open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::sibling, sys::openat2));
    CHECK(result(good, by_openat2) == -ENOSYS);
    CHECK(::access(path.c_str(), F_OK) == -1);
}

TEST_CASE("TIOCSTI reaches the kernel, with any bits above its 32, until the low 32 are denied") {
    constexpr std::uint64_t above = 0xabcdULL << 32;
    const std::vector<Probe> probes{{SYS_ioctl, {~0ULL, TIOCSTI}}, {SYS_ioctl, {~0ULL, above | TIOCSTI}}};
    const sg::Policy bad{Rule<SYS_ioctl>{arg::request == TIOCLINUX}.deny(EPERM), open_else};
    CHECK(sg::lint(bad).contains(Kind::terminal_input));
    for (const auto& answer : make_calls(bad.program(), probes)) CHECK(answer.result == -EBADF);
    const sg::Policy good{Rule<sg::sys::ioctl>{arg::request.in(TIOCSTI, TIOCLINUX)}.deny(EPERM), open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::terminal_input));
    for (const auto& answer : make_calls(good.program(), probes)) CHECK(answer.result == -EPERM);
}

TEST_CASE("process_vm_writev writes into its parent, until it is denied") {
    ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    char target[8] = "before";
    char source[8] = "after";
    iovec local{source, sizeof source};
    iovec remote{target, sizeof target};
    const Probe probe{SYS_process_vm_writev,
                      {static_cast<std::uint64_t>(::getpid()), address(&local), 1, address(&remote), 1}};
    const sg::Policy bad{Rule<SYS_ptrace>{}.deny(EPERM), open_else};
    CHECK(sg::lint(bad).contains(Kind::other_memory, SYS_process_vm_writev));
    if (result(bad, probe) < 0) SYSGUARD_SKIP("here no process writes another's memory");
    CHECK(std::string{target} == "after");
    std::strcpy(target, "before");

    const sg::Policy good{Rule<SYS_ptrace>{}.deny(EPERM), Rule<sg::sys::process_vm_writev>{}.deny(EPERM), open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::other_memory, SYS_process_vm_writev));
    CHECK(result(good, probe) == -EPERM);
    CHECK(std::string{target} == "before");
}

TEST_CASE("listen binds where bind is denied, until it is, too") {
    const auto listen_somewhere = [] {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        socklen_t size = sizeof address;
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return -1;
        if (::listen(fd, 1) != 0) return -errno;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
        return static_cast<int>(ntohs(address.sin_port));
    };
    const auto held = Rule<SYS_bind>{}.deny(EACCES);
    const sg::Policy bad{held, open_else};
    CHECK(sg::lint(bad).contains(Kind::sibling, SYS_listen));
    CHECK(sg::Sandbox{bad}.call(listen_somewhere).value() > 0);
    const sg::Policy good{held, Rule<sg::sys::listen>{}.deny(EPERM), open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::sibling, SYS_listen));
    CHECK(sg::Sandbox{good}.call(listen_somewhere).value() == -EPERM);
}

TEST_CASE("memory becomes executable by mprotect where mmap makes none so, until that is denied") {
    void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const Probe mapping{SYS_mmap, {0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ~0ULL, 0}};
    const Probe protecting{SYS_mprotect, {address(page), 4096, PROT_READ | PROT_EXEC}};
    const auto held =
        Rule<sg::sys::mmap>{(arg::prot & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC)}.deny(EACCES);
    const sg::Policy bad{held, open_else};
    CHECK_FALSE(sg::lint(bad).contains(Kind::executable_memory, SYS_mmap));
    CHECK(sg::lint(bad).contains(Kind::executable_memory, SYS_mprotect));
    CHECK(result(bad, mapping) == -EACCES);
    CHECK(result(bad, protecting) == 0);
    const sg::Policy good{held, Rule<sg::sys::mprotect>{arg::prot & PROT_EXEC}.deny(EACCES), open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::executable_memory, SYS_mprotect));
    CHECK(result(good, protecting) == -EACCES);
    ::munmap(page, 4096);
}

TEST_CASE("clone3 starts a process where clone may only start threads; EPERM breaks threads, ENOSYS neither") {
    const auto held = Rule<SYS_clone>{(arg::flags & CLONE_THREAD) == 0}.deny(EPERM);
    const sg::Policy open{held, open_else};
    CHECK(sg::lint(open).contains(Kind::clone3));
    CHECK(sg::lint(open).contains(Kind::sibling, sys::clone3));
    const int started = sg::Sandbox{open}.call(start_by_clone3).value();
    if (started == ENOSYS) SYSGUARD_SKIP("here nobody may make clone3");
    CHECK(started == 0);

    const sg::Policy refusing{held, Rule<sg::sys::clone3>{}.deny(EPERM), open_else};
    CHECK_FALSE(sg::lint(refusing).contains(Kind::clone3));
    CHECK(sg::lint(refusing).contains(Kind::needs_enosys, sys::clone3));
    CHECK(sg::Sandbox{refusing}.call(start_by_clone3).value() == EPERM);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34) && defined(__x86_64__)  // elsewhere threads start by clone for longer
    CHECK(sg::Sandbox{refusing}.call(start_thread).value() == EPERM);
#endif

    const sg::Policy good{held, Rule<sg::sys::clone3>{}.deny(ENOSYS), open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::clone3));
    CHECK_FALSE(sg::lint(good).contains(Kind::sibling, sys::clone3));
    CHECK_FALSE(sg::lint(good).contains(Kind::needs_enosys, sys::clone3));
    CHECK(sg::Sandbox{good}.call(start_by_clone3).value() == ENOSYS);
    CHECK(sg::Sandbox{good}.call(start_thread).value() == 0);
}

TEST_CASE("statx fails with EPERM, and is asked of newfstatat with ENOSYS") {
    const auto ask = [] {
        struct statx about {};
        return ::statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &about) == 0 ? 0 : errno;
    };
    const sg::Policy refusing{Rule<SYS_statx>{}.deny(EPERM), open_else};
    CHECK(sg::lint(refusing).contains(Kind::needs_enosys, SYS_statx));
    CHECK(sg::Sandbox{refusing}.call(ask).value() == EPERM);
    const sg::Policy good{Rule<sg::sys::statx>{}.deny(ENOSYS), open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::needs_enosys, SYS_statx));
    CHECK(sg::Sandbox{good}.call(ask).value() == 0);
}

TEST_CASE("who is stopped in a wait goes on by restart_syscall") {
    const sg::Policy bad{Rule<SYS_restart_syscall>{}.deny(EXFULL), open_else};
    CHECK(sg::lint(bad).contains(Kind::missing_call, SYS_restart_syscall));
    const sg::Policy good{sg::allow<sg::sys::restart_syscall>, open_else};
    CHECK_FALSE(sg::lint(good).contains(Kind::missing_call, SYS_restart_syscall));
    for (const bool is_good : {false, true}) {
        const pid_t child = ::fork();
        if (child == 0) {
            sg::filter::install(is_good ? good.program() : bad.program());
            const timespec long_time{60, 0};
            ::_exit(::nanosleep(&long_time, nullptr) == -1 && errno == EXFULL ? 42 : 1);
        }
        REQUIRE(support::eventually([&] { return state(child) == 'S'; }));
        ::kill(child, SIGSTOP);
        int status = 0;
        ::waitpid(child, &status, WUNTRACED);
        ::kill(child, SIGCONT);
        if (is_good) {
            CHECK(support::eventually([&] { return state(child) == 'S'; }));
            ::kill(child, SIGKILL);
        }
        ::waitpid(child, &status, 0);
        if (!is_good) CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 42));
    }
}

TEST_CASE("what a handler decides is held, and what it stands beside is not") {
    const auto decide = [](const sg::AnyCall& call) -> sg::Verdict { return call.deny(EACCES); };
    constexpr sg::Policy bad{
        preset::static_runtime,    Rule<SYS_openat>{}.handle(decide), Rule<SYS_connect>{}.handle(decide),
        preset::connected_sockets, sg::allow<sys::openat2>,           sg::otherwise.kill(),
    };
    static_assert(sg::lint(bad).contains(Kind::sibling, sys::openat2));
    static_assert(sg::lint(bad).contains(Kind::sibling, SYS_sendto));
    static_assert(sg::lint(bad).contains(Kind::other_memory, sys::openat2));
    static_assert(!sg::lint(bad).contains(Kind::other_memory, SYS_openat));
    constexpr sg::Policy good{
        preset::static_runtime,
        Rule<SYS_openat>{}.handle(decide),
        Rule<sys::openat2>{}.handle(decide),
        Rule<SYS_connect>{}.handle(decide),
        Rule<sg::family::send>{}.handle(decide),
        sg::allow<SYS_socket, sg::family::receive>,
        sg::otherwise.kill(),
    };
    static_assert(sg::lint(good).empty());
    CHECK(sg::lint(good).empty());
}
