#include <sysguard/process/bell.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <ctime>

#include "support/helpers.hpp"

namespace sg = sysguard;

namespace {

char state_of(pid_t pid) {
    char text[256] = {};
    std::FILE* const file = std::fopen(("/proc/" + std::to_string(pid) + "/stat").c_str(), "re");
    if (file == nullptr) return 0;
    const std::size_t bytes = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    const std::string stat(text, bytes);
    return stat[stat.rfind(')') + 2];
}

}  // namespace

TEST_CASE("a bell that is rung ends, and wakes who waits for it") {
    sg::process::Bell bell;
    REQUIRE(bell.hang() == 0);
    const pid_t pid = bell.pid();
    REQUIRE(pid > 0);
    CHECK(::waitpid(pid, nullptr, WNOHANG | __WALL) == 0);
    std::thread other{[&] { bell.ring(); }};
    int status = -1;
    CHECK(::waitpid(pid, &status, __WALL) == pid);
    CHECK(status == 0);
    bell.answer();
    CHECK(bell.pid() == -1);
    other.join();
    REQUIRE(bell.hang() == 0);
    CHECK(bell.pid() > 0);
}

TEST_CASE("a bell that was rung before it hangs rings at once") {
    sg::process::Bell bell;
    bell.ring();
    REQUIRE(bell.hang() == 0);
    CHECK(::waitpid(bell.pid(), nullptr, __WALL) == bell.pid());
    bell.answer();
}

TEST_CASE("a bell rings by itself when its time has come") {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    sg::process::Bell bell;
    const std::int64_t when = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec + 5'000'000;
    REQUIRE(bell.hang(when) == 0);
    CHECK(bell.when() == when);
    CHECK(::waitpid(bell.pid(), nullptr, __WALL) == bell.pid());
    bell.answer();
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    CHECK(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec >= when);
}

TEST_CASE("a bell is no child that the host's own waiting finds, and ends with its thread") {
    static sg::process::Bell* bell = nullptr;  // left hanging
    pid_t pid = -1;
    std::thread thread{[&] {
        bell = new sg::process::Bell;
        CHECK(bell->hang() == 0);
        pid = bell->pid();
        CHECK(::waitpid(pid, nullptr, WNOHANG) == -1);  // without __WALL or __WCLONE
        CHECK(support::eventually([&] { return state_of(pid) == 'S'; }));
    }};
    thread.join();
    CHECK(support::eventually([&] { return !support::lives(pid); }));
    ::waitpid(pid, nullptr, __WALL);
}
