// Prints what a program finds itself in: one "key value" a line.
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <csignal>

extern char** environ;

int main(int argc, char** argv) {
    for (int i = 0; i < argc; ++i) std::printf("argument %s\n", argv[i]);
    for (char** variable = environ; *variable != nullptr; ++variable) std::printf("environment %s\n", *variable);
    for (int fd = 0; fd < 1024; ++fd)
        if (::fcntl(fd, F_GETFD) >= 0) {
            char link[32];
            char target[256] = {};
            std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            if (::readlink(link, target, sizeof target - 1) < 0) target[0] = '?';
            std::printf("descriptor %d\ntarget %d %s\n", fd, fd, target);
        }
    char directory[4096];
    if (::getcwd(directory, sizeof directory) != nullptr) std::printf("directory %s\n", directory);
    const mode_t mask = ::umask(0);
    std::printf("umask %04o\n", mask);
    for (int signal = 1; signal < 65; ++signal) {
        struct sigaction action {};
        if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_DFL)
            std::printf("disposition %d\n", signal);
    }
    sigset_t blocked;
    ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
    for (int signal = 1; signal < 65; ++signal)
        if (::sigismember(&blocked, signal) == 1) std::printf("blocked %d\n", signal);
    if (::getsid(0) == ::getpid()) std::puts("session own");
    if (::getpgrp() == ::getpid()) std::puts("group own");
    const struct {
        const char* name;
        int resource;
    } limits[] = {{"core", RLIMIT_CORE},      {"memory", RLIMIT_AS},       {"cpu", RLIMIT_CPU},
                  {"files", RLIMIT_NOFILE},   {"file_size", RLIMIT_FSIZE}, {"stack", RLIMIT_STACK},
                  {"processes", RLIMIT_NPROC}};
    for (const auto& limit : limits) {
        rlimit value{};
        ::getrlimit(static_cast<__rlimit_resource>(limit.resource), &value);
        std::printf("limit %s %llu %llu\n", limit.name, static_cast<unsigned long long>(value.rlim_cur),
                    static_cast<unsigned long long>(value.rlim_max));
    }
    char line[256];
    if (std::FILE* const status = std::fopen("/proc/self/status", "re")) {
        while (std::fgets(line, sizeof line, status) != nullptr) {
            int value = 0;
            if (std::sscanf(line, "NoNewPrivs: %d", &value) == 1) std::printf("no_new_privs %d\n", value);
            if (std::sscanf(line, "Seccomp: %d", &value) == 1) std::printf("seccomp %d\n", value);
            unsigned long long set = 0;
            if (std::sscanf(line, "CapInh: %llx", &set) == 1) std::printf("inheritable %llu\n", set);
            if (std::sscanf(line, "CapPrm: %llx", &set) == 1) std::printf("permitted %llu\n", set);
            if (std::sscanf(line, "CapEff: %llx", &set) == 1) std::printf("effective %llu\n", set);
            if (std::sscanf(line, "CapBnd: %llx", &set) == 1) std::printf("bounding %llu\n", set);
            if (std::sscanf(line, "CapAmb: %llx", &set) == 1) std::printf("ambient %llu\n", set);
        }
        std::fclose(status);
    }
    std::printf("user %u\neffective_user %u\n", ::getuid(), ::geteuid());
    cpu_set_t cpus;
    if (::sched_getaffinity(0, sizeof cpus, &cpus) == 0) std::printf("cpus %d\n", CPU_COUNT(&cpus));
    std::fflush(stdout);
}
