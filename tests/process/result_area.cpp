#include <sysguard/process/result_area.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/skip.hpp"

using sysguard::process::ResultArea;

namespace {

/// The file behind an area, as who has CAP_CHECKPOINT_RESTORE can open it; -1 for others.
int open_area(ResultArea& area) {
    const auto address = reinterpret_cast<std::uintptr_t>(&area.header());
    int file = -1;
    DIR* const maps = ::opendir("/proc/self/map_files");
    if (maps == nullptr) return -1;
    while (const dirent* const entry = ::readdir(maps)) {
        std::uintptr_t begin = 0;
        if (std::sscanf(entry->d_name, "%zx-", &begin) == 1 && begin == address)
            file = ::openat(::dirfd(maps), entry->d_name, O_RDWR | O_CLOEXEC);
    }
    ::closedir(maps);
    return file;
}

}  // namespace

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

TEST_CASE("nobody makes an area smaller, or larger") {
    ResultArea area{100000};
    const int file = open_area(area);
    if (file < 0) SYSGUARD_SKIP("this user cannot open what processes have mapped");
    CHECK(::ftruncate(file, 0) == -1);
    CHECK(errno == EPERM);
    CHECK(::ftruncate(file, 1 << 20) == -1);
    CHECK(::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) == -1);
    ::close(file);
}

TEST_CASE("an area takes memory as it is written to") {
    ResultArea area{std::size_t{1} << 30};
    area.data()[1 << 20] = 1;
    const int file = open_area(area);
    if (file < 0) SYSGUARD_SKIP("this user cannot open what processes have mapped");
    struct stat status {};
    CHECK(::fstat(file, &status) == 0);
    CHECK(status.st_blocks * 512 < 1 << 20);
    ::close(file);
}

TEST_CASE("where files may not be so long there is an error, and no signal") {
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit short_files{1 << 20, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &short_files);
    CHECK_NOTHROW(ResultArea{1000});
    CHECK_THROWS_AS(ResultArea{2 << 20}, sysguard::Error);
    ::setrlimit(RLIMIT_FSIZE, &before);
}
