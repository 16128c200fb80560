#include <sysguard/cgroup.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/cgroups.hpp"
#include "support/escapes.hpp"
#include "support/helpers.hpp"

/// Attempts to use more than the limits allow, and to leave what holds to them.
namespace sg = sysguard;
using namespace support;
using sg::operator""_MiB;

namespace {

/// Makes an attempt without a sandbox, where it succeeds, then with limits: in the host's namespaces, in others, and in
/// a private root.
template <class Act>
void show_limited(Act act, sg::Limits limits, const sg::Cgroup& cgroup = {}) {
    {
        const Scene scene;
        const int result = without_sandbox([&] { return act(scene); });
        if (result == not_here) SYSGUARD_SKIP("this cannot be tried here as this user, without a sandbox either");
        CHECK(result == 0);
    }
    int tried = 0;
    for (const Held held : {by_sandbox, by_spaces, by_root}) {
        const std::string holding = name(held);
        CAPTURE(holding);
        const Scene scene;
        sg::Options options = options_of(held, scene);
        options.limits = limits;
        options.cgroup = cgroup;
        try {
            const sg::Sandbox box{anything, options};
            auto result = box.call([&] { return act(scene); });
            // Of processes the kernel counts all of the user's: as many more as others have ended meanwhile can be
            // started.
            for (int again = 0; limits.processes && result && *result == 0 && again < 10; ++again)
                result = box.call([&] { return act(scene); });
            CAPTURE(result.explain());
            ++tried;
            if (result)
                CHECK(*result != 0);
            else  // killed, but not by mistake
                CHECK((result.outcome().kind() == sg::Outcome::Kind::out_of_memory ||
                       result.outcome().kind() == sg::Outcome::Kind::timed_out));
        } catch (const sg::Error& error) {
            std::printf("%s cannot be tried here: %s\n", holding.c_str(), error.what());
        }
    }
    if (tried == 0) SYSGUARD_SKIP("nothing that would hold it is offered here");
}

constexpr int bomb = 150;

/// Starts processes until it cannot, all of which wait for it. Returns the error that was met, or 0.
int start_all() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
    int error = 0;
    for (int i = 0; i < bomb && error == 0; ++i) {
        const pid_t child = ::fork();
        if (child < 0) error = errno;
        if (child != 0) continue;
        ::close(ends[1]);
        char byte;
        static_cast<void>(::read(ends[0], &byte, 1));
        ::_exit(0);
    }
    ::close(ends[1]);
    while (::wait(nullptr) > 0) {
    }
    return error;
}

}  // namespace

TEST_CASE("start more processes than allowed") {
    show_limited([](const Scene&) { return start_all(); }, {.processes = 20});
}

TEST_CASE("start more processes from a namespace of users of its own") {
    show_limited(
        [](const Scene&) {
            static_cast<void>(enter_namespaces(0));
            return start_all();
        },
        {.processes = 20});
}

TEST_CASE("start more processes than allowed, in a cgroup") {
    SYSGUARD_NEED_SUBTREE(subtree);
    SYSGUARD_NEED_CONTROLLER(subtree, "pids");
    show_limited([](const Scene&) { return start_all(); }, {.processes = 20}, subtree.option());
}

namespace {

constexpr std::size_t much = 96_MiB;

/// Takes memory, and writes to all of it.
int use_memory() {
    void* const memory = ::mmap(nullptr, much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return errno;
    std::memset(memory, 1, much);
    return 0;
}

}  // namespace

#ifndef SYSGUARD_SANITIZED  // which takes more address space than any limit
TEST_CASE("use more memory than allowed") {
    show_limited([](const Scene&) { return use_memory(); }, {.memory = 64_MiB});
}

TEST_CASE("use more memory than allowed after lifting the limit") {
    show_limited(
        [](const Scene&) {
            const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
            ::setrlimit(RLIMIT_AS, &none);
            ::prlimit(0, RLIMIT_AS, &none, nullptr);
            if (enter_namespaces(0) == 0) ::setrlimit(RLIMIT_AS, &none);
            return use_memory();
        },
        {.memory = 64_MiB});
}
#endif

TEST_CASE("use more memory than allowed, spread over processes, in a cgroup") {
    SYSGUARD_NEED_SUBTREE(subtree);
    SYSGUARD_NEED_CONTROLLER(subtree, "memory");
    show_limited(
        [](const Scene&) {
            int ends[2];
            if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
            for (int i = 0; i < 4; ++i)
                if (::fork() == 0) {
                    ::close(ends[1]);
                    const int error = use_memory();
                    char byte;
                    static_cast<void>(::read(ends[0], &byte, 1));
                    ::_exit(error);
                }
            ::usleep(500'000);
            ::close(ends[1]);
            int all = 0;
            for (int status = 0; ::wait(&status) > 0;) all |= status;
            return all;
        },
        {.memory = 200_MiB}, subtree.option());
}

namespace {

/// Mounts the control files of its own cgroup in namespaces of its own, writes there that it may have cgroups below
/// it, and makes one.
int lift_own_limits(const Scene& scene) {
    if (const int error = enter_namespaces(CLONE_NEWNS | CLONE_NEWCGROUP); error != 0) return error;
    const std::string at = scene.in() + "/cgroup";
    ::mkdir(at.c_str(), 0700);
    if (::mount("cgroup2", at.c_str(), "cgroup2", 0, nullptr) != 0) return errno;
    const int limit = ::open((at + "/cgroup.max.descendants").c_str(), O_WRONLY | O_CLOEXEC);
    if (limit < 0 || ::write(limit, "9", 1) != 1) return errno;
    if (::mkdir((at + "/more").c_str(), 0700) != 0) return errno;
    ::rmdir((at + "/more").c_str());
    return 0;
}

}  // namespace

TEST_CASE("write to the files of its own cgroup's limits, in namespaces of its own") {
    SYSGUARD_NEED_SUBTREE(subtree);
    {
        const Scene scene;
        const std::string limited = subtree.path() + "/limited";
        REQUIRE(::mkdir(limited.c_str(), 0700) == 0);
        const sg::process::Descriptor directory{::open(limited.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        REQUIRE(sg::process::detail::write_file(directory.get(), "cgroup.max.descendants", "0") == 0);
        const int result = without_sandbox([&] {
            const int error = sg::process::detail::write_file(directory.get(), "cgroup.procs", "0");
            return error != 0 ? error : lift_own_limits(scene);
        });
        CHECK(eventually([&] { return ::rmdir(limited.c_str()) == 0; }));
        if (result == EPERM || result == EACCES)
            SYSGUARD_SKIP("this machine refuses it to this user without a sandbox, too");
        CHECK(result == 0);
    }
    const Scene scene;
    const sg::Sandbox box{anything, {.cgroup = subtree.option()}};
    const auto result = box.call([&] { return lift_own_limits(scene); });
    REQUIRE(result);
    CHECK(*result == EAGAIN);
}

TEST_CASE("write more to a file than allowed") {
    show_limited(
        [](const Scene& scene) {
            ::signal(SIGXFSZ, SIG_IGN);
            const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
            ::setrlimit(RLIMIT_FSIZE, &none);
            const int fd = ::open((scene.in() + "/file").c_str(), O_WRONLY | O_CLOEXEC);
            return fd < 0 ? errno : errno_of(::ftruncate(fd, 4 << 20));
        },
        {.file_size = 1_MiB});
}

TEST_CASE("open more files than allowed") {
    show_limited(
        [](const Scene&) {
            const rlimit more{512, 512};
            ::setrlimit(RLIMIT_NOFILE, &more);
            return errno_of(::fcntl(0, F_DUPFD_CLOEXEC, 500));
        },
        {.open_files = 64});
}

TEST_CASE("write more to a private root's memory than allowed") {
    const Scene scene;
    const auto box = box_of(by_root, scene);
    if (!box) SYSGUARD_SKIP("a private root is not offered here");
    const auto fill = [](const std::string& path) {
        const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        return fd < 0 ? errno : ::posix_fallocate(fd, 0, 4 << 20);
    };
    CHECK(without_sandbox([&] { return fill(scene.in() + "/large"); }) == 0);
    for (const char* const path : {"/tmp/large", "/dev/large", "/large", "/dev/shm/large"}) {
        CAPTURE(path);
        const auto result = box->call([&] { return fill(path); });
        CAPTURE(result.explain());
        REQUIRE(result);
        CHECK(*result != 0);
    }
}

TEST_CASE("leave the cgroup") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const auto leave = [&] {
        const sg::process::Descriptor file{::open((subtree.path() + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC)};
        return file ? errno_of(::write(file.get(), "0", 1)) : errno;
    };
    const pid_t child = ::fork();
    if (child == 0) ::_exit(leave());
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    int tried = 0;
    for (const Held held : {by_rules, by_files, by_root}) {
        const std::string holding = name(held);
        CAPTURE(holding);
        const Scene scene;
        sg::Options options = options_of(held, scene);
        options.cgroup = subtree.option();
        try {
            const sg::Sandbox box =
                held == by_rules ? sg::Sandbox{plain_rules, options} : sg::Sandbox{anything, options};
            const auto result = box.call(leave);
            CAPTURE(result.explain());
            REQUIRE(result);
            CHECK(*result != 0);
            ++tried;
        } catch (const sg::Error& error) {
            std::printf("%s cannot be tried here: %s\n", holding.c_str(), error.what());
        }
    }
    if (tried == 0) SYSGUARD_SKIP("nothing that would hold it is offered here");
}
