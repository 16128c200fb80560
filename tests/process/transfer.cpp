#include <sysguard/process/transfer.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/supervised.hpp"

using sysguard::process::Descriptor;
using sysguard::process::Transfer;

TEST_CASE("descriptors arrive, close-on-exec, or none of them does") {
    const support::Leftovers leftovers;
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    const Descriptor a{ends[0]};
    const Descriptor b{ends[1]};
    Descriptor received[Transfer::most];
    CHECK(sysguard::process::receive_transfer(b.get(), received) == -EAGAIN);
    Transfer sent;
    for (std::size_t i = 0; i < Transfer::most; ++i) CHECK(sent.add(1));
    CHECK_FALSE(sent.add(1));
    CHECK(sysguard::process::send_transfer(a.get(), sent) == 0);
    CHECK(sysguard::process::receive_transfer(b.get(), received) == static_cast<int>(Transfer::most));
    CHECK((::fcntl(received[15].get(), F_GETFD) & FD_CLOEXEC) != 0);
    for (Descriptor& each : received) each.reset();

    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit few{static_cast<rlim_t>(b.get()) + 3, before.rlim_max};
    CHECK(sysguard::process::send_transfer(a.get(), sent) == 0);
    ::setrlimit(RLIMIT_NOFILE, &few);
    CHECK(sysguard::process::receive_transfer(b.get(), received) == -EMFILE);
    ::setrlimit(RLIMIT_NOFILE, &before);
    for (const Descriptor& each : received) CHECK_FALSE(each);

    sent.descriptors[0] = -1;
    CHECK(sysguard::process::send_transfer(a.get(), sent) == EBADF);
}
