#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include <atomic>
#include <thread>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/namespaces.hpp"
#include "support/scratch.hpp"
#include "support/sockets.hpp"
#include "support/workers.hpp"

using namespace std::chrono_literals;
using namespace sysguard::literals;
using support::anything;
using support::Outcome;
namespace sg = sysguard;

namespace {

constexpr sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};

sg::Options all() {
    sg::Options options;
    options.namespaces = support::all_namespaces();
    options.network = sg::Network::isolated;
    options.optional = {sg::Layer::time_namespace};
    return options;
}

std::string name_of(const char* space) {
    char text[64] = {};
    const std::string path = std::string{"/proc/self/ns/"} + space;
    if (::readlink(path.c_str(), text, sizeof text - 1) < 0) return "none";
    return text;
}

/// What a worker prints that runs a shell's text.
std::string shell(const sg::Sandbox& box, const std::string& text) {
    const Outcome outcome =
        box.run({"/bin/sh", "-c", text},
                {.output = sg::Stdio::capture(), .error = sg::Stdio::capture(), .environment = {"PATH=/usr/bin:/bin"}});
    INFO(outcome.explain() << outcome.error_output());
    CHECK(outcome);
    return outcome.output();
}

}  // namespace

TEST_CASE("every namespace is another one than the host's, for programs and functions, with a listener and without") {
    SYSGUARD_NEED_NAMESPACES();
    for (const char* const space : {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"}) {
        CAPTURE(space);
        const std::string own = name_of(space);
        const std::string command = std::string{"readlink /proc/self/ns/"} + space;
        CHECK(shell(sg::Sandbox{anything}, command) == own + "\n");
        CHECK(shell(sg::Sandbox{anything, all()}, command) != own + "\n");
        CHECK(shell(sg::Sandbox{asking, all()}, command) != own + "\n");
        const std::string name = space;
        CHECK(*sg::Sandbox{anything}.call([&] { return name_of(name.c_str()); }) == own);
        CHECK(*sg::Sandbox{anything, all()}.call([&] { return name_of(name.c_str()); }) != own);
        CHECK(*sg::Sandbox{asking, all()}.call([&] { return name_of(name.c_str()); }) != own);
    }
}

TEST_CASE("in a pid namespace a worker sees its own processes, under numbers of their own") {
    SYSGUARD_NEED_NAMESPACES();
    const auto count = [] {
        int processes = 0;
        DIR* const directory = ::opendir("/proc");
        while (const dirent* const entry = ::readdir(directory))
            processes += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
        ::closedir(directory);
        return processes;
    };
    CHECK(*sg::Sandbox{anything}.call(count) > 2);
    CHECK(*sg::Sandbox{anything, all()}.call(count) <= 3);  // one brought the listener to the host, and has ended
    CHECK(*sg::Sandbox{anything, all()}.call([] { return ::getpid(); }) == 2);
    CHECK(shell(sg::Sandbox{anything, all()}, "echo $$") == "2\n");
    CHECK(shell(sg::Sandbox{asking, all()}, "echo $$") == "2\n");
}

TEST_CASE("how a program in a pid namespace ends is told as it is without one") {
    SYSGUARD_NEED_NAMESPACES();
    for (int i = 0; i < 2; ++i) {
        const sg::Sandbox box = i == 0 ? sg::Sandbox{anything, all()} : sg::Sandbox{asking, all()};
        CHECK(box.run({"/bin/sh", "-c", "exit 7"}).exit_code() == 7);
        CHECK(box.run({"/bin/sh", "-c", "kill -SEGV $$"}).signal() == SIGSEGV);
        CHECK(box.run({"/bin/sh", "-c", "kill -KILL $$"}).signal() == SIGKILL);
        CHECK(box.run({support::helper("noop")}));
        const Outcome missing = box.run({"/there/is/no/such/thing"});
        CHECK(missing.kind() == Outcome::Kind::could_not_start);
        CHECK(missing.error() == ENOENT);
        CHECK(std::string{missing.step()} == "execute the program");
    }
}

TEST_CASE("how a function in a pid namespace ends is told as it is without one") {
    SYSGUARD_NEED_NAMESPACES();
    SYSGUARD_SKIP_SANITIZED();
    for (int i = 0; i < 2; ++i) {
        const sg::Sandbox box = i == 0 ? sg::Sandbox{anything, all()} : sg::Sandbox{asking, all()};
        CHECK(*box.call([](int x) { return x + 1; }, 41) == 42);
        CHECK(box.call([] { throw std::runtime_error{"sorry"}; }).outcome().message() == "sorry");
        CHECK(box.call([] { std::abort(); }).outcome().signal() == SIGABRT);
        CHECK(box.call([] { support::crash(); }).outcome().signal() == SIGSEGV);
        CHECK(box.call([] { ::_exit(5); }).outcome().exit_code() == 5);
    }
    const Outcome refused = sg::Sandbox{asking, all()}.call([] { ::syscall(SYS_ptrace, 0, 0, 0, 0); }).outcome();
    CHECK(refused.kind() == Outcome::Kind::violation);
}

TEST_CASE("what a worker leaves behind ends with its pid namespace, whatever its session") {
    SYSGUARD_NEED_NAMESPACES();
    int ends[2];
    const auto leave = [&] {
        if (::fork() == 0) {
            ::setsid();
            if (::fork() != 0) ::_exit(0);
            std::signal(SIGTERM, SIG_IGN);
            for (;;) ::pause();
        }
        ::wait(nullptr);
    };
    for (int i = 0; i < 2; ++i) {
        REQUIRE(::pipe(ends) == 0);
        const sg::Sandbox box{anything, all()};
        if (i == 0) {
            CHECK(box.call({.descriptors = {{ends[1], 5}}}, leave));
        } else {
            CHECK(box.run({"/bin/sh", "-c", "setsid sleep 1000 & exit 0"},
                          {.environment = {"PATH=/usr/bin:/bin"}, .descriptors = {{ends[1], 5}}}));
        }
        ::close(ends[1]);
        char byte = 0;
        CHECK(::read(ends[0], &byte, 1) == 0);  // nobody has the other end any more
        ::close(ends[0]);
    }
}

TEST_CASE("orphans are reaped in a pid namespace while its worker goes on") {
    SYSGUARD_NEED_NAMESPACES();
    const sg::Result<int> zombies = sg::Sandbox{anything, all()}.call([] {
        const auto count = [] {
            int found = 0;
            for (int pid = 3; pid < 200; ++pid) found += ::kill(pid, 0) == 0;
            return found;
        };
        const int before = count();
        for (int i = 0; i < 20; ++i) {
            if (::fork() == 0) {
                if (::fork() == 0) ::_exit(0);
                ::_exit(0);
            }
            ::wait(nullptr);
        }
        support::eventually([&] { return count() == before; });
        return count() - before;
    });
    CHECK(*zombies == 0);
}

TEST_CASE("a worker in a pid namespace is ended by its time, by the host, and with it") {
    SYSGUARD_NEED_NAMESPACES();
    sg::Options options = all();
    options.limits.wall = 300ms;
    const sg::Sandbox box{anything, options};
    CHECK(box.run({"/bin/sh", "-c", "sleep 1000"}, {.environment = {"PATH=/usr/bin:/bin"}}).kind() ==
          Outcome::Kind::timed_out);
    CHECK(box.call([] { ::pause(); }).outcome().kind() == Outcome::Kind::timed_out);

    const sg::Sandbox patient{asking, all()};
    sg::Worker worker = patient.spawn({"/bin/sh", "-c", "sleep 1000"}, {.environment = {"PATH=/usr/bin:/bin"}});
    CHECK(worker.stop().kind() == Outcome::Kind::stopped);
}

TEST_CASE("the host's name stays its own") {
    SYSGUARD_NEED_NAMESPACES();
    char before[128] = {};
    char after[128] = {};
    ::gethostname(before, sizeof before - 1);
    sg::Options options;
    options.namespaces.host_name = "elsewhere";
    options.credentials.capabilities = {CAP_SYS_ADMIN};
    options.namespaces.user = true;
    const sg::Result<std::string> name = sg::Sandbox{anything, options}.call([] {
        char own[128] = {};
        ::gethostname(own, sizeof own - 1);
        ::sethostname("another", 7);
        return std::string{own};
    });
    CHECK(*name == "elsewhere");
    ::gethostname(after, sizeof after - 1);
    CHECK(std::string{before} == after);
}

TEST_CASE("a network of its own has nothing in it, or a loopback interface that is up and is not the host's") {
    SYSGUARD_NEED_NAMESPACES();
    const support::Receiver server{SOCK_STREAM};
    const sockaddr_in address = server.address;
    const auto reach = [address] {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        return ::connect(fd, support::plain(&address), sizeof address) == 0 ? 0 : errno;
    };
    CHECK(*sg::Sandbox{anything}.call(reach) == 0);
    CHECK(*sg::Sandbox{anything, {.network = sg::Network::isolated}}.call(reach) == ENETUNREACH);
    CHECK(*sg::Sandbox{anything, {.network = sg::Network::loopback}}.call(reach) == ECONNREFUSED);
    const auto own_server = [] {
        const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in own = support::loopback(80);
        socklen_t size = sizeof own;
        ::bind(listening, support::plain(&own), size);
        ::listen(listening, 1);
        const int client = ::socket(AF_INET, SOCK_STREAM, 0);
        return ::connect(client, support::plain(&own), size) == 0;
    };
    sg::Options options{.network = sg::Network::loopback};
    options.namespaces.user = true;
    options.credentials.capabilities = {CAP_NET_BIND_SERVICE};
    CHECK(*sg::Sandbox{anything, options}.call(own_server));
}

TEST_CASE("a message queue of the host's is not there in an ipc namespace of a worker's own") {
    SYSGUARD_NEED_NAMESPACES();
    const int queue = ::msgget(IPC_PRIVATE, 0666);
    REQUIRE(queue >= 0);
    const auto find = [queue] {
        msqid_ds status{};
        return ::msgctl(queue, IPC_STAT, &status) == 0;
    };
    sg::Options options;
    options.namespaces.ipc = true;
    CHECK(*sg::Sandbox{anything}.call(find));
    CHECK_FALSE(*sg::Sandbox{anything, options}.call(find));
    ::msgctl(queue, IPC_RMID, nullptr);
}

TEST_CASE("clocks with an offset") {
    SYSGUARD_NEED_NAMESPACES(CLONE_NEWUSER | support::time_namespace);
    sg::Options options;
    options.namespaces.time = true;
    options.namespaces.boot_offset = 1'000'000'000;
    const std::string uptime = shell(sg::Sandbox{anything, options}, "cat /proc/uptime");
    CHECK(std::stod(uptime) > 1e9);
    const sg::Result<bool> later = sg::Sandbox{anything, options}.call([] {
        timespec now{};
        ::clock_gettime(CLOCK_BOOTTIME, &now);
        return now.tv_sec > 1'000'000'000;
    });
    CHECK(*later);
}

TEST_CASE("ids are mapped as told") {
    SYSGUARD_NEED_NAMESPACES();
    sg::Options options;
    options.namespaces.user = true;
    options.namespaces.users = {{0, ::geteuid()}};
    options.namespaces.groups = {{0, ::getegid()}};
    CHECK(shell(sg::Sandbox{anything, options}, "id -u; id -g") == "0\n0\n");
    CHECK(*sg::Sandbox{asking, options}.call([] { return ::getuid(); }) == 0);
}

TEST_CASE("a host with the capabilities for it maps any ids, and workers become one of them") {
    SYSGUARD_NEED_NAMESPACES();
    if (!sg::process::NamespaceSupport::may_map_any_ids()) SYSGUARD_SKIP("this user may map its own id only");
    sg::Options options;
    options.namespaces = support::all_namespaces();
    options.optional = {sg::Layer::time_namespace};
    options.namespaces.users = {{0, 100'000, 1000}};
    options.namespaces.groups = {{0, 200'000, 1000}};
    const std::string expected = "0\n0\n         0     100000       1000\n";
    CHECK(shell(sg::Sandbox{anything, options}, "id -u; id -g; cat /proc/self/uid_map") == expected);
    CHECK(shell(sg::Sandbox{asking, options}, "id -u; id -g; cat /proc/self/uid_map") == expected);
    CHECK(*sg::Sandbox{asking, options}.call([] { return ::getgid(); }) == 0);
    options.credentials.user = 7;
    options.credentials.group = 8;
    CHECK(shell(sg::Sandbox{asking, options}, "id -u; id -g") == "7\n8\n");
}

TEST_CASE("many at a time, from several threads") {
    SYSGUARD_NEED_NAMESPACES();
    SYSGUARD_SKIP_UNSAFE_FORK();
    const sg::Sandbox silent{anything, all()};
    const sg::Sandbox reporting{asking, all()};
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            for (int j = 0; j < 10; ++j) {
                const sg::Sandbox& box = (i + j) % 2 == 0 ? silent : reporting;
                const Outcome program = box.run({support::helper("noop")});
                const Outcome function = box.call([] {}).outcome();
                if (!program) std::puts(program.explain().c_str());
                if (!function) std::puts(function.explain().c_str());
                good += static_cast<int>(static_cast<bool>(program)) + static_cast<int>(static_cast<bool>(function));
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 80);
}

TEST_CASE("calls are performed for workers in namespaces of their own, as who they are there") {
    SYSGUARD_NEED_ROOT();
    static constexpr sg::Policy performing{
        sg::Rule<SYS_openat>{}.handle([](const sg::Call<SYS_openat>& call) -> sg::Verdict { return call.perform(); }),
        sg::Rule<SYS_fchownat>{}.handle(
            [](const sg::Call<SYS_fchownat>& call) -> sg::Verdict { return call.perform(); }),
        sg::otherwise.allow(),
    };
    const support::Scratch scratch;
    sg::Options options = all();
    options.root = {sg::bind_mount("/usr"), sg::symbolic_link("usr/bin", "/bin"), sg::symbolic_link("usr/lib", "/lib"),
                    sg::symbolic_link("usr/lib64", "/lib64"), sg::bind_mount(scratch.path(), "/job").writable()};
    const sg::Result<std::string> done = sg::Sandbox{performing, options}.call({.directory = "/"}, [] {
        const int fd = ::openat(AT_FDCWD, "/job/file", O_CREAT | O_WRONLY, 0644);
        const bool is_written = fd >= 0 && ::write(fd, "x", 1) == 1;
        const bool is_outside = ::openat(AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0;
        const bool is_given = ::fchownat(AT_FDCWD, "/job/file", ::getuid(), ::getgid(), 0) == 0;
        return std::string{is_written ? "written" : "not written"} + (is_outside ? " outside" : "") +
               (is_given ? " given" : "");
    });
    CHECK(*done == "written");
    CHECK(std::ifstream{scratch / "file"}.get() == 'x');
}
