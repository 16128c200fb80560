#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

/// userfaultfd(2) needs one.
const sg::Credentials with_capabilities{.capabilities = sg::Capabilities::kept()};

/// Files are opened by the host; getpriority is answered with 7.
constexpr sg::Policy performing{
    Rule<SYS_openat>{}.handle([](const Call<SYS_openat>& call) { return call.perform(); }),
    Rule<SYS_getpriority>{}.handle([](const Call<SYS_getpriority>& call) { return call.fake(7); }),
    sg::otherwise.allow()};

/// The same, but getpriority of somebody hangs until the test lets go.
auto hanging_policy(const std::atomic<bool>& released, std::atomic<int>& hanging) {
    return sg::Policy{Rule<SYS_getpriority>{arg::who == 1}.handle([&](const Call<SYS_getpriority>& call) {
                          ++hanging;
                          while (!released) ::usleep(1000);
                          return call.fake(8);
                      }),
                      Rule<SYS_getpriority>{}.handle([](const Call<SYS_getpriority>& call) { return call.fake(7); }),
                      sg::otherwise.allow()};
}

long ask(int who) {
    return ::syscall(SYS_getpriority, PRIO_PROCESS, who);
}

/// A page of the worker's that a read waits for, for ever; null where this machine does not let it.
char* page_that_never_comes() {
    const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
    if (fd < 0) return nullptr;
    uffdio_api api{};
    api.api = UFFD_API;
    void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register range{};
    range.range = {reinterpret_cast<std::uint64_t>(page), 4096};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    const bool good = ::ioctl(fd, UFFDIO_API, &api) == 0 && ::ioctl(fd, UFFDIO_REGISTER, &range) == 0;
    return good ? static_cast<char*>(page) : nullptr;
}

bool can_hold_up_reads() {
    const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
    if (fd >= 0) ::close(fd);
    return fd >= 0;
}

#define SKIP_WITHOUT_USERFAULTFD() \
    if (!can_hold_up_reads()) SYSGUARD_SKIP("userfaultfd(2) is not for this user")

}  // namespace

TEST_CASE("the open of a FIFO holds up its own thread alone: others, and other workers, are served") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    const std::string fifo = place.fifo("fifo");
    const std::string file = place.file("file", "x");
    const sg::Sandbox box{performing, {.limits = {.wall = 60s}}};
    const support::Shared<support::Stage> state;
    std::thread observer = support::meanwhile(*state, [&](pid_t, const support::Performers& performers) {
        CHECK(support::eventually([&] { return performers.waiting() == 1; }));
        CHECK(*box.call([&] { return ask(0) == 7 && ::open(file.c_str(), O_RDONLY) >= 0; }));
        state->stage = 1;
    });
    const auto called = box.call([&] {
        state->announce();
        int fd = -1;
        std::thread blocked{[&] { fd = ::open(fifo.c_str(), O_RDONLY); }};
        support::wait_for(state->stage, 1);
        int good = 0;
        for (int i = 0; i < 50; ++i) good += ask(0) == 7 && ::close(::open(file.c_str(), O_RDONLY)) == 0;
        const int writing = ::open(fifo.c_str(), O_WRONLY);  // each opens when the other does
        blocked.join();
        char text[3] = {};
        good += ::write(writing, "hi", 2) == 2 && ::read(fd, text, 2) == 2 && std::string{text} == "hi";
        return good;
    });
    observer.join();
    CAPTURE(called.explain());
    CHECK(*called == 51);
}

TEST_CASE("a handler that hangs holds up its own call alone") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    std::atomic<bool> released{false};
    std::atomic<int> hanging{0};
    const sg::Sandbox box{hanging_policy(released, hanging), {.limits = {.wall = 60s}}};
    const support::Shared<support::Stage> state;
    std::thread other = support::meanwhile(*state, [&](pid_t, const support::Performers&) {
        CHECK(support::eventually([&] { return hanging == 1; }));
        CHECK(*box.call([] { return ask(0); }) == 7);
        CHECK(support::eventually([&] { return state->stage == 1; }));
        released = true;
    });
    const auto called = box.call([&] {
        state->announce();
        long held = 0;
        std::thread blocked{[&] { held = ask(1); }};
        int good = 0;
        for (int i = 0; i < 50; ++i) good += ask(0) == 7;
        state->stage = 1;
        blocked.join();
        return good + held;
    });
    other.join();
    CAPTURE(called.explain());
    CHECK(*called == 58);
}

TEST_CASE("one thread serves spawned workers: a handler that hangs for one holds up no other") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    std::atomic<bool> released{false};
    std::atomic<int> hanging{0};
    const sg::Sandbox box{hanging_policy(released, hanging)};
    sg::Worker held = box.spawn({support::helper("behave"), "ask", "1"});
    CHECK(support::eventually([&] { return hanging == 1; }));
    for (int i = 0; i < 20; ++i) CHECK(box.spawn({support::helper("behave"), "ask", "0"}).wait().exit_code() == 7);
    released = true;
    CHECK(held.wait().exit_code() == 8);
}

TEST_CASE("a worker's time is over though handlers hang: one, or as many as there may be, and more") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    for (const int threads : {1, 100}) {
        CAPTURE(threads);
        const support::Leftovers leftovers;
        std::atomic<bool> released{false};
        std::atomic<int> hanging{0};
        const sg::Sandbox box{hanging_policy(released, hanging), {.limits = {.wall = 3s}}};
        const support::Shared<support::Stage> state;
        std::thread other = support::meanwhile(*state, [&](pid_t worker, const support::Performers&) {
            CHECK(support::eventually([&] { return !support::lives(worker); }));
            CHECK(hanging >= 1);
            CHECK(hanging <= 64);
            released = true;
        });
        const auto called = box.call([&] {
            state->announce();
            for (int i = 1; i < threads; ++i) std::thread{[] { ask(1); }}.detach();
            ask(1);
            for (;;) ::pause();
        });
        other.join();
        CHECK(called.outcome().kind() == Kind::timed_out);
    }
}

TEST_CASE("memory that never comes holds up its own call alone, and the worker's time is kept") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    SKIP_WITHOUT_USERFAULTFD();
    const support::Leftovers leftovers;
    const sg::Sandbox box{performing, {.credentials = with_capabilities, .limits = {.wall = 500ms}}};
    const support::Shared<support::Stage> state;
    std::thread other = support::meanwhile(*state, [&](pid_t, const support::Performers&) {
        CHECK(support::eventually([&] { return state->stage == 1; }));
        CHECK(*box.call([] { return ask(0); }) == 7);
    });
    const auto called = box.call([&] {
        const char* const page = page_that_never_comes();
        state->announce();
        std::thread blocked{[&] { ::open(page, O_RDONLY); }};
        int good = 0;
        for (int i = 0; i < 50; ++i) good += ask(0) == 7;
        if (page != nullptr && good == 50) state->stage = 1;
        blocked.join();
    });
    other.join();
    CHECK(called.outcome().kind() == Kind::timed_out);
}

TEST_CASE("the same where a worker is to be killed for the call, and its text would be told") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    SKIP_WITHOUT_USERFAULTFD();
    const support::Leftovers leftovers;
    static constexpr sg::Policy policy{Rule<SYS_mkdirat>{}.kill(), sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy, {.credentials = with_capabilities, .limits = {.wall = 500ms}}}.call(
        [] { return ::mkdirat(AT_FDCWD, page_that_never_comes(), 0700); });
    CHECK(called.outcome().kind() == Kind::timed_out);
}

TEST_CASE("the same where somebody answers later that the call be performed") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    SKIP_WITHOUT_USERFAULTFD();
    const support::Leftovers leftovers;
    std::thread answering;
    const sg::Policy policy{Rule<SYS_openat>{}.handle([&](const Call<SYS_openat>& call) {
                                sg::Deferred later = call.defer();
                                sg::Verdict pending = later.pending();
                                answering = std::thread{[deferred = std::move(later)]() mutable {
                                    deferred.answer(deferred.as<SYS_openat>().perform());
                                }};
                                return pending;
                            }),
                            sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy, {.credentials = with_capabilities, .limits = {.wall = 500ms}}}.call(
        [] { return ::open(page_that_never_comes(), O_RDONLY); });
    answering.join();
    CHECK(called.outcome().kind() == Kind::timed_out);
}

TEST_CASE("memory that never comes in a hundred threads does not hold up the host") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    SKIP_WITHOUT_USERFAULTFD();
    const support::Leftovers leftovers;
    const sg::Sandbox box{performing, {.credentials = with_capabilities, .limits = {.wall = 2s}}};
    const auto called = box.call([] {
        const char* const page = page_that_never_comes();
        if (page == nullptr) return;
        for (int i = 0; i < 100; ++i) std::thread{[page] { ::open(page, O_RDONLY); }}.detach();
        for (;;) ::pause();
    });
    CHECK(called.outcome().kind() == Kind::timed_out);
}
