#pragma once

#include <sysguard/process/landlock.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/scratch.hpp"
#include "support/skip.hpp"

/// Ends a test that needs what this machine's Landlock does not offer.
#define SYSGUARD_NEED_LANDLOCK(layer)                                            \
    do {                                                                         \
        if (!sysguard::process::LandlockSupport{}.offer(sysguard::Layer::layer)) \
            SYSGUARD_SKIP("this kernel's Landlock does not offer it");           \
    } while (false)

/// What a worker tries where files are isolated: `in` is its own, `out` the host's.
namespace support {

inline int errno_of(long result) {
    return result < 0 ? errno : 0;
}

inline int try_open(const std::string& path, int flags, mode_t mode = 0600) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    const int error = errno_of(fd);
    if (fd >= 0) ::close(fd);
    return error;
}

/// With all capabilities that the host has, which Landlock holds all the same.
inline sysguard::Options powerful(sysguard::Files files) {
    return {.files = std::move(files), .credentials = {.capabilities = sysguard::Capabilities::kept()}};
}

/// A tree that all attempts begin with.
class Tree {
public:
    Tree() {
        for (const char* directory : {"in", "out"}) {
            const std::string at = scratch_ / directory;
            REQUIRE(::mkdir(at.c_str(), 0755) == 0);
            REQUIRE(::mkdir((at + "/empty").c_str(), 0755) == 0);
            REQUIRE(::mkdir((at + "/sub").c_str(), 0755) == 0);
            REQUIRE(::mkfifo((at + "/fifo").c_str(), 0600) == 0);
            for (const char* name : {"/file", "/other", "/sub/file"}) {
                const int fd = ::open((at + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                REQUIRE(::write(fd, "text", 4) == 4);
                ::close(fd);
            }
        }
        REQUIRE(::symlink("../out/file", (scratch_ / "in/leads_out").c_str()) == 0);
        REQUIRE(::symlink("../out", (scratch_ / "in/leads_to_out").c_str()) == 0);
    }

    std::string in() const { return scratch_ / "in"; }
    std::string out() const { return scratch_ / "out"; }

private:
    Scratch scratch_;
};

/// One thing to try, in a function of a worker's. Returns an errno.
struct Attempt {
    const char* name;
    int (*act)(const std::string& in, const std::string& out);
    int refused;  ///< with what, where files are isolated
};

inline constexpr Attempt attempts_outside[] = {
    {"read", [](auto&, auto& out) { return try_open(out + "/file", O_RDONLY); }, EACCES},
    {"read and write", [](auto&, auto& out) { return try_open(out + "/file", O_RDWR); }, EACCES},
    {"append", [](auto&, auto& out) { return try_open(out + "/file", O_WRONLY | O_APPEND); }, EACCES},
    {"list", [](auto&, auto& out) { return try_open(out, O_RDONLY | O_DIRECTORY); }, EACCES},
    {"create", [](auto&, auto& out) { return try_open(out + "/new", O_WRONLY | O_CREAT | O_EXCL); }, EACCES},
    {"make a nameless file", [](auto&, auto& out) { return try_open(out, O_WRONLY | O_TMPFILE); }, EACCES},
    {"truncate", [](auto&, auto& out) { return errno_of(::truncate((out + "/file").c_str(), 1)); }, EACCES},
    {"truncate in an open", [](auto&, auto& out) { return try_open(out + "/file", O_WRONLY | O_TRUNC); }, EACCES},
    {"remove a file", [](auto&, auto& out) { return errno_of(::unlink((out + "/file").c_str())); }, EACCES},
    {"remove a directory", [](auto&, auto& out) { return errno_of(::rmdir((out + "/empty").c_str())); }, EACCES},
    {"make a directory", [](auto&, auto& out) { return errno_of(::mkdir((out + "/new").c_str(), 0700)); }, EACCES},
    {"make a FIFO", [](auto&, auto& out) { return errno_of(::mkfifo((out + "/new").c_str(), 0600)); }, EACCES},
    {"make a symbolic link", [](auto&, auto& out) { return errno_of(::symlink("/", (out + "/new").c_str())); }, EACCES},
    {"rename", [](auto&, auto& out) { return errno_of(::rename((out + "/file").c_str(), (out + "/new").c_str())); },
     EACCES},
    {"rename in",
     [](auto& in, auto& out) { return errno_of(::rename((out + "/file").c_str(), (in + "/new").c_str())); }, EACCES},
    {"rename out",
     [](auto& in, auto& out) { return errno_of(::rename((in + "/file").c_str(), (out + "/new").c_str())); }, EACCES},
    {"link in", [](auto& in, auto& out) { return errno_of(::link((out + "/file").c_str(), (in + "/new").c_str())); },
     EXDEV},
    {"link out", [](auto& in, auto& out) { return errno_of(::link((in + "/file").c_str(), (out + "/new").c_str())); },
     EACCES},
    {"read by a symbolic link", [](auto& in, auto&) { return try_open(in + "/leads_out", O_RDONLY); }, EACCES},
    {"read below a symbolic link", [](auto& in, auto&) { return try_open(in + "/leads_to_out/file", O_RDONLY); },
     EACCES},
    {"create below a symbolic link",
     [](auto& in, auto&) { return try_open(in + "/leads_to_out/new", O_WRONLY | O_CREAT); }, EACCES},
    {"read by a symbolic link of its own",
     [](auto& in, auto& out) {
         if (::symlink((out + "/file").c_str(), (in + "/own").c_str()) != 0) return 1000;
         return try_open(in + "/own", O_RDONLY);
     },
     EACCES},
    {"read by dots", [](auto& in, auto&) { return try_open(in + "/sub/../../out/file", O_RDONLY); }, EACCES},
    {"read from another working directory",
     [](auto&, auto& out) { return ::chdir(out.c_str()) != 0 ? 1000 : try_open("file", O_RDONLY); }, EACCES},
    {"read from a directory that was looked at",
     [](auto&, auto& out) {
         const int directory = ::open(out.c_str(), O_PATH | O_CLOEXEC);
         return directory < 0 ? 1000 : errno_of(::openat(directory, "file", O_RDONLY | O_CLOEXEC));
     },
     EACCES},
    {"read what was looked at",
     [](auto&, auto& out) {
         const int fd = ::open((out + "/file").c_str(), O_PATH | O_CLOEXEC);
         return fd < 0 ? 1000 : try_open("/proc/self/fd/" + std::to_string(fd), O_RDONLY);
     },
     EACCES},
    {"read by /proc/self/root", [](auto&, auto& out) { return try_open("/proc/self/root" + out + "/file", O_RDONLY); },
     EACCES},
    {"read by /proc/self/cwd",
     [](auto&, auto& out) { return ::chdir(out.c_str()) != 0 ? 1000 : try_open("/proc/self/cwd/file", O_RDONLY); },
     EACCES},
};

/// All of that within what is the worker's own.
inline constexpr Attempt attempts_inside[] = {
    {"read", [](auto& in, auto&) { return try_open(in + "/file", O_RDONLY); }, 0},
    {"read and write", [](auto& in, auto&) { return try_open(in + "/sub/file", O_RDWR); }, 0},
    {"list", [](auto& in, auto&) { return try_open(in, O_RDONLY | O_DIRECTORY); }, 0},
    {"create", [](auto& in, auto&) { return try_open(in + "/new", O_WRONLY | O_CREAT | O_EXCL); }, 0},
    {"truncate", [](auto& in, auto&) { return errno_of(::truncate((in + "/file").c_str(), 1)); }, 0},
    {"truncate in an open", [](auto& in, auto&) { return try_open(in + "/file", O_WRONLY | O_TRUNC); }, 0},
    {"remove a file", [](auto& in, auto&) { return errno_of(::unlink((in + "/file").c_str())); }, 0},
    {"remove a directory", [](auto& in, auto&) { return errno_of(::rmdir((in + "/empty").c_str())); }, 0},
    {"make a directory", [](auto& in, auto&) { return errno_of(::mkdir((in + "/new").c_str(), 0700)); }, 0},
    {"make a FIFO", [](auto& in, auto&) { return errno_of(::mkfifo((in + "/new").c_str(), 0600)); }, 0},
    {"make a symbolic link", [](auto& in, auto&) { return errno_of(::symlink("/", (in + "/new").c_str())); }, 0},
    {"rename", [](auto& in, auto&) { return errno_of(::rename((in + "/file").c_str(), (in + "/new").c_str())); }, 0},
    {"rename across",
     [](auto& in, auto&) { return errno_of(::rename((in + "/file").c_str(), (in + "/sub/new").c_str())); }, 0},
    {"link across", [](auto& in, auto&) { return errno_of(::link((in + "/file").c_str(), (in + "/sub/new").c_str())); },
     0},
    {"read by dots", [](auto& in, auto&) { return try_open(in + "/../in/sub/../file", O_RDONLY); }, 0},
};

/// What comes of one attempt in a worker, on a tree of its own.
template <class MakeBox>
int attempt(const Attempt& tried, const MakeBox& make_box) {
    const Tree tree;
    const std::string in = tree.in();
    const std::string out = tree.out();
    const auto act = tried.act;
    const sysguard::Result<int> result = make_box(tree).call([&] { return act(in, out); });
    CAPTURE(result.explain());
    REQUIRE(result);
    return *result;
}

/// What a function in a worker returns, which it must.
template <class F>
int in_worker(const sysguard::Sandbox& box, F&& act) {
    const sysguard::Result<int> result = box.call(act);
    CAPTURE(result.explain());
    REQUIRE(result);
    return *result;
}

}  // namespace support
