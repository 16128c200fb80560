#include <sysguard/process/worker_cgroup.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cgroups.hpp"
#include "support/helpers.hpp"
#include "support/skip.hpp"

using sysguard::process::Descriptor;
using sysguard::process::WorkerCgroup;

namespace {

Descriptor open_directory(const std::string& path) {
    return Descriptor{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
}

}  // namespace

TEST_CASE("it is made, and removed with all that is in it") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const Descriptor directory = open_directory(subtree.path());
    pid_t pid = -1;
    {
        WorkerCgroup first;
        CHECK_FALSE(first);
        REQUIRE(first.create(directory.get()) == 0);
        const WorkerCgroup cgroup{std::move(first)};
        CHECK(cgroup);
        CHECK(subtree.left() == 1);
        CHECK_FALSE(cgroup.is_populated());
        CHECK(::mkdirat(cgroup.inside(), "more", 0700) == -1);
        CHECK(errno == EAGAIN);
        pid = ::fork();
        if (pid == 0) {
            sysguard::process::detail::write_file(cgroup.inside(), "cgroup.procs", "0");
            for (;;) ::pause();
        }
        CHECK(support::eventually([&] { return cgroup.is_populated(); }));
        CHECK(cgroup.figures().known);
    }
    CHECK(subtree.left() == 0);
    int status = 0;
    CHECK(::waitpid(pid, &status, 0) == pid);
    CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("what is left of a dead host is removed, and what a living one has is not") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const Descriptor directory = open_directory(subtree.path());
    const pid_t host = ::fork();
    if (host == 0) {
        WorkerCgroup cgroup;
        const int error = cgroup.create(directory.get());
        if (error == 0 && ::fork() == 0) {
            sysguard::process::detail::write_file(cgroup.inside(), "cgroup.procs", "0");
            ::close(cgroup.directory());
            for (;;) ::pause();
        }
        while (!cgroup.is_populated()) ::usleep(1000);
        ::_exit(error);
    }
    int status = -1;
    ::waitpid(host, &status, 0);
    REQUIRE(status == 0);
    CHECK(subtree.left() == 1);
    {
        WorkerCgroup living;
        REQUIRE(living.create(directory.get()) == 0);
        CHECK(support::eventually([&] {  // the child may not have closed the lock yet
            WorkerCgroup::remove_stale(directory.get());
            return subtree.left() == 1;
        }));
        CHECK(living.is_populated() == false);
        CHECK(::access((subtree.path() + "/" + living.name()).c_str(), F_OK) == 0);
    }
    CHECK(subtree.left() == 0);
}
