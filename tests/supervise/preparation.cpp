#include <sysguard/policy.hpp>
#include <sysguard/supervise/place.hpp>
#include <sysguard/supervise/preparation.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"
#include "support/reach.hpp"

namespace sg = sysguard;
namespace perform = sysguard::supervise::perform;
using sg::supervise::Pending;
using support::Supervised;

namespace {

constexpr sg::Policy policy{
    sg::Rule<SYS_openat>{}.kill(),          sg::Rule<SYS_sendto>{}.kill(),          sg::Rule<SYS_sendmsg>{}.kill(),
    sg::Rule<SYS_newfstatat>{}.kill(),      sg::Rule<SYS_readlinkat>{}.kill(),      sg::Rule<SYS_setxattr>{}.kill(),
    sg::Rule<sg::sys::setxattrat>{}.kill(), sg::Rule<sg::sys::getxattrat>{}.kill(), sg::otherwise.allow()};

struct Prepared : sg::supervise::Preparation {
    explicit Prepared(Pending&& call) : Preparation{std::move(call)} { prepare(); }
    using Preparation::call_;
    using Preparation::job_;
    using Preparation::performer_;
    using Preparation::wants_sigpipe_;
    using Preparation::write_outputs;

    std::string_view input(int i) const { return {job_.in[i].data, job_.in[i].size}; }
};

/// One call of a process, prepared where the host reads no more than `most` bytes.
template <class Look, class... T>
void prepared(std::size_t most, Look&& look, long number, T... arguments) {
    Supervised process{policy.program(), [&] { return ::syscall(number, arguments...) == 0 ? 0 : 1; }};
    process.line->most_read = most;
    {
        Prepared call{process.receive()};
        const bool is_its_performer = call.performer_ == perform::performer(static_cast<int>(number));
        CHECK(is_its_performer);
        look(call);
        process.listener.answer(call.call_.id, 0, 0);
    }
    CHECK(process.exit_code() == 0);
}

constexpr std::size_t plenty = 1 << 20;

struct SocketPair {
    explicit SocketPair(int type) { REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0); }
    SocketPair(const SocketPair&) = delete;
    SocketPair& operator=(const SocketPair&) = delete;
    ~SocketPair() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    int ends[2]{};
};

}  // namespace

TEST_CASE("a path is copied, and a descriptor duplicated") {
    const sg::process::Descriptor directory{::open("/etc", O_PATH | O_CLOEXEC)};
    prepared(
        plenty,
        [&](Prepared& call) {
            CHECK(call.input(1) == "passwd");
            CHECK(call.job_.fds[0] > 2);
            struct stat mine {};
            struct stat copy {};
            CHECK(::fstat(directory.get(), &mine) == 0);
            CHECK(::fstat(call.job_.fds[0], &copy) == 0);
            CHECK(mine.st_ino == copy.st_ino);
            CHECK(call.job_.arguments[2] == O_CLOEXEC);
            CHECK(call.job_.caller.thread == call.call_.thread);
            CHECK(call.job_.caller.process == call.call_.thread);
            CHECK(call.job_.decided[1] == nullptr);
        },
        SYS_openat, directory.get(), "passwd", O_CLOEXEC, 0);
}

TEST_CASE("the current directory, and a descriptor that is none") {
    prepared(
        plenty, [](Prepared& call) { CHECK(call.job_.fds[0] == AT_FDCWD); }, SYS_openat, AT_FDCWD, "x", 0, 0);
    prepared(
        plenty, [](Prepared& call) { CHECK(call.job_.fds[0] == -EBADF); }, SYS_openat, 9999, "x", 0, 0);
}

TEST_CASE("what cannot be read comes with its errno") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    prepared(
        plenty,
        [](Prepared& call) {
            CHECK(call.job_.in[1].data == nullptr);
            CHECK(call.job_.in[1].error == EFAULT);
        },
        SYS_openat, AT_FDCWD, 1L, 0, 0);
    const SocketPair pair{SOCK_STREAM};
    prepared(
        plenty, [](Prepared& call) { CHECK(call.job_.in[1].error == EFAULT); }, SYS_sendto, pair.ends[0], nullptr, 3L,
        0, nullptr, 0);
    prepared(
        plenty, [](Prepared& call) { CHECK(call.job_.in[1].error == 0); }, SYS_sendto, pair.ends[0], nullptr, 0L, 0,
        nullptr, 0);
}

TEST_CASE("a payload beyond the host's limit: a stream sends its beginning, everything else fails") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const std::string payload(5000, 'p');
    const SocketPair stream{SOCK_STREAM};
    prepared(
        4096,
        [](Prepared& call) {
            CHECK(call.job_.in[1].error == 0);
            CHECK(call.job_.in[1].size == 4096);
            CHECK(call.job_.arguments[2] == 4096);
        },
        SYS_sendto, stream.ends[0], payload.data(), payload.size(), 0, nullptr, 0);
    const SocketPair packets{SOCK_SEQPACKET};
    prepared(
        4096, [](Prepared& call) { CHECK(call.job_.in[1].error == EMSGSIZE); }, SYS_sendto, packets.ends[0],
        payload.data(), payload.size(), 0, nullptr, 0);
    prepared(
        4096, [](Prepared& call) { CHECK(call.job_.in[2].error == E2BIG); }, SYS_setxattr, "/tmp", "user.x",
        payload.data(), payload.size(), 0);
}

TEST_CASE("room for what is written is what the call says, the type needs, and the host allows") {
    static char buffer[8192];
    prepared(
        plenty, [](Prepared& call) { CHECK(call.job_.out[2].capacity == sizeof(struct stat)); }, SYS_newfstatat,
        AT_FDCWD, "/", buffer, 0);
    prepared(
        plenty, [](Prepared& call) { CHECK(call.job_.out[2].capacity == 100); }, SYS_readlinkat, AT_FDCWD, "/", buffer,
        100L);
    prepared(
        4096, [](Prepared& call) { CHECK(call.job_.out[2].capacity == 4096); }, SYS_readlinkat, AT_FDCWD, "/", buffer,
        5000L);
    prepared(
        plenty, [](Prepared& call) { CHECK(call.job_.out[2].capacity == 0); }, SYS_newfstatat, AT_FDCWD, "/", nullptr,
        0);
}

TEST_CASE("what was written reaches the process, as far as it can be written there") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    auto* const buffer =
        static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    prepared(
        plenty,
        [&](Prepared& call) {
            std::string_view{"where"}.copy(call.job_.out[2].data, 5);
            call.job_.out[2].size = 5;
            call.write_outputs();
            CHECK(call.call_.write_error == 0);
            CHECK(std::string{buffer} == "where");
        },
        SYS_readlinkat, AT_FDCWD, "/", buffer, 100L);
    ::munmap(buffer, 4096);
    prepared(
        plenty,
        [](Prepared& call) {
            call.job_.out[2].size = 5;
            call.write_outputs();
            CHECK(call.call_.write_error == EFAULT);
        },
        SYS_readlinkat, AT_FDCWD, "/", 8L, 100L);
}

TEST_CASE("a place that somebody has decided on goes with it") {
    Supervised process{policy.program(),
                       [] { return ::syscall(SYS_openat, AT_FDCWD, "/usr/../etc", 0, 0) == 0 ? 0 : 1; }};
    {
        Pending call = process.receive();
        CHECK(sg::supervise::place_of(call, 1) == "/etc");
        const Prepared prepared{std::move(call)};
        REQUIRE(prepared.job_.decided[1] != nullptr);
        CHECK(std::string{prepared.job_.decided[1]} == "/etc");
        process.listener.answer(prepared.call_.id, 0, 0);
    }
    CHECK(process.exit_code() == 0);
}

TEST_CASE("messages are copied with all that they lead to") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const SocketPair pair{SOCK_STREAM};
    iovec pieces[] = {{const_cast<char*>("ab"), 2}, {const_cast<char*>("cde"), 3}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    prepared(
        plenty,
        [](Prepared& call) {
            const auto* const outgoing = static_cast<perform::Outgoing*>(call.job_.extra);
            REQUIRE(outgoing != nullptr);
            REQUIRE(outgoing->count == 1);
            const perform::Message& first = outgoing->messages[0];
            CHECK(std::string_view{outgoing->bytes + first.data, first.data_size} == "abcde");
            CHECK(call.wants_sigpipe_);
        },
        SYS_sendmsg, pair.ends[0], &message, 0);
    prepared(
        plenty, [](Prepared& call) { CHECK_FALSE(call.wants_sigpipe_); }, SYS_sendmsg, pair.ends[0], &message,
        MSG_NOSIGNAL);
}

TEST_CASE("the value of an attribute that a structure leads to") {
    struct {
        std::uint64_t value;
        std::uint32_t size;
        std::uint32_t flags;
    } structure{reinterpret_cast<std::uint64_t>("value"), 5, 0};
    const auto set = [&](std::size_t most, auto look) {
        prepared(
            most, [&](Prepared& call) { look(*static_cast<perform::Input*>(call.job_.extra)); }, sg::sys::setxattrat,
            AT_FDCWD, "/tmp", 0, "user.x", &structure, sizeof structure);
    };
    set(plenty, [](const perform::Input& value) { CHECK(std::string_view{value.data, value.size} == "value"); });
    structure.value = 1;
    set(plenty, [](const perform::Input& value) { CHECK(value.error == EFAULT); });
    const std::string large(70000, 'v');
    structure = {reinterpret_cast<std::uint64_t>(large.data()), 60000, 0};
    set(4096, [](const perform::Input& value) { CHECK(value.error == E2BIG); });
    prepared(
        4096, [](Prepared& call) { CHECK(static_cast<perform::Output*>(call.job_.extra)->capacity == 4096); },
        sg::sys::getxattrat, AT_FDCWD, "/tmp", 0, "user.x", &structure, sizeof structure);
}
