#include "made.hpp"

#include <doctest/doctest.h>

#include <string>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <csignal>

// Expected texts are what strace 6.1 writes of the same calls.

using rendered::answered;
using rendered::einval;
using rendered::hex;
using rendered::refused;

namespace {

const void* const nowhere = reinterpret_cast<const void*>(8);

}  // namespace

TEST_CASE("programs that are started, with their arguments") {
    const char* const arguments[] = {"a", "b c", nullptr};
    const char* const environment[] = {"A=1", nullptr};
    CHECK(refused(SYS_execve, {"/n", arguments, environment}) ==
          "execve(\"/n\", [\"a\", \"b c\"], " + hex(environment) + " /* 1 var */)" + einval);
    const char* const none[] = {nullptr};
    CHECK(refused(SYS_execve, {"/n", none, none}) == "execve(\"/n\", [], " + hex(none) + " /* 0 vars */)" + einval);
    const void* const odd[] = {nowhere, nullptr};
    CHECK(refused(SYS_execve, {"/n", odd, nowhere}) == "execve(\"/n\", [0x8], 0x8)" + einval);
    CHECK(refused(SYS_execve, {nullptr, nullptr, nullptr}) == "execve(NULL, NULL, NULL)" + einval);
    const char* many[41] = {};
    for (int i = 0; i < 40; ++i) many[i] = "x";
    CHECK(refused(SYS_execveat, {-100, "/n", many, nullptr, 0x1100})
              .find("\"x\", ...], NULL, AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH)") != std::string::npos);
}

TEST_CASE("clone shows what its flags say that it reads") {
#if defined(__x86_64__)
    CHECK(answered(SYS_clone, {SIGCHLD, 0, 0, 0, 0}, 5) == "clone(child_stack=NULL, flags=SIGCHLD) = 5");
    CHECK(answered(SYS_clone, {0x1200011, 0, 0, nowhere, 0}, 5) ==
          "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x8) = 5");
    int tid = 7;
    CHECK(answered(SYS_clone, {0x3d0f00, 0x1000, &tid, nowhere, 0x20}, 7) ==
          "clone(child_stack=0x1000, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|"
          "CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID, parent_tid=[7], tls=0x20, child_tidptr=0x8) = 7");
#endif
    const unsigned long args[] = {0x1000, 0, 0, 0, 99, 0, 0, 0};
    CHECK(refused(SYS_clone3, {args, 64}) ==
          "clone3({flags=CLONE_PIDFD, pidfd=NULL, exit_signal=99, stack=NULL, stack_size=0}, 64)" + einval);
    CHECK(refused(SYS_clone3, {nowhere, 88}, EFAULT) == "clone3(0x8, 88) = -1 EFAULT (Bad address)");
    CHECK(refused(SYS_clone3, {args, 16}) == "clone3(" + hex(args) + ", 16)" + einval);
}

TEST_CASE("how a process has ended") {
    const auto waited = [](int status) {
        const std::string text = answered(SYS_wait4, {-1, &status, WNOHANG | WUNTRACED, nullptr}, 5);
        const std::string end = ", WNOHANG|WSTOPPED, NULL) = 5";
        REQUIRE(text.size() > 10 + end.size());
        return text.substr(10, text.size() - 10 - end.size());
    };
    CHECK(waited(3 << 8) == "[{WIFEXITED(s) && WEXITSTATUS(s) == 3}]");
    CHECK(waited(SIGKILL) == "[{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}]");
    CHECK(waited(SIGSEGV | 0x80) == "[{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV && WCOREDUMP(s)}]");
    CHECK(waited(SIGSTOP << 8 | 0x7f) == "[{WIFSTOPPED(s) && WSTOPSIG(s) == SIGSTOP}]");
    CHECK(waited((SIGTRAP | 0x80) << 8 | 0x7f) == "[{WIFSTOPPED(s) && WSTOPSIG(s) == SIGTRAP | 0x80}]");
    CHECK(waited(0xffff) == "[{WIFCONTINUED(s)}]");
    int status = 0;
    CHECK(answered(SYS_wait4, {-1, &status, WNOHANG, nullptr}, 0) ==
          "wait4(-1, " + hex(&status) + ", WNOHANG, NULL) = 0");
    CHECK(answered(SYS_exit_group, {3}, 0) == "exit_group(3) = 0");
}

TEST_CASE("limits, scheduling and capabilities") {
    const rlimit limit{8192 * 1024, RLIM_INFINITY};
    CHECK(answered(SYS_prlimit64, {0, RLIMIT_STACK, nullptr, &limit}, 0) ==
          "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0");
    CHECK(refused(SYS_prlimit64, {0, 77, nullptr, nullptr}) ==
          "prlimit64(0, 0x4d /* RLIMIT_??? */, NULL, NULL)" + einval);
    const unsigned long cpus = 5;
    CHECK(answered(SYS_sched_setaffinity, {0, 8, &cpus}, 0) == "sched_setaffinity(0, 8, [0 2]) = 0");
    CHECK(answered(SYS_sched_getscheduler, {0}, 0) == "sched_getscheduler(0) = 0 (SCHED_OTHER)");
    CHECK(answered(SYS_ioprio_get, {1, 0}, 16388) ==
          "ioprio_get(IOPRIO_WHO_PROCESS, 0) = 16388 (IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4))");
    const unsigned header[] = {0x20080522, 0};
    const unsigned data[] = {1, 2, 4, 0, 1, 2};
    CHECK(
        refused(SYS_capset, {header, data}, EPERM) ==
        "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=1<<CAP_CHOWN, "
        "permitted=1<<CAP_DAC_OVERRIDE|1<<CAP_MAC_OVERRIDE, inheritable=1<<CAP_DAC_READ_SEARCH|1<<CAP_MAC_ADMIN}) = -1 "
        "EPERM (Operation not permitted)");
    CHECK(answered(SYS_personality, {0xffffffff}, 0x40000) ==
          "personality(0xffffffff) = 0x40000 (PER_LINUX|ADDR_NO_RANDOMIZE)");
    const unsigned ids[] = {1, ~0U};
    CHECK(refused(SYS_setgroups, {2, ids}) == "setgroups(2, [1, -1])" + einval);
    CHECK(refused(SYS_setresuid, {-1, 5, -1}) == "setresuid(-1, 5, -1)" + einval);
    CHECK(refused(SYS_kcmp, {1, 2, 99, 1, 2}) == "kcmp(1, 2, 0x63 /* KCMP_??? */, 0x1, 0x2)" + einval);
}

TEST_CASE("options of prctl, requests of ptrace") {
    CHECK(answered(SYS_prctl, {PR_SET_NAME, "hello"}, 0) == "prctl(PR_SET_NAME, \"hello\") = 0");
    CHECK(answered(SYS_prctl, {PR_GET_DUMPABLE}, 1) == "prctl(PR_GET_DUMPABLE) = 1 (SUID_DUMP_USER)");
    CHECK(answered(SYS_prctl, {PR_SET_PDEATHSIG, 9}, 0) == "prctl(PR_SET_PDEATHSIG, SIGKILL) = 0");
    CHECK(answered(SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0}, 0) == "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) = 0");
    CHECK(answered(SYS_prctl, {PR_CAPBSET_READ, 21}, 1) == "prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) = 1");
    CHECK(refused(SYS_prctl, {999, 1, 2, 3, 4}) == "prctl(0x3e7 /* PR_??? */, 0x1, 0x2, 0x3, 0x4)" + einval);
    CHECK(refused(SYS_ptrace, {0x4200, 99, 8, 0x41}, ESRCH) ==
          "ptrace(PTRACE_SETOPTIONS, 99, 0x8, PTRACE_O_TRACESYSGOOD|PTRACE_O_TRACEEXIT) = -1 ESRCH (No such process)");
    CHECK(refused(SYS_ptrace, {16, 99, 8, 8}, ESRCH) == "ptrace(PTRACE_ATTACH, 99) = -1 ESRCH (No such process)");
    CHECK(refused(SYS_ptrace, {99, 99, 8, 5}, ESRCH) ==
          "ptrace(0x63 /* PTRACE_??? */, 99, 0x8, 0x5) = -1 ESRCH (No such process)");
}
