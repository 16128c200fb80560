#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <string>
#include <thread>

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/skip.hpp"

namespace sg = sysguard;
using sg::Rule;

TEST_CASE("the process of a thread") {
    CHECK(sg::supervise::process_of(static_cast<pid_t>(::syscall(SYS_gettid))) == ::getpid());
    CHECK(sg::supervise::process_of(0) == -1);
    CHECK(sg::supervise::process_of(-5) == -1);
}

TEST_CASE("a thread may have a table of descriptors of its own") {
    const sg::process::Descriptor self{static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), O_EXCL))};
    if (!self) SYSGUARD_SKIP("this kernel has no pidfds for threads (Linux 6.9)");
    bool right = false;
    const sg::Policy policy{Rule<SYS_fsync>{}.handle([&](const sg::Call<SYS_fsync>& call) {
                                const sg::process::Descriptor fd = call.fd(sg::arg::fd);
                                char text[8] = {};
                                right = ::pread(fd.get(), text, 6, 0) == 6 && std::string{text} == "of own";
                                return call.fake(0);
                            }),
                            sg::otherwise.allow()};
    const auto result = sg::Sandbox{policy}.call([] {
        const int fd = static_cast<int>(::syscall(SYS_memfd_create, "shared", 0));
        if (::write(fd, "of all", 6) != 6) return 1;
        int error = 0;
        std::thread{[&] {
            error = ::unshare(CLONE_FILES);
            const int own = static_cast<int>(::syscall(SYS_memfd_create, "own", 0));
            if (::write(own, "of own", 6) != 6 || ::dup2(own, fd) < 0) error = 2;
            if (::syscall(SYS_fsync, fd) != 0) error = 3;
        }}.join();
        return error;
    });
    CHECK(*result == 0);
    CHECK(right);
}
