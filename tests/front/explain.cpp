#include <sysguard/decide/ask.hpp>
#include <sysguard/dynamic_policy.hpp>
#include <sysguard/explain.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule;

namespace {

/// The policy of the design.
constexpr sg::Policy policy{
    sg::preset::cpp_runtime,
    sg::allow<SYS_getrandom, SYS_clock_nanosleep>,
    Rule<SYS_socket>{arg::domain == AF_INET && arg::type != SOCK_RAW}.allow(),
    Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM),
    Rule<SYS_connect>{}.handle([](const Call<SYS_connect>& call) -> sg::Verdict {
        return call[arg::addr].is_loopback() ? call.perform() : call.deny(EACCES);
    }),
    sg::otherwise.kill(),
};

bool has(const std::string& text, const char* words) {
    return text.find(words) != std::string::npos;
}

}  // namespace

#if defined(__x86_64__)
TEST_CASE("the design's policy in words") {
    std::string text = policy.explain();
    const std::string size =
        "A seccomp filter for x86_64 of " + std::to_string(policy.program().size) + " instructions. ";
    REQUIRE(text.rfind(size, 0) == 0);
    CHECK(text.substr(size.size()) ==
          R"(There are rules for 59 of the 385 system calls.

Allowed, whatever their arguments (48):
  access, brk, clock_getres, clock_gettime, clock_nanosleep, close, exit, exit_group, faccessat,
  faccessat2, fstat, futex, getcpu, getcwd, getegid, geteuid, getgid, getpid, getppid, getrandom,
  gettid, gettimeofday, getuid, lseek, mremap, munmap, newfstatat, pread64, read, readlink,
  readlinkat, readv, restart_syscall, rseq, rt_sigaction, rt_sigprocmask, rt_sigreturn,
  sched_getaffinity, sched_yield, set_robust_list, set_tid_address, sigaltstack, stat, sysinfo,
  time, uname, write, writev
  The kernel caches each of them (Linux 5.11).

Decided in the kernel by their arguments, by the first line that fits (10):
  arch_prctl
    1. allowed if option is one of ARCH_SET_GS, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS,
       ARCH_CET_STATUS
    2. otherwise the worker is killed
  fchmodat
    1. denied with EPERM if mode has any of 07002
    2. otherwise the worker is killed
  ioctl
    1. allowed if request is one of TCGETS, TIOCGWINSZ
    2. otherwise the worker is killed
  madvise
    1. allowed if advice is from 0 to 99
    2. otherwise the worker is killed
  mmap
    1. allowed if prot lacks PROT_EXEC
    2. allowed if prot lacks PROT_WRITE or prot lacks PROT_EXEC
    3. otherwise the worker is killed
  mprotect
    1. allowed if prot lacks PROT_EXEC
    2. otherwise the worker is killed
  open, openat
    1. allowed if flags has nothing but
       O_NOCTTY|O_NONBLOCK|O_LARGEFILE|O_NOFOLLOW|O_CLOEXEC|O_DIRECTORY
    2. otherwise the worker is killed
  prlimit64
    1. allowed if pid is 0 and resource is one of RLIMIT_STACK, RLIMIT_NOFILE
    2. denied with EPERM if pid is 0
    3. otherwise the worker is killed
  socket
    1. allowed if domain is AF_INET and type is not SOCK_RAW
    2. otherwise the worker is killed

Decided with the host, by the first line that fits (1):
  connect
    1. handler 1 decides

All other calls (326): the worker is killed.
Numbers that are newer than the table, which ends at 471, or that it lacks: denied with ENOSYS.
Calls through another ABI (32-bit, x32): the worker is killed.
Where the worker is killed, the kernel stops the call, and the host kills the whole worker and tells
  the call in its outcome.
)");
}
#endif

TEST_CASE("policies of run time, too") {
    const sg::Policy plain{sg::allow<SYS_exit_group>, Rule<SYS_kill>{arg::sig == 0}.allow(), sg::otherwise.deny(EPERM)};
    const sg::DynamicPolicy dynamic{sg::RuleList{sg::allow<SYS_exit_group>, Rule<SYS_kill>{arg::sig == 0}.allow()},
                                    sg::otherwise.deny(EPERM)};
    CHECK(has(plain.explain(), "  kill\n    1. allowed if sig is 0\n    2. otherwise denied with EPERM\n"));
    CHECK(plain.explain() == dynamic.explain());
    CHECK(plain.disassemble() == dynamic.disassemble());
    CHECK(plain.disassemble() == sg::filter::disassemble(plain.program()));
}

TEST_CASE("handlers and askers, in the order in which the rules name them") {
    int captured = EACCES;
    const auto refuse = [captured](const sg::AnyCall& call) { return call.deny(captured); };
    const auto no = [](const sg::Question&) { return sg::Answer::refuse; };
    const sg::Policy asks{
        Rule<SYS_openat>{arg::path.under("/etc")}.ask(no),
        Rule<SYS_openat>{}.handle(refuse),
        Rule<SYS_unlinkat>{}.ask(no),
        Rule<SYS_connect>{}.handle(refuse),
        sg::otherwise.kill(),
    };
    const std::string text = asks.explain();
    CHECK(has(text,
              "  openat\n    1. asker 1 is asked if path leads to \"/etc\" or below; the kernel hands over every call "
              "that gets\n       here\n    2. otherwise handler 1 decides\n"));
    CHECK(has(text, "  unlinkat\n    1. asker 2 is asked\n"));
    CHECK(has(text, "  connect\n    1. handler 2 decides\n"));
    CHECK((asks.decide<SYS_connect>(0, nullptr, 0) == sg::Action::handle));
    CHECK((asks.decide<SYS_unlinkat>(0, nullptr, 0) == sg::Action::handle));
}
