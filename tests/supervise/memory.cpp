#include <sysguard/filter/install.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/supervise/memory.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/reach.hpp"

namespace sg = sysguard;
using sysguard::supervise::read_memory;
using sysguard::supervise::read_string;
using sysguard::supervise::write_memory;

namespace {

/// Pages behind which nothing can be read.
struct Pages {
    explicit Pages(std::size_t count) : size{count * 4096} {
        begin = static_cast<char*>(
            ::mmap(nullptr, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ::mprotect(begin + size, 4096, PROT_NONE);
    }
    ~Pages() { ::munmap(begin, size + 4096); }
    std::uint64_t address(std::size_t from_end) const {
        return reinterpret_cast<std::uint64_t>(begin + size - from_end);
    }

    std::size_t size;
    char* begin;
};

}  // namespace

TEST_CASE("as much as there is") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    const Pages pages{3};
    std::memset(pages.begin, 'x', pages.size);
    std::vector<char> to(20000);
    CHECK(read_memory(::getpid(), pages.address(12288), to.data(), 12288) == 12288);
    CHECK(read_memory(::getpid(), pages.address(12288), to.data(), 12289) == 12288);
    CHECK(read_memory(::getpid(), pages.address(1), to.data(), 20000) == 1);
    CHECK(read_memory(::getpid(), pages.address(0), to.data(), 1) == 0);
    CHECK(read_memory(::getpid(), pages.address(100), to.data(), 0) == 0);
    for (const std::uint64_t nowhere : {std::uint64_t{0}, std::uint64_t{8}, ~std::uint64_t{0}, ~std::uint64_t{0} << 63})
        CHECK(read_memory(::getpid(), nowhere, to.data(), 100) == 0);
    CHECK(read_memory(0, pages.address(1), to.data(), 1) == 0);
    CHECK(read_memory(-1, pages.address(1), to.data(), 1) == 0);
}

TEST_CASE("more than one transfer takes") {
    std::vector<char> from(1 << 20);
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<char>(i * 7 / 5);
    std::vector<char> to(from.size());
    CHECK(read_memory(::getpid(), reinterpret_cast<std::uint64_t>(from.data()), to.data(), to.size()) == to.size());
    CHECK(from == to);
}

TEST_CASE("strings of every length, at every place of a page") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    const Pages pages{3};
    std::string text;
    for (const std::size_t length : {0U, 1U, 127U, 254U, 255U, 256U, 257U, 4094U, 4095U})
        for (const std::size_t behind : {0U, 1U, 200U, 4090U, 4096U}) {
            CAPTURE(length);
            CAPTURE(behind);
            std::memset(pages.begin, 'y', pages.size);
            char* const begin = pages.begin + pages.size - behind - length - 1;
            std::memset(begin, 'x', length);
            begin[length] = 0;
            CHECK(read_string(::getpid(), pages.address(behind + length + 1), 4095, text) == 0);
            CHECK(text == std::string(length, 'x'));
        }
    std::memset(pages.begin, 'x', pages.size);
    CHECK(read_string(::getpid(), pages.address(4096), 4095, text) == ENAMETOOLONG);
    CHECK(read_string(::getpid(), pages.address(4095), 4095, text) == EFAULT);
    CHECK(read_string(::getpid(), 0, 4095, text) == EFAULT);
}

TEST_CASE("what is written is there, and only where the other may write") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    Pages pages{2};
    CHECK(write_memory(::getpid(), pages.address(5000), std::string(5000, 'z').data(), 5000));
    CHECK(pages.begin[pages.size - 5000] == 'z');
    CHECK(pages.begin[pages.size - 1] == 'z');
    CHECK_FALSE(write_memory(::getpid(), pages.address(10), std::string(11, 'z').data(), 11));
    ::mprotect(pages.begin, 4096, PROT_READ);
    CHECK_FALSE(write_memory(::getpid(), pages.address(8192), "a", 1));
    CHECK(pages.begin[0] == 0);
    CHECK_FALSE(write_memory(::getpid(), 0, "a", 1));
    CHECK(write_memory(::getpid(), 0, "a", 0));
}

TEST_CASE("where a filter that the host runs under refuses process_vm_readv, memory is read all the same") {
    static constexpr sg::Policy policy{
        sg::Rule<sg::sys::process_vm_readv>{}.deny(EPERM),
        sg::Rule<sg::sys::process_vm_writev>{}.deny(EPERM),
        sg::otherwise.allow(),
    };
    const std::string said = support::in_fork([] {
        sg::filter::install(policy.program());
        const Pages pages{3};
        std::memset(pages.begin, 'x', pages.size);
        ::munmap(pages.begin + pages.size, 4096);
        std::string text;
        std::vector<char> to(20000);
        std::string results = std::to_string(read_memory(::getpid(), pages.address(12288), to.data(), 12288));
        results += " " + std::to_string(read_memory(::getpid(), pages.address(12287), to.data(), 20000));
        results += " " + std::to_string(read_memory(::getpid(), ~std::uint64_t{0}, to.data(), 100));
        results += " " + std::to_string(read_memory(-1, pages.address(1), to.data(), 1));
        results += " " + std::to_string(read_string(::getpid(), pages.address(4095), 4095, text));
        pages.begin[0] = 0;
        results += " " + std::to_string(read_string(::getpid(), pages.address(12288), 4095, text));
        results += write_memory(::getpid(), pages.address(8), "a", 1) ? " written" : " refused";
        return results;
    });
    CHECK(said == "12288 12287 0 0 14 0 refused");
}
