#include <sysguard/process/limits.hpp>

#include <doctest/doctest.h>

using namespace sysguard::literals;
using namespace std::chrono_literals;

TEST_CASE("sizes") {
    static_assert(1_KiB == 1024 && 1_MiB == 1048576 && 2_GiB == 2147483648);
    CHECK(256_MiB == 268435456);
}

TEST_CASE("what is left out is not limited") {
    const sysguard::Limits limits{.memory = 1_MiB, .cpu = 2s};
    CHECK(limits.memory == 1048576);
    CHECK(limits.cpu == 2000ms);
    CHECK_FALSE(limits.wall);
    CHECK_FALSE(limits.processes);
    CHECK_FALSE(limits.open_files);
    CHECK_FALSE(limits.file_size);
    CHECK_FALSE(limits.stack);
}
