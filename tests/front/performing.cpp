#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/reach.hpp"
#include "support/same_results.hpp"
#include "support/skip.hpp"

/// Calls that the host performs, end to end: the same function without a host, with one, and with one that decides on
/// every path comes to the same.
namespace sg = sysguard;
namespace arg = sysguard::arg;
using support::Lines;
using support::Log;
using support::same;

namespace {

/// For what a worker does as root.
const sg::Options with_capabilities{.credentials = {.capabilities = sg::Capabilities::kept()}};

std::string link_text(const char* path) {
    char text[PATH_MAX];
    const ssize_t size = ::readlink(path, text, sizeof text);
    return size < 0 ? ::strerrorname_np(errno) : std::string(text, static_cast<std::size_t>(size));
}

}  // namespace

TEST_CASE("descriptors have the numbers and flags that they would have") {
    same([](Log& log) {
        const auto flags = [&](int fd) {
            log.note("descriptor flags", ::fcntl(fd, F_GETFD));
            log.note("file flags", ::fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND | O_DIRECT | O_SYNC));
        };
        for (const int extra : {0, int{O_CLOEXEC}, int{O_NONBLOCK}, O_CLOEXEC | O_NONBLOCK | O_APPEND, int{O_SYNC}}) {
            flags(static_cast<int>(log.note("openat", ::syscall(SYS_openat, AT_FDCWD, "file", O_RDWR | extra))));
            open_how how{};
            how.flags = static_cast<unsigned>(O_RDONLY | extra);
            flags(static_cast<int>(log.note("openat2", ::syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof how))));
            const long made = ::syscall(SYS_openat, AT_FDCWD, "new", O_RDWR | O_CREAT | extra, 0600);
            flags(static_cast<int>(log.note("openat, to create", made)));
        }
        for (const int fd : {4, 7, 5}) ::close(fd);
        for (int i = 0; i < 4; ++i) log.note("the lowest number", ::openat(AT_FDCWD, "dir/inner", O_RDONLY));
        ::dup2(3, 40);
        log.note("with one far away", ::openat(AT_FDCWD, "file", O_RDONLY));
        char text[8] = {};
        log.note("read", ::read(4, text, sizeof text));
        log.say(text);
    });
}

TEST_CASE("a worker at its limit of descriptors") {
    same([](Log& log) {
        const rlimit limit{8, 8};
        log.note("setrlimit", ::setrlimit(RLIMIT_NOFILE, &limit));
        for (int i = 0; i < 8; ++i) log.note("open", ::openat(AT_FDCWD, "file", O_RDONLY));
        ::close(5);
        log.note("open with room", ::openat(AT_FDCWD, "file", O_RDONLY));
        log.note("access", ::access("file", F_OK));
        log.note("to create", ::openat(AT_FDCWD, "new", O_WRONLY | O_CREAT, 0600));
        log.note("not created", ::access("new", F_OK));
        log.note("missing", ::openat(AT_FDCWD, "missing", O_RDONLY));
        const rlimit lower{4, 8};
        log.note("setrlimit", ::setrlimit(RLIMIT_NOFILE, &lower));
        ::close(7);
        log.note("with others above the limit", ::openat(AT_FDCWD, "file", O_RDONLY));
        ::close(3);
        log.note("with one below it", ::openat(AT_FDCWD, "file", O_RDONLY));
        const rlimit none{0, 8};
        log.note("setrlimit", ::setrlimit(RLIMIT_NOFILE, &none));
        log.note("with none at all", ::openat(AT_FDCWD, "file", O_RDONLY));
    });
}

TEST_CASE("umask and directories are those that the worker has at the time") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    same([](Log& log) {
        struct stat status;
        for (const mode_t mask : {0777U, 022U, 0U, 0137U}) {
            ::umask(mask);
            const std::string name = "made" + std::to_string(mask);
            log.note("open", ::close(::openat(AT_FDCWD, name.c_str(), O_WRONLY | O_CREAT, 0666)));
            log.note("mkdir", ::mkdir((name + "d").c_str(), 0777));
            log.note("mknod", ::mknod((name + "n").c_str(), S_IFIFO | 0666, 0));
            for (const char* end : {"", "d", "n"}) {
                log.note("stat", ::stat((name + end).c_str(), &status));
                log.say(std::to_string(status.st_mode));
            }
        }
        log.note("chdir", ::chdir("to_dir"));
        log.note("there", ::access("inner", F_OK));
        log.note("not there", ::access("file", F_OK));
        log.note("above", ::access("../file", F_OK));
        const int above = ::openat(AT_FDCWD, "..", O_RDONLY | O_DIRECTORY);
        log.note("fchdir", ::fchdir(above));
        log.note("back", ::access("file", F_OK));
        log.note("relative to a descriptor", ::faccessat(above, "dir/inner", F_OK, 0));
        log.note("mkdir", ::mkdir("gone", 0755));
        log.note("chdir", ::chdir("gone"));
        log.note("rmdir", ::rmdir("../gone"));
        log.note("in a directory that is gone", ::openat(AT_FDCWD, "x", O_WRONLY | O_CREAT, 0600));
    });
}

TEST_CASE("the worker's own root") {
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    same(
        [](Log& log) {
            log.note("chroot", ::chroot("dir"));
            log.note("outside, by its directory", ::access("file", F_OK));
            log.note("chdir", ::chdir("/"));
            log.note("inner", ::openat(AT_FDCWD, "/inner", O_RDONLY));
            for (const char* path :
                 {"/../file", "../../file", "/etc/passwd", "/dir/inner", "inner/../inner", "/../inner"})
                log.note(path, ::access(path, F_OK));
            log.note("symlink", ::symlink("/inner", "absolute"));
            log.note("absolute", ::openat(AT_FDCWD, "absolute", O_RDONLY));
        },
        with_capabilities);
}

TEST_CASE("the worker as another user") {
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    if (!sg::process::detail::host_capabilities().has(CAP_SYS_PTRACE))
        SYSGUARD_SKIP("not offered here: the memory of another user's processes, without CAP_SYS_PTRACE");
    const auto function = [](Log& log) {
        log.note("setgroups", ::setgroups(0, nullptr));
        log.note("setresgid", ::setresgid(65534, 65534, 65534));
        log.note("setresuid", ::setresuid(65534, 65534, 65534));
        struct stat status {};
        for (const char* path : {"private", "/etc/shadow", "file", "dir/inner"}) {
            log.note(path, ::openat(AT_FDCWD, path, O_RDONLY));
            log.note("to write", ::openat(AT_FDCWD, path, O_RDWR));
            log.note("access", ::access(path, R_OK | W_OK));
            log.note("chmod", ::chmod(path, 0640));
            log.note("chown", ::chown(path, 65534, 65534));
            log.note("utimes", ::utimes(path, nullptr));
        }
        log.note("own", ::openat(AT_FDCWD, "dir/own", O_WRONLY | O_CREAT | O_EXCL, 0600));
        log.note("stat", ::stat("dir/own", &status));
        log.say(std::to_string(status.st_uid) + " " + std::to_string(status.st_gid));
        log.note("chmod", ::chmod("dir/own", 0600));
        log.note("mknod of a device", ::mknod("dir/null", S_IFCHR | 0666, 0x103));
        log.note("ours", ::openat(AT_FDCWD, "dir/own", O_RDONLY));
    };
    const int before = ::prctl(PR_GET_DUMPABLE);
    same(function, with_capabilities);
    CHECK(::prctl(PR_GET_DUMPABLE) == before);
}

TEST_CASE("while a call is performed for another user, the host's memory is closed to it") {
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    const int before = ::prctl(PR_GET_DUMPABLE);
    constexpr sg::Policy policy{
        sg::Rule<SYS_getpriority>{}.handle(
            [](const sg::Call<SYS_getpriority>& call) -> sg::Verdict { return call.fake(::prctl(PR_GET_DUMPABLE)); }),
        sg::Rule<SYS_openat>{}.handle([](const sg::Call<SYS_openat>& call) -> sg::Verdict { return call.perform(); }),
        sg::otherwise.allow()};
    const Lines lines = support::results(sg::Sandbox{policy, with_capabilities}, [](Log& log) {
        log.note("mkfifo", ::mkfifo("dir/fifo", 0666));
        log.note("chmod", ::chmod("dir/fifo", 0666));
        log.note("setresuid", ::syscall(SYS_setresuid, 65534, 65534, 65534));
        std::thread reader{[] { ::close(::openat(AT_FDCWD, "dir/fifo", O_RDONLY)); }};
        while (::syscall(SYS_getpriority, 0, 0) != 0) ::sched_yield();
        log.note("write", ::close(::openat(AT_FDCWD, "dir/fifo", O_WRONLY)));
        reader.join();
    });
    CHECK(lines == Lines{"chdir = 0", "mkfifo = 0", "chmod = 0", "setresuid = 0", "write = 0"});
    CHECK(::prctl(PR_GET_DUMPABLE) == before);
}

TEST_CASE("what /proc/self and /dev/fd mean") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    same([](Log& log) {
        const int fd = ::openat(AT_FDCWD, "file", O_RDWR);
        const std::string own = "/proc/self/fd/" + std::to_string(fd);
        const std::string device = "/dev/fd/" + std::to_string(fd);
        log.say(std::to_string(link_text("/proc/self") == std::to_string(::getpid())));
        log.say(std::to_string(link_text(own.c_str()).find("/file") != std::string::npos));
        for (const std::string& path : {own, device, std::string{"/proc/self/cwd/file"}, std::string{"/proc/self/exe"},
                                        std::string{"/proc/self/root/etc/passwd"}, std::string{"/proc/self/status"},
                                        std::string{"/proc/self/fd/99"}}) {
            const long opened = log.note(path, ::openat(AT_FDCWD, path.c_str(), O_RDONLY));
            if (opened >= 0) ::close(static_cast<int>(opened));
        }
        std::string thread;
        long id = 0;
        std::thread{[&] {
            thread = link_text("/proc/thread-self");
            id = ::syscall(SYS_gettid);
        }}.join();
        log.say(std::to_string(thread == std::to_string(::getpid()) + "/task/" + std::to_string(id)));
    });
}

TEST_CASE("places that are opened only") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const auto function = [](Log& log) {
        struct stat status;
        for (const char* path : {"dir", "to_dir", "file", "dir/inner", "missing", "file/x", "loop"})
            for (const int flags : {0, int{O_NOFOLLOW}, int{O_DIRECTORY}}) {
                const int fd = ::openat(AT_FDCWD, path, O_PATH | O_CLOEXEC | flags);
                log.note(path, fd);
                if (fd < 0) continue;
                log.note("stat", ::fstat(fd, &status));
                log.note("flags", ::fcntl(fd, F_GETFL) & O_PATH);
                log.note("inner", ::faccessat(fd, "inner", F_OK, 0));
                ::close(fd);
            }
        open_how how{};
        how.flags = O_PATH;
        log.note("openat2", ::syscall(SYS_openat2, AT_FDCWD, "file", &how, sizeof how));
    };
    CHECK(support::results(sg::Sandbox{support::performed}, function) ==
          support::results(sg::Sandbox{support::native}, function));

    support::results(sg::Sandbox{support::decided}, [](Log& log) {
        CHECK(log.note("a file", ::openat(AT_FDCWD, "file", O_PATH)) == -1);
        CHECK(errno == EOPNOTSUPP);
        CHECK(log.note("a link", ::openat(AT_FDCWD, "to_file", O_PATH | O_NOFOLLOW)) == -1);
        CHECK(errno == EOPNOTSUPP);
        const int directory = ::openat(AT_FDCWD, "dir", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0 || ::faccessat(directory, "inner", F_OK, 0) != 0) ::_exit(1);
    });
}

TEST_CASE("a structure of which a handler has seen the beginning is performed as a whole") {
    constexpr sg::Policy policy{sg::Rule<SYS_openat2>{}.handle([](const sg::Call<SYS_openat2>& call) -> sg::Verdict {
                                    const auto flags = call.read<std::uint64_t>(arg::how);
                                    return flags && *flags == O_RDONLY ? call.perform() : call.deny(EPERM);
                                }),
                                sg::otherwise.allow()};
    const Lines lines = support::results(sg::Sandbox{policy}, [](Log& log) {
        struct Larger {
            open_how how{};
            std::uint64_t more = 0;
        } larger;
        log.note("24 bytes", ::syscall(SYS_openat2, AT_FDCWD, "file", &larger, 24));
        log.note("32 bytes", ::syscall(SYS_openat2, AT_FDCWD, "file", &larger, 32));
        larger.more = 1;
        log.note("more than the kernel knows", ::syscall(SYS_openat2, AT_FDCWD, "file", &larger, 32));
        larger.how.resolve = RESOLVE_NO_SYMLINKS;
        log.note("resolved", ::syscall(SYS_openat2, AT_FDCWD, "to_file", &larger, 24));
        log.note("4 bytes", ::syscall(SYS_openat2, AT_FDCWD, "file", &larger, 4));
    });
    CHECK(lines == Lines{"chdir = 0", "24 bytes = 3", "32 bytes = 4", "more than the kernel knows = E2BIG",
                         "resolved = ELOOP", "4 bytes = EPERM"});
}

TEST_CASE("values of attributes that a structure leads to") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    same([](Log& log) {
        struct Args {
            const void* value;
            std::uint32_t size;
            std::uint32_t flags;
        };
        std::string value(3000, 'v');
        std::string room(70000, 0);
        const auto set = [&](const void* from, std::uint32_t size, std::uint32_t flags = 0) {
            const Args args{from, size, flags};
            log.note("set", ::syscall(sg::sys::setxattrat, AT_FDCWD, "file", 0, "user.x", &args, sizeof args));
        };
        const auto get = [&](void* to, std::uint32_t size) {
            const Args args{to, size, 0};
            log.note("get", ::syscall(sg::sys::getxattrat, AT_FDCWD, "to_file", 0, "user.x", &args, sizeof args));
        };
        auto* const nowhere = reinterpret_cast<void*>(8);
        set(value.data(), 3000);
        for (const std::uint32_t size : {0U, 1U, 2999U, 3000U, 3001U, 65536U, 70000U, 0xffffffffU}) {
            room.assign(room.size(), 0);
            get(room.data(), size);
            log.say(std::string{room.c_str()} == value ? "all" : room[0] == 0 ? "nothing" : "some");
        }
        get(nowhere, 3000);
        get(nullptr, 3000);
        get(nullptr, 0);
        set(value.data(), 10, XATTR_CREATE);
        set(value.data(), 10, 77);
        set(nowhere, 10);
        set(nullptr, 10);
        set(value.data(), 65537);
        set(value.data(), 0xffffffff, 77);
        set(value.data(), 0);
        get(room.data(), 10);
    });
}

TEST_CASE("a path that is left out is its descriptor") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    same([](Log& log) {
        struct stat status {};
        const timespec times[] = {{5, 0}, {7, 0}};
        const int fd = ::openat(AT_FDCWD, "file", O_RDONLY);
        log.note("futimens", ::futimens(fd, times));
        log.note("stat", ::fstatat(fd, "", &status, AT_EMPTY_PATH));
        log.say(std::to_string(status.st_mtim.tv_sec));
        log.note("null", ::syscall(SYS_newfstatat, fd, nullptr, &status, AT_EMPTY_PATH));
        log.note("null, without the flag", ::syscall(SYS_newfstatat, fd, nullptr, &status, 0));
        log.note("neither", ::syscall(SYS_utimensat, AT_FDCWD, nullptr, times, 0));
        log.note("no such descriptor", ::syscall(SYS_utimensat, 99, nullptr, times, 0));
    });
}

TEST_CASE("who makes a file grow beyond the limit is told by a signal, and by the error") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    same([](Log& log) {
        static volatile sig_atomic_t signals = 0;
        ::signal(SIGXFSZ, [](int) { signals = signals + 1; });
        const rlimit limit{4096, 4096};
        log.note("setrlimit", ::setrlimit(RLIMIT_FSIZE, &limit));
        log.note("up to it", ::truncate("file", 4096));
        log.note("beyond it", ::truncate("file", 4097));
        log.say(std::to_string(signals));
        const int fd = ::openat(AT_FDCWD, "file", O_RDWR);
        log.note("beyond it, by descriptor", ::ftruncate(fd, 4097));
        log.say(std::to_string(signals));
        ::signal(SIGXFSZ, SIG_IGN);
        log.note("with the signal ignored", ::truncate("file", 4097));
    });
    for (const sg::Sandbox& box : {sg::Sandbox{support::native}, sg::Sandbox{support::performed}}) {
        const support::Scratch scratch;
        support::populate(scratch);
        const auto called = box.call([file = scratch / "file"] {
            const rlimit limit{4096, 4096};
            ::setrlimit(RLIMIT_FSIZE, &limit);
            ::truncate(file.c_str(), 4097);
        });
        CHECK(called.outcome().kind() == sg::Outcome::Kind::signalled);
        CHECK(called.outcome().signal() == SIGXFSZ);
    }
}
