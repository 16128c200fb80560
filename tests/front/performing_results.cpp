#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/reach.hpp"
#include "support/skip.hpp"
#include "support/supervised.hpp"

/// What a worker has of a call that was performed for it, as soon as it goes on.
namespace sg = sysguard;
using sg::Call;
using sg::Rule;

namespace {

constexpr sg::Policy performing{Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) { return call.perform(); }),
                                Rule<SYS_sendto>{}.handle([](const Call<SYS_sendto>& call) { return call.perform(); }),
                                sg::otherwise.allow()};

/// Returns the exit code, or errno where it cannot be executed.
int execute(const char* program) {
    const pid_t child = ::vfork();
    if (child == 0) {
        ::execl(program, program, nullptr);
        ::_exit(errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("what a worker has opened is open nowhere else when it goes on: it can be executed as soon as it is closed") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int many = 300;
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string program = place.path + "/program";
    std::filesystem::copy_file(support::helper("noop"), program);
    const auto called = sg::Sandbox{performing}.call([&program] {
        int executed = 0;
        for (int i = 0; i < many; ++i) {
            ::close(::open(program.c_str(), O_WRONLY));
            executed += execute(program.c_str()) == 0;
        }
        return executed;
    });
    CAPTURE(called.explain());
    CHECK(*called == many);
}

TEST_CASE("a worker that ends while others of it open files: none of those is told of a descriptor that it has not") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string file = place.file("file", "x");
    const support::Shared<std::atomic<int>> wrong;
    const support::Shared<std::atomic<int>> opened;
    const sg::Sandbox box{performing};
    for (int round = 0; round < 40; ++round) {
        const auto called = box.call([&] {
            for (int i = 0; i < 3; ++i)
                if (::fork() == 0)
                    for (;;) {
                        const int fd = ::open(file.c_str(), O_RDONLY);
                        ++*(fd == 0 ? wrong : opened);
                        if (fd > 0) ::close(fd);
                    }
            const int before = *opened;
            while (*opened < before + 5) ::usleep(100);
        });
        REQUIRE(called);
    }
    CHECK(*wrong == 0);
    CHECK(*opened > 0);
}

TEST_CASE("a payload that is nowhere is an error, on streams as on datagrams") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const auto called = sg::Sandbox{performing}.call([] {
        std::vector<int> results;
        for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
            int ends[2];
            if (::socketpair(AF_UNIX, type, 0, ends) != 0) return results;
            results.push_back(::sendto(ends[0], nullptr, 10, 0, nullptr, 0) < 0 ? errno : 0);
            results.push_back(::sendto(ends[0], nullptr, 0, 0, nullptr, 0) < 0 ? errno : 0);
        }
        return results;
    });
    REQUIRE(called);
    CHECK(*called == std::vector<int>{EFAULT, 0, EFAULT, 0, EFAULT, 0});
}
