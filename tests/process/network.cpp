#include <sysguard/process/network.hpp>
#include <sysguard/process/options.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using namespace sysguard;

namespace {

std::vector<std::uint16_t> list(const Ports& ports) {
    return {ports.begin(), ports.end()};
}

}  // namespace

TEST_CASE("the host's network unless it is said") {
    CHECK(Network{}.kind() == Network::host);
    CHECK_FALSE(Network{}.has_own_namespace());
    const Options options{.network = Network::isolated};
    CHECK(options.network.kind() == Network::isolated);
    CHECK(options.network.has_own_namespace());
    CHECK(Network{Network::loopback}.has_own_namespace());
    CHECK_FALSE(options.network.restricts_tcp());
}

TEST_CASE("TCP ports of the host's network") {
    const Options options{.network = Network::tcp({.connect = {80, 443}, .bind = {8080}})};
    CHECK(options.network.kind() == Network::host);
    CHECK(options.network.restricts_tcp());
    CHECK(list(options.network.tcp_ports().connect) == std::vector<std::uint16_t>{80, 443});
    CHECK(list(options.network.tcp_ports().bind) == std::vector<std::uint16_t>{8080});
    CHECK(Network::tcp({}).restricts_tcp());
    CHECK(Network::tcp({}).tcp_ports().connect.size() == 0);
}

TEST_CASE("ports that are found at run time") {
    Ports ports{1};
    ports.add(65535);
    CHECK(list(ports) == std::vector<std::uint16_t>{1, 65535});
}
