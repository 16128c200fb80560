#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <string>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/attempts.hpp"
#include "support/sockets.hpp"
#include "support/workers.hpp"

/// Workers that reach nobody but themselves by abstract sockets and signals.
namespace sg = sysguard;
using support::anything;
using support::errno_of;

namespace {

support::UnixAddress abstract_address(const char* name) {
    return support::UnixAddress{std::string(1, '\0') + "sysguard." + std::to_string(::getpid()) + "." + name};
}

template <class F>
int in_worker(const sg::Sandbox& box, F&& act) {
    const sg::Result<int> result = box.call(act);
    CAPTURE(result.explain());
    REQUIRE(result);
    return *result;
}

int connect_to(const support::UnixAddress& address) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return errno_of(::connect(fd, support::plain(&address.address), address.size));
}

int send_to(const support::UnixAddress& address) {
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return errno_of(::sendto(fd, "x", 1, 0, support::plain(&address.address), address.size));
}

int listen_at(const support::UnixAddress& address) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return errno_of(::bind(fd, support::plain(&address.address), address.size)) | errno_of(::listen(fd, 1));
}

}  // namespace

TEST_CASE("abstract sockets of others") {
    SYSGUARD_NEED_LANDLOCK(scopes);
    const support::UnixAddress stream_address = abstract_address("stream");
    const support::UnixAddress datagram_address = abstract_address("datagram");
    const sg::process::Descriptor stream = support::open_socket(AF_UNIX, SOCK_STREAM);
    const sg::process::Descriptor datagram = support::open_socket(AF_UNIX, SOCK_DGRAM);
    REQUIRE(::bind(stream.get(), support::plain(&stream_address.address), stream_address.size) == 0);
    REQUIRE(::listen(stream.get(), 8) == 0);
    REQUIRE(::bind(datagram.get(), support::plain(&datagram_address.address), datagram_address.size) == 0);
    const sg::Sandbox box{anything, {.scopes = {.abstract_sockets = true}}};
    for (const sg::Sandbox& free : {sg::Sandbox{anything}, sg::Sandbox{anything, {.scopes = {.signals = true}}}}) {
        CHECK(in_worker(free, [&] { return connect_to(stream_address); }) == 0);
        CHECK(in_worker(free, [&] { return send_to(datagram_address); }) == 0);
    }
    CHECK(in_worker(box, [&] { return connect_to(stream_address); }) == EPERM);
    CHECK(in_worker(box, [&] { return send_to(datagram_address); }) == EPERM);
    CHECK(in_worker(box, [] {
              const support::UnixAddress own = abstract_address("own");
              return listen_at(own) != 0 ? 1000 : connect_to(own);
          }) == 0);
}

TEST_CASE("signals to others") {
    SYSGUARD_NEED_LANDLOCK(scopes);
    const pid_t host = ::getpid();
    const sg::Sandbox box{anything, {.scopes = {.signals = true}}};
    const auto to_host = [host] { return errno_of(::kill(host, 0)); };
    CHECK(in_worker(sg::Sandbox{anything}, to_host) == 0);
    CHECK(in_worker(sg::Sandbox{anything, {.scopes = {.abstract_sockets = true}}}, to_host) == 0);
    CHECK(in_worker(box, to_host) == EPERM);

    const pid_t victim = ::fork();
    if (victim == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) ::pause();
    }
    CHECK(in_worker(box, [victim] { return errno_of(::kill(victim, SIGKILL)); }) == EPERM);
    CHECK(::waitpid(victim, nullptr, WNOHANG) == 0);
    CHECK(in_worker(sg::Sandbox{anything}, [victim] { return errno_of(::kill(victim, SIGKILL)); }) == 0);
    CHECK(::waitpid(victim, nullptr, 0) == victim);

    CHECK(in_worker(box, [] {
              const pid_t child = ::fork();
              if (child == 0)
                  for (;;) ::pause();
              const int error = errno_of(::kill(child, SIGKILL));
              return ::waitpid(child, nullptr, 0) == child ? error : 1000;
          }) == 0);
}

namespace {

volatile std::sig_atomic_t signals_of_descriptors = 0;

}  // namespace

TEST_CASE("signals that a descriptor sends to others") {
    SYSGUARD_NEED_LANDLOCK(scopes);
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) { signals_of_descriptors = 1; };
    REQUIRE(::sigaction(SIGIO, &action, &before) == 0);
    const auto signal_by_descriptor = [host = ::getpid()] {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno;
        if (::fcntl(ends[0], F_SETOWN, host) != 0 || ::fcntl(ends[0], F_SETFL, O_ASYNC) != 0) return errno;
        return ::write(ends[1], "x", 1) == 1 ? 0 : errno;
    };
    CHECK(in_worker(sg::Sandbox{anything, {.scopes = {.signals = true}}}, signal_by_descriptor) == 0);
    CHECK(in_worker(sg::Sandbox{anything}, [] { return 0; }) == 0);
    CHECK(signals_of_descriptors == 0);
    CHECK(in_worker(sg::Sandbox{anything}, signal_by_descriptor) == 0);
    CHECK(support::eventually([] { return signals_of_descriptors == 1; }));
    ::sigaction(SIGIO, &before, nullptr);
}

TEST_CASE("the host still ends such a worker") {
    SYSGUARD_NEED_LANDLOCK(scopes);
    using namespace std::chrono_literals;
    const sg::Sandbox box{anything, {.scopes = {.abstract_sockets = true, .signals = true}, .limits = {.wall = 200ms}}};
    CHECK(box.run({support::helper("behave"), "sleep"}, {.output = sg::Stdio::null()}).kind() ==
          sg::Outcome::Kind::timed_out);
}
