#include <sysguard/supervise/messages.hpp>
#include <sysguard/supervise/perform/message.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <type_traits>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace supervise = sysguard::supervise;
namespace perform = sysguard::supervise::perform;

namespace {

/// This very process, as one whose messages are taken.
struct Itself final : supervise::MessageSource {
    std::size_t read(std::uint64_t address, void* to, std::size_t bytes) noexcept override {
        std::memcpy(to, reinterpret_cast<const void*>(address), bytes);
        return bytes;
    }
    sysguard::process::Descriptor duplicate(int fd) noexcept override {
        return sysguard::process::Descriptor{::dup(fd)};
    }
    pid_t own_pid() noexcept override { return ::getpid(); }
    pid_t pid() noexcept override { return ::getpid(); }
};

std::string_view part(const perform::Outgoing& outgoing, std::size_t place, std::size_t size) {
    return {outgoing.bytes + place, size};
}

}  // namespace

TEST_CASE("what nobody has filled in sends nothing") {
    const perform::Outgoing outgoing;
    CHECK(outgoing.count == 0);
    CHECK(outgoing.messages == nullptr);
    CHECK(outgoing.error == 0);
    const perform::Message message;
    CHECK(message.name_size + message.data_size + message.control_size == 0);
    CHECK_FALSE(message.carries_descriptors);
    CHECK(std::is_trivially_copyable_v<perform::Message>);  // it lies in memory that moves as bytes
}

TEST_CASE("the parts of several messages lie where they say, one apart from the other") {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(socket >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = ::htons(53);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    auto& header = *reinterpret_cast<cmsghdr*>(control);
    header.cmsg_level = IPPROTO_IP;
    header.cmsg_type = IP_TTL;
    header.cmsg_len = CMSG_LEN(sizeof(int));
    iovec first[] = {{const_cast<char*>("a"), 1}, {const_cast<char*>("bc"), 2}};
    iovec second[] = {{const_cast<char*>("defg"), 4}};
    mmsghdr messages[2] = {};
    messages[0].msg_hdr = {&address, sizeof address, first, 2, nullptr, 0, 0};
    messages[1].msg_hdr = {nullptr, 0, second, 1, control, sizeof control, 0};

    Itself source;
    supervise::Messages taken =
        supervise::Messages::of_sendmmsg(source, socket, reinterpret_cast<std::uint64_t>(messages), 2, 4096);
    const perform::Outgoing& outgoing = *taken.outgoing();
    REQUIRE(outgoing.count == 2);
    CHECK(outgoing.error == 0);
    const perform::Message& one = outgoing.messages[0];
    CHECK(part(outgoing, one.name, one.name_size) ==
          std::string_view{reinterpret_cast<const char*>(&address), sizeof address});
    CHECK(part(outgoing, one.data, one.data_size) == "abc");
    CHECK(one.control_size == 0);
    const perform::Message& two = outgoing.messages[1];
    CHECK(two.name_size == 0);
    CHECK(part(outgoing, two.data, two.data_size) == "defg");
    CHECK(part(outgoing, two.control, two.control_size) == std::string_view{control, sizeof control});
    CHECK_FALSE(two.carries_descriptors);
    ::close(socket);
}

TEST_CASE("a message that cannot be sent stands behind those that can, with its errno") {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(socket >= 0);
    iovec fits[] = {{const_cast<char*>("abc"), 3}};
    iovec too_many[] = {{const_cast<char*>("abc"), ~std::size_t{0}}};
    mmsghdr messages[2] = {};
    messages[0].msg_hdr.msg_iov = fits;
    messages[0].msg_hdr.msg_iovlen = 1;
    messages[1].msg_hdr.msg_iov = too_many;
    messages[1].msg_hdr.msg_iovlen = 1;
    Itself source;
    supervise::Messages taken =
        supervise::Messages::of_sendmmsg(source, socket, reinterpret_cast<std::uint64_t>(messages), 2, 4096);
    CHECK(taken.outgoing()->count == 1);
    CHECK(taken.outgoing()->error == EINVAL);
    ::close(socket);
}
