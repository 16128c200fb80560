#include <sysguard/supervise/stack/stack_copy.hpp>

#include <doctest/doctest.h>

#include <cstdint>

#include <sys/mman.h>
#include <unistd.h>

#include "support/skip.hpp"

using namespace sysguard::supervise;

TEST_CASE("a copy of what is there, with gaps where nothing is") {
    const PresentMemory memory{::getpid()};
    if (!memory) SYSGUARD_SKIP("/proc/self/pagemap is not there");
    const std::size_t page = memory.page_size();
    auto* const pages =
        static_cast<char*>(::mmap(nullptr, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const auto low = reinterpret_cast<std::uint64_t>(pages);
    for (const std::size_t i : {1U, 2U, 4U, 7U}) pages[i * page + 8] = static_cast<char>('0' + i);
    const StackCopy copy = StackCopy::take(::getpid(), memory, low + page + 24, low + 8 * page, 6 * page);
    CHECK(copy.low == low + page);
    REQUIRE(copy.is_there.size() == 6);
    CHECK(copy.bytes.size() == 6 * page);
    const unsigned char wanted[] = {1, 1, 0, 1, 0, 0};
    for (std::size_t i = 0; i < 6; ++i) CHECK(copy.is_there[i] == wanted[i]);
    std::uint64_t word = 0;
    CHECK(copy.view().word(low + page + 8, 8, word));
    CHECK(word == '1');
    CHECK(copy.view().word(low + 4 * page + 8, 8, word));
    CHECK(word == '4');
    CHECK_FALSE(copy.view().word(low + 3 * page, 8, word));
    CHECK_FALSE(copy.view().word(low + 7 * page + 8, 8, word));  // beyond what was asked for
    CHECK_FALSE(copy.view().word(low, 8, word));
    CHECK_FALSE(copy.view().word(low + page, 2, word));
    for (const std::uint64_t far : {std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{7}, low + 7 * page - 4})
        CHECK_FALSE(copy.view().word(far, 8, word));
    ::munmap(pages, 8 * page);
}

TEST_CASE("memory that goes away or was never there makes gaps, not failures") {
    const PresentMemory memory{::getpid()};
    CHECK(StackCopy::take(::getpid(), memory, 4096, 4096, 65536).bytes.empty());
    CHECK(StackCopy::take(::getpid(), memory, ~std::uint64_t{0}, 4096, 65536).bytes.empty());
    const StackCopy nothing = StackCopy::take(::getpid(), memory, 4096, 3 * 4096, 65536);
    std::uint64_t word = 0;
    CHECK_FALSE(nothing.view().word(4096, 8, word));
    CHECK_FALSE(StackView{}.word(0, 8, word));
    auto* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *static_cast<char*>(page) = 1;
    ::mprotect(page, 4096, PROT_NONE);
    const auto low = reinterpret_cast<std::uint64_t>(page);
    const StackCopy closed = StackCopy::take(::getpid(), memory, low, low + 4096, 65536);
    CHECK(closed.bytes.size() == 4096);
    ::munmap(page, 4096);
}
