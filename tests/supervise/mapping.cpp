#include <sysguard/supervise/mapping.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

using sysguard::supervise::mapping_of;

TEST_CASE("code lies in its file, anonymous memory in nothing") {
    const auto own = reinterpret_cast<std::uint64_t>(&mapping_of);
    const std::string mapping = mapping_of(::getpid(), own);
    CAPTURE(mapping);
    CHECK(mapping.find("test.supervise.mapping+0x") != std::string::npos);
    void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(mapping_of(::getpid(), reinterpret_cast<std::uint64_t>(page)) == "");
    ::munmap(page, 4096);
    CHECK(mapping_of(::getpid(), reinterpret_cast<std::uint64_t>(&page)).find("[stack]+0x") == 0);
    CHECK(mapping_of(::getpid(), 8) == "");
    CHECK(mapping_of(::getpid(), ~std::uint64_t{0}) == "");
    CHECK(mapping_of(0, own) == "");
}
