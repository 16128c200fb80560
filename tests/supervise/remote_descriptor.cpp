#include <sysguard/filter/install.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/reach.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
using sg::Rule;

TEST_CASE("the process of a thread") {
    CHECK(sg::supervise::process_of(static_cast<pid_t>(::syscall(SYS_gettid))) == ::getpid());
    CHECK(sg::supervise::process_of(0) == -1);
    CHECK(sg::supervise::process_of(-5) == -1);
}

TEST_CASE("a thread may have a table of descriptors of its own") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
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

TEST_CASE("a host that may not have descriptors performs calls on directories' all the same, and refuses all others") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    static constexpr sg::Policy container{Rule<SYS_pidfd_getfd>{}.deny(EPERM), sg::otherwise.allow()};
    const std::string said = support::in_fork([] {
        sg::filter::install(container.program());
        const sg::Policy policy{
            Rule<SYS_faccessat>{}.handle([](const sg::Call<SYS_faccessat>& call) { return call.perform(); }),
            Rule<SYS_fchmod>{}.handle([](const sg::Call<SYS_fchmod>& call) { return call.perform(); }),
            Rule<SYS_connect>{}.handle([](const sg::Call<SYS_connect>& call) { return call.perform(); }),
            sg::otherwise.allow(),
        };
        const auto result = sg::Sandbox{policy}.call([] {
            const auto made = [](long outcome) { return outcome < 0 ? std::to_string(errno) + " " : "0 "; };
            const int root = ::open("/", O_RDONLY | O_DIRECTORY);
            const int null = ::open("/dev/null", O_RDONLY);
            const sockaddr_in nowhere{AF_INET, 0, {}, {}};
            const int client = ::socket(AF_INET, SOCK_STREAM, 0);
            std::string text = made(::syscall(SYS_faccessat, root, "dev", F_OK));
            text += made(::syscall(SYS_faccessat, root, "missing", F_OK));
            text += made(::syscall(SYS_faccessat, null, "dev", F_OK));
            text += made(::syscall(SYS_faccessat, 999, "dev", F_OK));
            text += made(::syscall(SYS_faccessat, 999, "/dev", F_OK));
            text += made(::fchmod(root, 0755));
            text += made(::connect(client, reinterpret_cast<const sockaddr*>(&nowhere), sizeof nowhere));
            return text;
        });
        return result ? *result : result.explain();
    });
    CHECK(said == "0 2 1 9 0 1 1 ");
}
