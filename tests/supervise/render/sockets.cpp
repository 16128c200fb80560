#include "made.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

// Expected texts are what strace 6.1 writes of the same calls.

using rendered::answered;
using rendered::einval;
using rendered::hex;
using rendered::refused;

namespace {

const void* const nowhere = reinterpret_cast<const void*>(8);

std::string connected(const void* address, int length) {
    const std::string text = refused(SYS_connect, {3, address, length});
    constexpr std::size_t before = 11;
    const std::string after = ", " + std::to_string(length) + ")" + einval;
    REQUIRE(text.size() > before + after.size());
    CHECK(text.substr(text.size() - after.size()) == after);
    return text.substr(before, text.size() - before - after.size());
}

}  // namespace

TEST_CASE("sockets of every family, with what their protocol is there") {
    CHECK(refused(SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP}) ==
          "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_TCP)" + einval);
    CHECK(refused(SYS_socket, {AF_NETLINK, SOCK_RAW, 15}) ==
          "socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)" + einval);
    CHECK(refused(SYS_socket, {AF_PACKET, SOCK_RAW, 0x300}) ==
          "socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))" + einval);
    CHECK(refused(SYS_socket, {AF_UNIX, SOCK_SEQPACKET, 3}) == "socket(AF_UNIX, SOCK_SEQPACKET, 3)" + einval);
    CHECK(refused(SYS_socket, {99, 0x4d, 5}) == "socket(0x63 /* AF_??? */, 0x4d /* SOCK_??? */, 5)" + einval);
    CHECK(refused(SYS_socket, {AF_INET, 0x77, 99}) ==
          "socket(AF_INET, 0x77 /* SOCK_??? */, 0x63 /* IPPROTO_??? */)" + einval);
    const int pair[] = {3, 4};
    CHECK(answered(SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, pair}, 0) ==
          "socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0");
}

TEST_CASE("addresses") {
    CHECK(connected("\2\0\x1f\x90\x7f\0\0\1\0\0\0\0\0\0\0", 16) ==
          "{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"127.0.0.1\")}");
    CHECK(connected("\1\0sock.x", 9) == "{sa_family=AF_UNIX, sun_path=\"sock.x\"}");
    CHECK(connected("\1\0\0abs\1", 7) == "{sa_family=AF_UNIX, sun_path=@\"abs\\1\"}");
    CHECK(connected("\1\0", 2) == "{sa_family=AF_UNIX}");
    char six[28] = {10, 0, 0, 80};
    six[23] = 1;
    six[24] = 3;
    CHECK(connected(six, 28) ==
          "{sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, \"::1\", &sin6_addr), "
          "sin6_scope_id=3}");
    CHECK(connected("\20\0\0\0\0\0\0\0\5\0\0", 12) == "{sa_family=AF_NETLINK, nl_pid=0, nl_groups=0x000005}");
    CHECK(connected("\50\0\0\0\120\0\0\0\2\0\0\0\0\0\0", 16) ==
          "{sa_family=AF_VSOCK, svm_cid=VMADDR_CID_HOST, svm_port=0x50, svm_flags=0}");
    CHECK(connected("\21\0\0\3\0\0\0\0\1\0\0\6\1\2\3\4\5\6\0", 20) ==
          "{sa_family=AF_PACKET, sll_protocol=htons(ETH_P_ALL), sll_ifindex=0, sll_hatype=ARPHRD_ETHER, "
          "sll_pkttype=PACKET_HOST, sll_halen=6, sll_addr=[0x1, 0x2, 0x3, 0x4, 0x5, 0x6]}");
    CHECK(connected("\37\0\0\0\0\0\0\0\0", 10) ==
          "{sa_family=AF_BLUETOOTH, rc_bdaddr=00:00:00:00:00:00, rc_channel=0}");
    CHECK(connected("M\0\1\2\3", 5) == "{sa_family=0x4d /* AF_??? */, sa_data=\"\\1\\2\\3\"}");
    CHECK(connected("\2\0\x1f\x90\x7f", 5) == "{sa_family=AF_INET, sa_data=\"\\37\\220\\177\"}");
    CHECK(connected(nowhere, 16) == "0x8");
    CHECK(connected(nullptr, 0) == "NULL");
    CHECK(refused(SYS_connect, {3, "\2", 1}).find("connect(3, 0x") == 0);
}

TEST_CASE("addresses that a call fills in, with their lengths before and after") {
    struct {
        char address[16] = "\2\0\x1f\x90\x7f\0\0\1";
        int length = 128;
    } given;
    struct Shorter final : rendered::render::Source {
        rendered::render::ThreadSource thread{::getpid()};
        const void* length = nullptr;
        bool is_changed = false;
        std::size_t read(std::uint64_t address, void* to, std::size_t size) noexcept override {
            const std::size_t got = thread.read(address, to, size);
            if (is_changed && address == reinterpret_cast<std::uint64_t>(length) && size == 4) {
                const int now = 16;
                std::memcpy(to, &now, 4);
            }
            return got;
        }
    } source;
    source.length = &given.length;
    rendered::TracedCall call = rendered::call_of(SYS_getsockname, {3, given.address, &given.length});
    rendered::render::RenderedCall text{rendered::bare()};
    text.enter(call, source);
    source.is_changed = true;
    call.phase = rendered::TracedCall::Phase::returned;
    text.leave(call, source);
    CHECK(text.line(0) ==
          "getsockname(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"127.0.0.1\")}, [128 => 16]) = "
          "0");
    CHECK(refused(SYS_getpeername, {3, given.address, &given.length}, ENOTCONN) ==
          "getpeername(3, " + hex(given.address) + ", [128]) = -1 ENOTCONN (Transport endpoint is not connected)");
    CHECK(refused(SYS_getsockname, {99, nowhere, nowhere}, EBADF) ==
          "getsockname(99, 0x8, 0x8) = -1 EBADF (Bad file descriptor)");
    CHECK(refused(SYS_accept4, {3, nullptr, nullptr, SOCK_CLOEXEC}) == "accept4(3, NULL, NULL, SOCK_CLOEXEC)" + einval);
}

TEST_CASE("options by their names, values by what they are") {
    int one[2] = {1, 5};
    CHECK(answered(SYS_setsockopt, {3, SOL_SOCKET, SO_REUSEADDR, one, 4}, 0) ==
          "setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0");
    CHECK(answered(SYS_setsockopt, {3, SOL_SOCKET, SO_LINGER, one, 8}, 0) ==
          "setsockopt(3, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8) = 0");
    CHECK(answered(SYS_setsockopt, {3, IPPROTO_TCP, TCP_NODELAY, one, 4}, 0) ==
          "setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0");
    CHECK(refused(SYS_setsockopt, {3, 99, 98, "abcdefgh", 8}) ==
          "setsockopt(3, 0x63 /* SOL_?? */, 98, \"abcdefgh\", 8)" + einval);
    CHECK(refused(SYS_setsockopt, {3, SOL_SOCKET, 999, "\1\0\0\0\0\0\0", 8}) ==
          "setsockopt(3, SOL_SOCKET, 0x3e7 /* SO_??? */, \"\\1\\0\\0\\0\\0\\0\\0\\0\", 8)" + einval);
    int length = 4;
    int error = ECONNREFUSED;
    CHECK(answered(SYS_getsockopt, {3, SOL_SOCKET, SO_ERROR, &error, &length}, 0) ==
          "getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0");
    CHECK(refused(SYS_getsockopt, {3, SOL_SOCKET, SO_ERROR, nowhere, nowhere}, EFAULT) ==
          "getsockopt(3, SOL_SOCKET, SO_ERROR, 0x8, 0x8) = -1 EFAULT (Bad address)");
}

TEST_CASE("messages, with what is sent beside them") {
    char text[] = "one\0two";
    iovec vector{text, 7};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    CHECK(answered(SYS_sendmsg, {3, &message, MSG_NOSIGNAL}, 7) ==
          "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"one\\0two\", iov_len=7}], msg_iovlen=1, "
          "msg_controllen=0, msg_flags=0}, MSG_NOSIGNAL) = 7");
    alignas(cmsghdr) char control[CMSG_SPACE(8)] = {};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(8);
    const int descriptors[] = {1, 2};
    std::memcpy(CMSG_DATA(part), descriptors, sizeof descriptors);
    CHECK(answered(SYS_sendmsg, {3, &message, 0}, 7) ==
          "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"one\\0two\", iov_len=7}], msg_iovlen=1, "
          "msg_control=[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[1, 2]}], "
          "msg_controllen=24, msg_flags=0}, 0) = 7");
    message.msg_control = nullptr;
    message.msg_controllen = 0;
    CHECK(answered(SYS_recvmsg, {3, &message, MSG_DONTWAIT}, 3) ==
          "recvmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"one\", iov_len=7}], msg_iovlen=1, "
          "msg_controllen=0, msg_flags=0}, MSG_DONTWAIT) = 3");
    CHECK(answered(SYS_recvmsg, {3, &message, MSG_DONTWAIT}, -EAGAIN) ==
          "recvmsg(3, {msg_namelen=0}, MSG_DONTWAIT) = -1 EAGAIN (Resource temporarily unavailable)");
    mmsghdr several[2] = {{message, 7}, {message, 3}};
    CHECK(answered(SYS_recvmmsg, {3, several, 2, MSG_DONTWAIT, nullptr}, 1) ==
          "recvmmsg(3, [{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"one\\0two\", iov_len=7}], "
          "msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=7}], 2, MSG_DONTWAIT, NULL) = 1");
    CHECK(answered(SYS_sendto, {3, "hello", 5, 0x80000000, nullptr, 0}, 5) ==
          "sendto(3, \"hello\", 5, MSG_CMSG_COMPAT, NULL, 0) = 5");
}
