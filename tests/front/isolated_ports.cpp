#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/attempts.hpp"
#include "support/sockets.hpp"
#include "support/workers.hpp"

/// Workers that reach the TCP ports that they are given, and no others. Loopback only.
namespace sg = sysguard;
using support::anything;
using support::errno_of;

namespace {

constexpr int protocol_mptcp = 262;

std::uint16_t port_of(const sockaddr_in& address) {
    return ntohs(address.sin_port);
}

int in_worker(const sg::Sandbox& box, int (*act)(sockaddr_in), const sockaddr_in& address = support::loopback()) {
    const sg::Result<int> result = box.call([&] { return act(address); });
    CAPTURE(result.explain());
    REQUIRE(result);
    return *result;
}

int connect_by(int protocol, const sockaddr_in& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);
    return fd < 0 ? errno : errno_of(::connect(fd, support::plain(&address), sizeof address));
}

int connect_to(sockaddr_in address) {
    return connect_by(0, address);
}

int bind_to(sockaddr_in address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : errno_of(::bind(fd, support::plain(&address), sizeof address));
}

/// Connects with the first data.
template <int number>
int send_to(sockaddr_in address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char data[] = "x";
    iovec piece{data, 1};
    mmsghdr message{};
    message.msg_hdr.msg_name = &address;
    message.msg_hdr.msg_namelen = sizeof address;
    message.msg_hdr.msg_iov = &piece;
    message.msg_hdr.msg_iovlen = 1;
    if (number == SYS_sendto)
        return errno_of(::sendto(fd, data, 1, MSG_FASTOPEN, support::plain(&address), sizeof address));
    if (number == SYS_sendmsg) return errno_of(::sendmsg(fd, &message.msg_hdr, MSG_FASTOPEN));
    return errno_of(::sendmmsg(fd, &message, 1, MSG_FASTOPEN));
}

}  // namespace

TEST_CASE("connecting to ports") {
    SYSGUARD_NEED_LANDLOCK(tcp_ports);
    const support::Receiver one{SOCK_STREAM};
    const support::Receiver other{SOCK_STREAM};
    const sg::Sandbox free{anything};
    const sg::Sandbox box{anything, {.network = sg::Network::tcp({.connect = {port_of(one.address)}})}};
    CHECK(in_worker(free, connect_to, other.address) == 0);
    CHECK(in_worker(box, connect_to, other.address) == EACCES);
    CHECK(in_worker(box, connect_to, one.address) == 0);
    CHECK(in_worker(box, bind_to) == EACCES);
    const sg::Sandbox none{anything, {.network = sg::Network::tcp({})}};
    CHECK(in_worker(none, connect_to, one.address) == EACCES);
}

TEST_CASE("binding to ports") {
    SYSGUARD_NEED_LANDLOCK(tcp_ports);
    const sockaddr_in address = support::Receiver{SOCK_STREAM}.address;  // free again
    CHECK(in_worker(sg::Sandbox{anything}, bind_to, address) == 0);
    CHECK(in_worker(sg::Sandbox{anything, {.network = sg::Network::tcp({.bind = {port_of(address)}})}}, bind_to,
                    address) == 0);
    const sg::Sandbox any_port{anything, {.network = sg::Network::tcp({.bind = {0}})}};
    CHECK(in_worker(any_port, bind_to, address) == EACCES);
    CHECK(in_worker(any_port, bind_to) == 0);
    CHECK(in_worker(any_port, connect_to, address) == EACCES);
}

TEST_CASE("other ways to a port") {
    SYSGUARD_NEED_LANDLOCK(tcp_ports);
    const support::Receiver receiver{SOCK_STREAM};
    const sg::Sandbox free{anything};
    const sg::Sandbox box{anything, {.network = sg::Network::tcp({.connect = {1}})}};
    const auto by_mptcp = [](sockaddr_in address) { return connect_by(protocol_mptcp, address); };
    const int unguarded = in_worker(free, by_mptcp, receiver.address);
    CHECK((unguarded == 0 || unguarded == EPROTONOSUPPORT || unguarded == ENOPROTOOPT));
    CHECK(in_worker(box, by_mptcp, receiver.address) == EPROTONOSUPPORT);
    for (const auto send : {send_to<SYS_sendto>, send_to<SYS_sendmsg>, send_to<SYS_sendmmsg>}) {
        const int sent = in_worker(free, send, receiver.address);
        CHECK((sent == 0 || sent == EOPNOTSUPP));  // net.ipv4.tcp_fastopen
        CHECK(in_worker(box, send, receiver.address) == EOPNOTSUPP);
    }
    CHECK(in_worker(
              box,
              [](sockaddr_in address) {
                  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                  const int on = 1;
                  ::setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on);
                  return errno_of(::connect(fd, support::plain(&address), sizeof address));
              },
              receiver.address) == EACCES);
    CHECK(in_worker(box, [](sockaddr_in) {
              const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
              return errno_of(::setsockopt(fd, IPPROTO_TCP, TCP_ULP, "smc", 3));
          }) == EOPNOTSUPP);
    CHECK(in_worker(box, [](sockaddr_in) { return errno_of(::socket(43, SOCK_STREAM | SOCK_CLOEXEC, 0)); }) ==
          EPROTONOSUPPORT);
    CHECK(in_worker(box, [](sockaddr_in) {
              char parameters[120] = {};
              return errno_of(static_cast<long>(::syscall(sg::sys::io_uring_setup, 1, parameters)));
          }) == EPERM);
}

TEST_CASE("what has nothing to do with TCP ports goes on as before") {
    SYSGUARD_NEED_LANDLOCK(tcp_ports);
    const support::Receiver receiver{SOCK_DGRAM};
    const sg::Sandbox box{anything, {.network = sg::Network::tcp({})}};
    CHECK(in_worker(
              box,
              [](sockaddr_in address) {
                  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                  return errno_of(::sendto(fd, "x", 1, 0, support::plain(&address), sizeof address));
              },
              receiver.address) == 0);
    CHECK(in_worker(box, [](sockaddr_in) {
              int ends[2];
              if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno;
              const int on = 1;
              if (::setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return errno;
              return errno_of(::send(ends[0], "x", 1, MSG_NOSIGNAL));
          }) == 0);
    CHECK(box.run({support::helper("noop")}));
}

TEST_CASE("a policy's own rules for these calls still hold") {
    SYSGUARD_NEED_LANDLOCK(tcp_ports);
    namespace arg = sysguard::arg;
    constexpr static sg::Policy policy{sg::Rule<SYS_socket>{arg::domain == AF_INET6}.deny(EXFULL),
                                       sg::Rule<SYS_sendto>{}.deny(EBADE), sg::otherwise.allow()};
    const support::Receiver receiver{SOCK_STREAM};
    const sg::Sandbox box{policy, {.network = sg::Network::tcp({.connect = {port_of(receiver.address)}})}};
    CHECK(in_worker(box, [](sockaddr_in) { return errno_of(::socket(AF_INET6, SOCK_STREAM, 0)); }) == EXFULL);
    CHECK(in_worker(box, connect_to, receiver.address) == 0);
    CHECK(in_worker(box, [](sockaddr_in) { return errno_of(::sendto(0, nullptr, 0, 0, nullptr, 0)); }) == EBADE);
}
