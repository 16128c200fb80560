#include <sysguard/supervise/memory.hpp>
#include <sysguard/supervise/messages.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace perform = sysguard::supervise::perform;
using sysguard::process::Descriptor;
using sysguard::supervise::Messages;

namespace {

/// This process is its own worker.
struct Own final : sysguard::supervise::MessageSource {
    std::size_t read(std::uint64_t address, void* to, std::size_t bytes) noexcept override {
        const std::size_t got = sysguard::supervise::read_memory(::getpid(), address, static_cast<char*>(to), bytes);
        taken += got;
        return got;
    }
    Descriptor duplicate(int fd) noexcept override {
        ++duplicates;
        return Descriptor{::fcntl(fd, F_DUPFD_CLOEXEC, 100)};
    }
    pid_t own_pid() noexcept override { return 7; }
    pid_t pid() noexcept override { return 4711; }

    std::size_t taken = 0;
    int duplicates = 0;
};

std::uint64_t at(const void* pointer) {
    return reinterpret_cast<std::uint64_t>(pointer);
}

struct Pair {
    explicit Pair(int type) {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
        a.reset(fds[0]);
        b.reset(fds[1]);
    }
    Descriptor a, b;
};

constexpr std::size_t plenty = 1 << 20;

std::vector<char> control(int level, int type, const void* data, std::size_t size) {
    std::vector<char> bytes(CMSG_SPACE(size));
    cmsghdr header{};
    header.cmsg_len = CMSG_LEN(size);
    header.cmsg_level = level;
    header.cmsg_type = type;
    std::memcpy(bytes.data(), &header, sizeof header);
    std::memcpy(bytes.data() + sizeof header, data, size);
    return bytes;
}

msghdr with(std::vector<char>& bytes) {
    msghdr message{};
    message.msg_control = bytes.data();
    message.msg_controllen = bytes.size();
    return message;
}

int error_of(int type, const msghdr& message, std::size_t most = plenty) {
    const Pair pair{type};
    Own own;
    return Messages::of_sendmsg(own, pair.a.get(), at(&message), most).error();
}

int open_descriptors() {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd)
        if (::fcntl(fd, F_GETFD) >= 0) ++count;
    return count;
}

void* const nowhere = reinterpret_cast<void*>(16);

}  // namespace

TEST_CASE("a message is copied with all that it points to") {
    const Pair pair{SOCK_DGRAM};
    char one[] = "hello, ";
    char two[] = "world";
    iovec pieces[] = {{one, 7}, {nowhere, 0}, {two, 5}};
    char name[] = {AF_UNIX, 0, 0, 'x'};
    msghdr message{name, sizeof name, pieces, 3, nullptr, 0, 0};
    Own own;
    Messages messages = Messages::of_sendmsg(own, pair.a.get(), at(&message), plenty);
    Messages moved = std::move(messages);
    std::memset(one, 0, sizeof one);
    std::memset(name, 0, sizeof name);
    REQUIRE(moved.error() == 0);
    REQUIRE(moved.count() == 1);
    CHECK(moved.address(0).abstract_name() == "x");
    const perform::Outgoing* const outgoing = moved.outgoing();
    const perform::Message& copy = outgoing->messages[0];
    CHECK(std::string(outgoing->bytes + copy.data, copy.data_size) == "hello, world");
    CHECK(copy.control_size == 0);
    CHECK(moved.payload(0) == "hello, world");
    CHECK(moved.control(0).empty());
    CHECK_FALSE(moved.carries_descriptors(0));
    moved.withdraw(EFAULT);
    CHECK(moved.count() == 0);
    CHECK(moved.error() == EFAULT);
    CHECK(moved.outgoing()->count == 0);
    CHECK(moved.outgoing()->error == EFAULT);
}

TEST_CASE("what the kernel refuses before it looks at the socket is refused alike") {
    char byte = 'x';
    iovec piece{&byte, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    CHECK(error_of(SOCK_DGRAM, message) == 0);

    msghdr changed = message;
    changed.msg_name = &byte;
    changed.msg_namelen = static_cast<socklen_t>(-1);
    CHECK(error_of(SOCK_DGRAM, changed) == EINVAL);
    changed.msg_name = nullptr;
    CHECK(error_of(SOCK_DGRAM, changed) == 0);
    changed.msg_name = nowhere;
    changed.msg_namelen = 4;
    CHECK(error_of(SOCK_DGRAM, changed) == EFAULT);

    changed = message;
    changed.msg_iovlen = 1025;
    CHECK(error_of(SOCK_DGRAM, changed) == EMSGSIZE);
    changed.msg_iovlen = static_cast<std::size_t>(-1);
    CHECK(error_of(SOCK_DGRAM, changed) == EMSGSIZE);
    changed.msg_iovlen = 1;
    changed.msg_iov = static_cast<iovec*>(nowhere);
    CHECK(error_of(SOCK_DGRAM, changed) == EFAULT);

    iovec wrong{&byte, static_cast<std::size_t>(-1)};
    changed.msg_iov = &wrong;
    CHECK(error_of(SOCK_STREAM, changed) == EINVAL);
    wrong = {nowhere, 1};
    CHECK(error_of(SOCK_STREAM, changed) == EFAULT);

    changed = message;
    changed.msg_control = nowhere;
    changed.msg_controllen = 16;
    CHECK(error_of(SOCK_DGRAM, changed) == EFAULT);
    changed.msg_controllen = (128 << 10) + 1;
    CHECK(error_of(SOCK_DGRAM, changed) == ENOBUFS);

    Own own;
    const Pair pair{SOCK_DGRAM};
    CHECK(Messages::of_sendmsg(own, pair.a.get(), 16, plenty).error() == EFAULT);
    CHECK(Messages::of_sendmsg(own, -1, at(&message), plenty).error() == EBADF);
}

TEST_CASE("a long name is cut as the kernel cuts it") {
    char name[256];
    std::memset(name, 'n', sizeof name);
    msghdr message{name, sizeof name, nullptr, 0, nullptr, 0, 0};
    const Pair pair{SOCK_DGRAM};
    Own own;
    const Messages messages = Messages::of_sendmsg(own, pair.a.get(), at(&message), plenty);
    REQUIRE(messages.error() == 0);
    CHECK(messages.address(0).size() == sizeof(sockaddr_storage));
}

TEST_CASE("a payload above the host's limit is cut for streams and refused for others") {
    std::vector<char> data(100, 'x');
    iovec pieces[] = {{data.data(), 60}, {data.data(), 40}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    CHECK(error_of(SOCK_DGRAM, message, 100) == 0);
    CHECK(error_of(SOCK_DGRAM, message, 99) == EMSGSIZE);
    CHECK(error_of(SOCK_SEQPACKET, message, 99) == EMSGSIZE);
    const Pair pair{SOCK_STREAM};
    Own own;
    Messages messages = Messages::of_sendmsg(own, pair.a.get(), at(&message), 70);
    REQUIRE(messages.error() == 0);
    CHECK(messages.outgoing()->messages[0].data_size == 70);
}

TEST_CASE("a stream sends what there is before memory ends") {
    const long page = ::sysconf(_SC_PAGESIZE);
    const auto size = static_cast<std::size_t>(page);
    char* const pages =
        static_cast<char*>(::mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ::munmap(pages + size, size);
    iovec pieces[] = {{pages, 10}, {pages + size, 10}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    const Pair pair{SOCK_STREAM};
    Own own;
    Messages messages = Messages::of_sendmsg(own, pair.a.get(), at(&message), plenty);
    CHECK(messages.error() == 0);
    CHECK(messages.outgoing()->messages[0].data_size == 10);
    CHECK(error_of(SOCK_DGRAM, message) == EFAULT);
    ::munmap(pages, size);
}

TEST_CASE("descriptors are replaced by their duplicates, which are closed in the end") {
    const Pair pair{SOCK_DGRAM};
    const int before = open_descriptors();
    {
        const Descriptor file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
        const int numbers[] = {file.get(), 999999, -1};
        std::vector<char> bytes = control(SOL_SOCKET, SCM_RIGHTS, numbers, sizeof numbers);
        const msghdr message = with(bytes);
        Own own;
        Messages messages = Messages::of_sendmsg(own, pair.a.get(), at(&message), plenty);
        REQUIRE(messages.error() == 0);
        int copies[3];
        std::memcpy(copies, messages.outgoing()->bytes + messages.outgoing()->messages[0].control + sizeof(cmsghdr),
                    sizeof copies);
        CHECK(copies[0] >= 100);
        CHECK(copies[1] == -1);
        CHECK(copies[2] == -1);
        REQUIRE(messages.descriptors().size() > 1);
        CHECK_FALSE(messages.descriptors()[1]);
        CHECK(messages.descriptors()[0].get() == copies[0]);
        struct stat one {};
        struct stat two {};
        ::fstat(file.get(), &one);
        ::fstat(copies[0], &two);
        CHECK(one.st_rdev == two.st_rdev);
        CHECK(open_descriptors() == before + 2);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("no number of the worker's is left, whatever the socket") {
    const int numbers[300] = {};
    std::vector<char> bytes = control(SOL_SOCKET, SCM_RIGHTS, numbers, sizeof numbers);
    for (const int domain : {AF_UNIX, AF_INET, AF_NETLINK}) {
        for (const std::size_t count : {1U, 254U, 300U}) {
            if (domain == AF_UNIX && count == 1) continue;
            const Descriptor socket{::socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
            msghdr message = with(bytes);
            const std::size_t length = CMSG_LEN(count * sizeof(int));
            std::memcpy(bytes.data(), &length, sizeof length);
            Own own;
            Messages messages = Messages::of_sendmsg(own, socket.get(), at(&message), plenty);
            CHECK(messages.error() == 0);
            CHECK(own.duplicates == 0);
            const char* const copy = messages.outgoing()->bytes + messages.outgoing()->messages[0].control;
            for (std::size_t i = 0; i < count; ++i) {
                int number = 0;
                std::memcpy(&number, copy + sizeof(cmsghdr) + i * sizeof number, sizeof number);
                REQUIRE(number == -1);
            }
        }
    }
}

TEST_CASE("credentials name the worker as the performer knows it") {
    const Pair pair{SOCK_DGRAM};
    ucred credentials{7, ::getuid(), ::getgid()};
    std::vector<char> bytes = control(SOL_SOCKET, SCM_CREDENTIALS, &credentials, sizeof credentials);
    msghdr message = with(bytes);
    Own own;
    Messages messages = Messages::of_sendmsg(own, pair.a.get(), at(&message), plenty);
    REQUIRE(messages.error() == 0);
    std::memcpy(&credentials, messages.outgoing()->bytes + sizeof(cmsghdr), sizeof credentials);
    CHECK(credentials.pid == 4711);

    credentials.pid = 4711;
    bytes = control(SOL_SOCKET, SCM_CREDENTIALS, &credentials, sizeof credentials);
    message = with(bytes);
    Messages others = Messages::of_sendmsg(own, pair.a.get(), at(&message), plenty);
    REQUIRE(others.error() == 0);
    std::memcpy(&credentials, others.outgoing()->bytes + sizeof(cmsghdr), sizeof credentials);
    CHECK(credentials.pid == 0);
}

TEST_CASE("control messages that hold addresses are refused") {
    const std::uint64_t somewhere[4] = {};
    std::vector<char> bytes = control(SOL_RDS, 1, somewhere, sizeof somewhere);
    CHECK(error_of(SOCK_DGRAM, with(bytes)) == EOPNOTSUPP);
}

TEST_CASE("of several messages, those before an error are taken") {
    const Pair pair{SOCK_DGRAM};
    char byte = 'x';
    iovec piece{&byte, 1};
    iovec wrong{nowhere, 1};
    mmsghdr array[4] = {};
    for (mmsghdr& element : array) {
        element.msg_hdr.msg_iov = &piece;
        element.msg_hdr.msg_iovlen = 1;
    }
    Own own;
    CHECK(Messages::of_sendmmsg(own, pair.a.get(), at(array), 4, plenty).count() == 4);
    CHECK(Messages::of_sendmmsg(own, pair.a.get(), at(array), 0, plenty).count() == 0);
    CHECK(Messages::of_sendmmsg(own, pair.a.get(), at(array), std::uint64_t{1} << 32 | 2, plenty).count() == 2);
    array[2].msg_hdr.msg_iov = &wrong;
    const Messages messages = Messages::of_sendmmsg(own, pair.a.get(), at(array), 4, plenty);
    CHECK(messages.count() == 2);
    CHECK(messages.error() == EFAULT);

    const Messages limited = Messages::of_sendmmsg(own, pair.a.get(), at(array), 4, 1);
    CHECK(limited.count() == 1);
    CHECK(limited.error() == 0);
}

TEST_CASE("what a worker can have copied is bounded") {
    std::vector<char> data(1 << 20);
    std::vector<char> bytes(1 << 16);
    const std::size_t length = bytes.size();
    std::memcpy(bytes.data(), &length, sizeof length);
    const int level = 999;
    std::memcpy(bytes.data() + sizeof length, &level, sizeof level);
    std::vector<iovec> pieces(1024, iovec{data.data(), data.size()});
    std::vector<mmsghdr> array(5000);
    const auto take = [&](int type) {
        const Pair pair{type};
        Own own;
        Messages messages = Messages::of_sendmmsg(own, pair.a.get(), at(array.data()), array.size(), plenty);
        CHECK(own.taken < 4 * plenty);
        return messages.count();
    };
    CHECK(take(SOCK_STREAM) == 1024);
    for (mmsghdr& element : array) {
        element.msg_hdr.msg_iov = pieces.data();
        element.msg_hdr.msg_iovlen = pieces.size();
    }
    CHECK(take(SOCK_STREAM) == 1);
    CHECK(take(SOCK_DGRAM) == 0);
    for (mmsghdr& element : array) element.msg_hdr.msg_iovlen = 0;
    for (mmsghdr& element : array) element.msg_hdr.msg_control = bytes.data();
    for (mmsghdr& element : array) element.msg_hdr.msg_controllen = bytes.size();
    CHECK(take(SOCK_DGRAM) == 2);
    for (mmsghdr& element : array) element.msg_hdr.msg_controllen = 0;
    for (iovec& piece : pieces) piece.iov_len = 0;
    for (mmsghdr& element : array) element.msg_hdr.msg_iovlen = pieces.size();
    CHECK(take(SOCK_DGRAM) == 4);
}

TEST_CASE("any bytes are a message or an error") {
    std::mt19937_64 random{1};
    const Pair pair{SOCK_DGRAM};
    char data[512];
    for (int round = 0; round < 20'000; ++round) {
        for (std::size_t i = 0; i < sizeof data; i += 8) {
            const std::uint64_t values[] = {random(), random() % 64, at(data + random() % sizeof data), 1,
                                            ~std::uint64_t{0}};
            std::memcpy(data + i, &values[random() % 5], 8);
        }
        Own own;
        Messages messages = round % 2 == 0 ? Messages::of_sendmsg(own, pair.a.get(), at(data), plenty)
                                           : Messages::of_sendmmsg(own, pair.a.get(), at(data), 8, plenty);
        CHECK(own.duplicates <= 4 * 253);
        CHECK((messages.count() > 0 || messages.error() != 0));
    }
}
