#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/escapes.hpp"
#include "support/ring.hpp"

/// Attempts on files that are the host's alone.
namespace sg = sysguard;
using namespace support;

TEST_CASE("every path to files outside, from a private root") {
    for (const Attempt& tried : attempts_outside) {
        CAPTURE(tried.name);
        {
            const Scene scene;
            CHECK(without_sandbox([&] { return tried.act(scene.in(), scene.out()); }) == 0);
        }
        const Scene scene;
        const auto box = box_of(by_root, scene);
        if (!box) SYSGUARD_SKIP("a private root is not offered here");
        const auto result = box->call([&] { return tried.act(scene.in(), scene.out()); });
        CAPTURE(result.explain());
        REQUIRE(result);
        CHECK(*result != 0);
    }
}

namespace {

const auto in_directory_outside = [](Scene& scene) { REQUIRE(::chdir(scene.out().c_str()) == 0); };

const auto with_directory_outside = [](Scene& scene) {
    scene.give(::open(scene.out().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
};

const auto with_file_to_write = [](Scene& scene) {
    scene.give(::open(scene.secret().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
};

std::string of_process(pid_t pid, const std::string& name) {
    return "/proc/" + std::to_string(pid) + "/" + name;
}

}  // namespace

SYSGUARD_ESCAPE_WITH("read below the host's working directory", by_rules | by_files | by_root, in_directory_outside) {
    return try_open("file", O_RDONLY);
}

SYSGUARD_ESCAPE_WITH("write above the host's working directory", by_rules | by_files | by_root, in_directory_outside) {
    return try_open("../out/file", O_WRONLY);
}

SYSGUARD_ESCAPE_WITH("read below /proc/self/cwd", by_rules | by_files | by_root, in_directory_outside) {
    return try_open("/proc/self/cwd/file", O_RDONLY);
}

TEST_CASE("programs, below the host's working directory") {
    Scene scene;
    in_directory_outside(scene);
    CHECK(without_sandbox([] { return std::system("cat file ../out/file > /dev/null"); }) == 0);
    int tried = 0;
    for (const Held each : {by_files, by_root}) {
        const auto box = box_of(each, scene);
        if (!box) continue;
        ++tried;
        const auto run = [&](const std::string& command) {
            const sg::Outcome outcome =
                box->run({"/bin/sh", "-c", command}, {.output = sg::Stdio::null(), .error = sg::Stdio::null()});
            CAPTURE(outcome.explain());
            CHECK(outcome.kind() == sg::Outcome::Kind::exited);
            return outcome.exit_code();
        };
        CHECK(run("cat " + scene.seen() + "/file") == 0);
        CHECK(run("cat file") != 0);
        CHECK(run("cat ../out/file") != 0);
        CHECK(run("cat /proc/self/cwd/file") != 0);
        CHECK(run("cat /proc/self/root" + scene.secret()) != 0);
        CHECK(run("cat /proc/1/root" + scene.secret()) != 0);
        CHECK(run("cd " + scene.in() + "; ln -s " + scene.secret() + " made; cat made") != 0);
    }
    if (tried == 0) SYSGUARD_SKIP("nothing that would hold them is offered here");
}

SYSGUARD_ESCAPE("read by the root of the host's process", by_rules | by_files | by_spaces | by_root) {
    return try_open(of_process(scene.victim(), "root") + scene.secret(), O_RDONLY);
}

SYSGUARD_ESCAPE("read by the root of the first process", by_rules | by_files | by_spaces | by_root) {
    return is_root() ? try_open("/proc/1/root/etc", O_RDONLY) : not_here;
}

SYSGUARD_ESCAPE("read by the root of a thread of its own", by_rules | by_files | by_root) {
    return try_open("/proc/thread-self/root" + scene.secret(), O_RDONLY);
}

SYSGUARD_ESCAPE_WITH("read by a directory that the host has open", by_rules | by_files | by_spaces | by_root,
                     with_directory_outside) {
    return try_open(of_process(scene.host(), "fd/") + std::to_string(scene.given()) + "/file", O_RDONLY);
}

SYSGUARD_ESCAPE_WITH("read by a directory that it is given", by_rules | by_files, with_directory_outside) {
    return errno_of(::openat(scene.given(), "file", O_RDONLY | O_CLOEXEC));
}

SYSGUARD_ESCAPE_WITH("go to a directory that it is given, and read", by_rules | by_files, with_directory_outside) {
    return ::fchdir(scene.given()) != 0 ? errno : try_open("file", O_RDONLY);
}

SYSGUARD_ESCAPE_WITH("open again, to read, what it is given to write", by_rules | by_files, with_file_to_write) {
    return try_open("/proc/self/fd/" + std::to_string(scene.given()), O_RDONLY);
}

SYSGUARD_ESCAPE_WITH("link what it is given into its own", by_rules | by_files | by_root, with_file_to_write) {
    const std::string own = "/proc/self/fd/" + std::to_string(scene.given());
    return errno_of(::linkat(AT_FDCWD, own.c_str(), AT_FDCWD, (scene.in() + "/own").c_str(), AT_SYMLINK_FOLLOW));
}

SYSGUARD_ESCAPE("read by a handle", by_sandbox | by_rules | by_files | by_spaces | by_root) {
    if (!is_root()) return not_here;
    struct {
        file_handle handle;
        unsigned char room[MAX_HANDLE_SZ];
    } named{};
    named.handle.handle_bytes = MAX_HANDLE_SZ;
    int mount = 0;
    if (::name_to_handle_at(AT_FDCWD, scene.secret().c_str(), &named.handle, &mount, 0) != 0)
        return errno == EOPNOTSUPP ? not_here : errno;
    const int directory = ::open(scene.in().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return errno_of(::open_by_handle_at(directory, &named.handle, O_RDONLY));
}

SYSGUARD_ESCAPE("write by a hard link to what is outside", by_rules | by_files | by_root) {
    const std::string own = scene.in() + "/own";
    return ::link(scene.secret().c_str(), own.c_str()) != 0 ? errno : try_open(own, O_WRONLY);
}

SYSGUARD_ESCAPE("write by a hard link to what is for reading", by_rules | by_files | by_root) {
    const std::string own = scene.in() + "/own";
    return ::link((scene.seen() + "/file").c_str(), own.c_str()) != 0 ? errno : try_open(own, O_WRONLY);
}

SYSGUARD_ESCAPE("exchange what is outside with its own", by_rules | by_files | by_root) {
    return errno_of(
        ::renameat2(AT_FDCWD, scene.secret().c_str(), AT_FDCWD, (scene.in() + "/file").c_str(), RENAME_EXCHANGE));
}

SYSGUARD_ESCAPE("write to what is for reading", by_rules | by_files | by_root) {
    return try_open(scene.seen() + "/file", O_WRONLY);
}

SYSGUARD_ESCAPE("remove what is for reading", by_rules | by_files | by_root) {
    return errno_of(::unlink((scene.seen() + "/file").c_str()));
}

SYSGUARD_ESCAPE("change the mode of what is for reading", by_rules | by_root) {
    return errno_of(::chmod((scene.seen() + "/file").c_str(), 0600));
}

SYSGUARD_ESCAPE("change the mode of what is outside", by_rules | by_root) {
    return errno_of(::chmod(scene.secret().c_str(), 0600));
}

SYSGUARD_ESCAPE("change the times of what is outside", by_rules | by_root) {
    return errno_of(::utimensat(AT_FDCWD, scene.secret().c_str(), nullptr, 0));
}

SYSGUARD_ESCAPE("look at what is outside", by_root) {
    struct stat status {};
    return errno_of(::stat(scene.secret().c_str(), &status));
}

SYSGUARD_ESCAPE("watch what is outside", by_rules | by_root) {
    const int watch = ::inotify_init1(IN_CLOEXEC);
    return watch < 0 ? errno : errno_of(::inotify_add_watch(watch, scene.out().c_str(), IN_ALL_EVENTS));
}

SYSGUARD_ESCAPE("watch what is outside, with all that its file system does", by_rules | by_root) {
    constexpr unsigned names_and_ids = FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_CLOEXEC;  // Linux 5.13: for anybody
    const int watch = ::fanotify_init(names_and_ids, O_RDONLY | O_CLOEXEC);
    if (watch < 0) return errno == ENOSYS || errno == EINVAL ? not_here : errno;
    const int result = errno_of(
        ::fanotify_mark(watch, FAN_MARK_ADD, FAN_CREATE | FAN_DELETE | FAN_ONDIR, AT_FDCWD, scene.out().c_str()));
    return result == ENODEV || result == EXDEV || result == EOPNOTSUPP ? not_here : result;  // by the file system
}

SYSGUARD_ESCAPE("have a ring of the kernel's open what is outside", by_rules | by_files | by_root) {
    const Ring ring;
    if (ring.error() != 0) return ring.error() == ENOSYS ? not_here : ring.error();
    return ring.open(scene.secret());
}

SYSGUARD_ESCAPE("change the mode of a device of the host's", by_rules | by_root) {
    if (!is_root()) return not_here;
    return errno_of(::chmod("/dev/full", 0666));
}

SYSGUARD_ESCAPE("make a device, and open it", by_sandbox | by_rules | by_files | by_spaces | by_root) {
    if (!is_root()) return not_here;
    const std::string own = scene.in() + "/device";
    constexpr unsigned memory = 1;
    constexpr unsigned null = 3;
    if (::mknod(own.c_str(), S_IFCHR | 0600, ::makedev(memory, null)) != 0) return errno;
    return try_open(own, O_RDWR);
}

SYSGUARD_ESCAPE("have the kernel start a program of its own", by_rules | by_files | by_root) {
    const int result = is_root() ? try_open("/proc/sys/kernel/core_pattern", O_WRONLY) : not_here;
    return result == EROFS ? not_here : result;  // as in a container
}

SYSGUARD_ESCAPE("write to the root itself", by_rules | by_files | by_root) {
    return is_root() ? try_open("/", O_WRONLY | O_TMPFILE) : not_here;
}
