#include <sysguard/process/limits.hpp>

#include <doctest/doctest.h>

#include <chrono>

using namespace sysguard::literals;
using namespace std::chrono_literals;

TEST_CASE("sizes") {
    static_assert(1_KiB == 1024 && 1_MiB == 1048576 && 2_GiB == 2147483648);
    CHECK(256_MiB == 268435456);
}

TEST_CASE("a time limit is any duration, rounded up") {
    using sysguard::TimeLimit;
    static_assert(TimeLimit{1500us}.time() == 2ms && TimeLimit{0.5s}.time() == 500ms && TimeLimit{-1s}.time() == -1s);
    CHECK(TimeLimit{std::chrono::nanoseconds{1}}.time() == 1ms);
    CHECK(TimeLimit{3h}.time() == 3h);
    CHECK(TimeLimit{std::chrono::hours::max()}.time() == std::chrono::days{36500});
    CHECK(TimeLimit{std::chrono::milliseconds::max()}.time() == std::chrono::days{36500});
}

TEST_CASE("limits that can end a worker have names") {
    using sysguard::Limit;
    for (const Limit limit : {Limit::none, Limit::memory, Limit::cpu, Limit::wall, Limit::file_size})
        CHECK(*name(limit) != '?');
}

TEST_CASE("what is left out is not limited") {
    const sysguard::Limits limits{.memory = 1_MiB, .cpu = 2s};
    CHECK(limits.memory == 1048576);
    CHECK(limits.cpu->time() == 2000ms);
    CHECK_FALSE(limits.wall);
    CHECK_FALSE(limits.processes);
    CHECK_FALSE(limits.open_files);
    CHECK_FALSE(limits.file_size);
    CHECK_FALSE(limits.stack);
}
