#include <sysguard/supervise/messages.hpp>
#include <sysguard/supervise/perform/sockets.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/performer.hpp"
#include "support/sockets.hpp"

namespace perform = sysguard::supervise::perform;
using sysguard::process::Descriptor;
using namespace support;

namespace {

template <class T>
void append_control(std::vector<char>& bytes, int level, int type, const T& data) {
    const std::size_t begin = bytes.size();
    bytes.resize(begin + CMSG_SPACE(sizeof data));
    cmsghdr header{};
    header.cmsg_len = CMSG_LEN(sizeof data);
    header.cmsg_level = level;
    header.cmsg_type = type;
    std::memcpy(bytes.data() + begin, &header, sizeof header);
    std::memcpy(bytes.data() + begin + sizeof header, &data, sizeof data);
}

}  // namespace

TEST_CASE("sendmsg carries descriptors") {
    const Pair pair{SOCK_STREAM};
    int pipe_ends[2];
    REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
    const Descriptor reading{pipe_ends[0]};
    const Descriptor writing{pipe_ends[1]};
    std::vector<char> control;
    const int both[] = {writing.get(), reading.get()};
    append_control(control, SOL_SOCKET, SCM_RIGHTS, both);
    append_control(control, SOL_SOCKET, SCM_RIGHTS, writing.get());
    char data[] = "hello";
    iovec piece{data, 5};
    msghdr message{nullptr, 0, &piece, 1, control.data(), control.size(), 0};
    Worker worker;
    CHECK(worker.make(SYS_sendmsg, perform::sendmsg, pair.a.get(), at(&message), 0) == 5);

    char text[16];
    iovec room{text, sizeof text};
    alignas(cmsghdr) char bytes[CMSG_SPACE(3 * sizeof(int))];
    msghdr answer{nullptr, 0, &room, 1, bytes, sizeof bytes, 0};
    REQUIRE(::recvmsg(pair.b.get(), &answer, MSG_CMSG_CLOEXEC) == 5);
    REQUIRE(CMSG_FIRSTHDR(&answer)->cmsg_len == CMSG_LEN(3 * sizeof(int)));
    int fds[3];
    std::memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&answer)), sizeof fds);
    const Descriptor got[] = {Descriptor{fds[0]}, Descriptor{fds[1]}, Descriptor{fds[2]}};
    CHECK(::write(got[0].get(), "abc", 3) == 3);
    CHECK(::write(got[2].get(), "def", 3) == 3);
    CHECK(::read(reading.get(), text, sizeof text) == 6);
    CHECK(std::string_view{text, 6} == "abcdef");
    CHECK(::syscall(SYS_kcmp, ::getpid(), ::getpid(), 0, got[1].get(), reading.get()) <= 0);

    const int missing[] = {writing.get(), 999};
    std::memcpy(control.data() + CMSG_LEN(0), missing, sizeof missing);
    Worker other;
    CHECK(other.make(SYS_sendmsg, perform::sendmsg, pair.a.get(), at(&message), 0) == -EBADF);
}

TEST_CASE("sendmsg carries credentials as far as the kernel lets it") {
    const Pair pair{SOCK_DGRAM};
    const int on = 1;
    ::setsockopt(pair.b.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    auto* const shared =
        static_cast<ucred*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::vector<char> control;
    append_control(control, SOL_SOCKET, SCM_CREDENTIALS, ucred{});
    char* const bytes = reinterpret_cast<char*>(shared);
    std::memcpy(bytes, control.data(), control.size());
    msghdr message{nullptr, 0, nullptr, 0, bytes, control.size(), 0};
    Worker worker;
    const ucred credentials{worker.pid(), ::getuid(), ::getgid()};
    std::memcpy(bytes + CMSG_LEN(0), &credentials, sizeof credentials);
    const long expected = natively(SYS_sendmsg, pair.a.get(), &message, 0);  // of another process: privileged
    CHECK((expected == 0 || expected == -EPERM));
    CHECK(worker.make(SYS_sendmsg, perform::sendmsg, pair.a.get(), at(&message), 0) == expected);
    for (int i = 0; i < 2 && expected == 0; ++i) {
        alignas(cmsghdr) char room[256];
        msghdr answer{nullptr, 0, nullptr, 0, room, sizeof room, 0};
        REQUIRE(::recvmsg(pair.b.get(), &answer, 0) == 0);
        ucred got{};
        std::memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&answer)), sizeof got);
        CHECK(got.pid == worker.pid());
        CHECK(got.uid == ::getuid());
    }
    ::munmap(shared, 4096);
}

TEST_CASE("sendmsg passes the control messages of IP on") {
    const Receiver server{SOCK_DGRAM};
    const int on = 1;
    ::setsockopt(server.fd.get(), IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
    const Descriptor client = open_socket(AF_INET, SOCK_DGRAM);
    in_pktinfo from{};
    ::inet_pton(AF_INET, "127.0.0.9", &from.ipi_spec_dst);
    std::vector<char> control;
    append_control(control, IPPROTO_IP, IP_PKTINFO, from);
    append_control(control, IPPROTO_IP, IP_TTL, 17);
    char data[] = "hello";
    iovec pieces[] = {{data, 2}, {data + 2, 3}};
    sockaddr_in to = server.address;
    msghdr message{&to, sizeof to, pieces, 2, control.data(), control.size(), 0};
    Worker worker;
    CHECK(worker.make(SYS_sendmsg, perform::sendmsg, client.get(), at(&message), 0) == 5);

    char text[16];
    iovec room{text, sizeof text};
    sockaddr_in sender{};
    alignas(cmsghdr) char bytes[256];
    msghdr answer{&sender, sizeof sender, &room, 1, bytes, sizeof bytes, 0};
    CHECK(::recvmsg(server.fd.get(), &answer, 0) == 5);
    CHECK(sender.sin_addr.s_addr == from.ipi_spec_dst.s_addr);
    int ttl = 0;
    REQUIRE(CMSG_FIRSTHDR(&answer) != nullptr);
    std::memcpy(&ttl, CMSG_DATA(CMSG_FIRSTHDR(&answer)), sizeof ttl);
    CHECK(ttl == 17);
}

TEST_CASE("sendmsg answers any control message as the kernel does") {
    const Receiver server{SOCK_DGRAM};
    const Descriptor udp = open_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK);
    REQUIRE(::connect(udp.get(), plain(&server.address), sizeof server.address) == 0);
    const Pair pair{SOCK_DGRAM};
    const Descriptor file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    char* const control =
        static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    auto& message = *reinterpret_cast<msghdr*>(control + 4096);
    Worker worker;
    std::mt19937 random{3};
    const auto one_of = [&](std::initializer_list<long> values) { return values.begin()[random() % values.size()]; };
    int succeeded = 0;
    int failed = 0;
    for (int round = 0; round < 600; ++round) {
        std::memset(control, 0, 4096);
        std::size_t size = 0;
        for (long parts = one_of({0, 1, 1, 2, 3}); parts > 0; --parts) {
            const long data = one_of({0, 4, 8, 12, 4});
            cmsghdr header{};
            header.cmsg_len = CMSG_LEN(static_cast<std::size_t>(data));
            if (random() % 12 == 0)
                header.cmsg_len = static_cast<std::size_t>(one_of({0, 1, 15, 17, 4000, 1L << 40, -1, -8}));
            header.cmsg_level = static_cast<int>(one_of({SOL_SOCKET, SOL_SOCKET, SOL_SOCKET, IPPROTO_IP, 12345}));
            header.cmsg_type = static_cast<int>(one_of({SCM_RIGHTS, SCM_RIGHTS, SCM_RIGHTS, 0x1d, 99}));
            if (header.cmsg_level == IPPROTO_IP) header.cmsg_type = IP_TTL;
            std::memcpy(control + size, &header, sizeof header);
            for (long at_byte = 0; at_byte < data; at_byte += 4) {
                const int number =
                    static_cast<int>(one_of({file.get(), file.get(), file.get(), file.get(), 999, -1, -100}));
                std::memcpy(control + size + sizeof header + at_byte, &number, sizeof number);
            }
            size += CMSG_SPACE(static_cast<std::size_t>(data));
        }
        if (random() % 8 == 0) size += random() % 20;
        if (random() % 8 == 0 && size > 0) size -= random() % size;
        message = {nullptr, 0, nullptr, 0, control, size, 0};
        const bool is_local = round % 2 == 0;
        const int fd = is_local ? pair.a.get() : udp.get();
        const int end = is_local ? pair.b.get() : server.fd.get();
        const auto drain = [&] {
            alignas(cmsghdr) char room[512];
            msghdr answer{nullptr, 0, nullptr, 0, room, sizeof room, 0};
            if (::recvmsg(end, &answer, MSG_DONTWAIT) < 0) return -1;
            int count = 0;
            for (cmsghdr* part = CMSG_FIRSTHDR(&answer); part != nullptr; part = CMSG_NXTHDR(&answer, part))
                for (std::size_t i = 0; CMSG_LEN(i) < part->cmsg_len; i += sizeof(int), ++count) {
                    int number = -1;
                    std::memcpy(&number, CMSG_DATA(part) + i, sizeof number);
                    CHECK(::close(number) == 0);
                }
            return count;
        };
        const long expected = natively(SYS_sendmsg, fd, &message, 0);
        const int expected_files = drain();
        CAPTURE(round);
        REQUIRE(worker.make(SYS_sendmsg, perform::sendmsg, fd, at(&message), 0) == expected);
        REQUIRE(drain() == expected_files);
        ++(expected == 0 ? succeeded : failed);
    }
    CHECK(succeeded > 50);
    CHECK(failed > 50);
    ::munmap(control, 8192);
}

TEST_CASE("sendmmsg tells how much of each message was sent") {
    const Pair pair{SOCK_DGRAM};
    char data[] = "hello";
    iovec pieces[] = {{data, 5}, {data, 2}, {data, 3}};
    mmsghdr array[3] = {};
    for (int i = 0; i < 3; ++i) array[i].msg_hdr.msg_iov = &pieces[i];
    for (int i = 0; i < 3; ++i) array[i].msg_hdr.msg_iovlen = 1;
    Worker worker;
    CHECK(worker.make(SYS_sendmmsg, perform::sendmmsg, pair.a.get(), at(array), 3, 0) == 3);
    REQUIRE(worker.lengths.size() == 3);
    for (unsigned i = 0; i < 3; ++i) {
        CHECK(worker.lengths[i].first == at(&array[i].msg_len));
        CHECK(worker.lengths[i].second == pieces[i].iov_len);
    }
    CHECK(received(pair.b.get()) == "hello");
    CHECK(received(pair.b.get()) == "he");
    CHECK(received(pair.b.get()) == "hel");
    CHECK(worker.make(SYS_sendmmsg, perform::sendmmsg, pair.a.get(), at(array), 0, 0) == 0);
    CHECK(worker.lengths.empty());
}

TEST_CASE("sendmmsg stops at the first message that fails") {
    const Pair pair{SOCK_DGRAM};
    char data[] = "hello";
    iovec piece{data, 5};
    iovec wrong{reinterpret_cast<void*>(16), 1};
    sockaddr_in other_family = loopback(1);
    mmsghdr array[4] = {};
    for (mmsghdr& element : array) element.msg_hdr.msg_iov = &piece;
    for (mmsghdr& element : array) element.msg_hdr.msg_iovlen = 1;
    array[1].msg_hdr.msg_name = &other_family;
    array[1].msg_hdr.msg_namelen = sizeof other_family;
    array[3].msg_hdr.msg_iov = &wrong;
    Worker worker;
    for (const int first : {0, 1, 2, 3}) {
        CAPTURE(first);
        const auto count = static_cast<std::size_t>(4 - first);
        const long expected = natively(SYS_sendmmsg, pair.a.get(), array + first, count, 0);
        const long result = worker.make(SYS_sendmmsg, perform::sendmmsg, pair.a.get(), at(array + first), count, 0);
        CHECK(result == expected);
        CHECK(worker.lengths.size() == (expected < 0 ? 0 : static_cast<std::size_t>(expected)));
        while (received(pair.b.get()) == "hello") {
        }
    }
    for (const int fd : {999, 1 << 30})
        CHECK(worker.make(SYS_sendmmsg, perform::sendmmsg, fd, at(array), 1, 0) == -EBADF);
    Pair stream{SOCK_STREAM};
    stream.b.reset();
    Worker other;
    CHECK(other.make(SYS_sendmmsg, perform::sendmmsg, stream.a.get(), at(array), 1, 0) == -EPIPE);
    CHECK(other.failed == EPIPE);
}
