#include <sysguard/policy.hpp>
#include <sysguard/supervise/path.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
using sg::Path;
using sg::supervise::Pending;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_openat>{}.kill(), sg::otherwise.allow()};

template <class Look>
void look_at(const char* path, Look&& look) {
    Supervised process{policy.program(), [path] { return ::syscall(SYS_openat, AT_FDCWD, path, 0, 0) == 0 ? 0 : 1; }};
    Pending call;
    process.receive(call);
    look(Path{call, 1}, call);
    process.listener.answer(call.id, 0, 0);
    CHECK(process.exit_code() == 0);
}

}  // namespace

TEST_CASE("the text is what was written, and nothing is decided by looking at it") {
    look_at("/usr/../etc/./passwd", [](const Path& path, const Pending& call) {
        CHECK(path.text() == "/usr/../etc/./passwd");
        CHECK(path.error() == 0);
        CHECK_FALSE(call.memory_decided);
    });
}

TEST_CASE("what is asked of it is asked of where it leads, and decides") {
    look_at("/usr/../etc/./passwd", [](const Path& path, const Pending& call) {
        CHECK(path == "/etc/passwd");
        CHECK(call.memory_decided);
        CHECK(path.resolved() == "/etc/passwd");
        CHECK(path.under("/etc"));
        CHECK_FALSE(path.under("/usr"));
        CHECK_FALSE(path.under("/et"));
        CHECK(path.glob("/etc/pass*"));
        CHECK_FALSE(path.glob("/usr/**"));
    });
}

TEST_CASE("a link that leads elsewhere afterwards does not change what was found") {
    const support::Workplace place;
    const std::string link = place.path + "/link";
    std::filesystem::create_symlink("/etc/passwd", link);
    look_at(link.c_str(), [&](const Path& path, const Pending&) {
        CHECK(path == "/etc/passwd");
        std::filesystem::remove(link);
        std::filesystem::create_symlink("/etc/group", link);
        CHECK(path == "/etc/passwd");
    });
}

TEST_CASE("one that cannot be read, or leads nowhere, is under nothing") {
    look_at(nullptr, [](const Path& path, const Pending&) {
        CHECK(path.error() == EFAULT);
        CHECK(path.text().empty());
        CHECK(path.resolved().empty());
        CHECK_FALSE(path.under("/"));
        CHECK_FALSE(path.glob("**"));
        CHECK_FALSE(path == "");
    });
    look_at("/no/such/place", [](const Path& path, const Pending&) {
        CHECK(path.error() == 0);
        CHECK(path.resolved().empty());
        CHECK_FALSE(path.under("/"));
    });
}
