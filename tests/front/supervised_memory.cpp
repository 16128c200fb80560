#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/reach.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::AnyCall;
using sg::Rule;

namespace {

template <int number>
constexpr auto performed = Rule<number>{}.handle([](const AnyCall& call) {
    (void)call.text();  // looks at all there is to see
    return call.perform_if_possible();
});

constexpr sg::Policy performing{performed<SYS_openat>,  performed<SYS_connect>, performed<SYS_bind>,
                                performed<SYS_sendto>,  performed<SYS_sendmsg>, performed<SYS_sendmmsg>,
                                performed<SYS_mkdirat>, performed<SYS_fstat>,   performed<SYS_readlinkat>,
                                sg::otherwise.allow()};

/// Four pages, of which only the first two are there.
struct Edge {
    Edge() {
        start =
            static_cast<char*>(::mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ::munmap(start + 2 * page, 2 * page);
    }
    /// The last `size` bytes before the hole.
    char* last(std::size_t size) const { return start + 2 * page - size; }
    char* missing() const { return start + 2 * page; }

    static constexpr std::size_t page = 4096;
    char* start;
};

/// The answers to calls, as results or negative errnos.
using Answers = std::vector<long>;

template <class... T>
void make(Answers& answers, int number, T... arguments) {
    const long result = ::syscall(number, arguments...);
    answers.push_back(result < 0 ? -errno : result);
}

/// A worker's answers where the host performs the calls are those that it gets from the kernel.
template <class F>
void check_same(F&& calls) {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const auto natively = sg::Sandbox{support::anything}.call(calls);
    const auto here = sg::Sandbox{performing}.call(calls);
    CAPTURE(natively.explain());
    CAPTURE(here.explain());
    REQUIRE(natively);
    REQUIRE(here);
    REQUIRE(here->size() == natively->size());
    for (std::size_t i = 0; i < here->size(); ++i) {
        CAPTURE(i);
        CHECK(here->at(i) == natively->at(i));
    }
}

}  // namespace

TEST_CASE("paths that end at a hole, run into one, lie in one, have no end") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    check_same([] {
        const Edge edge;
        Answers answers;
        const auto open = [&](const char* path) {
            make(answers, SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
            make(answers, SYS_mkdirat, AT_FDCWD, path, 0700);
            ::close(static_cast<int>(answers[answers.size() - 2]));
        };
        open(std::strcpy(edge.last(2), "/"));
        open(std::strcpy(edge.last(5), "/tmp"));
        open(std::strcpy(edge.start + Edge::page - 2, "/tmp"));
        std::memcpy(edge.last(4), "/tmp", 4);
        open(edge.last(4));
        open(edge.last(1));
        open(edge.missing());
        open(nullptr);
        open(reinterpret_cast<const char*>(1));
        open(reinterpret_cast<const char*>(UINT64_MAX));
        open(reinterpret_cast<const char*>(UINT64_MAX - 100));
        open(reinterpret_cast<const char*>(0xffff800000000000));
        std::memset(edge.start, '/', 2 * Edge::page);
        open(edge.start);
        for (const std::size_t length : {4094U, 4095U, 4096U, 4097U}) {
            edge.start[length] = 0;
            open(edge.start);
            edge.start[length] = '/';
        }
        open("");
        ::mprotect(edge.start, 2 * Edge::page, PROT_NONE);
        open(edge.start);
        return answers;
    });
}

TEST_CASE("what the host writes to a hole, or to memory that is only to be read, is EFAULT") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    check_same([] {
        const Edge edge;
        Answers answers;
        for (const std::size_t size : {0UL, 1UL, sizeof(struct stat) - 1, sizeof(struct stat)})
            make(answers, SYS_fstat, 1, edge.last(size));
        make(answers, SYS_fstat, 1, nullptr);
        for (const std::size_t room : {1U, 2U, 100U})
            make(answers, SYS_readlinkat, AT_FDCWD, "/proc/self", edge.last(1), room);
        make(answers, SYS_readlinkat, AT_FDCWD, "/proc/self", edge.start, 0);
        make(answers, SYS_readlinkat, AT_FDCWD, "/proc/self", edge.start, -1);
        ::mprotect(edge.start, Edge::page, PROT_READ);
        make(answers, SYS_fstat, 1, edge.start);
        make(answers, SYS_fstat, 1, edge.start + Edge::page - 10);
        for (long& answer : answers) answer = answer > 0 ? 1 : answer;  // process ids
        return answers;
    });
}

TEST_CASE("addresses that run into a hole, and lengths that lie") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    check_same([] {
        const Edge edge;
        Answers answers;
        const sockaddr_in nobody = support::loopback(1);
        for (const int type : {SOCK_DGRAM, SOCK_STREAM})
            for (const int domain : {AF_INET, AF_INET6, AF_UNIX})
                for (const int length :
                     {-1, 0, 1, 2, 3, 8, 15, 16, 17, 28, 110, 111, 127, 128, 129, 4096, INT_MAX, INT_MIN})
                    for (const int size : {0, 1, 8, 16, 128}) {
                        const int fd = ::socket(domain, type, 0);
                        char* const address = edge.last(static_cast<std::size_t>(size));
                        if (size >= 16) std::memcpy(address, &nobody, sizeof nobody);
                        make(answers, SYS_connect, fd, size == 0 ? nullptr : address, length);
                        if (length != 2) make(answers, SYS_sendto, fd, "x", 1, MSG_NOSIGNAL, address, length);
                        ::close(fd);
                    }
        for (const long length : {0L, 16L, 1L << 32, (1L << 32) + 16, -(1L << 32) + 16}) {
            const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
            make(answers, SYS_connect, fd, &nobody, length);
            make(answers, SYS_connect, fd | (1L << 40), &nobody, length);
            ::close(fd);
        }
        make(answers, SYS_connect, -1, &nobody, sizeof nobody);
        make(answers, SYS_connect, 0, edge.missing(), 16);
        make(answers, SYS_bind, -1, edge.missing(), -1);
        return answers;
    });
}

TEST_CASE("payloads that run into a hole, and lengths that lie") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    check_same([] {
        const Edge edge;
        Answers answers;
        int ends[2];
        ::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
        char drained[256];
        for (const std::size_t there : {0U, 1U, 16U, 100U})
            for (const std::size_t said : {0UL, 1UL, 16UL, 17UL, 101UL, 5000UL}) {
                make(answers, SYS_sendto, ends[0], edge.last(there), said, MSG_DONTWAIT, nullptr, 0);
                make(answers, SYS_sendto, ends[0], edge.last(there), said, MSG_DONTWAIT, nullptr, 77);
                while (::recv(ends[1], drained, sizeof drained, MSG_DONTWAIT) >= 0) {
                }
            }
        for (const std::size_t said : {1UL << 31, 1UL << 40, 1UL << 63, ~0UL, ~0UL - 4095})
            make(answers, SYS_sendto, ends[0], edge.start, said, MSG_DONTWAIT, nullptr, 0);
        for (std::size_t i = answers.size() - 5; i < answers.size(); ++i)  // which of two faults is told first
            answers[i] = answers[i] == -EMSGSIZE ? -EFAULT : answers[i];
        return answers;
    });
}

TEST_CASE("messages of which any part lies in a hole, or lies about itself") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    check_same([] {
        const Edge edge;
        Answers answers;
        int ends[2];
        ::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);
        char text[4] = "abc";
        char drained[256];
        const auto send = [&](const auto& change) {
            iovec piece{text, 3};
            msghdr header{};
            header.msg_iov = &piece;
            header.msg_iovlen = 1;
            change(header, piece);
            make(answers, SYS_sendmsg, ends[0], &header, MSG_DONTWAIT);
            mmsghdr two[2] = {{header, 99}, {header, 99}};
            make(answers, SYS_sendmmsg, ends[0], two, 2, MSG_DONTWAIT);
            answers.push_back(two[0].msg_len);
            answers.push_back(two[1].msg_len);
            while (::recv(ends[1], drained, sizeof drained, MSG_DONTWAIT) >= 0) {
            }
        };
        for (const std::size_t size : {0U, 1U, 8U, 15U, 16U}) {
            send([&](msghdr& header, iovec& piece) {
                header.msg_iov = static_cast<iovec*>(static_cast<void*>(edge.last(size)));
                if (size == 16) std::memcpy(edge.last(size), &piece, sizeof piece);
            });
            send([&](msghdr&, iovec& piece) { piece = {edge.last(size), 16}; });
            send([&](msghdr& header, iovec&) {
                header.msg_control = edge.last(size);
                header.msg_controllen = 16;
            });
            send([&](msghdr& header, iovec&) {
                header.msg_name = edge.last(size);
                header.msg_namelen = 16;
            });
        }
        for (const std::size_t count : {std::size_t{0}, std::size_t{1025}, std::size_t{1} << 31, ~std::size_t{0}})
            send([&](msghdr& header, iovec&) { header.msg_iovlen = count; });
        for (const std::size_t length : {~std::size_t{0}, std::size_t{1} << 63, std::size_t{1} << 40})
            send([&](msghdr&, iovec& piece) { piece = {edge.start, length}; });
        for (const unsigned length : {0U, 1U, 129U, 0x7fffffffU, 0xffffffffU})
            send([&](msghdr& header, iovec&) {
                header.msg_name = edge.start;
                header.msg_namelen = length;
            });
        send([&](msghdr& header, iovec&) { header.msg_iov = nullptr; });
        alignas(cmsghdr) char control[64] = {};
        for (const std::size_t size : {std::size_t{0}, std::size_t{15}, std::size_t{17}, std::size_t{20},
                                       std::size_t{64}, std::size_t{65}, ~std::size_t{0}, std::size_t{1} << 31})
            for (const std::size_t room : {std::size_t{0}, std::size_t{8}, std::size_t{20}, std::size_t{64}}) {
                cmsghdr part{};
                part.cmsg_len = size;
                part.cmsg_level = SOL_SOCKET;
                part.cmsg_type = SCM_RIGHTS;
                std::memcpy(control, &part, sizeof part);
                std::memset(control + sizeof part, 0xff, sizeof control - sizeof part);
                send([&](msghdr& header, iovec&) {
                    header.msg_control = control;
                    header.msg_controllen = room;
                });
            }
        for (const std::size_t size : {0U, 1U, 55U}) make(answers, SYS_sendmsg, ends[0], edge.last(size), MSG_DONTWAIT);
        make(answers, SYS_sendmmsg, ends[0], edge.last(63), 1, 0);
        make(answers, SYS_sendmmsg, ends[0], edge.missing(), 0, 0);
        return answers;
    });
}

TEST_CASE("a worker that says its buffers are large costs the host what it reads at most") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const sg::Sandbox box{performing, {.most_read = 1000}};
    const auto sent = box.call([] {
        std::vector<char> large(1 << 20, 'x');
        int stream[2];
        int datagram[2];
        ::socketpair(AF_UNIX, SOCK_STREAM, 0, stream);
        ::socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram);
        Answers answers;
        make(answers, SYS_sendto, stream[0], large.data(), large.size(), MSG_DONTWAIT, nullptr, 0);
        make(answers, SYS_sendto, stream[0], large.data(), ~0UL, MSG_DONTWAIT, nullptr, 0);
        make(answers, SYS_sendto, datagram[0], large.data(), 1001, MSG_DONTWAIT, nullptr, 0);
        make(answers, SYS_sendto, datagram[0], large.data(), 1000, MSG_DONTWAIT, nullptr, 0);
        return answers;
    });
    CAPTURE(sent.explain());
    CHECK(*sent == Answers{1000, 1000, -EMSGSIZE, 1000});
}
