#include <sysguard/supervise/mapping.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/scratch.hpp"

using sysguard::supervise::Mapping;
using sysguard::supervise::mapping_of;
using sysguard::supervise::MappingReader;
using sysguard::supervise::printable;

namespace {

std::uint64_t address_of(const void* at) {
    return reinterpret_cast<std::uint64_t>(at);
}

/// A page of a file of that name, in the working directory.
void* map_file(const char* name) {
    const int fd = ::open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(::ftruncate(fd, 4096) == 0);
    void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    ::close(fd);
    REQUIRE(page != MAP_FAILED);
    return page;
}

}  // namespace

TEST_CASE("code lies in its file, anonymous memory in nothing") {
    const auto own = reinterpret_cast<std::uint64_t>(&mapping_of);
    const std::string mapping = mapping_of(::getpid(), own);
    CAPTURE(mapping);
    CHECK(mapping.find("test.supervise.mapping+0x") != std::string::npos);
    void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapping_of(::getpid(), address_of(page)) == "");
    ::munmap(page, 4096);
    CHECK(mapping_of(::getpid(), address_of(&page)).find("[stack]+0x") == 0);
    CHECK(mapping_of(::getpid(), 8) == "");
    CHECK(mapping_of(::getpid(), ~std::uint64_t{0}) == "");
    CHECK(mapping_of(0, own) == "");
}

TEST_CASE("a line says all that the kernel says of a mapping") {
    const support::Scratch scratch;
    const std::string name = scratch / "file";
    void* const page = map_file(name.c_str());
    struct stat status {};
    REQUIRE(::stat(name.c_str(), &status) == 0);
    bool is_found = false;
    std::uint64_t last = 0;
    MappingReader reader{::getpid()};
    for (Mapping mapping; reader.next(mapping);) {
        CHECK(mapping.low >= last);
        CHECK(mapping.high > mapping.low);
        last = mapping.low;
        if (!mapping.contains(address_of(page))) continue;
        is_found = true;
        CHECK(mapping.low == address_of(page));
        CHECK(mapping.high == mapping.low + 4096);
        CHECK(mapping.offset == 0);
        CHECK(mapping.inode == status.st_ino);
        CHECK(mapping.is_executable);
        CHECK(mapping.name == name);
    }
    CHECK(is_found);
    CHECK_FALSE(reader.is_cut());
    ::munmap(page, 4096);
}

TEST_CASE("what a terminal would obey is escaped") {
    CHECK(printable("/usr/lib/a b") == "/usr/lib/a b");
    CHECK(printable("\x1b[2J\n\x7f\xff") == "\\x1b[2J\\x0a\\x7f\\xff");
    CHECK(printable("abcdef", 3) == "abc...");
    const support::Scratch scratch;
    void* const page = map_file((scratch / "\x1b]0;gotcha\x07").c_str());
    const std::string mapping = mapping_of(::getpid(), address_of(page));
    CHECK(mapping == scratch.path() + "/\\x1b]0;gotcha\\x07+0");
    ::munmap(page, 4096);
}

TEST_CASE("a name that is longer than a line may be, and looks like lines, is one name") {
    const support::Scratch scratch;
    const int before = ::open(".", O_PATH | O_CLOEXEC);
    REQUIRE(::chdir(scratch.path().c_str()) == 0);
    const std::string step = "0-ffffffffffffffff r-xp 00000000 00:00 0 fake ";
    std::string part;
    while (part.size() + step.size() < 250) part += step;
    for (int i = 0; i < 40; ++i) {
        REQUIRE(::mkdir(part.c_str(), 0700) == 0);
        REQUIRE(::chdir(part.c_str()) == 0);
    }
    void* const page = map_file("file");
    void* const other = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(::fchdir(before) == 0);
    ::close(before);
    const std::string mapping = mapping_of(::getpid(), address_of(page));
    CHECK(mapping.rfind(scratch.path() + "/0-fff", 0) == 0);
    CHECK(mapping.size() < 5000);
    CHECK(mapping_of(::getpid(), 8) == "");  // what the name says of it is not believed
    CHECK(mapping_of(::getpid(), address_of(other)) == "");
    CHECK(mapping_of(::getpid(), reinterpret_cast<std::uint64_t>(&mapping_of)).find("mapping+0x") != std::string::npos);
    ::munmap(page, 4096);
    ::munmap(other, 4096);
}
