#include <sysguard/supervise/stack/mappings.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <string>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/skip.hpp"

using sysguard::supervise::Mappings;

namespace {

void code_of_this_file() {}

}  // namespace

TEST_CASE("executable mappings, and where the stack lies") {
    int here = 0;
    const Mappings mappings{::getpid(), reinterpret_cast<std::uint64_t>(&here)};
    const auto code = reinterpret_cast<std::uint64_t>(&::code_of_this_file);
    const Mappings::Range* const range = mappings.find(code);
    REQUIRE(range != nullptr);
    CHECK(range->contains(code));
    CHECK(range->is_executable);
    CHECK(mappings.name_of(*range).find("test.supervise.stack.mappings") != std::string::npos);
    CHECK(mappings.stack().contains(reinterpret_cast<std::uint64_t>(&here)));
    CHECK(mappings.find(reinterpret_cast<std::uint64_t>(&here)) == nullptr);
    CHECK(mappings.find(0) == nullptr);
    CHECK(mappings.find(~std::uint64_t{0}) == nullptr);
    CHECK_FALSE(mappings.is_cut());
}

TEST_CASE("of nobody, none") {
    const Mappings mappings{0, 0};
    CHECK(mappings.ranges().empty());
    CHECK(mappings.find(0x400000) == nullptr);
    CHECK(mappings.stack().high == 0);
    CHECK(Mappings{0x7fffffff, 0}.ranges().empty());
}

TEST_CASE("a process with as many executable mappings as it can have is looked at within bounds") {
    SYSGUARD_SKIP_SANITIZED();
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
        constexpr std::size_t count = 40000;
        auto* const pages = static_cast<char*>(
            ::mmap(nullptr, count * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        int made = 0;
        for (std::size_t i = 0; i < count; i += 2)
            made += ::mprotect(pages + i * 4096, 4096, PROT_READ | PROT_EXEC) == 0;
        if (::write(ends[1], &made, sizeof made) != sizeof made) ::_exit(1);
        for (;;) ::pause();
    }
    int made = 0;
    CHECK(::read(ends[0], &made, sizeof made) == sizeof made);
    CHECK(made > 10000);
    const Mappings mappings{pid, 0};
    CHECK(mappings.ranges().size() == Mappings::most_ranges);
    CHECK(mappings.is_cut());
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(ends[0]);
    ::close(ends[1]);
}
