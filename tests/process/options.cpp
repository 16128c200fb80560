#include <sysguard/process/options.hpp>

#include <doctest/doctest.h>

using namespace sysguard;

TEST_CASE("nothing is limited and nothing optional unless it is said") {
    const Options options;
    CHECK_FALSE(options.limits.memory);
    CHECK_FALSE(options.limits.wall);
    CHECK_FALSE(options.optional.has(Layer::file_access));
    CHECK_FALSE(options.files.is_restricted());
    CHECK(options.network.kind() == Network::host);
    CHECK_FALSE(options.network.restricts_tcp());
    CHECK_FALSE(options.scopes.abstract_sockets);
    CHECK_FALSE(options.scopes.signals);
    CHECK(options.most_result == 64_MiB);
    CHECK(options.most_read == 1_MiB);
}
