#include <sysguard/cgroup.hpp>
#include <sysguard/filter/install.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cgroups.hpp"
#include "support/forked.hpp"
#include "support/helpers.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"
#include "support/supervised.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using namespace std::chrono_literals;
using namespace sysguard::literals;
using sg::Limit;
using sg::Outcome;
using Kind = sg::Outcome::Kind;
using support::anything;
using support::has;
using support::helper;
using support::static_program;

namespace {

constexpr sg::Policy asking{sg::Rule<SYS_getpriority>{}.handle(
                                [](const sg::Call<SYS_getpriority>& call) -> sg::Verdict { return call.fake(1); }),
                            sg::otherwise.allow()};

constexpr sg::Policy silent{sg::foreign.kill_now(), sg::otherwise.allow()};

/// Leaves the worker's session and its process group, twice removed, and stays.
void escape(std::atomic<int>& escaped) {
    if (::fork() == 0) {
        ::setsid();
        if (::fork() == 0) {
            escaped = ::getpid();
            for (;;) ::pause();
        }
        ::_exit(0);
    }
    while (escaped.load() == 0) ::usleep(500);
}

void spin_for_ever() {
    for (std::atomic<unsigned> n{0};;) ++n;
}

/// Takes memory and uses it. Returns whether it could.
bool use(std::size_t bytes) {
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    for (std::size_t at = 0; at < bytes; at += 4096) static_cast<char*>(memory)[at] = 1;
    return true;
}

}  // namespace

TEST_CASE("the outcome tells which limit ended a worker") {
    const Outcome wall = sg::Sandbox{anything, {.limits = {.wall = 50ms}}}.run({helper("behave"), "sleep"},
                                                                               {.output = sg::Stdio::null()});
    CHECK(wall.limit() == Limit::wall);
    const Outcome cpu = sg::Sandbox{static_program, {.limits = {.cpu = 1s}}}.run({helper("behave"), "spin"});
    CHECK(cpu.limit() == Limit::cpu);
    CHECK(sg::Sandbox{static_program}.run({helper("behave"), "exit", "3"}).limit() == Limit::none);
    CHECK(sg::Sandbox{static_program}.run({helper("behave"), "crash"}).limit() == Limit::none);
}

TEST_CASE("a file that grows too large") {
    const support::Scratch scratch;
    const sg::process::Descriptor file{::open((scratch / "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
    const Outcome outcome = sg::Sandbox{anything, {.limits = {.file_size = 4_KiB}}}.run(
        {helper("behave"), "print", "64"}, {.output = sg::Stdio::from(file.get())});
    CHECK(outcome.signal() == SIGXFSZ);
    CHECK(outcome.limit() == Limit::file_size);
    CHECK(has(outcome.explain(), "a file had the size"));
}

TEST_CASE("a function that gets no memory") {
    SYSGUARD_SKIP_SANITIZED();
    const auto result = sg::Sandbox{anything, {.limits = {.memory = 64_MiB}}}.call(
        [] { return std::vector<char>(std::size_t{1} << 28, 'x').size(); });
    CHECK(result.outcome().kind() == Kind::out_of_memory);
    CHECK(result.outcome().limit() == Limit::memory);
    CHECK(has(result.explain(), "of which it may have 67108864 bytes"));
}

TEST_CASE("context switches and what was written") {
    const auto waits = sg::Sandbox{anything}.call([] {
        for (int i = 0; i < 20; ++i) ::usleep(1000);
    });
    CHECK(waits.outcome().usage().voluntary_switches >= 20);
    CHECK_FALSE(waits.outcome().usage().cpu_of_all);
}

TEST_CASE("without a cgroup, what leaves the session escapes; with one it does not") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const support::Shared<std::atomic<int>> escaped;
    (void)sg::Sandbox{anything}.call([&] { escape(*escaped); });
    REQUIRE(*escaped > 0);
    CHECK(support::lives(*escaped));
    ::kill(*escaped, SIGKILL);

    *escaped = 0;
    const sg::Sandbox box{anything, {.cgroup = subtree.option()}};
    const auto outcome = box.call([&] { escape(*escaped); }).outcome();
    CAPTURE(outcome.explain());
    CHECK(outcome);
    REQUIRE(*escaped > 0);
    CHECK_FALSE(support::lives(*escaped));
    CHECK(outcome.usage().cpu_of_all);
    CHECK(subtree.left() == 0);
}

TEST_CASE("workers of all kinds are in their cgroups, and these go with them") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const support::Leftovers nothing;
    for (const bool asks : {false, true}) {
        const sg::Options options{.cgroup = subtree.option()};
        const sg::Sandbox box = asks ? sg::Sandbox{asking, options} : sg::Sandbox{anything, options};
        const Outcome program = box.run({"/bin/cat", "/proc/self/cgroup"}, {.output = sg::Stdio::capture()});
        CAPTURE(program.explain());
        CHECK(has(program.output(), "0::"));
        CHECK(has(program.output(), "/sysguard-"));
        const auto function = box.call([] {
            return std::string{sg::process::detail::FileText{AT_FDCWD, "/proc/self/cgroup"}.text};
        });
        CAPTURE(function.explain());
        REQUIRE(function);
        CHECK(has(*function, "/sysguard-"));
        sg::Worker worker = box.spawn({helper("behave"), "sleep"}, {.output = sg::Stdio::null()});
        CHECK(subtree.left() == 1);
        worker.stop();
        CHECK(subtree.left() == 0);
        CHECK(box.run({"/nonexistent"}).kind() == Kind::could_not_start);
        CHECK(subtree.left() == 0);
        const sg::Worker none = box.spawn({"/nonexistent"});
        CHECK(subtree.left() == 0);
        CHECK_THROWS_AS((void)box.run({helper("noop")}, {.directory = std::string("a\0b", 3)}), sg::Error);
        CHECK(subtree.left() == 0);
    }
}

TEST_CASE("a subtree that is not there is an error, unless it is optional") {
    const sg::Options required{.cgroup = sg::Cgroup::in("/nonexistent")};
    CHECK_THROWS_WITH_AS(sg::Sandbox(static_program, required), doctest::Contains("set up the cgroup: /nonexistent"),
                         sg::Error);
    const sg::Options optional{.cgroup = sg::Cgroup::in("/nonexistent"), .optional = {sg::Layer::cgroup}};
    const Outcome outcome = sg::Sandbox{static_program, optional}.run({helper("noop")});
    CHECK(outcome);
    CHECK(has(outcome.missing(sg::Layer::cgroup), "/nonexistent"));
    CHECK(has(outcome.explain(), "It went without the cgroup: /nonexistent"));
    CHECK_FALSE(outcome.usage().cpu_of_all);
}

TEST_CASE("where there is no clone3, workers enter their cgroups by themselves") {
    SYSGUARD_NEED_SUBTREE(subtree);
    for (const bool asks : {false, true}) {
        const std::string said = support::in_fork([&] {
            constexpr sg::Policy host{sg::Rule<SYS_clone3>{}.deny(ENOSYS), sg::foreign.deny(EPERM),
                                      sg::otherwise.allow()};
            sg::filter::install(host.program());
            const sg::Options options{.cgroup = subtree.option()};
            const sg::Sandbox box = asks ? sg::Sandbox{anything, options} : sg::Sandbox{silent, options};
            const Outcome outcome = box.run({"/bin/cat", "/proc/self/cgroup"}, {.output = sg::Stdio::capture()});
            return outcome.explain() + outcome.output();
        });
        CAPTURE(said);
        CHECK(has(said, "exited."));
        CHECK(has(said, "/sysguard-"));
    }
}

TEST_CASE("a worker that may write to the cgroup file system leaves its cgroup; Landlock keeps it in") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const std::string way_out = std::filesystem::path{subtree.path()}.parent_path().string() + "/cgroup.procs";
    const auto leave = [&way_out] {
        const sg::process::Descriptor file{::open(way_out.c_str(), O_WRONLY | O_CLOEXEC)};
        return file && ::write(file.get(), "0", 1) == 1;
    };
    const auto without = sg::Sandbox{anything, {.cgroup = subtree.option()}}.call(leave);
    REQUIRE(without);
    CHECK(*without);
    if (!sg::process::LandlockSupport{}.offer(sg::Layer::file_access))
        SYSGUARD_SKIP("there is no Landlock here that holds files");
    const auto with = sg::Sandbox{anything, {.files = {sg::read_only("/")}, .cgroup = subtree.option()}}.call(leave);
    CAPTURE(with.explain());
    REQUIRE(with);
    CHECK_FALSE(*with);
}

TEST_CASE("a worker has no descriptor of its cgroup") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const sg::Sandbox unasked{anything, {.cgroup = subtree.option()}};
    const sg::Sandbox reporting{asking, {.cgroup = subtree.option()}};
    for (const sg::Sandbox* const box : {&unasked, &reporting}) {
        const Outcome outcome = box->run({"/bin/ls", "/proc/self/fd"}, {.output = sg::Stdio::capture()});
        CHECK(outcome.output() == "0\n1\n2\n3\n");  // 3 is the directory that it reads
        const auto count = box->call([] { return support::entries("/proc/self/fd"); });
        REQUIRE(count);
        CHECK(*count == 6);
    }
}

TEST_CASE("processor time of all processes together") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const sg::Sandbox box{anything, {.limits = {.cpu = 1s, .wall = 60s}, .cgroup = subtree.option()}};
    const auto outcome = box.call([] {
                                for (int i = 0; i < 4; ++i)
                                    if (::fork() == 0) spin_for_ever();
                                for (;;) ::pause();
                            })
                             .outcome();
    CAPTURE(outcome.explain());
    CHECK(outcome.kind() == Kind::timed_out);
    CHECK(outcome.limit() == Limit::cpu);
    CHECK(has(outcome.explain(), "processor time of 1000 ms"));
    CHECK(outcome.usage().user + outcome.usage().system >= 1s);
    CHECK(outcome.usage().user + outcome.usage().system < 3s);  // one by one they would have used 4 s
}

TEST_CASE("memory of all processes together") {
    SYSGUARD_NEED_SUBTREE(subtree);
    SYSGUARD_NEED_CONTROLLER(subtree, "memory");
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{anything, {.limits = {.memory = 64_MiB, .wall = 60s}, .cgroup = subtree.option()}};
    const auto spread = [] {  // each has less than the limit
        for (int i = 0; i < 4; ++i)
            if (::fork() == 0) {
                use(24_MiB);
                for (;;) ::pause();
            }
        for (;;) ::pause();
    };
    const auto outcome = box.call(spread).outcome();
    CAPTURE(outcome.explain());
    CHECK(outcome.kind() == Kind::out_of_memory);
    CHECK(outcome.limit() == Limit::memory);
    CHECK(has(outcome.explain(), "used up its memory of 67108864 bytes"));
    if (outcome.usage().memory_of_all) CHECK(outcome.usage().peak_memory <= 64_MiB);
    const sg::Sandbox held_each{anything, {.limits = {.memory = 64_MiB, .wall = 1s}}};
    CHECK(held_each.call(spread).outcome().limit() == Limit::wall);  // without a cgroup they have it
}

TEST_CASE("a fork bomb, root's too, is bounded") {
    SYSGUARD_NEED_SUBTREE(subtree);
    SYSGUARD_NEED_CONTROLLER(subtree, "pids");
    sg::Options options;
    options.limits = {.wall = 60s, .processes = 20};
    options.cgroup = subtree.option();
    const auto bomb = [] {
        int started = 0;
        for (int i = 0; i < 200; ++i) {
            const pid_t child = ::fork();
            if (child == 0)
                for (;;) ::pause();
            started += child > 0;
        }
        return started;
    };
    const auto result = sg::Sandbox{silent, options}.call(bomb);
    CAPTURE(result.explain());
    REQUIRE(result);
    CHECK(*result == 19);
    CHECK(result.outcome().usage().refused_processes > 0);
    const auto reporting = sg::Sandbox{anything, options}.call(bomb);
    REQUIRE(reporting);
    CHECK(*reporting == 18);  // its start has used one up
    const sg::Sandbox one{anything, {.limits = {.processes = 1}, .cgroup = subtree.option()}};
    CHECK(one.run({helper("noop")}));
    const sg::Sandbox asks{asking, {.limits = {.processes = 1}, .cgroup = subtree.option()}};
    CHECK(asks.run({helper("behave"), "ask", "0"}).exit_code() == 1);
    CHECK_THROWS_AS((void)asks.call([] {}), sg::Error);
    CHECK(sg::Sandbox{asking, {.limits = {.processes = 3}, .cgroup = subtree.option()}}.call([] {}));
}

TEST_CASE("a host that is killed leaves neither processes nor a cgroup, where a guard is there") {
    SYSGUARD_NEED_SUBTREE(subtree);
    const support::Shared<std::atomic<int>> escaped;
    const pid_t host = ::fork();
    if (host == 0) {
        const sg::Sandbox box{anything, {.cgroup = subtree.option()}};
        (void)box.call([&] {
            escape(*escaped);
            for (;;) ::pause();
        });
        ::_exit(0);
    }
    REQUIRE(support::eventually([&] { return *escaped != 0; }));
    CHECK(subtree.left() == 1);
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(support::eventually([&] { return !support::lives(*escaped); }));
    CHECK(support::eventually([&] { return subtree.left() == 0; }));
}

TEST_CASE("an ordinary user in a delegated subtree") {
    if (::getuid() != 0) SYSGUARD_SKIP("only root can delegate one to try");
    SYSGUARD_NEED_SUBTREE(subtree);
    const std::string host = subtree.path() + "/host";
    REQUIRE(::mkdir(host.c_str(), 0755) == 0);
    for (const char* const file : {"", "/cgroup.procs", "/cgroup.subtree_control"})
        REQUIRE(::chown((subtree.path() + file).c_str(), 65534, 65534) == 0);
    const auto as_user = [&](const std::string& inside, auto&& make) {
        return support::in_fork([&]() -> std::string {
            const int fd = ::open(inside.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (sg::process::detail::write_file(fd, "cgroup.procs", "0") != 0) return "cannot be prepared";
            if (::setgid(65534) != 0 || ::setuid(65534) != 0) return "cannot change its user";
            ::prctl(PR_SET_DUMPABLE, 1);
            return make();
        });
    };
    const auto run = [](const sg::Cgroup& cgroup) {
        return sg::Sandbox{static_program, {.cgroup = cgroup}}.run({helper("noop")}).explain();
    };
    const std::string own = std::filesystem::path{subtree.path()}.parent_path().string();
    CHECK(has(as_user(host, [&] { return run(subtree.option()); }), "exited."));
    CHECK(has(as_user(host, [&] { return run(sg::Cgroup::beside_own()); }), "exited."));
    const std::string outside = as_user(own, [&] { return run(subtree.option()); });
    CHECK(has(outside, "closest cgroup above both"));
    const std::string foreign = as_user(host, [&] { return run(sg::Cgroup::in(own)); });
    CHECK(has(foreign, "not this user's to write"));
    CHECK(::rmdir(host.c_str()) == 0);
}
