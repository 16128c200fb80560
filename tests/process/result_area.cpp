#include <sysguard/process/result_area.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include <sys/wait.h>
#include <unistd.h>

using sysguard::process::ResultArea;

TEST_CASE("what a forked process writes the host reads") {
    ResultArea area{100};
    CHECK(area.capacity() >= 100);
    CHECK(area.header().state == ResultArea::State::silent);
    CHECK(area.header().size == 0);
    REQUIRE(area.share_with_forks(true));
    const pid_t child = ::fork();
    if (child == 0) {
        area.header().state = ResultArea::State::returned;
        area.header().size = 5;
        std::memcpy(area.data(), "hello", 5);
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    CHECK(area.header().state == ResultArea::State::returned);
    CHECK(std::memcmp(area.data(), "hello", 5) == 0);
}

TEST_CASE("a process that is forked without a word has no area") {
    ResultArea area{100};
    const pid_t child = ::fork();
    if (child == 0) {
        area.header().size = 5;
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK_FALSE((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(area.read_header().size == 0);
}

TEST_CASE("an area that there is no room for is an error") {
    CHECK_THROWS_AS(ResultArea{std::size_t{1} << 60}, sysguard::Error);
    CHECK_THROWS_AS(ResultArea{std::numeric_limits<std::size_t>::max()}, sysguard::Error);
}
