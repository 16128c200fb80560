#include <sysguard/process/overlay_layer.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/overlay.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"

using namespace sysguard;
using process::OverlayLayer;
using process::OverlayLayerShare;
using support::Scratch;

namespace {

bool exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

}  // namespace

TEST_CASE("the directories are made, and removed with the layer") {
    SYSGUARD_NEED_ATTRIBUTES();
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "lower");
    ::chmod((scratch / "lower").c_str(), 0750);
    std::string own;
    {
        const OverlayLayer layer{scratch / "lower", scratch.path(), false};
        own = layer.scratch();
        CHECK(layer.lower() == scratch / "lower");
        CHECK(own.rfind(scratch.path() + "/", 0) == 0);
        struct stat info {};
        CHECK(::stat(layer.upper().c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0750);
        CHECK(::fstat(layer.upper_fd(), &info) == 0);
        CHECK(exists(layer.work()));
        CHECK(::stat(own.c_str(), &info) == 0);
        CHECK((info.st_mode & 07777) == 0700);
        for (const int fd : {layer.lower_fd(), layer.upper_fd(), layer.work_fd(), layer.scratch_fd()})
            CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
    }
    CHECK_FALSE(exists(own));
    {
        const OverlayLayer kept{scratch / "lower", scratch.path(), true};
        own = kept.scratch();
    }
    CHECK(exists(own));
}

TEST_CASE("what cannot be an overlay's") {
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "lower");
    CHECK_THROWS_AS(OverlayLayer(scratch / "nowhere", scratch.path(), false), Error);
    CHECK_THROWS_AS(OverlayLayer(scratch / "lower", scratch / "nowhere", false), Error);
    CHECK_THROWS_AS(OverlayLayer(scratch / "lower", scratch / "lower", false), Error);
    CHECK_THROWS_AS(OverlayLayer("/", scratch.path(), false), Error);
    CHECK_THROWS_AS(OverlayLayer("/proc", "/proc", false), Error);
    CHECK_THROWS_AS(OverlayLayer(std::string{"/tmp\0/x", 7}, scratch.path(), false), Error);
    CHECK(std::filesystem::is_empty(scratch / "lower"));
}

TEST_CASE("who holds it, alone or with others") {
    SYSGUARD_NEED_ATTRIBUTES();
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "lower");
    OverlayLayer layer{scratch / "lower", scratch.path(), false};
    CHECK(layer.hold());
    CHECK(layer.hold());
    CHECK_FALSE(layer.hold_alone());
    layer.release();
    CHECK_FALSE(layer.hold_alone());
    layer.release();
    CHECK(layer.hold_alone());
    CHECK_FALSE(layer.hold());
    CHECK_FALSE(layer.hold_alone());
    layer.release_alone();
    CHECK(layer.hold());
    layer.release();
}

TEST_CASE("it goes with its last share") {
    SYSGUARD_NEED_ATTRIBUTES();
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "lower");
    OverlayLayerShare first{new OverlayLayer{scratch / "lower", scratch.path(), false}};
    const std::string own = first->scratch();
    OverlayLayerShare second{first};
    OverlayLayerShare third{std::move(first)};
    CHECK_FALSE(first);
    second = OverlayLayerShare{};
    CHECK(exists(own));
    third = second;
    CHECK_FALSE(exists(own));
}

TEST_CASE("the kernel takes its directories, whatever their names") {
    SYSGUARD_NEED_ATTRIBUTES();
    const Scratch scratch;
    for (const char* name :
         {"lower", "with:colon", "with,comma", "with\\backslash", "with\nnewline", "all,:\\ of them"}) {
        CAPTURE(name);
        std::filesystem::create_directory(scratch / name);
        std::filesystem::create_directory(scratch / (std::string{name} + "2"));
        ::close(::open((scratch / (std::string{name} + "/file")).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        const OverlayLayer layer{scratch / name, scratch / (std::string{name} + "2"), false};
        const int error = support::in_overlay(layer, [&](const std::string& merged) {
            return ::unlink((merged + "/file").c_str()) == 0 && ::mkdir((merged + "/new").c_str(), 0755) == 0 ? 0 : 1;
        });
        if (error == support::no_overlay) SYSGUARD_SKIP("no overlay can be mounted here");
        CHECK(error == 0);
        CHECK(exists(layer.upper() + "/new"));
        CHECK(exists(scratch / (std::string{name} + "/file")));
    }
}

TEST_CASE("a layer of any depth is removed, though nobody may enter its directories") {
    SYSGUARD_NEED_ATTRIBUTES();
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "lower");
    std::string own;
    {
        const OverlayLayer layer{scratch / "lower", scratch.path(), false};
        own = layer.scratch();
        process::Descriptor at{::dup(layer.upper_fd())};
        const std::string name(200, 'd');
        for (int depth = 0; depth < 2000; ++depth) {
            REQUIRE(::mkdirat(at.get(), name.c_str(), 0700) == 0);
            process::Descriptor next{::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
            ::close(::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0));
            if (depth % 3 == 0) ::symlinkat((scratch / "lower").c_str(), next.get(), "link");
            if (depth % 2 == 0) ::fchmod(at.get(), 0);
            at = std::move(next);
        }
        CHECK(::mkdirat(layer.work_fd(), "work", 0) == 0);
        ::close(::open((scratch / "lower/file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    }
    CHECK_FALSE(exists(own));
    CHECK(exists(scratch / "lower/file"));
}
