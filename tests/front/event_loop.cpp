#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <dirent.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using sg::Rule;
using support::helper;

namespace {

int threads_of_host() {
    int count = -2;
    DIR* const tasks = ::opendir("/proc/self/task");
    while (::readdir(tasks) != nullptr) ++count;
    ::closedir(tasks);
    return count;
}

/// A host's event loop, for one turn.
void turn(const sg::Sandbox& box) {
    pollfd source{box.event_fd(), POLLIN, 0};
    if (::poll(&source, 1, 1000) > 0) box.dispatch();
}

}  // namespace

TEST_CASE("the host's event loop serves workers, and no thread does") {
    int seen = 0;
    const pid_t self = static_cast<pid_t>(::syscall(SYS_gettid));
    const sg::Policy policy{Rule<SYS_openat>{}.handle([&](const sg::Call<SYS_openat>& call) {
                                CHECK(::syscall(SYS_gettid) == self);
                                ++seen;
                                return call.perform();
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    CHECK(box.event_fd() >= 0);
    CHECK_FALSE(box.dispatch());
    std::vector<sg::Worker> workers;
    for (int i = 0; i < 5; ++i)
        workers.push_back(box.spawn({"/bin/cat", "/etc/passwd"}, {.output = sg::Stdio::capture()}));
    CHECK(threads_of_host() == 1);
    for (sg::Worker& worker : workers)
        while (!worker.wait_for(0s)) turn(box);
    for (sg::Worker& worker : workers) {
        CHECK(worker.wait());
        CHECK(worker.wait().output().find("root:") == 0);
    }
    CHECK(seen >= 5);
    CHECK(threads_of_host() == 1);
}

TEST_CASE("wait serves meanwhile, and so do stop and a time limit") {
    const sg::Sandbox hasty{support::with_processes, {.limits = {.wall = 100ms}}};
    CHECK(hasty.event_fd() >= 0);
    sg::Worker timed = hasty.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()});
    CHECK(timed.wait().kind() == sg::Outcome::Kind::timed_out);
    const sg::Sandbox box{support::with_processes};
    CHECK(box.event_fd() >= 0);
    sg::Worker stopped = box.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()});
    CHECK(stopped.stop().kind() == sg::Outcome::Kind::stopped);
    sg::Worker waited = box.spawn({helper("noop")});
    CHECK(waited.wait_for(60s));
    CHECK(threads_of_host() == 1);
}

TEST_CASE("who is served by a thread already cannot be served by the host's loop") {
    const sg::Sandbox box{support::with_processes};
    sg::Worker worker = box.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()});
    CHECK_THROWS_AS(box.event_fd(), sg::Error);
    worker.stop();
    CHECK(box.event_fd() >= 0);  // the thread has ended
}

TEST_CASE("one thread serves all spawned workers") {
    const sg::Policy policy{Rule<SYS_getppid>{}.handle([](const sg::AnyCall& call) { return call.fake(1); }),
                            sg::otherwise.allow()};
    // This one, the one that serves, and one that stands by. What was held up for a while, as a busy machine does too,
    // has been stood in for by another thread that stays: then once more, with a new supervisor.
    const auto few_serve = [&] {
        const sg::Sandbox box{policy};
        std::vector<sg::Worker> workers;
        for (int i = 0; i < 20; ++i)
            workers.push_back(box.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()}));
        const bool are_few = threads_of_host() <= 3;
        for (sg::Worker& worker : workers) CHECK(worker.stop().kind() == sg::Outcome::Kind::stopped);
        return are_few;
    };
    CHECK(support::eventually(few_serve));
    CHECK(threads_of_host() == 1);
}
