#include <sysguard/supervise/render/source.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace render = sysguard::supervise::render;

TEST_CASE("a thread's memory is read as far as it is there") {
    render::ThreadSource source{::getpid()};
    const char text[] = "seven";
    char copy[8] = {};
    CHECK(source.read(reinterpret_cast<std::uint64_t>(text), copy, sizeof text) == sizeof text);
    CHECK(std::string_view{copy} == "seven");
    CHECK(source.read(8, copy, sizeof copy) == 0);
    auto* const pages =
        static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(pages != MAP_FAILED);
    ::munmap(pages + 4096, 4096);
    CHECK(source.read(reinterpret_cast<std::uint64_t>(pages + 4093), copy, sizeof copy) == 3);
    ::munmap(pages, 4096);
}

TEST_CASE("paths of descriptors, and of the working directory") {
    render::ThreadSource source{::getpid()};
    const int null = ::open("/dev/null", O_RDONLY);
    REQUIRE(null >= 0);
    char path[4096];
    CHECK(std::string_view{path, source.path(null, path, sizeof path)} == "/dev/null");
    CHECK(source.path(null, path, 4) == 4);
    ::close(null);
    CHECK(source.path(null, path, sizeof path) == 0);
    CHECK(source.path(-1, path, sizeof path) == 0);
    char directory[4096];
    REQUIRE(::getcwd(directory, sizeof directory) != nullptr);
    CHECK(std::string_view{path, source.path(render::Source::directory, path, sizeof path)} == directory);
}

TEST_CASE("a source need know of nothing but memory") {
    struct Empty final : render::Source {
        std::size_t read(std::uint64_t, void*, std::size_t) noexcept override { return 0; }
    } source;
    char name[16];
    CHECK(source.path(0, name, sizeof name) == 0);
    CHECK_FALSE(source.interface(1, name));
}
