#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/helpers.hpp"
#include "support/libc.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"
#include "support/workers.hpp"

namespace sg = sysguard;
using sg::Capabilities;
using sg::Outcome;
using support::anything;
using support::contains;
using support::has;
using support::helper;
using support::inspect;
using support::starting;
using Kind = Outcome::Kind;

namespace {

constexpr uid_t other = 65534;

/// Everything allowed, and the host asked for one call.
constexpr sg::Policy asking{
    sg::Rule<SYS_mkdirat>{}.handle([](const sg::Call<SYS_mkdirat>& call) -> sg::Verdict { return call.perform(); }),
    sg::Rule<SYS_symlinkat>{}.handle([](const sg::Call<SYS_symlinkat>& call) -> sg::Verdict {
        return call[sg::arg::target] == "secret" ? call.fake(7) : call.deny(EXDEV);
    }),
    sg::otherwise.allow()};

constexpr sg::Policy alone{sg::preset::static_runtime, sg::allow<support::libc::pause>, sg::otherwise.kill()};

/// Root where there are other users, too, unlike in a user namespace of one.
bool is_root() {
    unsigned long inside = 1, outside = 0, count = 0;
    std::ifstream{"/proc/self/uid_map"} >> inside >> outside >> count;
    return ::getuid() == 0 && inside == 0 && count > other;
}

const sg::Credentials of_other{.user = other, .group = other};

std::string status_line(const std::string& key) {
    std::ifstream file{"/proc/self/status"};
    for (std::string line; std::getline(file, line);)
        if (line.rfind(key + ":", 0) == 0) return line.substr(key.size() + 2);
    return {};
}

std::string sets() {
    std::string text;
    for (const char* const key : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
        text += std::to_string(std::stoull("0x" + status_line(key), nullptr, 16)) + " ";
    return text;
}

int binds_low_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(1);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    const int result = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    const int error = result == 0 ? 0 : errno;
    ::close(fd);
    return error;
}

}  // namespace

TEST_CASE("no capability is in any set of a worker, and only root's can be locked away for good") {
    const auto found = sg::Sandbox{anything}.call([] { return sets(); });
    REQUIRE(found);
    CHECK(has(*found, "0 0 0 "));
    const auto program = inspect(sg::Sandbox{anything});
    CHECK(contains(program, "effective 0"));
    CHECK(contains(program, "permitted 0"));
    CHECK(contains(program, "inheritable 0"));
    CHECK(contains(program, "ambient 0"));
    if (!is_root()) return;
    CHECK(*found == "0 0 0 0 0 ");
    CHECK(contains(program, "bounding 0"));
    CHECK(contains(program, "user 0"));
    CHECK(*sg::Sandbox{anything}.call([] { return ::prctl(PR_GET_SECUREBITS); }) == 0xeb);
}

TEST_CASE("what the capabilities would have allowed, fails without them") {
    if (!is_root()) SYSGUARD_SKIP("only root has capabilities to lose");
    const support::Scratch scratch;
    const std::string foreign = scratch / "foreign";
    std::ofstream{foreign} << "x";
    REQUIRE(::chown(foreign.c_str(), other, other) == 0);
    REQUIRE(::chmod(foreign.c_str(), 0600) == 0);
    const auto attempts = [&] {
        std::vector<int> errors;
        const auto note = [&errors](long result) { errors.push_back(result >= 0 ? 0 : errno); };
        note(::open(foreign.c_str(), O_RDONLY));
        note(::chown(foreign.c_str(), 0, 0));
        note(::chown(foreign.c_str(), other, other));
        note(::mknod((scratch / "device").c_str(), S_IFCHR | 0600, 0x103));
        note(::unlink((scratch / "device").c_str()));
        errors.push_back(binds_low_port());
        note(::setgroups(0, nullptr));
        note(::setuid(1));
        return errors;
    };
    const auto with = sg::Sandbox{anything, {.credentials = {.capabilities = Capabilities::kept()}}}.call(attempts);
    REQUIRE(with);
    CHECK(*with == std::vector<int>(8, 0));
    const auto without = sg::Sandbox{anything}.call(attempts);
    REQUIRE(without);
    CHECK(*without == std::vector<int>{EACCES, EPERM, EPERM, EPERM, ENOENT, EACCES, EPERM, EPERM});
}

TEST_CASE("the capabilities that are kept survive execve, whoever the user, and no others do") {
    if (!is_root()) SYSGUARD_SKIP("only root has capabilities to keep");
    constexpr std::uint64_t bind = 1U << CAP_NET_BIND_SERVICE;
    for (const bool to_other : {false, true}) {
        sg::Credentials credentials = to_other ? of_other : sg::Credentials{};
        credentials.capabilities = {CAP_NET_BIND_SERVICE};
        const sg::Sandbox box{anything, {.credentials = credentials}};
        const auto program = inspect(box);
        for (const char* const set : {"effective ", "permitted ", "inheritable ", "bounding ", "ambient "})
            CHECK(contains(program, set + std::to_string(bind)));
        CHECK(contains(program, to_other ? "user 65534" : "user 0"));
        const auto function = box.call([] { return sets() + std::to_string(binds_low_port()); });
        REQUIRE(function);
        CHECK(*function == "1024 1024 1024 1024 1024 0");
    }
}

TEST_CASE("a program that is set-id gains nothing") {
    if (!is_root()) SYSGUARD_SKIP("only root makes programs of root's");
    const support::Scratch scratch;
    const std::string program = scratch / "set_id";
    std::filesystem::copy_file(helper("inspect"), program);
    REQUIRE(::chown(program.c_str(), 0, 0) == 0);
    REQUIRE(::chmod(program.c_str(), 06755) == 0);
    const std::string outside = support::in_fork([&] {
        if (::setgroups(0, nullptr) != 0 || ::setresgid(other, other, other) != 0 ||
            ::setresuid(other, other, other) != 0)
            return std::string{"no other user"};
        const int out = ::open((scratch / "said").c_str(), O_CREAT | O_WRONLY, 0600);
        ::dup2(out, 1);
        ::execl(program.c_str(), program.c_str(), nullptr);
        return std::string{"not executed"};
    });
    CHECK(outside.empty());
    std::ifstream said{scratch / "said"};
    CHECK(contains(support::lines({std::istreambuf_iterator<char>{said}, {}}), "effective_user 0"));
    const auto inside = inspect(sg::Sandbox{anything, {.credentials = of_other}}, {}, {program});
    CHECK(contains(inside, "effective_user 65534"));
    CHECK(contains(inside, "permitted 0"));
}

TEST_CASE("another user and group; supplementary groups go, or are those that are listed") {
    if (!is_root()) SYSGUARD_SKIP("only root becomes another user");
    const std::string said = support::in_fork([] {
        const gid_t some[] = {4, 24};
        if (::setgroups(2, some) != 0) return std::string{"no groups"};
        const auto ids = [](const sg::Credentials& credentials) {
            return *sg::Sandbox{anything, {.credentials = credentials}}.call(
                [] { return status_line("Uid") + "|" + status_line("Gid") + "|" + status_line("Groups"); });
        };
        std::string text = ids({}) + "\n" + ids({.groups = sg::Groups::kept()}) + "\n" + ids(of_other) + "\n";
        text += ids({.user = 65534U, .group = 65533U, .groups = {7, 70000}});
        return text + "\n" + status_line("Uid") + "|" + status_line("Groups");
    });
    CHECK(said ==
          "0\t0\t0\t0|0\t0\t0\t0| \n0\t0\t0\t0|0\t0\t0\t0|4 24 "
          "\n65534\t65534\t65534\t65534|65534\t65534\t65534\t65534| \n"
          "65534\t65534\t65534\t65534|65533\t65533\t65533\t65533|7 70000 \n0\t0\t0\t0|4 24 ");
}

TEST_CASE("a worker of another user is supervised, performed for, timed, and killed with what it started") {
    if (!is_root()) SYSGUARD_SKIP("only root becomes another user");
    if (!sg::process::detail::host_capabilities().has(CAP_SYS_PTRACE))
        SYSGUARD_SKIP("not offered here: the memory of another user's processes, without CAP_SYS_PTRACE");
    using namespace std::chrono_literals;
    const support::Scratch scratch;
    const std::string made = scratch / "made";
    const std::string kept_out = "/root_only_" + std::to_string(::getpid());
    const auto result = sg::Sandbox{asking, {.credentials = of_other}}.call([&] {
        const int secret = static_cast<int>(::syscall(SYS_symlinkat, "secret", AT_FDCWD, "x"));
        const bool makes = ::mkdirat(AT_FDCWD, made.c_str(), 0700) == 0;
        const bool refused = ::mkdirat(AT_FDCWD, kept_out.c_str(), 0700) == -1 && errno == EACCES;
        return std::vector<int>{secret, makes, refused};
    });
    CAPTURE(result.explain());
    REQUIRE(result);
    CHECK(*result == std::vector<int>{7, 1, 1});
    struct stat info {};
    REQUIRE(::stat(made.c_str(), &info) == 0);
    CHECK(info.st_uid == other);
    CHECK(info.st_gid == other);

    const sg::Sandbox timed{support::with_processes, {.credentials = of_other, .limits = {.wall = 300ms}}};
    const Outcome outcome = timed.run({helper("behave"), "gather", "3"}, {.output = sg::Stdio::capture()});
    CHECK(outcome.kind() == Kind::timed_out);
    for (const std::string& line : support::lines(outcome.output()))
        CHECK(support::eventually([&] { return !support::lives(std::stoi(line)); }));

    sg::Worker worker = sg::Sandbox{anything, {.credentials = of_other}}.spawn({helper("behave"), "sleep"});
    CHECK(worker.stop().kind() == Kind::stopped);
}

TEST_CASE("a worker of another user dies with the host") {
    if (!is_root()) SYSGUARD_SKIP("only root becomes another user");
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const std::string said = support::in_fork([&] {
        const sg::Sandbox box{alone, {.credentials = of_other}};  // no guard: the kernel alone ends it
        sg::Worker worker = box.spawn({helper("behave"), "sleep"});
        const pid_t pid = worker.pid();
        (void)!::write(ends[1], &pid, sizeof pid);
        ::_exit(0);
        return std::string{};
    });
    pid_t pid = -1;
    REQUIRE(::read(ends[0], &pid, sizeof pid) == sizeof pid);
    CHECK(support::eventually([&] { return !support::lives(pid); }));
    for (const int fd : ends) ::close(fd);
}

TEST_CASE("processes of another user can be limited by a root host") {
    if (!is_root()) SYSGUARD_SKIP("only root becomes another user");
    const sg::Credentials credentials{.user = 61234U, .group = 61234U};
    const sg::Sandbox box{support::with_processes, {.credentials = credentials, .limits = {.processes = 20}}};
    CHECK(box.run({helper("behave"), "leave", "2"}));
    CHECK(box.run({helper("behave"), "leave", "100"}).exit_code() == 3);  // fork failed
}

TEST_CASE("the host is what it was: ids, capabilities and dumpable flag of all its threads") {
    const std::string said = support::in_fork([] {
        ::prctl(PR_SET_DUMPABLE, 1);
        const auto self = [] { return status_line("Uid") + status_line("Groups") + sets(); };
        const std::string before = self();
        const sg::Sandbox box{asking, {.credentials = is_root() ? of_other : sg::Credentials{}}};
        std::string text;
        for (int i = 0; i < 5; ++i) {
            if (!box.run({helper("noop")})) text += "not run ";
            if (box.run({"/nowhere"}).kind() != Kind::could_not_start) text += "run ";
        }
        std::string of_thread;
        std::thread{[&] { of_thread = self(); }}.join();
        if (self() != before || of_thread != before) text += "changed ";
        return text + std::to_string(::prctl(PR_GET_DUMPABLE)) + " " + std::to_string(::prctl(PR_GET_SECUREBITS));
    });
    CHECK(said == "1 0");
}

TEST_CASE("a function's memory is open to nobody with the same credentials, unless it is asked for") {
    constexpr sg::Policy silent{sg::foreign.kill_now(), sg::otherwise.allow()};
    const auto dumpable = [](const sg::Sandbox& box) { return *box.call([] { return ::prctl(PR_GET_DUMPABLE); }); };
    CHECK(dumpable(sg::Sandbox{silent}) == 0);
    CHECK(dumpable(sg::Sandbox{asking}) == ::prctl(PR_GET_DUMPABLE));
    CHECK(dumpable(sg::Sandbox{asking, {.credentials = {.dumpable = true}}}) == 1);
    CHECK(dumpable(sg::Sandbox{asking, {.credentials = {.dumpable = false}}}) == 0);
}

TEST_CASE("memory that is writable and executable: refused where it is asked for, and not otherwise") {
    const auto attempts = [] {
        const auto map = [](int protection) {
            return ::mmap(nullptr, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        };
        void* const both = map(PROT_READ | PROT_WRITE | PROT_EXEC);
        const int mapped = both != MAP_FAILED ? 0 : errno;
        void* const page = map(PROT_READ | PROT_WRITE);
        const int gained = ::mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? 0 : errno;
        return std::vector<int>{mapped, gained};
    };
    CHECK(*sg::Sandbox{anything}.call(attempts) == std::vector<int>{0, 0});
    if (!sg::process::detail::offer_of_mdwe()) SYSGUARD_SKIP("this kernel has no PR_SET_MDWE");
    const sg::Sandbox box{anything, {.credentials = {.memory_deny_write_execute = true}}};
    CHECK(*box.call(attempts) == std::vector<int>{EACCES, EACCES});
    CHECK(::prctl(66, 0L, 0L, 0L, 0L) == 0);  // PR_GET_MDWE: the host has none
}

TEST_CASE("memory that is writable and executable: refused to programs, and to what they execute") {
    if (!sg::process::detail::offer_of_mdwe()) SYSGUARD_SKIP("this kernel has no PR_SET_MDWE");
    const std::string program = helper("behave");
    const auto check = [&](const sg::Sandbox& without, const sg::Sandbox& with) {
        for (const char* const way : {"0", "1"}) {
            CAPTURE(way);
            CHECK(without.run({program, "map", way}).exit_code() == 0);
            CHECK(with.run({program, "map", way}).exit_code() == EACCES);
            CHECK(with.run({program, "execute", program, "map", way}).exit_code() == EACCES);
        }
        const Outcome missing = with.run({"/nowhere"});
        CHECK(missing.kind() == Kind::could_not_start);
        CHECK(missing.explain().find("ENOENT") != std::string::npos);
        CHECK(::prctl(66, 0L, 0L, 0L, 0L) == 0);  // PR_GET_MDWE: the host has none
    };
    sg::Options denying{.credentials = {.memory_deny_write_execute = true}};
    check(sg::Sandbox{anything}, sg::Sandbox{anything, denying});
    check(sg::Sandbox{asking}, sg::Sandbox{asking, denying});
    denying.limits.wall = std::chrono::seconds{60};
    denying.namespaces.pid = denying.namespaces.mount = true;
    try {
        const sg::Sandbox box{anything, denying};
    } catch (const sg::Error& error) {
        MESSAGE("pid namespaces are not offered here: " << error.what());
        return;
    }
    check(sg::Sandbox{anything}, sg::Sandbox{anything, denying});
    check(sg::Sandbox{asking}, sg::Sandbox{asking, denying});
}

TEST_CASE("workers that are denied writable and executable memory are supervised, guarded and ended as others") {
    if (!sg::process::detail::offer_of_mdwe()) SYSGUARD_SKIP("this kernel has no PR_SET_MDWE");
    const sg::Sandbox box{asking, {.credentials = {.memory_deny_write_execute = true}}};
    std::vector<std::thread> threads;
    std::vector<int> codes(4, -1);
    for (std::size_t i = 0; i < codes.size(); ++i)
        threads.emplace_back([&box, &code = codes[i]] {
            for (int turn = 0; turn < 5; ++turn) code = box.run({helper("behave"), "map", "1"}).exit_code();
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(codes == std::vector<int>(4, EACCES));

    sg::Worker worker = box.spawn({helper("behave"), "gather", "2"}, {.output = sg::Stdio::pipe()});
    int sleepers[2]{};
    std::string text;
    char c = 0;
    while (std::count(text.begin(), text.end(), '\n') < 2 && ::read(worker.output().get(), &c, 1) == 1) text += c;
    REQUIRE(std::sscanf(text.c_str(), "%d %d", &sleepers[0], &sleepers[1]) == 2);
    worker.stop();
    for (const int sleeper : sleepers) CHECK(support::eventually([sleeper] { return !support::lives(sleeper); }));
}

TEST_CASE("nice, policy, processors, io priority and oom_score_adj are in effect, and not the host's") {
    const int host = ::getpriority(PRIO_PROCESS, 0);
    cpu_set_t own;
    REQUIRE(::sched_getaffinity(0, sizeof own, &own) == 0);
    int last = 0;
    for (int number = 0; number < CPU_SETSIZE; ++number)
        if (CPU_ISSET(number, &own)) last = number;
    const sg::Options options{.scheduling = {.nice = 15,
                                             .policy = sg::SchedulingPolicy::batch,
                                             .io = sg::IoPriority::best_effort(6),
                                             .cpus = {last, 3000},
                                             .oom_score_adj = 900}};
    const auto found = sg::Sandbox{anything, options}.call([] {
        cpu_set_t set;
        ::sched_getaffinity(0, sizeof set, &set);
        int adjustment = 0;
        std::ifstream{"/proc/self/oom_score_adj"} >> adjustment;
        return std::vector<int>{::getpriority(PRIO_PROCESS, 0), ::sched_getscheduler(0), CPU_COUNT(&set),
                                static_cast<int>(::syscall(SYS_ioprio_get, 1, 0)), adjustment};
    });
    CAPTURE(found.explain());
    REQUIRE(found);
    CHECK(*found == std::vector<int>{15, SCHED_BATCH, 1, 2 << 13 | 6, 900});
    const auto program = inspect(sg::Sandbox{anything, options});
    CHECK(contains(program, "cpus 1"));
    CHECK(::getpriority(PRIO_PROCESS, 0) == host);
    cpu_set_t after;
    REQUIRE(::sched_getaffinity(0, sizeof after, &after) == 0);
    CHECK(CPU_EQUAL(&own, &after));

    const Outcome none = sg::Sandbox{anything, {.scheduling = {.cpus = {100000}}}}.run({helper("noop")});
    CHECK(none.kind() == Kind::could_not_start);
    CHECK(has(none.explain(), "none of the processors"));
}
