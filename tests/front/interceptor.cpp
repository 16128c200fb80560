#include <sysguard/interceptor.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/namespaces.hpp"
#include "support/obedient.hpp"
#include "support/traced.hpp"

namespace sg = sysguard;
using support::Obedient;
using namespace std::chrono_literals;

namespace {

constexpr std::errc ok{};
constexpr auto invalid = std::errc::invalid_argument;
constexpr auto not_permitted = std::errc::operation_not_permitted;
constexpr auto busy = std::errc::device_or_resource_busy;
constexpr uid_t nobody = 65534;

/// What an interceptor has told.
class Told {
public:
    void operator()(const sg::Hit& hit) {
        const std::lock_guard locked{mutex_};
        hits_.push_back(hit);
    }

    std::size_t of(pid_t process) const {
        const std::lock_guard locked{mutex_};
        std::size_t count = 0;
        for (const sg::Hit& hit : hits_) count += hit.process == process ? 1 : 0;
        return count;
    }

    std::vector<sg::Hit> all() const {
        const std::lock_guard locked{mutex_};
        return hits_;
    }

    /// Waits until there are so many.
    bool reaches(pid_t process, std::size_t count) const {
        for (int i = 0; i < 6000; ++i) {
            if (of(process) >= count) return true;
            std::this_thread::sleep_for(5ms);
        }
        return false;
    }

private:
    mutable std::mutex mutex_{};
    std::vector<sg::Hit> hits_{};
};

/// An interceptor and what it tells.
struct Heard {
    Told told{};
    sg::Interceptor interceptor{[this](const sg::Hit& hit) { told(hit); }};
};

bool is_root() {
    return ::geteuid() == 0;
}

std::string tracer_of(pid_t process) {
    return support::status_of(process, "TracerPid");
}

#define NEED_ROOT() \
    if (!is_root()) SYSGUARD_SKIP("only root intercepts")

/// Runs a test as root of namespaces of its own, where "every process" is the test's own. What it says.
template <class Test>
std::string alone(const Test& test) {
    return support::in_fork([&]() -> std::string {
        const uid_t user = ::geteuid();
        int flags = CLONE_NEWPID | CLONE_NEWNS;
        if (user != 0) flags |= CLONE_NEWUSER;
        if (::unshare(flags) != 0) return "unshare";
        if (user != 0) {
            const std::string map = "0 " + std::to_string(user) + " 1";
            std::FILE* const file = std::fopen("/proc/self/uid_map", "we");
            if (file == nullptr || std::fputs(map.c_str(), file) < 0 || std::fclose(file) != 0) return "uid_map";
        }
        struct Text {
            char text[4096];
        };
        const support::Shared<Text> said;
        const pid_t first = ::fork();
        if (first == 0) {
            std::string text = "mount";
            if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                ::mount("proc", "/proc", "proc", 0, nullptr) == 0)
                text = test();
            text.copy(said->text, sizeof said->text - 1);
            ::_exit(0);
        }
        int status = -1;
        ::waitpid(first, &status, 0);
        return status == 0 ? said->text : "the first process ended otherwise";
    });
}

#define SAY_UNLESS(condition) \
    if (!(condition)) return #condition

}  // namespace

TEST_CASE("what is wrong is told in the order of arguments, permission, state and being so already") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Heard heard;
    sg::Interceptor& interceptor = heard.interceptor;
    Obedient process;
    const pid_t pid = process.pid();
    CHECK(interceptor.intercept(1023) == invalid);
    CHECK(interceptor.intercept(-1) == invalid);
    CHECK(interceptor.release(SYS_getpriority) == invalid);
    CHECK(interceptor.monitor(SYS_getpriority, pid) == invalid);  // not intercepted
    CHECK(interceptor.unmonitor(SYS_getpriority, pid) == invalid);
    CHECK(interceptor.intercept(SYS_getpriority) == ok);
    CHECK(interceptor.intercept(SYS_getpriority) == busy);
    CHECK(interceptor.unmonitor(SYS_getpriority, pid) == invalid);  // not monitored
    CHECK(interceptor.monitor(SYS_getpriority, -5) == invalid);
    CHECK(interceptor.monitor(SYS_getpriority, 0x7ffffff0) == invalid);
    CHECK(interceptor.monitor(SYS_getpriority, pid) == ok);
    CHECK(interceptor.monitor(SYS_getpriority, pid) == busy);
    CHECK(interceptor.unmonitor(SYS_getpriority, pid) == ok);
    CHECK(interceptor.unmonitor(SYS_getpriority, pid) == invalid);
    CHECK(interceptor.release(SYS_getpriority) == ok);
    CHECK(process.end());
    CHECK(interceptor.intercept(SYS_getpriority) == ok);
    CHECK(interceptor.monitor(SYS_getpriority, pid) == invalid);  // dead
}

TEST_CASE("who is not root intercepts nothing, and is told so before anything about states") {
    const auto ask = []() -> std::string {
        if (::geteuid() == 0 && ::setresuid(nobody, nobody, nobody) != 0) return "setresuid";
        const Obedient own;
        Heard heard;
        sg::Interceptor& interceptor = heard.interceptor;
        SAY_UNLESS(interceptor.intercept(1023) == invalid);
        SAY_UNLESS(interceptor.intercept(SYS_getpriority) == not_permitted);
        SAY_UNLESS(interceptor.release(SYS_getpriority) == not_permitted);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, 0) == not_permitted);
        SAY_UNLESS(interceptor.unmonitor(SYS_getpriority, 0) == not_permitted);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, -5) == invalid);
        SAY_UNLESS(interceptor.monitor(1023, own.pid()) == invalid);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, own.pid()) == invalid);  // own, and not intercepted
        return "as it should be";
    };
    CHECK(support::in_fork(ask) == "as it should be");
}

TEST_CASE("who is not root monitors processes of the own user, and no others") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    const Obedient of_root;
    const auto ask = [&]() -> std::string {
        Heard heard;
        sg::Interceptor& interceptor = heard.interceptor;
        SAY_UNLESS(interceptor.intercept(SYS_getpriority) == ok);
        if (::setresuid(nobody, nobody, nobody) != 0) return "setresuid";  // all threads: glibc
        ::prctl(PR_SET_DUMPABLE, 1);
        const Obedient own;
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, of_root.pid()) == not_permitted);
        SAY_UNLESS(interceptor.unmonitor(SYS_getpriority, of_root.pid()) == not_permitted);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, 0) == not_permitted);
        SAY_UNLESS(interceptor.release(SYS_getpriority) == not_permitted);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, own.pid()) == ok);
        SAY_UNLESS(own.obeys(Obedient::call) && heard.told.reaches(own.pid(), 1));
        SAY_UNLESS(interceptor.unmonitor(SYS_getpriority, own.pid()) == ok);
        return "as it should be";
    };
    CHECK(support::in_fork(ask) == "as it should be");
}

TEST_CASE("a process that ran before is told of while it is monitored, with its six arguments, and goes on") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient process;
    REQUIRE(process.obeys(Obedient::call));
    Heard heard;
    REQUIRE(heard.interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(process.obeys(Obedient::call));
    CHECK(tracer_of(process.pid()) == "0");  // intercepting alone touches nobody
    REQUIRE(heard.interceptor.monitor(SYS_getpriority, process.pid()) == ok);
    CHECK(tracer_of(process.pid()) != "0");
    REQUIRE(process.obeys(Obedient::call));
    REQUIRE(process.obeys(Obedient::thread_calls));
    REQUIRE(heard.told.reaches(process.pid(), 2));
    REQUIRE(heard.interceptor.unmonitor(SYS_getpriority, process.pid()) == ok);
    CHECK(tracer_of(process.pid()) == "0");
    REQUIRE(process.obeys(Obedient::call));
    CHECK(process.end());
    const std::vector<sg::Hit> hits = heard.told.all();
    REQUIRE(hits.size() == 2);
    CHECK(hits[0].number == SYS_getpriority);
    CHECK(hits[0].thread == hits[0].process);
    CHECK(hits[1].thread != hits[1].process);
    for (int i = 0; i < 6; ++i) CHECK(hits[0].arguments[i] == Obedient::arguments[i]);
    CHECK(hits[0].text() == std::to_string(hits[0].process) + ": getpriority(0, 0, 0x111, 0x222, 0x333, 0x444)");
    CHECK(hits[0].time.tv_sec > 0);
}

TEST_CASE("children of a monitored process are not told of, nor held") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient process;
    Heard heard;
    REQUIRE(heard.interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(heard.interceptor.monitor(SYS_getpriority, process.pid()) == ok);
    REQUIRE(process.obeys(Obedient::child_calls));
    REQUIRE(process.obeys(Obedient::call));
    REQUIRE(heard.told.reaches(process.pid(), 1));
    CHECK(heard.told.all().size() == 1);
    CHECK(process.end());
}

TEST_CASE("only calls that are intercepted and monitored are told of") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient one;
    Obedient other;
    Heard heard;
    REQUIRE(heard.interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(heard.interceptor.intercept(SYS_write) == ok);
    REQUIRE(heard.interceptor.monitor(SYS_getpriority, one.pid()) == ok);
    REQUIRE(heard.interceptor.monitor(SYS_write, other.pid()) == ok);
    REQUIRE(one.obeys(Obedient::call));
    REQUIRE(other.obeys(Obedient::call));
    REQUIRE(heard.told.reaches(one.pid(), 1));
    REQUIRE(heard.told.reaches(other.pid(), 1));
    for (const sg::Hit& hit : heard.told.all())
        CHECK(hit.number == (hit.process == one.pid() ? SYS_getpriority : SYS_write));
}

TEST_CASE("releasing a call clears its list and lets go who is not monitored for another one") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient one;
    Obedient both;
    Heard heard;
    sg::Interceptor& interceptor = heard.interceptor;
    REQUIRE(interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(interceptor.intercept(SYS_getppid) == ok);
    REQUIRE(interceptor.monitor(SYS_getpriority, one.pid()) == ok);
    REQUIRE(interceptor.monitor(SYS_getpriority, both.pid()) == ok);
    REQUIRE(interceptor.monitor(SYS_getppid, both.pid()) == ok);
    REQUIRE(interceptor.release(SYS_getpriority) == ok);
    CHECK(tracer_of(one.pid()) == "0");
    CHECK(tracer_of(both.pid()) != "0");
    REQUIRE(one.obeys(Obedient::call));
    REQUIRE(both.obeys(Obedient::call));
    REQUIRE(interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(both.obeys(Obedient::call));
    CHECK(interceptor.unmonitor(SYS_getpriority, both.pid()) == invalid);
    CHECK(heard.told.all().empty());
}

TEST_CASE("a process that ends leaves every list, and nothing of it stays behind") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Heard heard;
    REQUIRE(heard.interceptor.intercept(SYS_getpriority) == ok);
    for (int i = 0; i < 20; ++i) {
        Obedient process;
        const pid_t pid = process.pid();
        REQUIRE(heard.interceptor.monitor(SYS_getpriority, pid) == ok);
        REQUIRE(process.obeys(Obedient::call));
        CHECK(process.end());  // the test can still wait for it
        CHECK(heard.interceptor.unmonitor(SYS_getpriority, pid) == invalid);
        CHECK(heard.told.of(pid) <= 1);
    }
}

TEST_CASE("the end of an interceptor lets all go on unharmed") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient process;
    {
        Heard heard;
        REQUIRE(heard.interceptor.intercept(SYS_getpriority) == ok);
        REQUIRE(heard.interceptor.monitor(SYS_getpriority, process.pid()) == ok);
        REQUIRE(process.obeys(Obedient::call));
    }
    CHECK(tracer_of(process.pid()) == "0");
    REQUIRE(process.obeys(Obedient::call));
    CHECK(process.end());
}

TEST_CASE("one that another tracer has, and the host itself, are not permitted, and nothing has changed") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient process;
    Heard first;
    Heard second;
    REQUIRE(first.interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(first.interceptor.monitor(SYS_getpriority, process.pid()) == ok);
    REQUIRE(second.interceptor.intercept(SYS_getpriority) == ok);
    CHECK(second.interceptor.monitor(SYS_getpriority, process.pid()) == not_permitted);
    CHECK(second.interceptor.unmonitor(SYS_getpriority, process.pid()) == invalid);
    CHECK(second.interceptor.monitor(SYS_getpriority, ::getpid()) == not_permitted);
    REQUIRE(first.interceptor.unmonitor(SYS_getpriority, process.pid()) == ok);
    CHECK(second.interceptor.monitor(SYS_getpriority, process.pid()) == ok);
}

TEST_CASE("who is told cannot hold up the process: what is too much is dropped and counted") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient process;
    std::mutex holding;
    std::unique_lock held{holding};
    std::size_t told = 0;
    sg::Interceptor interceptor{[&](const sg::Hit&) {
        const std::lock_guard wait{holding};
        ++told;
    }};
    REQUIRE(interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(interceptor.monitor(SYS_getpriority, process.pid()) == ok);
    constexpr int thousands = 6;
    for (int i = 0; i < thousands; ++i) REQUIRE(process.obeys(Obedient::call_often));
    CHECK(interceptor.dropped() >= thousands * 1000 - sg::supervise::HitQueue::capacity - 1);
    held.unlock();
    REQUIRE(interceptor.unmonitor(SYS_getpriority, process.pid()) == ok);
    CHECK(process.end());
}

TEST_CASE("what is thrown by who is told is caught and counted") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient process;
    sg::Interceptor interceptor{[](const sg::Hit&) { throw 7; }};
    REQUIRE(interceptor.intercept(SYS_getpriority) == ok);
    REQUIRE(interceptor.monitor(SYS_getpriority, process.pid()) == ok);
    REQUIRE(process.obeys(Obedient::call));
    for (int i = 0; i < 6000 && interceptor.dropped() == 0; ++i) std::this_thread::sleep_for(5ms);
    CHECK(interceptor.dropped() == 1);
    CHECK(process.end());
}

TEST_CASE("every process: those that run, those that begin, but for those that are let out") {
    SYSGUARD_SKIP_UNTRACEABLE();
    SYSGUARD_NEED_NAMESPACES(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS);
    const auto test = []() -> std::string {
        const Obedient before;
        const Obedient let_out;
        Heard heard;
        sg::Interceptor& interceptor = heard.interceptor;
        SAY_UNLESS(interceptor.intercept(SYS_getpriority) == ok);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, 0) == ok);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, before.pid()) == busy);
        SAY_UNLESS(interceptor.monitor(SYS_getpriority, 0) == busy);
        SAY_UNLESS(before.obeys(Obedient::call) && heard.told.reaches(before.pid(), 1));
        SAY_UNLESS(before.obeys(Obedient::child_calls));
        SAY_UNLESS(heard.told.reaches(before.pid(), 1));
        for (int i = 0; i < 6000 && heard.told.all().size() < 2; ++i) std::this_thread::sleep_for(5ms);
        SAY_UNLESS(heard.told.all().size() == 2);  // the child, which was there only for that
        SAY_UNLESS(heard.told.of(before.pid()) == 1);

        Obedient after;  // of the host's own children, found when it is looked for
        for (int i = 0; i < 6000 && tracer_of(after.pid()) == "0"; ++i) std::this_thread::sleep_for(5ms);
        SAY_UNLESS(after.obeys(Obedient::call) && heard.told.reaches(after.pid(), 1));

        SAY_UNLESS(interceptor.unmonitor(SYS_getpriority, let_out.pid()) == ok);
        SAY_UNLESS(tracer_of(let_out.pid()) == "0");
        SAY_UNLESS(let_out.obeys(Obedient::call));
        SAY_UNLESS(after.obeys(Obedient::call) && heard.told.reaches(after.pid(), 2));
        SAY_UNLESS(heard.told.of(let_out.pid()) == 0);
        SAY_UNLESS(interceptor.unmonitor(SYS_getpriority, 0) == ok);
        SAY_UNLESS(tracer_of(after.pid()) == "0");
        SAY_UNLESS(tracer_of(before.pid()) == "0");
        SAY_UNLESS(interceptor.unmonitor(SYS_getpriority, 0) == invalid);
        SAY_UNLESS(after.end());
        return "as it should be";
    };
    CHECK(alone(test) == "as it should be");
}

TEST_CASE("two threads that make a thousand mixed requests each leave it in order") {
    SYSGUARD_SKIP_UNTRACEABLE();
    NEED_ROOT();
    Obedient one;
    Obedient other;
    Heard heard;
    const auto mix = [&](unsigned seed) {
        for (int i = 0; i < 1000; ++i) {
            seed = seed * 1103515245 + 12345;
            const int call = (seed >> 16 & 1) != 0 ? SYS_getpriority : SYS_getppid;
            const pid_t pid = (seed >> 17 & 1) != 0 ? one.pid() : other.pid();
            std::errc error{};
            switch (seed >> 18 & 3) {
                case 0: error = heard.interceptor.intercept(call); break;
                case 1: error = heard.interceptor.release(call); break;
                case 2: error = heard.interceptor.monitor(call, pid); break;
                default: error = heard.interceptor.unmonitor(call, pid); break;
            }
            if (error != ok && error != busy && error != invalid) return false;
        }
        return true;
    };
    bool good[2] = {};
    std::thread first{[&] { good[0] = mix(1); }};
    std::thread second{[&] { good[1] = mix(2); }};
    for (int i = 0; i < 5; ++i) CHECK(one.obeys(Obedient::call_often));
    first.join();
    second.join();
    CHECK(good[0]);
    CHECK(good[1]);
    for (const int call : {SYS_getpriority, SYS_getppid}) {
        heard.interceptor.release(call);
        CHECK(heard.interceptor.release(call) == invalid);
    }
    CHECK(tracer_of(one.pid()) == "0");
    CHECK(tracer_of(other.pid()) == "0");
    CHECK(one.end());
    CHECK(other.end());
}
