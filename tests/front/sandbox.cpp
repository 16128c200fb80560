#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using namespace sg::literals;
using namespace std::chrono_literals;
using sg::Outcome;
using sg::Rule;
using Kind = sg::Outcome::Kind;
using support::helper;

namespace {

constexpr sg::Policy static_program{sg::preset::static_runtime, sg::otherwise.kill()};
constexpr sg::Policy anything{sg::otherwise.allow()};
constexpr sg::Policy with_processes{sg::preset::cpp_runtime, sg::preset::processes,
                                    sg::allow<SYS_setpgid, SYS_pause, SYS_tgkill>, sg::otherwise.deny(EPERM)};

bool has(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> list;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);) list.push_back(line);
    return list;
}

/// What inspect prints in a worker, line by line.
std::vector<std::string> inspect(const sg::Sandbox& box, sg::Launch launch = {},
                                 std::vector<std::string> command = {helper("inspect")}) {
    launch.output = sg::Stdio::capture();
    const Outcome outcome = box.run(std::move(command), launch);
    CAPTURE(outcome.explain());
    CHECK(outcome);
    return lines(outcome.output());
}

bool contains(const std::vector<std::string>& list, const std::string& line) {
    for (const std::string& each : list)
        if (each == line) return true;
    return false;
}

std::vector<std::string> starting(const std::vector<std::string>& list, const std::string& word) {
    std::vector<std::string> found;
    for (const std::string& each : list)
        if (each.rfind(word + " ", 0) == 0) found.push_back(each.substr(word.size() + 1));
    return found;
}

}  // namespace

// Programs

TEST_CASE("a program runs under the policy and exits") {
    const sg::Sandbox box{static_program};
    const Outcome outcome = box.run({helper("noop")});
    CAPTURE(outcome.explain());
    CHECK(outcome);
    CHECK(outcome.kind() == Kind::exited);
    CHECK(outcome.exit_code() == 0);
    CHECK(outcome.usage().wall > 0ns);
    CHECK(outcome.usage().peak_memory > 0);
}

TEST_CASE("a program that exits with a code is an outcome that is false, and says it") {
    const Outcome outcome = sg::Sandbox{static_program}.run({helper("behave"), "exit", "3"});
    CHECK_FALSE(outcome);
    CHECK(outcome.kind() == Kind::exited);
    CHECK(outcome.exit_code() == 3);
    CHECK(has(outcome.explain(), "exited with code 3"));
}

TEST_CASE("the program in the design, less what is not there yet") {
    constexpr sg::Policy policy{
        sg::preset::cpp_runtime,
        sg::allow<SYS_getrandom, SYS_clock_nanosleep>,
        Rule<SYS_socket>{arg::domain == AF_INET && arg::type != SOCK_RAW}.allow(),
        Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM),
        sg::otherwise.kill(),
    };
    static_assert(policy.decide<SYS_socket>(AF_INET, SOCK_STREAM, 0) == sg::Action::allow);
    static_assert(policy.decide<SYS_ptrace>(0, 0, 0, 0) == sg::Action::kill);

    sg::Sandbox box{policy, {.limits = {.memory = 256_MiB, .cpu = 2s, .wall = 10s, .processes = 16}}};

    sg::Outcome converted = box.run({helper("noop"), "in.png", "out.jpg"});
    sg::Result<int> answer = box.call([](int x) { return x + 1; }, 41);
    CHECK(converted);
    CHECK(*answer == 42);

    sg::Worker worker = box.spawn({helper("behave"), "spin"});
    CHECK_FALSE(worker.wait_for(20ms));
    CHECK(worker.stop().kind() == Kind::stopped);
}

TEST_CASE("a dynamically linked program starts under cpp_runtime, and is stopped at what that has not") {
    constexpr sg::Policy policy{sg::preset::cpp_runtime, sg::otherwise.kill()};
    const sg::Sandbox box{policy};
    const Outcome echo = box.run({"/bin/echo", "hello"}, {.output = sg::Stdio::capture()});
    CAPTURE(echo.explain());
    CHECK(echo);
    CHECK(echo.output() == "hello\n");
    const Outcome makes = box.run({"/bin/mkdir", "/tmp/sysguard-test-never-made"});
    CHECK(makes.kind() == Kind::violation);
    REQUIRE(makes.violation() != nullptr);
    CHECK(has(makes.explain(), "mkdir"));
    CHECK(::access("/tmp/sysguard-test-never-made", F_OK) != 0);
}

TEST_CASE("a violation tells the call with its arguments, by their names") {
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::otherwise.kill()};
    const auto result = sg::Sandbox{policy}.call([] { ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 4); });
    const Outcome& outcome = result.outcome();
    REQUIRE(outcome.kind() == Kind::violation);
    REQUIRE(outcome.violation() != nullptr);
    CHECK(outcome.violation()->number == SYS_socket);
    CHECK(outcome.violation()->arguments[0] == AF_NETLINK);
    CHECK(outcome.violation()->instruction_pointer != 0);
    CHECK(outcome.violation()->thread > 0);
    CHECK(has(outcome.explain(), "socket(domain=16, type=524291, protocol=4)"));
}

TEST_CASE("kill_now kills without a word") {
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};
    const auto result = sg::Sandbox{policy}.call([] { ::socket(AF_NETLINK, SOCK_RAW, 0); });
    CHECK(result.outcome().kind() == Kind::violation);
    CHECK(result.outcome().violation() == nullptr);
    CHECK(result.outcome().signal() == SIGSYS);
}

TEST_CASE("fake says a call succeeded, and does nothing") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{arg::who == 1}.fake(7), Rule<SYS_getpriority>{}.fake(0),
                                Rule<SYS_unlinkat>{}.fake(0), sg::otherwise.allow()};
    const auto result = sg::Sandbox{policy}.call([] {
        return std::vector<long>{::syscall(SYS_getpriority, 0, 1), ::syscall(SYS_getpriority, 0, 2),
                                 ::syscall(SYS_unlinkat, AT_FDCWD, "/proc/self/status", 0)};
    });
    CAPTURE(result.explain());
    CHECK(*result == std::vector<long>{7, 0, 0});
}

TEST_CASE("what cannot be executed could not start, with the step and the reason") {
    const sg::Sandbox box{static_program};
    const Outcome missing = box.run({"/nowhere/program"});
    CHECK(missing.kind() == Kind::could_not_start);
    CHECK(missing.error() == ENOENT);
    CHECK(has(missing.explain(), "execute the program"));
    CHECK(has(missing.explain(), "ENOENT"));
    CHECK(box.run({"/etc/passwd"}).error() == EACCES);
    CHECK(box.run({"/tmp"}).error() == EACCES);
    const Outcome bare = box.run({"sh"});
    CHECK(bare.kind() == Kind::could_not_start);
    CHECK(has(bare.explain(), "PATH"));
    CHECK_FALSE(has(missing.explain(), "PATH"));
    CHECK(box.run({""}).kind() == Kind::could_not_start);

    char path[] = "/tmp/sysguard-test-XXXXXX";
    const int fd = ::mkstemp(path);
    CHECK(::write(fd, "garbage", 7) == 7);
    ::fchmod(fd, 0755);
    ::close(fd);
    CHECK(box.run({path}).error() == ENOEXEC);
    ::unlink(path);

    const Outcome elsewhere = box.run({helper("noop")}, {.directory = "/nowhere"});
    CHECK(elsewhere.kind() == Kind::could_not_start);
    CHECK(has(elsewhere.explain(), "working directory"));
}

TEST_CASE("what the host got wrong is an error") {
    const sg::Sandbox box{static_program};
    CHECK_THROWS_AS((void)box.run({}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop"), std::string("a\0b", 3)}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.output = sg::Stdio::pipe()}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.input = sg::Stdio::capture()}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.output = sg::Stdio::from(1000)}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{1, 2}}}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{1, 5}, {0, 5}}}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{1000, 5}}}), sg::Error);
}

TEST_CASE("a program's own exec is the policy's matter") {
    const Outcome refused = sg::Sandbox{static_program}.run({helper("behave"), "execute", helper("noop")});
    CHECK(refused.kind() == Kind::violation);
    CHECK(has(refused.explain(), "execve"));
    constexpr sg::Policy policy{sg::preset::static_runtime, sg::allow<SYS_execve>, sg::otherwise.kill()};
    CHECK(sg::Sandbox{policy}.run({helper("behave"), "execute", helper("noop")}));
}

TEST_CASE("a script runs by its interpreter") {
    char path[] = "/tmp/sysguard-test-XXXXXX";
    const int fd = ::mkstemp(path);
    const std::string script = "#!" + helper("behave") + " exit\n";
    CHECK(::write(fd, script.data(), script.size()) == static_cast<ssize_t>(script.size()));
    ::fchmod(fd, 0755);
    ::close(fd);
    const Outcome outcome = sg::Sandbox{static_program}.run({path, "5"});
    ::unlink(path);
    CHECK(outcome.kind() == Kind::exited);
    CHECK(outcome.exit_code() == 0);  // its first argument is "exit", its second the script's path
}

// What a program finds itself in

TEST_CASE("arguments and environment are those that are given, and no others") {
    ::setenv("SYSGUARD_TEST_SECRET", "1", 1);
    const auto found =
        inspect(sg::Sandbox{anything}, {.environment = {"A=1", "B=two words"}}, {helper("inspect"), "", "x y"});
    CHECK(starting(found, "environment") == std::vector<std::string>{"A=1", "B=two words"});
    CHECK(starting(found, "argument") == std::vector<std::string>{helper("inspect"), "", "x y"});
}

TEST_CASE("no descriptor leaks in") {
    const int leak = ::open("/etc/passwd", O_RDONLY);
    const int high = ::fcntl(leak, F_DUPFD, 900);
    const auto found = inspect(sg::Sandbox{anything});
    CHECK(starting(found, "descriptor") == std::vector<std::string>{"0", "1", "2"});
    ::close(leak);
    ::close(high);
}

TEST_CASE("descriptors are passed under the numbers that are asked for") {
    const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    const auto found = inspect(sg::Sandbox{anything}, {.descriptors = {{file, 7}, {file, 300}}});
    CHECK(starting(found, "descriptor") == std::vector<std::string>{"0", "1", "2", "7", "300"});
    CHECK(::fcntl(file, F_GETFD) == FD_CLOEXEC);
    ::close(file);
}

TEST_CASE("descriptors may change places") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const int a = ::open("/dev/null", O_RDONLY);
    const int b = ::open("/dev/zero", O_RDONLY);
    const auto result = sg::Sandbox{anything}.call(sg::Launch{.descriptors = {{a, b}, {b, a}}}, [a, b] {
        char byte = 1;
        const bool null_at_b = ::read(b, &byte, 1) == 0;
        const bool zero_at_a = ::read(a, &byte, 1) == 1 && byte == 0;
        return null_at_b && zero_at_a;
    });
    CHECK(*result);
    for (const int fd : {a, b, ends[0], ends[1]}) ::close(fd);
}

TEST_CASE("every number below the limit on open files can be passed, and none beyond it") {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    const rlimit few{40, own.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    sg::Launch launch;
    for (int number = 3; number < 25; ++number)
        if (number != 9) launch.descriptors.push_back({number % 2, number});
    const sg::Sandbox box{static_program};
    const Outcome most = box.run({helper("noop")}, launch);
    const Outcome highest = box.run({helper("noop")}, {.descriptors = {{0, 39}, {1, 38}}});
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{0, 40}}}), sg::Error);
    CHECK_THROWS_AS((void)box.run({helper("noop")}, {.descriptors = {{0, 2147483647}}}), sg::Error);
    ::setrlimit(RLIMIT_NOFILE, &own);
    CAPTURE(most.explain());
    CHECK(most);
    CAPTURE(highest.explain());
    CHECK(highest);
}

TEST_CASE("a closed stream is closed, an inherited one that the host has closed is /dev/null") {
    const auto found = inspect(sg::Sandbox{anything}, {.input = sg::Stdio::close(), .error = sg::Stdio::close()});
    CHECK(starting(found, "descriptor") == std::vector<std::string>{"1"});
    const int saved = ::dup(2);
    ::close(2);
    const auto inherited = inspect(sg::Sandbox{anything});
    ::dup2(saved, 2);
    ::close(saved);
    CHECK(starting(inherited, "descriptor") == std::vector<std::string>{"0", "1", "2"});
}

TEST_CASE("directory, umask, session and no_new_privs") {
    const auto found = inspect(sg::Sandbox{anything}, {.directory = "/proc", .umask = 027});
    CHECK(contains(found, "directory /proc"));
    CHECK(contains(found, "umask 0027"));
    CHECK(contains(found, "session own"));
    CHECK(contains(found, "group own"));
    CHECK(contains(found, "no_new_privs 1"));
    CHECK(contains(found, "seccomp 2"));
    const auto usual = inspect(sg::Sandbox{anything});
    CHECK(contains(usual, "umask 0077"));
    char here[4096];
    REQUIRE(::getcwd(here, sizeof here) != nullptr);
    CHECK(contains(usual, "directory " + std::string{here}));
}

TEST_CASE("signals have their default dispositions, and none is blocked") {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGUSR1, [](int) {});
    sigset_t some;
    ::sigemptyset(&some);
    ::sigaddset(&some, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &some, nullptr);
    const auto found = inspect(sg::Sandbox{anything});
    CHECK(starting(found, "disposition").empty());
    CHECK(starting(found, "blocked").empty());
    sigset_t now;
    ::sigprocmask(SIG_SETMASK, nullptr, &now);
    CHECK(::sigismember(&now, SIGTERM) == 1);
    CHECK(::sigismember(&now, SIGINT) == 0);
}

TEST_CASE("limits are set, and none above the host's own") {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    const auto found = inspect(sg::Sandbox{
        anything,
        {.limits = {
             .memory = 512_MiB, .cpu = 1500ms, .open_files = own.rlim_max + 5, .file_size = 64_KiB, .stack = 1_MiB}}});
    CHECK(contains(found, "limit core 0 0"));
    CHECK(contains(found, "limit memory 536870912 536870912"));
    CHECK(contains(found, "limit cpu 2 3"));
    CHECK(contains(found, "limit file_size 65536 65536"));
    CHECK(contains(found, "limit stack 1048576 1048576"));
    CHECK(contains(found, "limit files " + std::to_string(own.rlim_max) + " " + std::to_string(own.rlim_max)));
}

TEST_CASE("a limit on processes: refused for root whose policy starts tasks, else counted from what there is") {
    const sg::Options options{.limits = {.processes = 200}};  // others of the user come and go meanwhile
    CHECK_NOTHROW((void)sg::Sandbox(static_program, options));
    if (::getuid() == 0) {
        try {
            (void)sg::Sandbox(with_processes, options);
            FAIL("made");
        } catch (const sg::Error& error) {
            CHECK(error.code().value() == ENOTSUP);
        }
        return;
    }
    const sg::Sandbox box{with_processes, options};
    const Outcome some = box.run({helper("behave"), "leave", "2"});
    const Outcome many = box.run({helper("behave"), "leave", "700"});
    CAPTURE(some.explain());
    CHECK(some);
    CHECK(many.kind() == Kind::exited);
    CHECK(many.exit_code() == 3);  // fork failed
}

// Streams

TEST_CASE("output is captured, up to what is asked for, and what is beyond is counted") {
    const sg::Sandbox box{static_program};
    const Outcome all =
        box.run({helper("behave"), "print", "300"}, {.output = sg::Stdio::capture(), .error = sg::Stdio::capture()});
    CHECK(all);
    CHECK(all.output().size() == 300 * 1024);
    CHECK(all.output_dropped() == 0);
    CHECK(all.error_output() == "complaint\n");
    const Outcome some = box.run({helper("behave"), "print", "300"},
                                 {.output = sg::Stdio::capture(1000), .error = sg::Stdio::capture(0)});
    CHECK(some);
    CHECK(some.output() == std::string(1000, 'x'));
    CHECK(some.output_dropped() == 300 * 1024 - 1000);
    CHECK(some.error_output().empty());
    CHECK(some.error_output_dropped() == 10);
}

TEST_CASE("input is nothing unless given") {
    const sg::Sandbox box{static_program};
    const Outcome nothing = box.run({helper("behave"), "copy"}, {.output = sg::Stdio::capture()});
    CHECK(nothing);
    CHECK(nothing.output().empty());
    const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    const Outcome copy =
        box.run({helper("behave"), "copy"}, {.input = sg::Stdio::from(file), .output = sg::Stdio::capture()});
    ::close(file);
    std::ifstream stream{"/etc/passwd"};
    const std::string expected{std::istreambuf_iterator<char>{stream}, {}};
    CHECK(copy.output() == expected);
}

TEST_CASE("a worker that is ended keeps the output that it had written") {
    const sg::Sandbox box{with_processes, {.limits = {.wall = 200ms}}};
    const Outcome outcome = box.run({helper("behave"), "sleep"}, {.output = sg::Stdio::capture()});
    CHECK(outcome.kind() == Kind::timed_out);
    CHECK(std::atoi(outcome.output().c_str()) > 0);
}

// Ends

TEST_CASE("a crash is the signal that it was") {
    const sg::Sandbox box{static_program};
    const Outcome crash = box.run({helper("behave"), "crash"});
    CHECK(crash.kind() == Kind::signalled);
    CHECK(crash.signal() == SIGSEGV);
    CHECK(has(crash.explain(), "SIGSEGV"));
    const Outcome aborted = box.run({helper("behave"), "abort"});
    CHECK(aborted.kind() == Kind::signalled);
    CHECK(aborted.signal() == SIGABRT);
}

TEST_CASE("abort() of itself is let through, and of nobody else") {
    const pid_t bystander = ::fork();
    if (bystander == 0) {
        ::pause();
        ::_exit(0);
    }
    const auto other =
        sg::Sandbox{static_program}.call([bystander] { ::syscall(SYS_tgkill, bystander, bystander, SIGABRT); });
    CHECK(other.outcome().kind() == Kind::violation);
    const auto other_signal =
        sg::Sandbox{static_program}.call([] { ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGUSR1); });
    CHECK(other_signal.outcome().kind() == Kind::violation);
    CHECK(support::lives(bystander));
    ::kill(bystander, SIGKILL);
    ::waitpid(bystander, nullptr, 0);
}

TEST_CASE("wall-clock time ends a worker that waits, processor time one that works") {
    const Outcome sleeps = sg::Sandbox{with_processes, {.limits = {.wall = 100ms}}}.run({helper("behave"), "sleep"},
                                                                                        {.output = sg::Stdio::null()});
    CHECK(sleeps.kind() == Kind::timed_out);
    CHECK(has(sleeps.explain(), "wall-clock time of 100 ms"));
    CHECK(sleeps.usage().wall >= 100ms);
    const Outcome spins = sg::Sandbox{static_program, {.limits = {.cpu = 1s}}}.run({helper("behave"), "spin"});
    CAPTURE(spins.explain());
    CHECK(spins.kind() == Kind::timed_out);
    CHECK(has(spins.explain(), "processor time of 1000 ms"));
    CHECK(spins.usage().user + spins.usage().system > 100ms);  // the kernel counts for the limit in ticks
}

TEST_CASE("no signal that a worker ignores keeps it alive") {
    const Outcome outcome = sg::Sandbox{anything, {.limits = {.wall = 200ms}}}.run({helper("behave"), "ignore"});
    CHECK(outcome.kind() == Kind::timed_out);
}

TEST_CASE("what a worker leaves behind is killed with it") {
    const sg::Sandbox box{with_processes};
    const Outcome outcome = box.run({helper("behave"), "leave", "4"}, {.output = sg::Stdio::capture()});
    CAPTURE(outcome.explain());
    CHECK(outcome);
    for (const std::string& line : lines(outcome.output())) CHECK_FALSE(support::lives(std::atoi(line.c_str())));
}

TEST_CASE("what a worker started is killed with it when its time is over") {
    const sg::Sandbox box{with_processes, {.limits = {.wall = 500ms}}};
    const Outcome outcome = box.run({helper("behave"), "gather", "4"}, {.output = sg::Stdio::capture()});
    CHECK(outcome.kind() == Kind::timed_out);
    const auto pids = lines(outcome.output());
    CHECK(pids.size() == 4);
    for (const std::string& line : pids) CHECK_FALSE(support::lives(std::atoi(line.c_str())));
}

TEST_CASE("a worker dies with the host, and so does what it started, even where the host is killed") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t host = ::fork();
    if (host == 0) {
        const sg::Sandbox box{with_processes};
        (void)box.run({helper("behave"), "gather", "4"}, {.output = sg::Stdio::from(ends[1])});
        ::_exit(0);
    }
    ::close(ends[1]);
    std::vector<pid_t> pids;
    std::FILE* const stream = ::fdopen(ends[0], "r");
    for (int pid = 0; pids.size() < 4 && std::fscanf(stream, "%d", &pid) == 1;) pids.push_back(pid);
    REQUIRE(pids.size() == 4);
    for (const pid_t pid : pids) CHECK(support::lives(pid));
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    for (const pid_t pid : pids) CHECK(support::eventually([pid] { return !support::lives(pid); }));
    std::fclose(stream);
}

TEST_CASE("a function in a worker dies with the host") {
    auto* const pid =
        static_cast<volatile pid_t*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t host = ::fork();
    if (host == 0) {
        (void)sg::Sandbox{anything}.call([pid] {
            *pid = ::getpid();
            for (;;) ::pause();
        });
        ::_exit(0);
    }
    REQUIRE(support::eventually([pid] { return *pid != 0; }));
    const pid_t worker = *pid;
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(support::eventually([worker] { return !support::lives(worker); }));
    ::munmap(const_cast<pid_t*>(pid), 4096);
}

TEST_CASE("a worker that cancels its death with the host dies with it all the same") {
    auto* const pid = static_cast<volatile pid_t*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t host = ::fork();
    if (host == 0) {
        (void)sg::Sandbox{anything}.call([pid] {
            ::prctl(PR_SET_PDEATHSIG, 0);
            *pid = ::getpid();
            for (;;) ::pause();
        });
        ::_exit(0);
    }
    REQUIRE(support::eventually([pid] { return *pid != 0; }));
    const pid_t worker = *pid;
    ::kill(host, SIGKILL);
    ::waitpid(host, nullptr, 0);
    CHECK(support::eventually([worker] { return !support::lives(worker); }));
    ::munmap(const_cast<pid_t*>(pid), 4096);
}

// Functions

TEST_CASE("a function returns numbers, structs, strings and vectors") {
    const sg::Sandbox box{static_program};
    struct Point {
        double x;
        int y;
    };
    enum class Colour : short { red = -3 };
    CHECK(*box.call([] { return 7U; }) == 7U);
    CHECK(*box.call([] { return -1.5; }) == -1.5);
    CHECK(*box.call([] { return true; }));
    CHECK(*box.call([] { return Colour::red; }) == Colour::red);
    CHECK(box.call([] { return Point{1.5, 2}; })->y == 2);
    CHECK(*box.call([] { return std::string(100000, 'x'); }) == std::string(100000, 'x'));
    CHECK(*box.call([] { return std::string{}; }) == "");
    CHECK(*box.call([] { return std::string{"a\0b", 3}; }) == std::string{"a\0b", 3});
    CHECK(*box.call([] { return std::vector<int>{1, 2, 3}; }) == std::vector<int>{1, 2, 3});
    CHECK(box.call([] { return std::vector<int>{}; })->empty());
    CHECK(*box.call([] {
        return std::vector<std::string>{"", "one", std::string(5000, 'y')};
    }) == std::vector<std::string>{"", "one", std::string(5000, 'y')});
    CHECK(box.call([] { return std::vector<std::string>{}; })->empty());
    CHECK(box.call([] {}));
    CHECK(box.call([] {}).outcome().kind() == Kind::returned);
}

TEST_CASE("arguments reach the function as they are") {
    const sg::Sandbox box{static_program};
    const std::string text = "text";
    std::vector<int> numbers{1, 2};
    const auto joined = box.call(
        [](const std::string& t, std::vector<int>& n, int m) {
            n.push_back(m);
            return t + std::to_string(n.size());
        },
        text, numbers, 3);
    CHECK(*joined == "text3");
    CHECK(numbers.size() == 2);  // the worker's copy grew, the host's did not
}

TEST_CASE("a function that throws, crashes, loops, exits early: each its own outcome, and the host goes on") {
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{static_program, {.limits = {.wall = 5s}}};
    const auto threw = box.call([]() -> int { throw std::runtime_error{"no such luck"}; });
    CHECK(threw.outcome().kind() == Kind::threw);
    CHECK(threw.outcome().message() == "no such luck");
    CHECK(has(threw.explain(), "no such luck"));
    CHECK_THROWS_AS((void)threw.value(), sg::Error);
    CHECK(box.call([] { throw 5; }).outcome().kind() == Kind::threw);

    const auto crashed = box.call([] { support::crash(); });
    CHECK(crashed.outcome().kind() == Kind::signalled);
    CHECK(crashed.outcome().signal() == SIGSEGV);
    CHECK(box.call([] { std::abort(); }).outcome().signal() == SIGABRT);
    CHECK(box.call([] { std::terminate(); }).outcome().signal() == SIGABRT);

    const sg::Sandbox hasty{static_program, {.limits = {.wall = 100ms}}};
    const auto looped = hasty.call([] {
        for (volatile bool go = true; go;) {
        }
    });
    CHECK(looped.outcome().kind() == Kind::timed_out);

    const auto left = box.call([]() -> int { ::_exit(4); });
    CHECK(left.outcome().kind() == Kind::ended_early);
    CHECK(left.outcome().exit_code() == 4);
    CHECK(box.call([]() -> int { ::_exit(0); }).outcome().kind() == Kind::ended_early);
    CHECK(*box.call([] { return 1; }) == 1);
}

TEST_CASE("a function that eats memory comes to its limit") {
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{static_program, {.limits = {.memory = 64_MiB, .wall = 30s}}};
    const auto eaten = box.call([] {
        std::vector<std::vector<char>> all;
        for (;;) all.emplace_back(1 << 20, 'x');
    });
    CHECK(eaten.outcome().kind() == Kind::out_of_memory);
    CHECK(*box.call([] { return std::vector<char>(1 << 20, 'x').size(); }) == 1 << 20);
}

TEST_CASE("a message with control characters is shown with escapes") {
    SYSGUARD_SKIP_SANITIZED();
    const auto threw = sg::Sandbox{static_program}.call([] { throw std::runtime_error{"red \x1b[31m\n"}; });
    CHECK(has(threw.explain(), "red \\x1b[31m\\x0a"));
    CHECK(threw.outcome().message() == "red \x1b[31m\n");
}

TEST_CASE("a result that is larger than the room for it") {
    SYSGUARD_SKIP_SANITIZED();
    const sg::Sandbox box{static_program, {.most_result = 1000}};
    CHECK(box.call([] { return std::string(1000, 'x'); }));
    const auto large = box.call([] { return std::string(1001, 'x'); });
    CHECK(large.outcome().kind() == Kind::garbled);
    CHECK(has(large.explain(), "1000 bytes"));
    const auto message = box.call([] { throw std::runtime_error{std::string(5000, 'y')}; });
    CHECK(message.outcome().kind() == Kind::threw);
    CHECK(message.outcome().message() == std::string(1000, 'y'));
}

TEST_CASE("a worker that writes garbage where its result is expected") {
    // The area is the shared mapping without a file whose first word says that the function runs.
    const auto scribble = [](std::uint32_t state, std::uint64_t size, int byte) {
        return [state, size, byte]() -> bool {
            std::ifstream maps{"/proc/self/maps"};
            for (std::string line; std::getline(maps, line);) {
                std::uintptr_t begin = 0;
                std::uintptr_t end = 0;
                char access[5] = {};
                if (std::sscanf(line.c_str(), "%zx-%zx %4s", &begin, &end, access) != 3 ||
                    std::string{access} != "rw-s")
                    continue;
                auto& header = *reinterpret_cast<sg::process::ResultArea::Header*>(begin);
                if (header.state != sg::process::ResultArea::State::running) continue;
                header.state = static_cast<sg::process::ResultArea::State>(state);
                header.size = size;
                *reinterpret_cast<unsigned char*>(begin + sizeof header) = static_cast<unsigned char>(byte);
                ::_exit(0);
            }
            return false;
        };
    };
    using State = sg::process::ResultArea::State;
    const auto number = [](State state) { return static_cast<std::uint32_t>(state); };
    const sg::Sandbox box{anything};
    for (const auto& result :
         {box.call(scribble(0xdeadbeef, 1, 1)), box.call(scribble(number(State::returned), 2, 1)),
          box.call(scribble(number(State::returned), 0, 1)), box.call(scribble(number(State::returned), 1, 2)),
          box.call(scribble(number(State::returned), ~0ULL, 1)), box.call(scribble(number(State::threw), ~0ULL, 1)),
          box.call(scribble(number(State::failed_to_start) + 1, 1, 1))}) {
        CHECK_FALSE(result);
        CHECK(result.outcome().kind() == Kind::garbled);
        CHECK(has(result.explain(), "no valid result"));
    }
    CHECK(*box.call(scribble(number(State::returned), 1, 1)));  // indistinguishable from a result
}

TEST_CASE("a function sees none of the host's descriptors, and no output of the host's is written twice") {
    const int leak = ::open("/etc/passwd", O_RDONLY);
    const auto open = sg::Sandbox{anything}.call([] {
        int count = 0;
        for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0;
        return count;
    });
    CHECK(*open == 3);
    ::close(leak);

    std::printf("host");
    const auto result =
        sg::Sandbox{anything}.call(sg::Launch{.output = sg::Stdio::capture()}, [] { std::printf("worker"); });
    std::printf("\n");
    CHECK(result.outcome().output() == "worker");
}

TEST_CASE("a function never has the listener of its own filter, under a policy that asks the host") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};
    const auto found = sg::Sandbox{policy}.call([] {
        std::vector<std::string> links;
        for (int fd = 0; fd < 1024; ++fd) {
            char target[256] = {};
            if (::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target - 1) > 0)
                links.emplace_back(target);
        }
        return links;
    });
    REQUIRE(found);
    CHECK(found->size() == 3);
    for (const std::string& link : *found) CHECK_FALSE(has(link, "seccomp"));
    const auto program = inspect(sg::Sandbox{policy});
    CHECK(starting(program, "descriptor").size() == 3);
}

TEST_CASE("handlers of the host's do not run in a worker") {
    SYSGUARD_SKIP_SANITIZED();
    ::signal(SIGSEGV, [](int) { ::_exit(99); });
    const auto crashed = sg::Sandbox{static_program}.call([] { support::crash(); });
    ::signal(SIGSEGV, SIG_DFL);
    CHECK(crashed.outcome().kind() == Kind::signalled);
}

TEST_CASE("a policy that forbids everything still lets a function's result come home") {
    constexpr sg::Policy nothing{sg::otherwise.kill()};
    CHECK(*sg::Sandbox{nothing}.call([] { return 5; }) == 5);
    constexpr sg::Policy now{sg::foreign.kill_now(), sg::otherwise.kill_now()};
    CHECK(*sg::Sandbox{now}.call([] { return 6; }) == 6);
}

TEST_CASE("the host may have threads, and several at a time may use a sandbox") {
    const sg::Sandbox box{static_program};
    std::vector<std::thread> threads;
    std::vector<int> good(8);
    for (std::size_t t = 0; t < good.size(); ++t)
        threads.emplace_back([&box, &good, t] {
            for (int i = 0; i < 20; ++i) {
                const auto called = box.call([i] { return std::vector<int>(1000, i); });
                good[t] += called && called->at(999) == i;
                good[t] += static_cast<bool>(box.run({helper("noop")}));
                good[t] += box.call([] { ::socket(AF_INET, SOCK_STREAM, 0); }).outcome().kind() == Kind::violation;
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const int count : good) CHECK(count == 60);
}

TEST_CASE("nothing is left in the host: no descriptor, no process, no thread") {
    const auto count = [](const char* path) {
        int entries = 0;
        DIR* const directory = ::opendir(path);
        while (::readdir(directory) != nullptr) ++entries;
        ::closedir(directory);
        return entries;
    };
    const sg::Sandbox box{with_processes, {.limits = {.wall = 20s}}};
    const auto use = [&] {
        (void)box.run({helper("behave"), "leave", "2"}, {.output = sg::Stdio::capture()});
        (void)box.run({"/nowhere"});
        (void)box.run({helper("noop")}, {.directory = "/nowhere"});
        (void)box.call([] { throw 1; });
        (void)box.call([] { std::abort(); });
        (void)sg::Sandbox{static_program}.run({helper("behave"), "execute", "/bin/true"});
        sg::Worker worker =
            box.spawn({helper("behave"), "sleep"}, {.input = sg::Stdio::pipe(), .output = sg::Stdio::pipe()});
    };
    use();
    const int descriptors = count("/proc/self/fd");
    const int threads = count("/proc/self/task");
    for (int i = 0; i < 10; ++i) use();
    CHECK(count("/proc/self/fd") == descriptors);
    CHECK(count("/proc/self/task") == threads);
    CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("a host that ignores SIGCHLD, so that the kernel reaps for it, still learns the ends of functions") {
    ::signal(SIGCHLD, SIG_IGN);
    const auto called = sg::Sandbox{static_program}.call([] { return 3; });
    const Outcome program = sg::Sandbox{static_program}.run({helper("behave"), "exit", "3"});
    ::signal(SIGCHLD, SIG_DFL);
    CAPTURE(called.explain());
    CAPTURE(program.explain());
    CHECK(program.kind() == Kind::exited);
    CHECK(program.exit_code() == 3);
    CHECK(*called == 3);
}

TEST_CASE("inside a sandbox that has a listener already, the reason is said") {
    static constexpr sg::Policy outer{Rule<SYS_getpriority>{}.kill(), sg::otherwise.allow()};
    static constexpr sg::Policy quiet{sg::foreign.kill_now(), Rule<SYS_getpriority>{}.kill_now(),
                                      sg::otherwise.allow()};
    const auto told = sg::Sandbox{outer}.call([] {
        const sg::Result<int> inner = sg::Sandbox{outer}.call([] { return 1; });
        const Outcome program = sg::Sandbox{outer}.run({helper("noop")});
        const sg::Result<int> without = sg::Sandbox{quiet}.call([] { return 2; });
        return std::vector<std::string>{inner.explain(), program.explain(), without.explain()};
    });
    CAPTURE(told.explain());
    REQUIRE(told);
    CHECK(has(told->at(0), "could not start"));
    CHECK(has(told->at(0), "has a listener already"));
    CHECK(has(told->at(1), "has a listener already"));
    CHECK(told->at(2) == "the function returned.");
}
