#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/attempts.hpp"
#include "support/sockets.hpp"
#include "support/workers.hpp"

/// Workers that reach the files that they are given, and no others.
namespace sg = sysguard;
using support::anything;
using support::errno_of;
using support::helper;
using support::in_worker;
using support::Tree;
using support::try_open;
using Kind = sg::Outcome::Kind;

namespace {

sg::Sandbox unrestricted(const Tree&) {
    return sg::Sandbox{anything, support::powerful({})};
}

sg::Sandbox isolated(const Tree& tree) {
    return sg::Sandbox{anything, support::powerful({sg::read_write(tree.in())})};
}

}  // namespace

TEST_CASE("outside of what it is given, a function reaches nothing") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    for (const support::Attempt& each : support::attempts_outside) {
        CAPTURE(each.name);
        CHECK(support::attempt(each, unrestricted) == 0);
        CHECK(support::attempt(each, isolated) == each.refused);
    }
}

TEST_CASE("inside of what it is given, a function works") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    for (const support::Attempt& each : support::attempts_inside) {
        CAPTURE(each.name);
        CHECK(support::attempt(each, isolated) == 0);
    }
}

TEST_CASE("what is read only can be read, and nothing else") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string in = tree.in();
    const sg::Sandbox box{anything, {.files = {sg::read_only(in)}}};
    CHECK(in_worker(box, [&] { return try_open(in + "/file", O_RDONLY); }) == 0);
    CHECK(in_worker(box, [&] { return try_open(in, O_RDONLY | O_DIRECTORY); }) == 0);
    CHECK(in_worker(box, [&] { return try_open(in + "/file", O_WRONLY); }) == EACCES);
    CHECK(in_worker(box, [&] { return try_open(in + "/file", O_RDONLY | O_TRUNC); }) == EACCES);
    CHECK(in_worker(box, [&] { return errno_of(::truncate((in + "/file").c_str(), 0)); }) == EACCES);
    CHECK(in_worker(box, [&] { return errno_of(::unlink((in + "/file").c_str())); }) == EACCES);
    CHECK(in_worker(box, [&] { return try_open(in + "/new", O_WRONLY | O_CREAT); }) == EACCES);
    CHECK(in_worker(box, [&] { return errno_of(::rename((in + "/file").c_str(), (in + "/new").c_str())); }) == EACCES);
}

TEST_CASE("rights for a path add up, and those of a file are the file's alone") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string in = tree.in();
    const sg::Sandbox box{anything,
                          {.files = {sg::read_only(in), sg::read_write(in + "/file"), sg::read_write(in + "/sub")}}};
    CHECK(in_worker(box, [&] { return try_open(in + "/file", O_RDWR | O_TRUNC); }) == 0);
    CHECK(in_worker(box, [&] { return try_open(in + "/sub/file", O_RDWR | O_TRUNC); }) == 0);
    CHECK(in_worker(box, [&] { return try_open(in + "/other", O_RDONLY); }) == 0);
    CHECK(in_worker(box, [&] { return try_open(in + "/other", O_RDWR); }) == EACCES);
    CHECK(in_worker(box, [&] { return errno_of(::unlink((in + "/file").c_str())); }) == EACCES);
}

TEST_CASE("a file cannot be moved to where more is allowed") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const auto move = [](const sg::Sandbox& box, const Tree& tree) {
        return in_worker(
            box, [&] { return errno_of(::link((tree.out() + "/file").c_str(), (tree.in() + "/new").c_str())); });
    };
    const Tree tree;
    CHECK(move(sg::Sandbox{anything}, tree) == 0);
    const Tree other;
    CHECK(move(sg::Sandbox{anything, {.files = {sg::read_write(other.in()), sg::read_only(other.out())}}}, other) ==
          EXDEV);
}

TEST_CASE("nothing at all") {
    SYSGUARD_NEED_LANDLOCK(file_access);
    const sg::Sandbox box{anything, {.files = sg::Files::none()}};
    CHECK(in_worker(box, [] { return try_open("/", O_RDONLY | O_DIRECTORY); }) == EACCES);
    CHECK(in_worker(box, [] { return try_open("/dev/null", O_RDONLY); }) == EACCES);
    CHECK(in_worker(box, [] { return try_open("/proc/self/maps", O_RDONLY); }) == EACCES);
    CHECK(in_worker(box, [] { return try_open("/tmp", O_PATH); }) == 0);  // as documented
}

TEST_CASE("what a worker is given open, it keeps") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const sg::process::Descriptor file{::open((tree.out() + "/file").c_str(), O_RDWR | O_CLOEXEC)};
    const sg::process::Descriptor directory{::open(tree.out().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const sg::Sandbox box = isolated(tree);
    sg::Launch launch;
    launch.descriptors = {{file.get(), 5}, {directory.get(), 6}};
    const sg::Result<int> result = box.call(launch, [] {
        char text[4];
        if (::read(5, text, 4) != 4 || ::ftruncate(5, 1) != 0) return 1;
        if (::openat(6, "file", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES) return 2;
        return try_open("/proc/self/fd/5", O_RDONLY) == EACCES ? 0 : 3;  // to open it anew is another matter
    });
    CHECK(*result == 0);
}

TEST_CASE("the ruleset is in nobody's way, and no worker has it") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const sg::process::Descriptor file{::open((tree.out() + "/file").c_str(), O_RDWR | O_CLOEXEC)};
    for (const bool asks : {false, true}) {
        constexpr static sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};
        const sg::Options options{
            .files = {sg::read_write(tree.in()), sg::read_only("/proc"), sg::execute(helper("behave"))}};
        const sg::Sandbox box = asks ? sg::Sandbox{asking, options} : sg::Sandbox{anything, options};
        sg::Launch launch;
        for (int number = 3; number < 40; ++number) launch.descriptors.push_back({file.get(), number});
        for (int again = 0; again < 2; ++again) {
            const sg::Result<int> result = box.call(launch, [&] {
                for (int number = 3; number < 40; ++number)
                    if (::lseek(number, 0, SEEK_END) != 4) return 1000 + number;
                if (::fcntl(40, F_GETFD) != -1) return 1;
                return try_open(tree.out() + "/file", O_RDONLY);
            });
            CAPTURE(result.explain());
            CHECK(*result == EACCES);
            CHECK(box.run({helper("behave"), "open", tree.out() + "/file", "0"}, launch).exit_code() == EACCES);
            CHECK(box.run({helper("behave"), "open", tree.in() + "/file", "0"}, launch).exit_code() == 0);
        }
        const sg::Result<int> count = box.call([] {
            int found = 0;
            for (int fd = 0; fd < 1024; ++fd) {
                char text[64] = {};
                const std::string link = "/proc/self/fd/" + std::to_string(fd);
                found += ::readlink(link.c_str(), text, sizeof text - 1) > 0 && support::has(text, "landlock-ruleset");
            }
            return found;
        });
        CHECK(*count == 0);
    }
}

TEST_CASE("what a worker starts is held as it is") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string out = tree.out();
    CHECK(in_worker(isolated(tree), [&] {
              const pid_t child = ::fork();
              if (child == 0) ::_exit(try_open(out + "/file", O_RDONLY));
              int status = 0;
              ::waitpid(child, &status, 0);
              return WEXITSTATUS(status);
          }) == EACCES);
}

namespace {

/// Adds a rule for all there is, and enters a domain with it.
int loosen() {
    struct {
        std::uint64_t files = 0xffff, net = 0, scopes = 0;
    } handled;
    const long ruleset = ::syscall(sg::sys::landlock_create_ruleset, &handled, sizeof handled, 0);
    const int root = ::open("/", O_PATH | O_CLOEXEC);
    struct __attribute__((packed)) {
        std::uint64_t access;
        std::int32_t directory;
    } const rule{0xffff, root};
    if (ruleset < 0 || ::syscall(sg::sys::landlock_add_rule, ruleset, 1, &rule, 0) != 0) return 1000;
    return ::syscall(sg::sys::landlock_restrict_self, ruleset, 0) != 0 ? 1001 : 0;
}

}  // namespace

TEST_CASE("a worker cannot loosen what holds it") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string out = tree.out();
    CHECK(in_worker(isolated(tree), [&] {
              const int error = loosen();
              return error != 0 ? error : try_open(out + "/file", O_RDONLY);
          }) == EACCES);
    CHECK(in_worker(isolated(tree), [&] {
              if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return int{EACCES};  // nor by namespaces
              if (::mount(out.c_str(), (tree.in() + "/empty").c_str(), nullptr, MS_BIND, nullptr) == 0) return 1000;
              return try_open(out + "/file", O_RDONLY);
          }) == EACCES);
}

TEST_CASE("a sandbox within a sandbox is held to both") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    constexpr static sg::Policy silent{sg::foreign.kill_now(), sg::otherwise.allow()};
    const Tree tree;
    const std::string in = tree.in();
    const sg::Sandbox outer{silent, {.files = {sg::read_write(in), sg::read_write("/dev/null")}}};
    const auto try_inside = [&](const sg::Files& files, const std::string& path) {
        return in_worker(outer, [&] {
            const sg::Result<int> result =
                sg::Sandbox{silent, {.files = files}}.call([&] { return try_open(path, 0); });
            return result ? *result : 1000;
        });
    };
    CHECK(try_inside({sg::read_only(in + "/sub")}, in + "/sub/file") == 0);
    CHECK(try_inside({sg::read_only(in + "/sub")}, in + "/file") == EACCES);
    CHECK(try_inside({sg::read_only("/")}, tree.out() + "/file") == EACCES);
}

TEST_CASE("a worker cannot get at files by the host's memory") {
    SYSGUARD_NEED_LANDLOCK(file_access);
    const pid_t host = ::getpid();
    const sg::Sandbox box{anything, {.files = sg::Files::none()}};
    CHECK(in_worker(box, [&] { return errno_of(::ptrace(PTRACE_SEIZE, host, nullptr, nullptr)); }) == EPERM);
    CHECK(in_worker(box, [&] {
              return errno_of(static_cast<long>(::syscall(SYS_pidfd_getfd, ::syscall(SYS_pidfd_open, host, 0), 0, 0)));
          }) == EPERM);
}

TEST_CASE("programs, where they may be executed") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string behave = helper("behave");
    const auto run = [&](const sg::Sandbox& box, const std::string& path, int flags) {
        const sg::Outcome outcome = box.run({behave, "open", path, std::to_string(flags)});
        CAPTURE(outcome.explain());
        CHECK(outcome.kind() == Kind::exited);
        return outcome.exit_code();
    };
    const std::string file = tree.out() + "/file";
    CHECK(run(sg::Sandbox{anything}, file, O_RDONLY) == 0);
    const sg::Sandbox box{anything, {.files = {sg::execute(behave), sg::read_write(tree.in())}}};
    CHECK(run(box, file, O_RDONLY) == EACCES);
    CHECK(run(box, tree.in() + "/file", O_RDWR) == 0);
    CHECK(run(box, behave, O_RDONLY) == 0);
    CHECK(run(box, behave, O_WRONLY) != 0);
}

TEST_CASE("a program of a policy that asks the host") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    constexpr static sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};
    const sg::Sandbox box{asking, {.files = {sg::execute(helper("behave")), sg::read_only("/proc")}}};
    CHECK(box.run({helper("behave"), "open", tree.out() + "/file", "0"}).exit_code() == EACCES);
    CHECK(box.run({helper("behave"), "listeners"}).exit_code() == 0);
}

TEST_CASE("a program that may not be executed is told apart") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    for (const sg::Files& files : {sg::Files::none(), sg::Files{sg::read_write(helper("noop"))}}) {
        const sg::Outcome outcome = sg::Sandbox{anything, {.files = files}}.run({helper("noop")});
        CHECK(outcome.kind() == Kind::could_not_start);
        CHECK(outcome.error() == EACCES);
        CHECK(support::has(outcome.explain(), "under no path with read_only() or execute()"));
    }
    CHECK(sg::Sandbox{anything, {.files = {sg::read_only(helper("noop"))}}}.run({helper("noop")}));
    const sg::Outcome plain = sg::Sandbox{anything}.run({tree.in() + "/file"});
    CHECK(plain.error() == EACCES);
    CHECK_FALSE(support::has(plain.explain(), "Options::files"));
}

TEST_CASE("what a worker writes it cannot execute") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const auto execute_own = [](const sg::Sandbox& box, const Tree& tree) {
        const std::string copy = tree.in() + "/program";
        const sg::process::Descriptor source{::open(helper("noop").c_str(), O_RDONLY | O_CLOEXEC)};
        sg::Launch launch;
        launch.descriptors = {{source.get(), 5}};
        const sg::Result<int> result = box.call(launch, [&] {
            char buffer[65536];
            const int to = ::open(copy.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
            if (to < 0 || ::fchmod(to, 0755) != 0) return 1000;
            for (ssize_t bytes; (bytes = ::read(5, buffer, sizeof buffer)) > 0;)
                if (::write(to, buffer, static_cast<std::size_t>(bytes)) != bytes) return 1001;
            ::close(to);
            const pid_t child = ::fork();
            if (child == 0) {
                ::execl(copy.c_str(), "program", nullptr);
                ::_exit(errno);
            }
            int status = 0;
            ::waitpid(child, &status, 0);
            return WEXITSTATUS(status);
        });
        CAPTURE(result.explain());
        return *result;
    };
    const Tree tree;
    CHECK(execute_own(unrestricted(tree), tree) == 0);
    const Tree other;
    CHECK(execute_own(isolated(other), other) == EACCES);
}

TEST_CASE("what has no path is not held: a memory file can be executed") {
    SYSGUARD_NEED_LANDLOCK(file_access);
    const sg::process::Descriptor source{::open(helper("noop").c_str(), O_RDONLY | O_CLOEXEC)};
    sg::Launch launch;
    launch.descriptors = {{source.get(), 5}};
    const sg::Result<int> result = sg::Sandbox{anything, {.files = sg::Files::none()}}.call(launch, [] {
        char buffer[65536];
        const int to = ::memfd_create("program", MFD_CLOEXEC);
        for (ssize_t bytes; (bytes = ::read(5, buffer, sizeof buffer)) > 0;)
            if (::write(to, buffer, static_cast<std::size_t>(bytes)) != bytes) return 1000;
        const pid_t child = ::fork();
        char name[] = "program";
        char* const argv[] = {name, nullptr};
        if (child == 0) {
            ::syscall(SYS_execveat, to, "", argv, argv + 1, AT_EMPTY_PATH);
            ::_exit(errno);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WEXITSTATUS(status);
    });
    CAPTURE(result.explain());
    CHECK(*result == 0);
}

TEST_CASE("device nodes are made only where it is said") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const auto make = [](const sg::Sandbox& box, const Tree& tree) {
        return in_worker(
            box, [&] { return errno_of(::mknod((tree.in() + "/node").c_str(), S_IFCHR | 0600, makedev(1, 3))); });
    };
    const Tree free;
    if (make(unrestricted(free), free) != 0) SYSGUARD_SKIP("this user may not make device nodes");
    const Tree plain;
    CHECK(make(isolated(plain), plain) == EACCES);
    const Tree refined;
    CHECK(make(sg::Sandbox{anything, support::powerful({sg::read_write(refined.in()).with_devices()})}, refined) == 0);
}

TEST_CASE("ioctl on devices only where it is said") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const auto control = [](const sg::Sandbox& box) {
        return in_worker(box, [] {
            const int fd = ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
            unsigned number = 0;
            return fd < 0 ? 1000 : errno_of(::ioctl(fd, TIOCGPTN, &number));
        });
    };
    if (control(sg::Sandbox{anything}) != 0) SYSGUARD_SKIP("there is no device here that all may open and control");
    CHECK(control(sg::Sandbox{anything, {.files = {sg::read_write("/dev")}}}) == EACCES);
    CHECK(control(sg::Sandbox{anything, {.files = {sg::read_write("/dev").with_device_control()}}}) == 0);
}

TEST_CASE("a relative path begins where the host is") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    char before[4096];
    REQUIRE(::getcwd(before, sizeof before) != nullptr);
    REQUIRE(::chdir(tree.in().c_str()) == 0);
    const sg::Sandbox box{anything, {.files = {sg::read_only("sub")}}};
    REQUIRE(::chdir(before) == 0);
    CHECK(in_worker(box, [&] { return try_open(tree.in() + "/sub/file", O_RDONLY); }) == 0);
    CHECK(in_worker(box, [&] { return try_open(tree.in() + "/file", O_RDONLY); }) == EACCES);
}

TEST_CASE("what is not held") {
    SYSGUARD_NEED_LANDLOCK(device_control);
    const Tree tree;
    const std::string out = tree.out();
    const sg::Sandbox box = isolated(tree);
    struct stat status {};
    CHECK(in_worker(box, [&] { return errno_of(::stat((out + "/file").c_str(), &status)); }) == 0);
    CHECK(in_worker(box, [&] { return errno_of(::chmod((out + "/file").c_str(), 0600)); }) == 0);
    CHECK(in_worker(box, [&] { return errno_of(::chdir(out.c_str())); }) == 0);
    const support::UnixAddress address{out + "/socket"};
    const sg::process::Descriptor listening = support::open_socket(AF_UNIX, SOCK_STREAM);
    REQUIRE(::bind(listening.get(), support::plain(&address.address), address.size) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    CHECK(in_worker(box, [&] {
              const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
              return errno_of(::connect(fd, support::plain(&address.address), address.size));
          }) == 0);
}
