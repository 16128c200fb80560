#include <sysguard/pool.hpp>
#include <sysguard/zygote.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/namespaces.hpp"
#include "support/skip.hpp"
#include "support/supervised.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using namespace sg::literals;
using support::anything;
using support::has;
using support::Leftovers;
using support::static_program;
using Kind = sg::Outcome::Kind;

namespace {

int global = 1;

std::string shout(const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text + "!";
    return all;
}

}  // namespace

TEST_CASE("functions run in forks of a zygote, with arguments and results of many kinds") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    sg::Zygote zygote;
    const sg::Sandbox box{static_program};
    global = 2;
    CHECK(*zygote.call(
              box, [](int x) { return x + 1; }, 41) == 42);
    CHECK(*zygote.call(box, shout, "hey", 2) == "hey!hey!");
    CHECK(*zygote.call(
              box, [](const std::vector<int>& n, double d) { return d + n.back(); }, std::vector<int>(100000, 7),
              0.5) == 7.5);
    CHECK(*zygote.call(box, [] { return global; }) == 1);  // as it was when the zygote was made
    CHECK(zygote.call(box, [] {}));
    CHECK(*zygote.call(box, [] { return ::getppid(); }) == ::getpid());
    CHECK(zygote.call(box, []() -> int { throw std::runtime_error{"no"}; }).outcome().message() == "no");
    CHECK(zygote.call(box, [] { support::crash(); }).outcome().signal() == SIGSEGV);
    CHECK(zygote.call(box, [] { std::abort(); }).outcome().signal() == SIGABRT);
    CHECK(zygote.call(box, [] { ::syscall(SYS_socket, 1, 1, 0); }).outcome().kind() == Kind::violation);
    CHECK(zygote.call(box, [] { ::_exit(3); }).outcome().exit_code() == 3);
    const sg::Sandbox hasty{static_program, {.limits = {.wall = 100ms}}};
    CHECK(zygote
              .call(hasty,
                    [] {
                        for (volatile bool go = true; go;) {
                        }
                    })
              .outcome()
              .kind() == Kind::timed_out);
    const auto nowhere = zygote.call(box, sg::Launch{.directory = "/nowhere"}, [] { return 1; });
    CHECK(nowhere.outcome().kind() == Kind::could_not_start);
    CHECK(nowhere.outcome().error() == ENOENT);
}

TEST_CASE("a worker of a zygote has what its launch gives it, and nothing else") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    sg::Zygote zygote;
    const sg::Sandbox box{anything};
    const int extra = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const auto open =
        zygote.call(box, sg::Launch{.output = sg::Stdio::capture(), .descriptors = {{extra, 9}, {extra, 3}}}, [] {
            std::printf("%s", "hello");
            std::vector<int> all;
            for (int fd = 0; fd < 1024; ++fd)
                if (::fcntl(fd, F_GETFD) >= 0) all.push_back(fd);
            return all;
        });
    ::close(extra);
    CAPTURE(open.explain());
    REQUIRE(open);
    CHECK(*open == std::vector<int>{0, 1, 2, 3, 9});
    CHECK(open.outcome().output() == "hello");
    char here[4096];
    REQUIRE(::getcwd(here, sizeof here) != nullptr);
    REQUIRE(::chdir("/tmp") == 0);
    CHECK(*zygote.call(box, [] {
        char there[4096];
        return std::string{::getcwd(there, sizeof there)};
    }) == "/tmp");
    REQUIRE(::chdir(here) == 0);
    CHECK(*zygote.call(box, [] { return ::gettid() == ::getpid() && ::getsid(0) == ::getpid(); }));
    CHECK(*zygote.call(box, [] {
        ::pthread_mutexattr_t as{};
        ::pthread_mutexattr_init(&as);
        ::pthread_mutexattr_settype(&as, PTHREAD_MUTEX_ERRORCHECK);
        ::pthread_mutex_t mutex;
        ::pthread_mutex_init(&mutex, &as);
        ::pthread_mutex_lock(&mutex);
        return mutex.__data.__owner == ::gettid();
    }));
}

TEST_CASE("the host may be large and have threads") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    sg::Zygote zygote;
    const sg::Sandbox box{static_program, {.limits = {.memory = 64_MiB}}};
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i)
                good += *zygote.call(
                            box, [](int x) { return x + 1; }, i) == i + 1;
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 400);
    const auto eaten = zygote.call(box, [] { return std::vector<char>(100 << 20, 'x').size(); });
    CHECK(eaten.outcome().kind() == Kind::out_of_memory);
}

TEST_CASE("services and pools of a zygote") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    sg::Zygote zygote;
    const sg::Sandbox box{static_program};
    sg::Service service{zygote, box, shout};
    for (int i = 0; i < 100; ++i) CHECK(*service.call("a", 2) == "a!a!");
    sg::Pool pool{zygote,
                  box,
                  [](int x) {
                      if (x < 0) support::crash();
                      return x + 1;
                  },
                  {.workers = 2, .most_requests = 1}};
    for (int i = 0; i < 50; ++i) CHECK(*pool.call(i) == i + 1);
    CHECK(pool.call(-1).outcome().kind() == Kind::signalled);
    CHECK(*pool.call(1) == 2);
}

TEST_CASE("what a zygote cannot do is an error") {
    SYSGUARD_SKIP_SANITIZED();
    const Leftovers leftovers;
    {
        std::atomic<bool> go = true;
        std::thread other{[&] {
            while (go) ::usleep(1000);
        }};
        CHECK_THROWS_AS(static_cast<void>(sg::Zygote{}), sg::Error);
        go = false;
        other.join();
    }
    sg::Zygote zygote;
    const sg::Sandbox box{static_program};
    void* const made = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    using Function = int (*)();
    CHECK_THROWS_AS((void)zygote.call(box, reinterpret_cast<Function>(made)), sg::Error);
    ::munmap(made, 4096);
    const auto text = support::in_fork([&] {
        try {
            (void)zygote.call(box, [] { return 1; });
        } catch (const sg::Error& error) {
            return std::string{error.what()};
        }
        return std::string{"started"};
    });
    CHECK(has(text, "another process's"));
    ::kill(zygote.pid(), SIGKILL);
    const auto gone = zygote.call(box, [] { return 1; });
    CHECK(gone.outcome().kind() == Kind::could_not_start);
}

TEST_CASE("a host that has become another gets no workers of what it was") {
    SYSGUARD_SKIP_SANITIZED();
    const auto text = support::in_fork([] {
        sg::Zygote zygote;
        const sg::Sandbox box{anything};
        if (!zygote.call(box, [] { return 1; })) return std::string{"not at all"};
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return std::string{"no_new_privs"};
        try {
            (void)zygote.call(box, [] { return 1; });
        } catch (const sg::Error& error) {
            return std::string{error.what()};
        }
        return std::string{"started"};
    });
    CHECK(has(text, "has changed its user"));
}

TEST_CASE("a zygote and its workers die with the host") {
    SYSGUARD_SKIP_SANITIZED();
    const auto text = support::in_fork([] {
        int ends[2];
        if (::pipe(ends) != 0) return std::string{"no pipe"};
        const pid_t host = ::fork();
        if (host == 0) {
            sg::Zygote zygote;
            const sg::Sandbox box{anything};
            sg::Service service{zygote, box, [] { return 1; }, {.launch = {.descriptors = {{ends[1], 5}}}}};
            if (!service.call() || ::write(ends[1], "x", 1) != 1) ::_exit(1);
            ::kill(::getpid(), SIGKILL);
        }
        ::close(ends[1]);
        char byte = 0;
        if (::read(ends[0], &byte, 1) != 1) return std::string{"not started"};
        return std::string{::read(ends[0], &byte, 1) == 0 ? "gone" : "?"};  // when nobody has the other end any more
    });
    CHECK(text == "gone");
}

TEST_CASE("functions from a zygote run in namespaces and roots of their own") {
    SYSGUARD_SKIP_SANITIZED();
    SYSGUARD_NEED_ROOT();
    static constexpr sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};
    const Leftovers leftovers;
    sg::Zygote zygote;
    sg::Options options{.network = sg::Network::loopback};
    options.namespaces = support::all_namespaces();
    options.namespaces.host_name = "from-a-zygote";
    options.optional = {sg::Layer::time_namespace};
    options.root = {sg::bind_mount("/usr"), sg::tmpfs("/tmp", 64_KiB), sg::procfs(), sg::devices()};
    const auto look = [] {
        char name[64] = {};
        ::gethostname(name, sizeof name - 1);
        return std::string{name} + " " + std::to_string(::getpid()) + (::access("/usr", F_OK) == 0 ? " usr" : "") +
               (::access("/etc", F_OK) == 0 ? " etc" : "") + (::access("/dev/null", W_OK) == 0 ? " null" : "");
    };
    for (int i = 0; i < 2; ++i) {
        const sg::Sandbox box = i == 0 ? sg::Sandbox{anything, options} : sg::Sandbox{asking, options};
        const sg::Result<std::string> seen = zygote.call(box, sg::Launch{.directory = "/"}, look);
        INFO(seen.explain());
        CHECK(*seen == "from-a-zygote 2 usr null");
        CHECK(zygote.call(box, [] { std::abort(); }).outcome().signal() == SIGABRT);
        options.limits.wall = 300ms;
        const sg::Sandbox hasty{asking, options};
        CHECK(zygote.call(hasty, [] { ::pause(); }).outcome().kind() == Kind::timed_out);
        options.limits.wall.reset();
    }
    if (!sg::process::NamespaceSupport::may_map_any_ids()) return;
    options.namespaces.users = {{0, 100'000, 10}};
    options.namespaces.groups = {{0, 100'000, 10}};
    CHECK(*zygote.call(sg::Sandbox{asking, options}, [] { return ::getuid(); }) == 0);
}

TEST_CASE("programs run from a zygote as they do from the host") {
    SYSGUARD_SKIP_SANITIZED();
    static constexpr sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};
    static constexpr sg::Policy silent{sg::foreign.kill_now(), sg::otherwise.allow()};
    const Leftovers leftovers;
    sg::Zygote zygote;
    const sg::Launch launch{.output = sg::Stdio::capture(), .environment = {"NAME=value"}, .directory = "/"};
    for (int i = 0; i < 2; ++i) {
        const sg::Sandbox box = i == 0 ? sg::Sandbox{asking} : sg::Sandbox{silent};
        const sg::Outcome good = zygote.run(box, {"/bin/sh", "-c", "echo $NAME; pwd; exit 0"}, launch);
        INFO(good.explain());
        CHECK(good);
        CHECK(good.output() == "value\n/\n");
        CHECK(zygote.run(box, {"/bin/sh", "-c", "exit 9"}).exit_code() == 9);
        CHECK(zygote.run(box, {"/bin/sh", "-c", "kill -TERM $$"}).signal() == SIGTERM);
        const sg::Outcome missing = zygote.run(box, {"/there/is/no/such/thing"});
        CHECK(missing.kind() == Kind::could_not_start);
        CHECK(missing.error() == ENOENT);
        CHECK(std::string{missing.step()} == "execute the program");
        CHECK(has(missing.explain(), "/there/is/no/such/thing"));
        CHECK_THROWS_AS(static_cast<void>(zygote.run(box, {})), sg::Error);
    }
    CHECK(zygote.run(sg::Sandbox{static_program}, {support::helper("noop")}));
    // The start's own execve passes, and no other.
    constexpr static sg::Policy once{sg::Rule<SYS_execve>{}.deny(EACCES), sg::otherwise.allow()};
    CHECK(zygote.run(sg::Sandbox{once}, {"/bin/sh", "-c", "/usr/bin/env 2> /dev/null"}).exit_code() == 126);
    const sg::Sandbox hasty{asking, {.limits = {.wall = 300ms}}};
    CHECK(zygote.run(hasty, {"/bin/sh", "-c", "while :; do :; done"}).kind() == Kind::timed_out);
}

TEST_CASE("programs from a zygote have namespaces of their own") {
    SYSGUARD_SKIP_SANITIZED();
    SYSGUARD_NEED_NAMESPACES();
    static constexpr sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};
    const Leftovers leftovers;
    sg::Zygote zygote;
    sg::Options options{.network = sg::Network::isolated};
    options.namespaces = support::all_namespaces();
    options.optional = {sg::Layer::time_namespace};
    const sg::Sandbox box{asking, options};
    const sg::Outcome outcome = zygote.run(box, {"/bin/sh", "-c", "echo $$; exit 4"}, {.output = sg::Stdio::capture()});
    CHECK(outcome.output() == "2\n");
    CHECK(outcome.exit_code() == 4);
    CHECK(zygote.run(box, {"/there/is/no/such/thing"}).error() == ENOENT);
}
