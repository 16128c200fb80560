#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
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

TEST_CASE("a thousand calls in flight, answered from the last to the first") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int many = 1000;
    const support::Leftovers leftovers;
    for (const bool processes : {false, true}) {
        CAPTURE(processes);
        std::mutex mutex;  // a slow machine may handle several calls at a time
        std::vector<sg::Deferred> later;
        const sg::Policy policy{Rule<SYS_getpriority>{}.handle([&](const Call<SYS_getpriority>& call) {
                                    const std::lock_guard locked{mutex};
                                    later.push_back(call.defer());
                                    sg::Verdict pending = later.back().pending();
                                    if (later.size() < many) return pending;
                                    for (; !later.empty(); later.pop_back()) {
                                        const auto each = later.back().as<SYS_getpriority>();
                                        CHECK(later.back().answer(each.fake(each[arg::who] + 1)));
                                    }
                                    return pending;
                                }),
                                sg::otherwise.allow()};
        const auto called = sg::Sandbox{policy, {.limits = {.wall = 100s}}}.call([processes] {
            std::atomic<int> good{0};
            const auto ask = [](int i) { return ::syscall(SYS_getpriority, 0, i) == i + 1; };
            if (!processes) {
                std::vector<std::thread> threads;
                for (int i = 0; i < many; ++i) threads.emplace_back([&good, ask, i] { good += ask(i); });
                for (std::thread& thread : threads) thread.join();
                return good.load();
            }
            for (int i = 0; i < many; ++i)
                if (::fork() == 0) ::_exit(ask(i));
            int status = 0;
            while (::wait(&status) > 0) good += WEXITSTATUS(status);
            return good.load();
        });
        CAPTURE(called.explain());
        CHECK(*called == many);
        CHECK(later.empty());
    }
}

TEST_CASE("a hundred workers at a time in one thread, with one that stands by; while they sleep, so do both") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    constexpr int many = 100;
    const support::Leftovers leftovers;
    std::atomic<int> handled{0};
    const sg::Policy policy{Rule<SYS_getpriority>{}.handle([&handled](const Call<SYS_getpriority>& call) {
                                ++handled;
                                return call.fake(7);
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    const int threads = support::entries("/proc/self/task");
    std::vector<sg::Worker> workers;
    for (int i = 0; i < many; ++i) workers.push_back(box.spawn({support::helper("behave"), "asking", "20"}));
    CHECK(support::eventually([&] { return handled == 20 * many; }));
    CHECK(support::entries("/proc/self/task") <= threads + 2 + 2);  // where a machine is slow, a stand-by takes over
    const auto switches = [] {
        rusage used{};
        ::getrusage(RUSAGE_SELF, &used);
        return used.ru_nvcsw + used.ru_nivcsw;
    };
    const long before = switches();
    std::this_thread::sleep_for(300ms);
    CHECK(switches() - before < 50);
    for (sg::Worker& worker : workers) CHECK(worker.stop().kind() == Kind::stopped);
}

TEST_CASE("workers that have ended and that nobody waits for keep the host from nothing") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    static constexpr sg::Policy policy{
        Rule<SYS_getpriority>{}.handle([](const Call<SYS_getpriority>& call) { return call.fake(7); }),
        sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    sg::Worker living = box.spawn({support::helper("behave"), "asking", "1"});
    std::vector<sg::Worker> workers;
    for (int i = 0; i < 10; ++i) workers.push_back(box.spawn({support::helper("behave"), "ask", "0"}));
    for (sg::Worker& worker : workers) CHECK(support::eventually([&] { return !support::lives(worker.pid()); }));
    const auto is_quiet = [] {  // what a busy machine adds passes; a host that spins does so for ever
        rusage before{};
        ::getrusage(RUSAGE_SELF, &before);
        std::this_thread::sleep_for(300ms);
        rusage after{};
        ::getrusage(RUSAGE_SELF, &after);
        const auto used = [](const rusage& usage) {
            return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
                   usage.ru_stime.tv_usec;
        };
        return after.ru_nvcsw - before.ru_nvcsw < 100 && used(after) - used(before) < 200000;
    };
    CHECK(support::eventually(is_quiet));
    for (sg::Worker& worker : workers) CHECK(worker.wait().exit_code() == 7);
}

TEST_CASE("no worker has its own listener, nor another's") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    std::atomic<int> of_host{0};
    const sg::Policy policy{Rule<SYS_getpriority>{}.handle([&of_host](const Call<SYS_getpriority>& call) {
                                of_host = support::descriptors_of("seccomp");
                                return call.fake(0);
                            }),
                            sg::otherwise.allow()};
    const sg::Sandbox box{policy};
    const sg::Worker beside = box.spawn({support::helper("behave"), "asking", "0"});
    CHECK(*box.call([] {
        ::getpriority(PRIO_PROCESS, 0);
        return support::descriptors_of("seccomp");
    }) == 0);
    CHECK(of_host == 2);  // that is what the host's are called
    CHECK(box.run({support::helper("behave"), "listeners"}).exit_code() == 0);
    sg::Worker spawned = box.spawn({support::helper("behave"), "listeners"});
    CHECK(spawned.wait().exit_code() == 0);
}

TEST_CASE("a connect that need not wait is not waited for, and a descriptor's flags stay as they are") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Receiver full{SOCK_STREAM};
    REQUIRE(::listen(full.fd.get(), 0) == 0);
    std::vector<sg::process::Descriptor> queue;
    for (int i = 0; i < 4; ++i) {
        queue.push_back(support::open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK));
        ::connect(queue.back().get(), support::plain(&full.address), sizeof full.address);
    }
    const support::Leftovers leftovers;
    static constexpr sg::Policy policy{Rule<SYS_connect>{}.handle([](const Call<SYS_connect>& call) {
                                           const sg::process::Descriptor socket = call.fd(arg::fd);
                                           return socket ? call.perform() : call.deny(EXFULL);
                                       }),
                                       sg::otherwise.allow()};
    const auto called = sg::Sandbox{policy, {.limits = {.wall = 60s}}}.call([&] {
        std::vector<int> told;
        for (const int more : {0, int{SOCK_CLOEXEC}}) {
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | more, 0);
            const int status = ::fcntl(fd, F_GETFL);
            const int of_descriptor = ::fcntl(fd, F_GETFD);
            told.push_back(::connect(fd, support::plain(&full.address), sizeof full.address) < 0 ? errno : 0);
            told.push_back(::connect(fd, support::plain(&full.address), sizeof full.address) < 0 ? errno : 0);
            told.push_back(::fcntl(fd, F_GETFL) == status && ::fcntl(fd, F_GETFD) == of_descriptor);
        }
        return told;
    });
    CAPTURE(called.explain());
    CHECK(*called == std::vector<int>{EINPROGRESS, EALREADY, 1, EINPROGRESS, EALREADY, 1});
}

TEST_CASE("a descriptor that is replaced while its connect waits: the connect goes on with what it was") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Receiver full{SOCK_STREAM};
    REQUIRE(::listen(full.fd.get(), 0) == 0);
    std::vector<sg::process::Descriptor> queue;
    for (int i = 0; i < 4; ++i) {
        queue.push_back(support::open_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK));
        ::connect(queue.back().get(), support::plain(&full.address), sizeof full.address);
    }
    static constexpr sg::Policy policy{
        Rule<SYS_connect>{}.handle([](const Call<SYS_connect>& call) { return call.perform(); }),
        sg::otherwise.allow()};
    const support::Shared<support::Stage> state;
    std::thread other = support::meanwhile(*state, [&](pid_t, const support::Performers& performers) {
        CHECK(support::eventually([&] { return performers.waiting() == 1; }));
        state->stage = 1;
        CHECK(support::eventually([&] { return state->stage == 2; }));
        queue.clear();
        CHECK(support::eventually([&] {  // makes room
            support::accepted(full.fd.get());
            return state->stage == 3;
        }));
    });
    const auto called = sg::Sandbox{policy, {.limits = {.wall = 60s}}}.call([&] {
        state->announce();
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        const int copy = ::dup(fd);
        int result = -1;
        std::thread connecting{[&] {
            result = ::connect(fd, support::plain(&full.address), sizeof full.address);
            state->stage = 3;
        }};
        support::wait_for(state->stage, 1);
        const int datagram = ::socket(AF_INET, SOCK_DGRAM, 0);
        ::dup2(datagram, fd);
        state->stage = 2;
        connecting.join();
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        const bool is_copy_connected = ::getpeername(copy, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
        const bool is_other_connected = ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
        return result == 0 && is_copy_connected && !is_other_connected;
    });
    other.join();
    CAPTURE(called.explain());
    CHECK(*called);
}

TEST_CASE("paths through /proc/self, /proc/self/fd, root, cwd and dots lead where they lead the worker") {
    SYSGUARD_SKIP_UNSAFE_FORK();
    const support::Leftovers leftovers;
    const support::Workplace place;
    for (const char* directory : {"public", "public/below", "secret"})
        REQUIRE(::mkdir((place.path + "/" + directory).c_str(), 0755) == 0);
    place.file("public/file", "p");
    place.file("secret/file", "s");
    REQUIRE(::symlink("../secret", (place.path + "/public/away").c_str()) == 0);
    REQUIRE(::symlink("../secret/file", (place.path + "/public/link").c_str()) == 0);
    REQUIRE(::symlink("../public/file", (place.path + "/secret/back").c_str()) == 0);
    const sg::Policy policy{Rule<SYS_openat>{arg::path.under(place.path + "/public")}.allow(),
                            Rule<SYS_openat>{}.deny(EXFULL), sg::otherwise.allow()};
    const std::string at = place.path + "/";
    const int public_directory = ::open((at + "public").c_str(), O_PATH | O_DIRECTORY);
    const int secret_directory = ::open((at + "secret").c_str(), O_PATH | O_DIRECTORY);
    sg::Launch launch{.directory = place.path + "/secret"};
    launch.descriptors = {{public_directory, 10}, {secret_directory, 11}};
    const auto called = sg::Sandbox{policy}.call(launch, [&] {
        std::string seen;
        const auto open = [&](int directory, const std::string& path) {
            const int fd = ::openat(directory, path.c_str(), O_RDONLY);
            char first = errno == EXFULL ? '-' : '?';
            if (fd >= 0) (void)!::read(fd, &first, 1);
            ::close(fd);
            seen += first;
        };
        const std::vector<std::string> starts{at,
                                              "/proc/self/root" + at,
                                              "/proc/thread-self/root" + at,
                                              "../",
                                              "/proc/self/cwd/../",
                                              "/proc/self/fd/10/../",
                                              "/dev/fd/11/../"};
        for (const char* file : {"public/file", "public/../public//./file", "public/below/../file", "secret/back"})
            for (const std::string& start : starts) open(AT_FDCWD, start + file);
        seen += ' ';
        for (const char* file : {"secret/file", "public/../secret/file", "public/away/file", "public/link",
                                 "public/below/../../secret/file"})
            for (const std::string& start : starts) open(AT_FDCWD, start + file);
        seen += ' ';
        open(10, "file");
        open(11, "../public/file");
        open(11, "file");
        open(10, "../secret/file");
        open(10, "away/file");
        return seen;
    });
    ::close(public_directory);
    ::close(secret_directory);
    CAPTURE(called.explain());
    CHECK(*called == std::string(28, 'p') + " " + std::string(35, '-') + " pp---");
}
