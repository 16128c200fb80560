// Does as its first argument says: ends in some way, or makes others.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>

namespace {

[[noreturn]] void sleep_for_ever() {
    for (;;) ::pause();
}

/// Starts a process that tells its id and sleeps, in a process group of its own if it is told so.
void start_sleeper(bool own_group) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (own_group) ::setpgid(0, 0);
        std::printf("%d\n", ::getpid());
        std::fflush(stdout);
        sleep_for_ever();
    }
    if (child < 0) std::exit(3);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    const int number = argc > 2 ? std::atoi(argv[2]) : 0;
    if (what == "exit") return number;
    if (what == "signal") return std::raise(number);
    if (what == "abort") std::abort();
    if (what == "crash") {
        int* volatile nowhere = nullptr;
        *nowhere = 1;
    }
    if (what == "spin")
        for (volatile unsigned n = 0;; n = n + 1) {
        }
    if (what == "sleep") {
        std::printf("%d\n", ::getpid());
        std::fflush(stdout);
        sleep_for_ever();
    }
    if (what == "print") {
        const std::string chunk(1024, 'x');
        for (int i = 0; i < number; ++i) std::fwrite(chunk.data(), 1, chunk.size(), stdout);
        std::fputs("complaint\n", stderr);
        return 0;
    }
    if (what == "copy") {
        int c = 0;
        while ((c = std::getchar()) != EOF) std::putchar(c);
        return 0;
    }
    if (what == "leave") {  // children behind, some of them in groups of their own
        for (int i = 0; i < number; ++i) start_sleeper(i % 2 == 1);
        return 0;
    }
    if (what == "gather") {  // the same, but stays
        for (int i = 0; i < number; ++i) start_sleeper(i % 2 == 1);
        sleep_for_ever();
    }
    if (what == "ignore") {
        for (int signal = 1; signal < 32; ++signal) std::signal(signal, SIG_IGN);
        sleep_for_ever();
    }
    if (what == "ask") return static_cast<int>(::syscall(SYS_getpriority, PRIO_PROCESS, number));
    if (what == "asking") {
        for (int i = 0; i < number; ++i) ::syscall(SYS_getpriority, PRIO_PROCESS, 0);
        sleep_for_ever();
    }
    if (what == "listeners") {  // how many it has of its own
        int count = 0;
        for (int fd = 0; fd < 1024; ++fd) {
            char text[64] = {};
            const bool open = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), text, sizeof text - 1) > 0;
            count += open && std::strstr(text, "seccomp") != nullptr;
        }
        return count;
    }
    if (what == "open")  // a path with flags: exits with the errno
        return ::open(argv[2], std::atoi(argv[3]) | O_CLOEXEC, 0600) < 0 ? errno : 0;
    if (what == "map") {  // memory that is both writable and executable, or, with 1, first the one and then the other
        const int first = PROT_READ | PROT_WRITE | (number == 0 ? PROT_EXEC : 0);
        void* const page = ::mmap(nullptr, 4096, first, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return errno;
        return number == 0 || ::mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
    }
    if (what == "execute") {
        ::execv(argv[2], argv + 2);
        return 9;
    }
    return 77;
}
