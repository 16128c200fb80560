#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/reach.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using namespace std::chrono_literals;
using sg::Call;
using sg::Rule;
using Kind = sg::Outcome::Kind;

namespace {

constexpr sg::Policy performing{
    Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) { return call.perform(); }),
    Rule<SYS_connect>{}.handle([](const Call<SYS_connect>& call) { return call.perform(); }),
    Rule<SYS_mkdirat>{}.handle([](const Call<SYS_mkdirat>& call) { return call.perform(); }), sg::otherwise.allow()};

}  // namespace

TEST_CASE("killed while somebody is to answer: the answer that comes then is none") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    std::optional<sg::Deferred> later;
    const sg::Policy policy{Rule<SYS_getpriority>{}.handle([&later](const Call<SYS_getpriority>& call) {
                                later.emplace(call.defer());
                                ::kill(call.worker(), SIGKILL);
                                return later->pending();
                            }),
                            sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy}.call([] { ::getpriority(PRIO_PROCESS, 0); });
    CHECK(called.outcome().kind() == Kind::signalled);
    REQUIRE(later);
    CHECK_FALSE(later->is_answered());
    CHECK_FALSE(later->call().is_pending());
    CHECK_FALSE(later->answer(later->call().fake(1)));
    later.reset();
}

TEST_CASE("killed in a call that is being performed: in the open of a FIFO, in a connect") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const support::Receiver full{SOCK_STREAM};
    REQUIRE(::listen(full.fd.get(), 0) == 0);
    std::vector<sg::process::Descriptor> queue;
    for (int i = 0; i < 4; ++i) {
        queue.push_back(support::open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK));
        ::connect(queue.back().get(), support::plain(&full.address), sizeof full.address);
    }
    const support::Leftovers leftovers;
    for (const bool connects : {false, true}) {
        CAPTURE(connects);
        const support::Shared<support::Stage> state;
        std::thread killer = support::meanwhile(*state, [](pid_t worker, const support::Performers& performers) {
            CHECK(support::eventually([&] { return performers.waiting() == 1; }));
            ::kill(worker, SIGKILL);
        });
        const auto called = sg::Sandbox{performing}.call([&] {
            state->announce();
            if (connects)
                ::connect(::socket(AF_INET, SOCK_STREAM, 0), support::plain(&full.address), sizeof full.address);
            else
                ::open(fifo.c_str(), O_RDONLY);
        });
        killer.join();
        CHECK(called.outcome().kind() == Kind::signalled);
        CHECK(called.outcome().signal() == SIGKILL);
    }
}

TEST_CASE("a process killed in a performed call, whose worker lives on: nothing goes on for it") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const support::Shared<support::Stage> state;
    std::thread observer = support::meanwhile(*state, [&](pid_t, const support::Performers& performers) {
        CHECK(support::eventually([&] { return performers.waiting() == 1; }));
        state->stage = 1;
        CHECK(support::eventually([&] { return state->stage == 2 && !performers.any(); }));
        state->stage = 3;
    });
    const auto called = sg::Sandbox{performing}.call([&] {
        state->announce();
        const pid_t child = ::fork();
        if (child == 0) {
            ::open(fifo.c_str(), O_RDONLY);
            ::_exit(0);
        }
        support::wait_for(state->stage, 1);
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        state->stage = 2;
        support::wait_for(state->stage, 3);
        const int directory = ::mkdirat(AT_FDCWD, (place.path + "/after").c_str(), 0700);
        return WIFSIGNALED(status) && directory == 0;
    });
    observer.join();
    CAPTURE(called.explain());
    CHECK(*called);
}

TEST_CASE("exec while threads wait for performed and for deferred calls") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const support::Shared<support::Stage> state;
    std::mutex mutex;
    std::vector<sg::Deferred> later;
    const sg::Policy policy{Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) { return call.perform(); }),
                            Rule<SYS_getpriority>{}.handle([&](const Call<SYS_getpriority>& call) {
                                const std::lock_guard locked{mutex};
                                later.push_back(call.defer());
                                ++state->stage;
                                return later.back().pending();
                            }),
                            sg::otherwise.allow()};
    std::thread observer = support::meanwhile(*state, [&](pid_t worker, const support::Performers& performers) {
        CHECK(support::eventually([&] { return performers.waiting() == 2 && state->stage == 2; }));
        state->stage = 3;
        CHECK(support::eventually([&] { return !performers.any(); }));
        CHECK(support::lives(worker));
        ::kill(worker, SIGTERM);
    });
    const std::string program = support::helper("behave");
    const auto called = sg::Sandbox{policy}.call(sg::Launch{.output = sg::Stdio::null()}, [&] {
        state->announce();
        for (int i = 0; i < 2; ++i) {
            std::thread{[&] { ::open(fifo.c_str(), O_RDONLY); }}.detach();
            std::thread{[] { ::getpriority(PRIO_PROCESS, 0); }}.detach();
        }
        support::wait_for(state->stage, 3);
        ::execl(program.c_str(), program.c_str(), "sleep", nullptr);
    });
    observer.join();
    CHECK(called.outcome().signal() == SIGTERM);
    for (sg::Deferred& each : later) CHECK_FALSE(each.answer(each.call().fake(0)));
    later.clear();
}

TEST_CASE("a function that returns while its threads wait") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const support::Shared<support::Stage> state;
    std::thread observer = support::meanwhile(*state, [&](pid_t, const support::Performers& performers) {
        CHECK(support::eventually([&] { return performers.waiting() == 20; }));
        state->stage = 1;
    });
    const auto called = sg::Sandbox{performing}.call([&] {
        state->announce();
        for (int i = 0; i < 20; ++i) std::thread{[&] { ::open(fifo.c_str(), O_RDONLY); }}.detach();
        support::wait_for(state->stage, 1);
        return 3;
    });
    observer.join();
    CHECK(*called == 3);
}

TEST_CASE("its time is over though all its threads wait for the host") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const sg::Sandbox box{performing, {.limits = {.wall = 300ms}}};
    CHECK(box.call([&] {
                 for (int i = 0; i < 100; ++i) std::thread{[&] { ::open(fifo.c_str(), O_RDONLY); }}.detach();
                 ::open(fifo.c_str(), O_RDONLY);
             })
              .outcome()
              .kind() == Kind::timed_out);
}

TEST_CASE("more calls wait than are performed at a time: each has its turn when others are done") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const auto called = sg::Sandbox{performing, {.limits = {.wall = 60s}}}.call([&] {
        std::atomic<int> opened{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 150; ++i) threads.emplace_back([&] { opened += ::open(fifo.c_str(), O_RDONLY) >= 0; });
        open_how how{};
        how.flags = O_WRONLY | O_NONBLOCK;
        while (opened < 150) {  // by a call that the policy does not handle
            const long fd = ::syscall(SYS_openat2, AT_FDCWD, fifo.c_str(), &how, sizeof how);
            ::usleep(1000);
            if (fd >= 0) ::close(static_cast<int>(fd));
        }
        for (std::thread& thread : threads) thread.join();
        return opened.load();
    });
    CAPTURE(called.explain());
    CHECK(*called == 150);
}

TEST_CASE("many processes that all make handled calls") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const sg::Sandbox box{performing, {.limits = {.wall = 60s}}};
    const auto called = box.call([&] {
        for (int i = 0; i < 150; ++i)
            if (::fork() == 0) {
                int made = 0;
                for (int j = 0; j < 4; ++j)
                    made +=
                        ::mkdirat(AT_FDCWD, (place.path + "/" + std::to_string(i) + "." + std::to_string(j)).c_str(),
                                  0700) == 0;
                ::_exit(made);
            }
        int sum = 0;
        int status = 0;
        while (::wait(&status) > 0) sum += WEXITSTATUS(status);
        return sum;
    });
    CAPTURE(called.explain());
    CHECK(*called == 600);
    const sg::Sandbox hasty{performing, {.limits = {.wall = 300ms}}};
    const auto bomb = hasty.call([&] {
        for (int i = 0; i < 6; ++i) ::fork();
        for (;;) ::mkdirat(AT_FDCWD, place.path.c_str(), 0700);
    });
    CHECK(bomb.outcome().kind() == Kind::timed_out);
}

TEST_CASE("an answer, and the end of the worker, at the same time") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    std::thread other;
    const sg::Policy policy{Rule<SYS_mkdirat>{}.handle([&](const Call<SYS_mkdirat>& call) {
                                sg::Deferred later = call.defer();
                                sg::Verdict pending = later.pending();
                                const pid_t worker = call.worker();
                                other = std::thread{[later = std::move(later), worker]() mutable {
                                    ::kill(worker, SIGKILL);
                                    later.answer(later.call().perform_if_possible());
                                }};
                                return pending;
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    for (int i = 0; i < 200; ++i) {
        const auto called = box.call([&] { ::mkdirat(AT_FDCWD, (place.path + "/x").c_str(), 0700); });
        other.join();
        CHECK(called.outcome().signal() == SIGKILL);
    }
}
