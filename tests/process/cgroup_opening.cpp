#include <sysguard/process/cgroup_opening.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cgroups.hpp"
#include "support/helpers.hpp"
#include "support/skip.hpp"

using sysguard::Cgroup;
using sysguard::Limits;
using sysguard::process::CgroupSubtree;
using sysguard::process::Offer;
using sysguard::process::detail::path_by_mount;

namespace {

Offer offer(const Cgroup& cgroup, const Limits& limits = {}) {
    CgroupSubtree subtree;
    Offer offer = cgroup.open(subtree, limits);
    CHECK(static_cast<bool>(subtree) == (offer && cgroup.place() != Cgroup::Place::none));
    return offer;
}

bool has(const std::string& text, const char* words) {
    return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("none is always there") {
    CHECK(offer({}));
}

TEST_CASE("directories that are none of a cgroup") {
    CHECK(offer(Cgroup::in("/nonexistent")).error == ENOENT);
    CHECK(has(offer(Cgroup::in("/nonexistent")).why_not, "/nonexistent: No such file"));
    CHECK(has(offer(Cgroup::in("/proc")).why_not, "not in a cgroup v2"));
}

TEST_CASE("where a line of mountinfo has a cgroup") {
    constexpr const char* whole = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
    CHECK(path_by_mount(whole, "/") == "/sys/fs/cgroup");
    CHECK(path_by_mount(whole, "/a/b") == "/sys/fs/cgroup/a/b");
    constexpr const char* part = "41 31 0:38 /a /mnt/with\\040space rw - cgroup2 none rw\n";
    CHECK(path_by_mount(part, "/a/b") == "/mnt/with space/b");
    CHECK(path_by_mount(part, "/a") == "/mnt/with space");
    CHECK(path_by_mount(part, "/ab").empty());
    CHECK(path_by_mount(part, "/").empty());
    CHECK(path_by_mount("32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n", "/").empty());
    CHECK(path_by_mount("", "/").empty());
}

TEST_CASE("a controller that is not there, or not passed on") {
    SYSGUARD_NEED_SUBTREE(subtree);
    CHECK(offer(subtree.option()));
    const Offer memory = offer(subtree.option(), {.memory = std::uint64_t{1} << 26});
    CAPTURE(memory.why_not);
    if (subtree.offers("memory"))
        CHECK(offer(subtree.option(), {.memory = std::uint64_t{1} << 26}));
    else
        CHECK(has(memory.why_not, "lacks the controller memory: cgroup v1 has it here"));
}

TEST_CASE("a cgroup that has processes of its own passes no controller for memory on") {
    SYSGUARD_NEED_SUBTREE(subtree);
    SYSGUARD_NEED_CONTROLLER(subtree, "memory");
    const pid_t inside = ::fork();
    if (inside == 0) {
        const int fd = ::open(subtree.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        sysguard::process::detail::write_file(fd, "cgroup.procs", "0");
        for (;;) ::pause();
    }
    CHECK(support::eventually([&] {
        const int fd = ::open(subtree.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const sysguard::process::detail::FileText events{fd, "cgroup.events"};
        ::close(fd);
        return events.value("populated") == 1;
    }));
    CHECK(has(offer(subtree.option(), {.memory = std::uint64_t{1} << 26}).why_not, "processes of its own"));
    ::kill(inside, SIGKILL);
    ::waitpid(inside, nullptr, 0);
}
