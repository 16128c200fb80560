#include <sysguard/process/options.hpp>

#include <doctest/doctest.h>

using namespace sysguard;

TEST_CASE("nothing is limited and nothing optional unless it is said") {
    constexpr Options options;
    static_assert(!options.limits.memory && !options.limits.wall);
    static_assert(!options.optional.has(Layer::file_access));
    CHECK(options.most_result == 64_MiB);
    CHECK(options.most_read == 1_MiB);
}
