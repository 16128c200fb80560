// Does as its first argument says, for a tracer to see. The call by which others know what it is about is getpriority,
// whose second argument is a number of theirs.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <ctime>

namespace {

constexpr std::uint64_t untraced = 0x00800000;  // CLONE_UNTRACED

void mark(long number) {
    ::syscall(SYS_getpriority, PRIO_PROCESS, number);
}

[[noreturn]] void execute(const char* program, const char* what, const std::string& number) {
    ::execl(program, program, what, number.c_str(), static_cast<char*>(nullptr));
    ::_exit(126);
}

int wait_for(pid_t child) {
    int status = -1;
    while (::waitpid(child, &status, __WALL) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

pid_t clone3(std::uint64_t flags) {
    clone_args arguments{};
    arguments.flags = flags;
    arguments.exit_signal = SIGCHLD;
    return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

clone_args* flipped = nullptr;

void* flip_flag(void*) {
    for (;;) {
        __atomic_store_n(&flipped->flags, untraced, __ATOMIC_RELAXED);
        __atomic_store_n(&flipped->flags, 0, __ATOMIC_RELAXED);
    }
}

/// Starts children by clone3 while a thread turns the flag on and off. Returns whether each made its call and ended.
int start_flipping(int count) {
    static clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    flipped = &arguments;
    pthread_t thread{};
    ::pthread_create(&thread, nullptr, flip_flag, nullptr);
    for (int i = 0; i < count;) {
        const auto child = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
        if (child < 0) {
            if (errno != ENOSYS) return 1;
            continue;
        }
        if (child == 0) {
            const timespec pause{0, 1'000'000};
            ::nanosleep(&pause, nullptr);
            mark(12);
            ::_exit(5);
        }
        if (wait_for(child) != 5) return 2;
        ++i;
    }
    return 0;
}

/// Starts a child in some way, which makes one call, and waits for it.
int start_child(const std::string& how, const char* self) {
    pid_t child = -1;
    if (how == "fork") child = ::fork();
    if (how == "vfork") {
        child = ::vfork();
        if (child == 0) execute(self, "calls", "1");
    }
    if (how == "clone") child = static_cast<pid_t>(::syscall(SYS_clone, CLONE_FILES, 0, 0, 0, 0));
    if (how == "clone3") child = clone3(0);
    if (how == "clone_untraced") child = static_cast<pid_t>(::syscall(SYS_clone, untraced | SIGCHLD, 0, 0, 0, 0));
    if (how == "clone3_untraced") {
        child = clone3(untraced);
        if (child < 0) child = static_cast<pid_t>(::syscall(SYS_clone, untraced | SIGCHLD, 0, 0, 0, 0));
    }
    if (child < 0) return 99;
    if (child == 0) {
        mark(1);
        ::_exit(5);
    }
    return wait_for(child);
}

int next_value = 0;
int broken = 0;

void take_queued(int, siginfo_t* info, void*) {
    if (info->si_code != SI_QUEUE || info->si_pid != ::getpid() || info->si_value.sival_int != next_value) ++broken;
    ++next_value;
}

int take_signals(int count) {
    struct sigaction action {};
    action.sa_sigaction = take_queued;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaction(SIGRTMIN, &action, nullptr);
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGRTMIN);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    int queued = 0;
    for (; queued < count; ++queued)
        if (::sigqueue(::getpid(), SIGRTMIN, sigval{.sival_int = queued}) != 0) break;
    ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
    return queued == count && next_value == count && broken == 0 ? 0 : 1;
}

int handled = 0;

void count_signal(int) {
    ++handled;
}

/// A read that SA_RESTART starts again, and a sleep that continues where it was (restart_syscall(2)).
int restart() {
    struct sigaction action {};
    action.sa_handler = count_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGUSR1, &action, nullptr);
    int ends[2];
    if (::pipe(ends) != 0) return 90;
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
        const timespec pause{0, 2'000'000};
        for (int i = 0; i < 10; ++i) {
            ::nanosleep(&pause, nullptr);
            ::kill(parent, SIGUSR1);
        }
        ::nanosleep(&pause, nullptr);
        if (::write(ends[1], "x", 1) != 1) ::_exit(1);
        ::nanosleep(&pause, nullptr);
        ::kill(parent, SIGSTOP);
        ::nanosleep(&pause, nullptr);
        ::kill(parent, SIGCONT);
        ::_exit(0);
    }
    char byte = 0;
    if (::read(ends[0], &byte, 1) != 1 || byte != 'x') return 91;
    const timespec time{0, 40'000'000};
    if (::nanosleep(&time, nullptr) != 0) return 92;
    if (wait_for(child) != 0) return 93;
    return handled > 0 ? 0 : 94;
}

void* call_and_end(void*) {
    mark(2);
    return nullptr;
}

int start_threads(int count) {
    for (int i = 0; i < count; ++i) {
        pthread_t thread{};
        if (::pthread_create(&thread, nullptr, call_and_end, nullptr) != 0) return 1;
        ::pthread_join(thread, nullptr);
    }
    return 0;
}

const char* own_path = nullptr;

void* execute_in_thread(void*) {
    mark(3);
    execute(own_path, "calls", "1");
}

void* sleep_in_thread(void*) {
    for (;;) ::pause();
}

std::uint64_t* counters = nullptr;

void* count_up(void* which) {
    for (;;) {
        __atomic_add_fetch(&counters[reinterpret_cast<std::uintptr_t>(which)], 1, __ATOMIC_RELAXED);
        mark(4);
    }
}

/// Threads count in a file for ever.
int count_for_ever(const char* path, int threads) {
    const int file = ::open(path, O_RDWR);
    counters = static_cast<std::uint64_t*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    if (counters == MAP_FAILED) return 1;
    for (int i = 1; i < threads; ++i) {
        pthread_t thread{};
        ::pthread_create(&thread, nullptr, count_up, reinterpret_cast<void*>(static_cast<std::uintptr_t>(i)));
    }
    count_up(nullptr);
    return 0;
}

/// What a tracer would do with children of its own.
int trace_oneself() {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) return 1;
    if (errno != EPERM) return 2;
    const pid_t child = ::fork();
    if (child == 0) sleep_in_thread(nullptr);
    const long attached = ::ptrace(PTRACE_ATTACH, child, nullptr, nullptr);
    const int error = errno;
    ::kill(child, SIGKILL);
    wait_for(child);
    return attached == 0 ? 3 : error != EPERM ? 4 : 0;
}

void bomb(int generations) {
    if (generations == 0) return;
    pid_t children[2];
    for (pid_t& child : children) {
        child = ::fork();
        if (child == 0) {
            bomb(generations - 1);
            ::_exit(0);
        }
    }
    for (const pid_t child : children)
        if (child > 0) wait_for(child);
}

/// Makes a call with six arguments. Returns whether the registers are as before.
bool keeps_registers() {
#if defined(__x86_64__)
    long result = SYS_getpriority;
    long rdi = 0, rsi = 11, rdx = 12;
    register long r10 __asm__("r10") = 13;
    register long r8 __asm__("r8") = 14;
    register long r9 __asm__("r9") = 15;
    __asm__ volatile("syscall"
                     : "+a"(result), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
                     :
                     : "rcx", "r11", "memory");
    return rdi == 0 && rsi == 11 && rdx == 12 && r10 == 13 && r8 == 14 && r9 == 15;
#else
    register long x8 __asm__("x8") = SYS_getpriority;
    register long x0 __asm__("x0") = 0;
    register long x1 __asm__("x1") = 11;
    register long x2 __asm__("x2") = 12;
    register long x3 __asm__("x3") = 13;
    register long x4 __asm__("x4") = 14;
    register long x5 __asm__("x5") = 15;
    __asm__ volatile("svc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5) : "r"(x8) : "memory");
    return x1 == 11 && x2 == 12 && x3 == 13 && x4 == 14 && x5 == 15;  // x0 has the result
#endif
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    const std::string text = argc > 2 ? argv[2] : "";
    const int number = std::atoi(text.c_str());
    own_path = argv[0];
    if (what == "calls") {
        for (int i = 0; i < number; ++i) mark(i);
        return 0;
    }
    if (what == "results") {  // of so many calls, how many failed with which errno
        int failed = 0;
        for (int i = 0; i < number; ++i) {
            errno = 0;
            const long result = ::syscall(SYS_getpriority, PRIO_PROCESS, 0);
            std::printf("%d%s", result == -1 ? -errno : static_cast<int>(result), i + 1 < number ? " " : "\n");
            failed += result == -1;
        }
        return failed > 100 ? 100 : failed;
    }
    if (what == "make") {
        const int file = ::open(text.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        return file < 0 ? errno : 0;
    }
    if (what == "say") return ::write(1, text.data(), text.size()) < 0 ? errno : 0;
    if (what == "start") return start_child(text, argv[0]);
    if (what == "own_filter") {  // that asks a tracer
        sock_filter code[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                              {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getpriority},
                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE | 3},
                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
        const sock_fprog program{4, code};
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 1;
        return ::syscall(SYS_getpriority, PRIO_PROCESS, 0) == -1 && errno == ENOSYS ? 0 : 2;
    }
    if (what == "vfork_sleep") {  // the parent waits for a child that neither executes nor ends
        if (::vfork() == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) ::pause();
        }
    }
    if (what == "flip") return start_flipping(number);
    if (what == "exec") {
        mark(6);
        execute(argv[0], "calls", "1");
    }
    if (what == "storm") {
        if (number > 0) execute(argv[0], "storm", std::to_string(number - 1));
        return 0;
    }
    if (what == "thread_exec") {
        pthread_t thread{};
        for (int i = 0; i < 3; ++i) ::pthread_create(&thread, nullptr, sleep_in_thread, nullptr);
        ::pthread_create(&thread, nullptr, execute_in_thread, nullptr);
        sleep_in_thread(nullptr);
    }
    if (what == "stop") {
        mark(7);
        ::raise(number);
        mark(8);
        return 7;
    }
    if (what == "signals") return take_signals(number);
    if (what == "restart") return restart();
    if (what == "threads") return start_threads(number);
    if (what == "many_threads") {  // that all sleep
        for (int i = 0; i < number; ++i) {
            pthread_t thread{};
            ::pthread_create(&thread, nullptr, sleep_in_thread, nullptr);
        }
        mark(9);
        sleep_in_thread(nullptr);
    }
    if (what == "count") return count_for_ever(text.c_str(), argc > 3 ? std::atoi(argv[3]) : 1);
    if (what == "trace") return trace_oneself();
    if (what == "bomb") {
        bomb(number);
        return 0;
    }
    if (what == "registers") return keeps_registers() ? 0 : 1;
    if (what == "sleep") sleep_in_thread(nullptr);
    if (what == "crash") std::abort();
    return 80;
}
