#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/reach.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call;
using sg::Rule;

namespace {

constexpr int many = 100'000;

/// What came of a worker's calls.
struct Tally {
    int allowed = 0;
    int denied = 0;
    int leaked = 0;
    int other = 0;
};

/// Whether an attack goes on after `made` attempts of at least `times`: until it leaks, or has seen both of what is to
/// be seen, or for twenty times as long.
bool goes_on(const Tally& tally, int made, int times) {
    return tally.leaked == 0 && (made < times || (made < 20 * times && (tally.allowed == 0 || tally.denied == 0)));
}

/// Makes a call `times` times, or until it leaks, while another thread alternates eight bytes of memory.
template <class Attempt>
Tally attack(std::uint64_t* word, std::uint64_t one, std::uint64_t other, int times, Attempt&& attempt) {
    std::atomic<bool> over{false};
    std::thread flipper{[&] {
        while (!over.load(std::memory_order_relaxed)) {
            for (const std::uint64_t value : {one, other}) {
                __atomic_store_n(word, value, __ATOMIC_RELAXED);
                for (int i = 0; i < 8; ++i) __asm__ volatile("");  // each is to be seen as often
            }
        }
    }};
    Tally tally;
    for (int i = 0; goes_on(tally, i, times); ++i) attempt(tally);
    over = true;
    flipper.join();
    return tally;
}

std::uint64_t word_of(const void* from) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

/// Connects to a port where nobody listens, or to one where somebody does.
Tally attack_connect(const sockaddr_in& allowed, const sockaddr_in& forbidden, int times) {
    alignas(8) sockaddr_in address = allowed;
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return attack(reinterpret_cast<std::uint64_t*>(&address), word_of(&allowed), word_of(&forbidden), times,
                  [&](Tally& tally) {
                      if (::connect(fd, support::plain(&address), sizeof address) == 0)
                          ++tally.leaked;
                      else if (errno == ECONNREFUSED)
                          ++tally.allowed;
                      else
                          ++(errno == EACCES ? tally.denied : tally.other);
                  });
}

/// Opens one of two files, whose names differ in their last eight bytes, and begin with what they hold.
Tally attack_open(const std::string& allowed, const std::string& forbidden, int times) {
    alignas(8) char buffer[256] = {};
    const std::size_t stem = allowed.size() - 8;
    char* const path = buffer + 128 - stem;
    std::memcpy(path, allowed.c_str(), allowed.size() + 1);
    return attack(reinterpret_cast<std::uint64_t*>(buffer + 128), word_of(&allowed[stem]), word_of(&forbidden[stem]),
                  times, [&](Tally& tally) {
                      const int fd = ::open(path, O_RDONLY);
                      char first = 0;
                      if (fd >= 0)
                          ++(::read(fd, &first, 1) == 1 && first == 'p' ? tally.allowed : tally.leaked);
                      else
                          ++(errno == EACCES ? tally.denied : tally.other);
                      ::close(fd);
                  });
}

struct Files : support::Workplace {
    std::string allowed = file("public_1", "p");
    std::string forbidden = file("secret_1", "s");
};

/// Nothing leaked, and both of what was to be seen was seen.
void check_held(const sg::Result<Tally>& tally, int times) {
    CAPTURE(tally.explain());
    REQUIRE(tally);
    CHECK(tally->leaked == 0);
    CHECK(tally->other == 0);
    CHECK(tally->allowed > 0);
    CHECK(tally->denied > 0);
    CHECK(tally->allowed + tally->denied >= times);
}

}  // namespace

TEST_CASE("an address that flips between an allowed and a forbidden one: the forbidden server sees nobody") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::ClosedPort allowed;
    const support::Receiver forbidden{SOCK_STREAM};
    const unsigned port = ntohs(allowed.address.sin_port);
    const sg::Policy policy{Rule<SYS_connect>{}.handle([port](const Call<SYS_connect>& call) {
                                return call[arg::addr].port() == port ? call.perform() : call.deny(EACCES);
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    check_held(box.call([&] { return attack_connect(allowed.address, forbidden.address, many); }), many);
    CHECK(support::accepted(forbidden.fd.get()) == 0);
}

TEST_CASE("the same by the rule's own matcher") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int times = 5000;
    const support::Leftovers leftovers;
    const support::ClosedPort allowed;
    const support::Receiver forbidden{SOCK_STREAM};
    const sg::Policy policy{Rule<SYS_connect>{arg::addr.in("127.0.0.1", ntohs(allowed.address.sin_port))}.allow(),
                            Rule<SYS_connect>{}.deny(EACCES), sg::otherwise.allow()};
    check_held(sg::Sandbox{policy}.call([&] { return attack_connect(allowed.address, forbidden.address, times); }),
               times);
    CHECK(support::accepted(forbidden.fd.get()) == 0);
}

TEST_CASE("were the call let through instead of performed, the forbidden server would be reached") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::ClosedPort allowed;
    const support::Receiver forbidden{SOCK_STREAM};
    const unsigned port = ntohs(allowed.address.sin_port);
    const sg::Policy policy{Rule<SYS_connect>{}.handle([port](const Call<SYS_connect>& call) {
                                return call[arg::addr].port() == port ? call.proceed_unchecked() : call.deny(EACCES);
                            }),
                            sg::otherwise.allow()};
    const auto tally =
        sg::Sandbox{policy}.call([&] { return attack_connect(allowed.address, forbidden.address, 10 * many); });
    REQUIRE(tally);
    CHECK(tally->leaked == 1);
    CHECK(support::accepted(forbidden.fd.get()) == 1);
}

TEST_CASE("a message whose address flips: it goes where the handler has seen that it goes") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int times = 5000;
    const auto attack_send = [](const sockaddr_in& allowed, const sockaddr_in& forbidden, int most) {
        sockaddr_in one = allowed;
        sockaddr_in other = forbidden;
        char byte = 'x';
        iovec piece{&byte, 1};
        msghdr message{&one, sizeof one, &piece, 1, nullptr, 0, 0};
        const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return attack(reinterpret_cast<std::uint64_t*>(&message.msg_name), reinterpret_cast<std::uintptr_t>(&one),
                      reinterpret_cast<std::uintptr_t>(&other), most, [&](Tally& tally) {
                          if (::sendmsg(fd, &message, MSG_DONTWAIT) == 1)
                              ++tally.allowed;
                          else
                              ++(errno == EACCES ? tally.denied : tally.other);
                      });
    };
    for (const bool performs : {true, false}) {
        CAPTURE(performs);
        const support::Receiver allowed{SOCK_DGRAM};
        const support::Receiver forbidden{SOCK_DGRAM};
        const unsigned port = ntohs(allowed.address.sin_port);
        const sg::Policy policy{Rule<SYS_sendmsg>{}.handle([port, performs](const Call<SYS_sendmsg>& call) {
                                    const auto& messages = call.messages();
                                    const bool good = messages.count() == 1 && messages.address(0).port() == port;
                                    if (!good) return call.deny(EACCES);
                                    return performs ? call.perform() : call.proceed_unchecked();
                                }),
                                sg::otherwise.allow()};
        const sg::Sandbox box{policy};
        const auto tally =
            box.call([&] { return attack_send(allowed.address, forbidden.address, performs ? times : 10 * many); });
        const bool leaked = support::received_at_once(forbidden.fd.get());
        if (performs) check_held(tally, times);
        CHECK(leaked != performs);
    }
}

TEST_CASE("a path that flips between an allowed and a forbidden one: the forbidden file is never opened") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const Files files;
    const sg::Policy policy{Rule<SYS_openat>{}.handle([allowed = files.allowed](const Call<SYS_openat>& call) {
                                return call[arg::path].text() == allowed ? call.perform() : call.deny(EACCES);
                            }),
                            sg::otherwise.allow()};
    check_held(sg::Sandbox{policy}.call([&] { return attack_open(files.allowed, files.forbidden, many); }), many);
}

TEST_CASE("the same by the rule's own matcher, which looks at where the path leads") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int times = 5000;
    const support::Leftovers leftovers;
    const Files files;
    const sg::Policy policy{Rule<SYS_openat>{arg::path == files.allowed}.allow(), Rule<SYS_openat>{}.deny(EACCES),
                            sg::otherwise.allow()};
    check_held(sg::Sandbox{policy}.call([&] { return attack_open(files.allowed, files.forbidden, times); }), times);
}

TEST_CASE("were the call let through instead of performed, the forbidden file would be opened") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const Files files;
    const sg::Policy policy{Rule<SYS_openat>{}.handle([allowed = files.allowed](const Call<SYS_openat>& call) {
                                return call[arg::path].text() == allowed ? call.proceed_unchecked() : call.deny(EACCES);
                            }),
                            sg::otherwise.allow()};
    const auto tally = sg::Sandbox{policy}.call([&] { return attack_open(files.allowed, files.forbidden, 10 * many); });
    REQUIRE(tally);
    CHECK(tally->leaked == 1);
}

TEST_CASE("links that are exchanged all the time lead nowhere that is not allowed") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int times = 3000;
    const support::Leftovers leftovers;
    const support::Workplace place;
    for (const char* directory : {"public", "secret"})
        REQUIRE(::mkdir((place.path + "/" + directory).c_str(), 0755) == 0);
    place.file("public/file", "p");
    place.file("secret/file", "s");
    REQUIRE(::symlink("public", (place.path + "/to").c_str()) == 0);
    REQUIRE(::symlink("secret", (place.path + "/other").c_str()) == 0);
    const sg::Policy policy{Rule<SYS_openat>{arg::path.under(place.path + "/public")}.allow(),
                            Rule<SYS_openat>{}.deny(EACCES), sg::otherwise.allow()};
    const auto tally = sg::Sandbox{policy}.call([&] {
        std::atomic<bool> over{false};
        std::thread swapper{[&] {
            const std::string one = place.path + "/to";
            const std::string other = place.path + "/other";
            while (!over) ::syscall(SYS_renameat2, AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
        }};
        Tally counted;
        for (int i = 0; goes_on(counted, i, times); ++i) {
            const int fd = ::open((place.path + "/to/file").c_str(), O_RDONLY);
            char first = 0;
            if (fd >= 0)
                ++(::read(fd, &first, 1) == 1 && first == 'p' ? counted.allowed : counted.leaked);
            else
                ++(errno == EACCES ? counted.denied : counted.other);
            ::close(fd);
        }
        over = true;
        swapper.join();
        return counted;
    });
    check_held(tally, times);
}

TEST_CASE("a descriptor that is replaced all the time: what was looked at is what the call acts on") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int times = 3000;
    const support::Leftovers leftovers;
    const support::Receiver forbidden{SOCK_STREAM};
    const sg::Policy policy{Rule<SYS_connect>{}.handle([](const Call<SYS_connect>& call) {
                                const sg::process::Descriptor socket = call.fd(arg::fd);
                                int type = 0;
                                socklen_t size = sizeof type;
                                ::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size);
                                return type == SOCK_DGRAM ? call.perform() : call.deny(EACCES);
                            }),
                            sg::otherwise.allow()};
    const auto tally = sg::Sandbox{policy}.call([&] {
        const int datagram = ::socket(AF_INET, SOCK_DGRAM, 0);
        const int stream = ::socket(AF_INET, SOCK_STREAM, 0);
        const int target = ::dup(datagram);
        std::atomic<bool> over{false};
        std::thread swapper{[&] {
            while (!over) {
                ::dup2(stream, target);
                ::dup2(datagram, target);
            }
        }};
        Tally counted;
        for (int i = 0; goes_on(counted, i, times); ++i) {
            if (::connect(target, support::plain(&forbidden.address), sizeof forbidden.address) == 0)
                ++counted.allowed;
            else
                ++(errno == EACCES ? counted.denied : counted.other);
        }
        over = true;
        swapper.join();
        return counted;
    });
    check_held(tally, times);
    CHECK(support::accepted(forbidden.fd.get()) == 0);
}
