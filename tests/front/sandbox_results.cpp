#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/skip.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace sg::literals;
using namespace std::chrono_literals;
using Kind = sg::Outcome::Kind;
using support::anything;
using support::has;
using support::static_program;

TEST_CASE("a worker that writes garbage where its result is expected") {
    // The area is the shared mapping whose first word says that the function runs.
    const auto scribble = [](std::uint32_t state, std::uint64_t size, int byte) {
        return [state, size, byte]() -> bool {
            std::ifstream maps{"/proc/self/maps"};
            for (std::string line; std::getline(maps, line);) {
                std::uintptr_t begin = 0;
                std::uintptr_t end = 0;
                char access[5] = {};
                if (std::sscanf(line.c_str(), "%zx-%zx %4s", &begin, &end, access) != 3 ||
                    std::string{access} != "rw-s")
                    continue;
                auto& header = *reinterpret_cast<sg::process::ResultArea::Header*>(begin);
                if (header.state != sg::process::ResultArea::State::running) continue;
                header.state = static_cast<sg::process::ResultArea::State>(state);
                header.size = size;
                *reinterpret_cast<unsigned char*>(begin + sizeof header) = static_cast<unsigned char>(byte);
                ::_exit(0);
            }
            return false;
        };
    };
    using State = sg::process::ResultArea::State;
    const auto number = [](State state) { return static_cast<std::uint32_t>(state); };
    const sg::Sandbox box{anything};
    for (const auto& result :
         {box.call(scribble(0xdeadbeef, 1, 1)), box.call(scribble(number(State::returned), 2, 1)),
          box.call(scribble(number(State::returned), 0, 1)), box.call(scribble(number(State::returned), 1, 2)),
          box.call(scribble(number(State::returned), ~0ULL, 1)), box.call(scribble(number(State::threw), ~0ULL, 1)),
          box.call(scribble(number(State::failed_to_start) + 1, 1, 1))}) {
        CHECK_FALSE(result);
        CHECK(result.outcome().kind() == Kind::garbled);
        CHECK(has(result.explain(), "no valid result"));
    }
    CHECK(*box.call(scribble(number(State::returned), 1, 1)));  // indistinguishable from a result
}

TEST_CASE("a worker says in vain that it could not start, when its function has begun") {
    const auto result = sg::Sandbox{anything}.call([]() -> int {
        std::ifstream maps{"/proc/self/maps"};
        for (std::string line; std::getline(maps, line);) {
            std::uintptr_t begin = 0;
            char access[5] = {};
            if (std::sscanf(line.c_str(), "%zx-%*x %4s", &begin, access) != 2 || std::string{access} != "rw-s")
                continue;
            auto& header = *reinterpret_cast<sg::process::ResultArea::Header*>(begin);
            if (header.state != sg::process::ResultArea::State::running) continue;
            header.step = 9;
            header.error = EBUSY;
            header.state = sg::process::ResultArea::State::failed_to_start;
            ::_exit(0);
        }
        ::_exit(1);
    });
    CHECK(result.outcome().kind() == Kind::garbled);
}

TEST_CASE("workers that start at the same time do not have each other's results") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const sg::Sandbox box{anything};
    std::atomic<int> foreign{0};
    const auto count_areas = [] {
        int areas = 0;
        std::ifstream maps{"/proc/self/maps"};
        for (std::string line; std::getline(maps, line);) areas += line.find("rw-s") != std::string::npos;
        ::usleep(2000);
        return areas;
    };
    const int own = *box.call(count_areas);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 25; ++i) {
                const sg::Result<int> areas = box.call(count_areas);
                if (!areas || *areas > own) ++foreign;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(foreign == 0);
}

TEST_CASE("what a worker makes the host's children is reaped") {
    const pid_t host = ::fork();
    if (host == 0) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        bool good = static_cast<bool>(sg::Sandbox{anything}.call([] {
            for (int i = 0; i < 5; ++i) {
                if (::fork() == 0) ::_exit(0);  // an orphan soon
                if (::syscall(SYS_clone, CLONE_PARENT, nullptr, nullptr, nullptr, nullptr) == 0) ::_exit(0);
            }
        }));
        good = good && static_cast<bool>(sg::Sandbox{static_program}.call([] {}));  // which has a helper of its own
        good = good && ::waitpid(-1, nullptr, WNOHANG | __WALL) == -1 && errno == ECHILD;
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ::waitpid(host, &status, 0);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

TEST_CASE("a result that changes while the host reads it") {
    // A process that got away (setsid) keeps the mapping and changes what the host looks at, for a bounded time.
    const auto fickle = [] {
        auto* header = static_cast<sg::process::ResultArea::Header*>(nullptr);
        std::ifstream maps{"/proc/self/maps"};
        for (std::string line; header == nullptr && std::getline(maps, line);) {
            std::uintptr_t begin = 0;
            char access[5] = {};
            if (std::sscanf(line.c_str(), "%zx-%*x %4s", &begin, access) != 2 || std::string{access} != "rw-s")
                continue;
            auto* const area = reinterpret_cast<sg::process::ResultArea::Header*>(begin);
            if (area->state == sg::process::ResultArea::State::running) header = area;
        }
        if (header == nullptr) ::_exit(1);
        int ready[2];
        if (::pipe(ready) != 0) ::_exit(1);
        if (::fork() == 0) {
            ::setsid();
            (void)!::write(ready[1], "", 1);
            header->state = sg::process::ResultArea::State::returned;
            for (long i = 0; i < 2'000'000; ++i)
                __atomic_store_n(&header->size, (i & 1) != 0 ? 1ULL << 60 : 4ULL, __ATOMIC_RELAXED);
            ::_exit(0);
        }
        char byte = 0;
        (void)!::read(ready[0], &byte, 1);
        ::_exit(0);
        return std::string{};
    };
    const sg::Sandbox box{anything};
    for (int i = 0; i < 200; ++i) {
        const sg::Result<std::string> result = box.call(fickle);
        CHECK((result ? result->size() == 4 : result.outcome().kind() != Kind::returned));
    }
}

TEST_CASE("a worker cannot take its result's memory away from under the host") {
    // What a process has mapped, root can open as a file.
    const auto result = sg::Sandbox{anything}.call([] {
        int refused = 0;
        std::ifstream maps{"/proc/self/maps"};
        for (std::string line; std::getline(maps, line);) {
            std::uintptr_t begin = 0;
            std::uintptr_t end = 0;
            char access[5] = {};
            if (std::sscanf(line.c_str(), "%zx-%zx %4s", &begin, &end, access) != 3 || std::string{access} != "rw-s")
                continue;
            char path[80];
            std::snprintf(path, sizeof path, "/proc/self/map_files/%zx-%zx", begin, end);
            const int file = ::open(path, O_RDWR);
            if (file < 0) return 0;
            if (::ftruncate(file, 0) == 0) ::_exit(7);
            ++refused;
        }
        return refused;
    });
    REQUIRE(result);
    if (*result == 0) SYSGUARD_SKIP("this user cannot open what processes have mapped");
}

TEST_CASE("a result that would be larger in the host than its room is none") {
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{anything, {.most_result = 1_MiB}};
    CHECK(box.call([] { return std::vector<std::string>(32000); })->size() == 32000);
    const auto large = box.call([] { return std::vector<std::string>(100000); });
    CHECK(large.outcome().kind() == Kind::garbled);
    CHECK(has(large.explain(), "larger than"));
}
