#include <sysguard/supervise/stack/present_memory.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

#include "support/memory_that_never_comes.hpp"

using sysguard::supervise::PresentMemory;

namespace {

std::uint64_t address_of(const void* at) {
    return reinterpret_cast<std::uint64_t>(at);
}

}  // namespace

TEST_CASE("pages that have been written to are there, others are not, and stay away") {
    const PresentMemory memory{::getpid()};
    if (!memory) SYSGUARD_SKIP("/proc/self/pagemap is not there");
    const std::size_t page = memory.page_size();
    char* const pages =
        static_cast<char*>(::mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    pages[0] = 'a';
    pages[2 * page] = 'b';
    unsigned char is_there[4];
    memory.look(address_of(pages), 4, is_there);
    CHECK(is_there[0] == 1);
    CHECK(is_there[1] == 0);
    CHECK(is_there[2] == 1);
    CHECK(is_there[3] == 0);
    char text[2] = {};
    CHECK(memory.read(address_of(pages), text, 1));
    CHECK(text[0] == 'a');
    CHECK_FALSE(memory.read(address_of(pages) + page, text, 1));
    CHECK_FALSE(memory.read(address_of(pages) + page - 1, text, 2));  // its second half is not there
    pages[page] = 'c';
    CHECK(memory.read(address_of(pages) + page - 1, text, 2));
    CHECK(text[1] == 'c');
    memory.look(address_of(pages), 4, is_there);
    CHECK(is_there[3] == 0);  // nothing of all that has brought it
    ::munmap(pages, 4 * page);
}

TEST_CASE("what is no memory is not read") {
    const PresentMemory memory{::getpid()};
    char text[8];
    for (const std::uint64_t address : {std::uint64_t{0}, std::uint64_t{8}, std::uint64_t{0xffff800000000000},
                                        std::uint64_t{0x7fffffffffff}, ~std::uint64_t{0}, ~std::uint64_t{7}}) {
        CAPTURE(address);
        CHECK_FALSE(memory.read(address, text, sizeof text));
    }
    CHECK_FALSE(memory.read(address_of(text), text, 0));
    CHECK_FALSE(PresentMemory{0});
    CHECK_FALSE(PresentMemory{-1});
    CHECK_FALSE(PresentMemory{0}.read(address_of(text), text, 1));
}

TEST_CASE("memory that never comes holds up a read of it, but not a read of what is there") {
    support::MemoryThatNeverComes trap;
    if (!trap) SYSGUARD_SKIP("userfaultfd(2) is not for this user");
    CHECK(trap.holds_up([&](pid_t process, std::uint64_t page) {
        char text[8];
        sysguard::supervise::read_memory(process, page, text, sizeof text);
    }));
    CHECK_FALSE(trap.holds_up([&](pid_t process, std::uint64_t page) {
        char text[8];
        if (PresentMemory{process}.read(page, text, sizeof text)) ::_exit(1);
    }));
}
