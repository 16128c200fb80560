#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/supervised.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call;
using sg::Rule;
using Kind = sg::Outcome::Kind;

namespace {

/// A host that is killed while calls of its workers are pending, performed, or answered later. `user`: the worker's.
void kill_host(unsigned user) {
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    REQUIRE(::chmod(place.path.c_str(), 0755) == 0);
    const support::Shared<support::Stage> state;
    const pid_t host = ::fork();
    if (host == 0) {
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
        const sg::Sandbox box{policy, {.credentials = {.capabilities = sg::Capabilities::kept()}}};
        sg::Worker program = box.spawn({support::helper("behave"), "asking", "1"});
        (void)box.call([&] {
            if (user != ::getuid() && ::setresuid(user, user, user) != 0) ::_exit(1);
            state->worker = ::getpid();
            for (int i = 0; i < 3; ++i) std::thread{[&] { ::open(fifo.c_str(), O_RDONLY); }}.detach();
            ::getpriority(PRIO_PROCESS, 0);
        });
        ::_exit(0);
    }
    const auto waits = [&](char state_wanted) {
        int count = 0;
        for (const support::Task& task : support::children(host)) count += task.state == state_wanted;
        return count;
    };
    CHECK(support::eventually([&] { return state->stage == 2 && waits('S') >= 5 && waits('R') == 0; }));
    const std::vector<support::Task> family = support::children(host);
    ::kill(host, SIGKILL);
    CHECK(::waitpid(host, nullptr, 0) == host);
    for (const support::Task& task : family) {
        CAPTURE(task.pid);
        CHECK(support::eventually([&] { return !support::lives(task.pid); }));
    }
}

}  // namespace

TEST_CASE("a host that is killed takes its workers, and what it performs for them, with it") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    kill_host(::getuid());
}

TEST_CASE("also where the worker has become another user") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    if (::getuid() != 0) SYSGUARD_SKIP("only root can become somebody else");
    if (!sg::process::detail::host_capabilities().has(CAP_SYS_PTRACE))
        SYSGUARD_SKIP("not offered here: the memory of another user's processes, without CAP_SYS_PTRACE");
    const support::Leftovers leftovers;
    kill_host(65534);
}

TEST_CASE("a handler that throws: the call fails, the outcome tells, the worker and the host go on") {
    const support::Leftovers leftovers;
    static constexpr sg::Policy policy{
        Rule<SYS_getpriority>{arg::who == 0}.handle(
            [](const Call<SYS_getpriority>&) -> sg::Verdict { throw std::runtime_error{"no such luck"}; }),
        Rule<SYS_getpriority>{arg::who == 1}.handle([](const Call<SYS_getpriority>&) -> sg::Verdict { throw 5; }),
        Rule<SYS_getpriority>{}.handle([](const Call<SYS_getpriority>& call) { return call.deny(0); }),
        sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy}.call([] {
        int good = 0;
        for (int who = 0; who < 3; ++who) good += ::syscall(SYS_getpriority, 0, who) == -1 && errno == EPERM;
        return good;
    });
    CHECK(*called == 3);
    CHECK(called.outcome().failed_handlers() == 3);
    CHECK(support::has(called.explain(), "3 of its calls were refused because a handler threw"));
}

TEST_CASE("errors are errors, from the first to the last errno, and never values") {
    const support::Leftovers leftovers;
    static constexpr sg::Policy policy{
        Rule<SYS_getpriority>{}.handle([](const Call<SYS_getpriority>& call) { return call.deny(call[arg::who]); }),
        sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy}.call([] {
        int good = 0;
        for (int who = 1; who <= 4095; ++who) good += ::syscall(SYS_getpriority, 0, who) == -1 && errno == who;
        return good;
    });
    CHECK(*called == 4095);
}

TEST_CASE("who answers twice: the first answer is the answer") {
    const support::Leftovers leftovers;
    std::vector<sg::Deferred> kept;
    std::vector<bool> told;
    const sg::Policy policy{Rule<SYS_getpriority>{arg::who == 0}.handle([&](const Call<SYS_getpriority>& call) {
                                kept.push_back(call.defer());
                                return call.deny(EACCES);
                            }),
                            Rule<SYS_getpriority>{arg::who == 1}.handle([&](const Call<SYS_getpriority>& call) {
                                sg::Deferred first = call.defer();
                                sg::Deferred second = call.defer();
                                told.push_back(first.answer(call.fake(11)));
                                told.push_back(first.answer(call.fake(12)));
                                told.push_back(second.answer(call.fake(13)));
                                return first.pending();
                            }),
                            Rule<SYS_getpriority>{arg::who == 2}.handle(
                                [](const Call<SYS_getpriority>& call) { return call.defer().pending(); }),
                            Rule<SYS_getpriority>{arg::who == 3}.handle(
                                [&](const Call<SYS_getpriority>&) { return kept.front().pending(); }),
                            Rule<SYS_getpriority>{arg::who == 4}.handle([](const Call<SYS_getpriority>& call) {
                                sg::Deferred later = call.defer();
                                later.answer(later.pending());
                                return call.fake(14);
                            }),
                            Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) {
                                sg::Deferred later = call.defer();
                                later.answer(call.deny(EXFULL));
                                return call.perform();
                            }),
                            sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy}.call([] {
        std::vector<long> answers;
        for (int who = 0; who < 5; ++who) {
            const long result = ::syscall(SYS_getpriority, 0, who);
            answers.push_back(result < 0 ? -errno : result);
        }
        answers.push_back(::open("/", O_RDONLY) < 0 ? -errno : 0);
        return answers;
    });
    CAPTURE(called.explain());
    CHECK(*called == std::vector<long>{-EACCES, 11, -EPERM, -EPERM, -EPERM, -EXFULL});
    CHECK(told == std::vector<bool>{true, false, false});
    CHECK_FALSE(kept.front().answer(kept.front().call().fake(0)));
    kept.clear();
}

TEST_CASE("a call whose thread has gone: nothing is read, nothing is done, nothing is given") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string path = place.path + "/made";
    std::vector<std::string> read;
    bool had_descriptor = true;
    const auto kill_caller = [](const sg::AnyCall& call) {
        ::kill(call.pid(), SIGKILL);
        CHECK(support::eventually([&] { return !call.is_pending(); }));
    };
    const sg::Policy policy{Rule<SYS_mkdirat>{}.handle([&](const Call<SYS_mkdirat>& call) {
                                kill_caller(call);
                                read = {std::string{call[arg::path].text()}, call[arg::path].resolved()};
                                return call.perform();
                            }),
                            Rule<SYS_fchmod>{}.handle([&](const Call<SYS_fchmod>& call) {
                                kill_caller(call);
                                had_descriptor = static_cast<bool>(call.fd(arg::fd));
                                return call.perform();
                            }),
                            Rule<SYS_openat>{}.handle([&](const Call<SYS_openat>& call) {
                                kill_caller(call);
                                return call.return_fd(0);
                            }),
                            sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy}.call([&] {
        int killed = 0;
        for (int i = 0; i < 3; ++i) {
            const pid_t child = ::fork();
            if (child == 0) {
                if (i == 0) ::mkdirat(AT_FDCWD, path.c_str(), 0700);
                if (i == 1) ::fchmod(0, 0600);
                if (i == 2) ::open(path.c_str(), O_RDONLY);
                ::_exit(0);
            }
            int status = 0;
            ::waitpid(child, &status, 0);
            killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        }
        return killed;
    });
    CAPTURE(called.explain());
    CHECK(*called == 3);
    CHECK(read == std::vector<std::string>{"", ""});
    CHECK_FALSE(had_descriptor);
    CHECK(::access(path.c_str(), F_OK) != 0);
}

TEST_CASE("handlers inside a sandbox that has handlers: there can be none, and the reason is said") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    static constexpr sg::Policy handling{
        Rule<SYS_getpriority>{}.handle([](const Call<SYS_getpriority>& call) { return call.fake(7); }),
        sg::otherwise.allow()};
    const std::string helper = support::helper("noop");
    const auto told = sg::Sandbox{handling}.call([&helper] {
        const sg::Outcome program = sg::Sandbox{handling}.run({helper});
        const auto function = sg::Sandbox{handling}.call([] { return 1; });
        return std::vector<std::string>{program.explain(), function.explain()};
    });
    CAPTURE(told.explain());
    REQUIRE(told);
    for (const std::string& each : *told)
        CHECK(support::has(each, "has a listener already, and the kernel allows one"));
}

TEST_CASE("processes that are killed at any moment of a call that gives them a descriptor") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string file = place.file("file", "x");
    const sg::process::Descriptor own{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    const sg::Policy policy{Rule<SYS_openat>{arg::flags == O_RDONLY}.handle(
                                [&own](const Call<SYS_openat>& call) { return call.return_fd(own.get()); }),
                            Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) { return call.perform(); }),
                            sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy}.call([&] {
        int killed = 0;
        for (int i = 0; i < 100; ++i) {
            const pid_t child = ::fork();
            if (child == 0)
                for (;;) ::close(::open(file.c_str(), i % 2 == 0 ? O_RDONLY : O_RDONLY | O_CLOEXEC));
            ::usleep(static_cast<unsigned>(500 + 37 * i));
            ::kill(child, SIGKILL);
            int status = 0;
            ::waitpid(child, &status, 0);
            killed += WIFSIGNALED(status);
        }
        return killed;
    });
    CAPTURE(called.explain());
    CHECK(*called == 100);
}

TEST_CASE("a handler that stops the last worker, in the thread that serves it") {
    const support::Leftovers leftovers;
    std::atomic<sg::Worker*> own{nullptr};
    std::atomic<bool> stopped{false};
    const sg::Policy policy{Rule<SYS_getpriority>{}.handle([&](const Call<SYS_getpriority>& call) {
                                CHECK(support::eventually([&] { return own != nullptr; }));
                                stopped = own.load()->stop().kind() == Kind::stopped;
                                return call.deny(EACCES);
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    for (int i = 0; i < 3; ++i) {
        stopped = false;
        sg::Worker worker = box.spawn({support::helper("behave"), "asking", "1"});
        own = &worker;
        CHECK(support::eventually([&] { return stopped.load(); }));
        own = nullptr;
    }
}
