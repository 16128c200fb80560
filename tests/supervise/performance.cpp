#include <sysguard/policy.hpp>
#include <sysguard/supervise/performance.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"
#include "support/reach.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
using sg::supervise::Pending;
using sg::supervise::Performance;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_openat>{}.kill(), sg::Rule<SYS_mkdirat>{}.kill(),
                            sg::Rule<SYS_newfstatat>{}.kill(), sg::Rule<SYS_sendto>{}.kill(), sg::otherwise.allow()};

bool has_ended(const Performance& performance) {
    pollfd source{performance.task_fd(), POLLIN, 0};
    return ::poll(&source, 1, 60000) == 1;
}

std::unique_ptr<Performance> start(Supervised& process) {
    auto performance = std::make_unique<Performance>(process.receive());
    performance->prepare();
    CHECK(performance->start() == 0);
    return performance;
}

/// What a process ends with, one call of which is performed.
template <class Body>
int performed(Body&& body) {
    Supervised process{policy.program(), body};
    const auto performance = start(process);
    CHECK(has_ended(*performance));
    performance->finish();
    return process.exit_code();
}

/// Waits until the task sleeps in the call that it performs.
bool hangs(const Performance& performance, const support::Performers& performers) {
    return support::eventually([&] { return performers.waiting() == 1; }) && performance.task_fd() >= 0;
}

}  // namespace

TEST_CASE("a result, an error, what the call writes, and a descriptor") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    const support::Leftovers nothing;
    const support::Workplace place;
    const std::string directory = place.path + "/made";
    const std::string file = place.file("file", "text");
    CHECK(performed([&] { return ::syscall(SYS_mkdirat, AT_FDCWD, directory.c_str(), 0700) == 0 ? 0 : errno; }) == 0);
    CHECK(performed([&] { return ::syscall(SYS_mkdirat, AT_FDCWD, directory.c_str(), 0700) == 0 ? 0 : errno; }) ==
          EEXIST);
    struct stat status {};
    CHECK(::stat(directory.c_str(), &status) == 0);
    CHECK(performed([&] {
              struct stat seen {};
              if (::syscall(SYS_newfstatat, AT_FDCWD, file.c_str(), &seen, 0) != 0) return errno;
              return static_cast<int>(seen.st_size);
          }) == 4);
    CHECK(performed([&] {
              char text[8] = {};
              const auto fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, file.c_str(), O_RDONLY | O_CLOEXEC, 0));
              if (::read(fd, text, sizeof text) != 4 || std::string{text} != "text") return 1;
              return ::fcntl(fd, F_GETFD) == FD_CLOEXEC ? 0 : 2;
          }) == 0);
}

TEST_CASE("a success is not said where what it wrote did not arrive") {
    CHECK(performed([] { return ::syscall(SYS_newfstatat, AT_FDCWD, "/", 8L, 0) == 0 ? 0 : errno; }) == EFAULT);
}

TEST_CASE("who sends where nobody listens gets the signal for it") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    ::close(ends[1]);
    const auto send = [&](int flags) {
        return performed([&] { return ::syscall(SYS_sendto, ends[0], "x", 1L, flags, nullptr, 0) == 1 ? 0 : errno; });
    };
    CHECK(send(0) == -SIGPIPE);
    CHECK(send(MSG_NOSIGNAL) == EPIPE);
    ::close(ends[0]);
}

TEST_CASE("one that hangs is ended, and nothing of it is left") {
    const support::Leftovers nothing;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    Supervised process{policy.program(), [&] { return ::open(fifo.c_str(), O_RDONLY) >= 0 ? 0 : errno; }};
    const support::Performers performers;
    auto performance = start(process);
    CHECK(hangs(*performance, performers));
    CHECK_FALSE(performance->is_vain());

    SUBCASE("because its process died") {
        ::kill(process.pid, SIGKILL);
        CHECK(process.exit_code() == -SIGKILL);
        CHECK(performance->is_vain());
        performance->kill();
        CHECK(has_ended(*performance));
        performance->finish();
    }
    SUBCASE("because nobody wants it any more") {
        performance.reset();
        CHECK_FALSE(performers.any());
    }
    SUBCASE("and when somebody kills its task, the call fails") {
        performance->kill();
        CHECK(has_ended(*performance));
        performance->finish();
        CHECK(process.exit_code() == EPERM);
    }
    SUBCASE("while the process is given another answer") {
        performance->refuse(ENOLINK);
        CHECK(process.exit_code() == ENOLINK);
        CHECK(performance->is_vain());
        performance->abandon();
    }
}

TEST_CASE("one that was never started holds nothing") {
    const support::Leftovers nothing;
    Supervised process{policy.program(), [] { return ::syscall(SYS_mkdirat, AT_FDCWD, "/", 0) == 0 ? 0 : errno; }};
    {
        Performance performance{process.receive()};
        performance.prepare();
        CHECK(performance.task_fd() < 0);
        performance.refuse(EDOM);
    }
    CHECK(process.exit_code() == EDOM);
}

TEST_CASE("a host without room for the task's handle is told") {
    Supervised process{policy.program(), [] { return ::syscall(SYS_mkdirat, AT_FDCWD, "/", 0) == 0 ? 0 : errno; }};
    {
        Performance performance{process.receive()};
        performance.prepare();
        rlimit before{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
        const rlimit tight{static_cast<rlim_t>(process.listener.fd() + 1), before.rlim_max};
        int filler[64];
        for (int& fd : filler) fd = ::dup(0);
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
        const int error = performance.start();
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
        for (const int fd : filler) ::close(fd);
        CHECK(error == EMFILE);
        performance.refuse(error);
    }
    CHECK(process.exit_code() == EMFILE);
}
