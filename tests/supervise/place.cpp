#include <sysguard/policy.hpp>
#include <sysguard/supervise/place.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/listening.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
using sg::supervise::Pending;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_openat>{}.kill(),     sg::Rule<SYS_openat2>{}.kill(),
                            sg::Rule<SYS_unlinkat>{}.kill(),   sg::Rule<SYS_linkat>{}.kill(),
                            sg::Rule<SYS_newfstatat>{}.kill(), sg::Rule<SYS_readlinkat>{}.kill(),
                            sg::Rule<SYS_connect>{}.kill(),    sg::Rule<SYS_bind>{}.kill(),
                            sg::Rule<SYS_lgetxattr>{}.kill(),  sg::otherwise.allow()};

/// Where the path at `position` of a call leads, made in a directory.
template <class... T>
std::string place(const support::Workplace& in, int position, long number, T... arguments) {
    Supervised process{policy.program(), [&] {
                           if (::chdir(in.path.c_str()) != 0) return 9;
                           return ::syscall(number, arguments...) == 0 ? 0 : 1;
                       }};
    Pending call;
    process.receive(call);
    std::string found = call.call->arguments[position].type == sg::abi::Type::socket_address
                            ? sg::supervise::unix_place_of(call, position)
                            : sg::supervise::place_of(call, position);
    CHECK(call.copies[position].is_decided);
    process.listener.answer(call.id, 0, 0);
    CHECK(process.exit_code() == 0);
    return found;
}

/// A directory with a file, and links to it.
struct Tree : support::Workplace {
    Tree() {
        path = std::filesystem::canonical(path);
        file("file", "text");
        std::filesystem::create_directory(path + "/dir");
        std::filesystem::create_symlink("file", path + "/link");
        std::filesystem::create_symlink("missing", path + "/dangling");
        std::filesystem::create_symlink("..", path + "/dir/up");
    }
};

}  // namespace

TEST_CASE("a path leads where the kernel would go from the process's own directory") {
    const Tree tree;
    const auto opened = [&](const char* path, int flags = O_RDONLY) {
        return place(tree, 1, SYS_openat, AT_FDCWD, path, flags, 0);
    };
    CHECK(opened("file") == tree.path + "/file");
    CHECK(opened("./dir/../file") == tree.path + "/file");
    CHECK(opened("dir/up/dir/up/link") == tree.path + "/file");
    CHECK(opened("/proc/self/cwd/file") == tree.path + "/file");
    CHECK(opened("/") == "/");
    CHECK(opened("missing") == "");
    CHECK(opened("missing/file") == "");
    CHECK(opened("file/inside") == "");
    CHECK(opened("") == "");
}

TEST_CASE("the last component is what the call makes of it") {
    const Tree tree;
    const auto opened = [&](const char* path, int flags) {
        return place(tree, 1, SYS_openat, AT_FDCWD, path, flags, 0);
    };
    CHECK(opened("new", O_CREAT) == tree.path + "/new");
    CHECK(opened("dangling", O_CREAT) == tree.path + "/missing");
    CHECK(opened("dangling", O_CREAT | O_EXCL) == tree.path + "/dangling");
    CHECK(opened("link", O_PATH | O_NOFOLLOW) == tree.path + "/link");
    CHECK(place(tree, 1, SYS_unlinkat, AT_FDCWD, "link", 0) == tree.path + "/link");
    CHECK(place(tree, 1, SYS_readlinkat, AT_FDCWD, "link", nullptr, 0) == tree.path + "/link");
    CHECK(place(tree, 0, SYS_lgetxattr, "link", "user.x", nullptr, 0) == tree.path + "/link");
    CHECK(place(tree, 1, SYS_newfstatat, AT_FDCWD, "link", nullptr, 0) == tree.path + "/file");
    CHECK(place(tree, 1, SYS_newfstatat, AT_FDCWD, "link", nullptr, AT_SYMLINK_NOFOLLOW) == tree.path + "/link");
    CHECK(place(tree, 1, SYS_linkat, AT_FDCWD, "link", AT_FDCWD, "new", 0) == tree.path + "/link");
    CHECK(place(tree, 1, SYS_linkat, AT_FDCWD, "link", AT_FDCWD, "new", AT_SYMLINK_FOLLOW) == tree.path + "/file");
    CHECK(place(tree, 3, SYS_linkat, AT_FDCWD, "link", AT_FDCWD, "dir/new", 0) == tree.path + "/dir/new");
}

TEST_CASE("from a directory that the process has open, and from an open file itself") {
    const Tree tree;
    const sg::process::Descriptor directory{::open((tree.path + "/dir").c_str(), O_PATH | O_CLOEXEC)};
    const sg::process::Descriptor file{::open((tree.path + "/file").c_str(), O_PATH | O_CLOEXEC)};
    CHECK(place(tree, 1, SYS_openat, directory.get(), "../file", 0, 0) == tree.path + "/file");
    CHECK(place(tree, 1, SYS_openat, 9999, "file", 0, 0) == "");
    CHECK(place(tree, 1, SYS_openat, 9999, "/", 0, 0) == "/");
    CHECK(place(tree, 1, SYS_newfstatat, file.get(), "", nullptr, AT_EMPTY_PATH) == tree.path + "/file");
    CHECK(place(tree, 1, SYS_newfstatat, file.get(), "", nullptr, 0) == "");
}

TEST_CASE("openat2 leads no farther than it is asked to") {
    const Tree tree;
    const sg::process::Descriptor directory{::open((tree.path + "/dir").c_str(), O_PATH | O_CLOEXEC)};
    const auto opened = [&](const char* path, std::uint64_t resolve, std::uint64_t flags = 0) {
        const open_how how{flags, 0, resolve};
        return place(tree, 1, SYS_openat2, directory.get(), path, &how, sizeof how);
    };
    CHECK(opened("../file", 0) == tree.path + "/file");
    CHECK(opened("../file", RESOLVE_BENEATH) == "");
    CHECK(opened("up/file", RESOLVE_NO_SYMLINKS) == "");
    CHECK(opened("/../new", RESOLVE_IN_ROOT, O_CREAT) == tree.path + "/dir/new");
}

TEST_CASE("the path of a socket address") {
    const Tree tree;
    const auto of = [&](long number, const char* path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::string{path}.copy(address.sun_path, sizeof address.sun_path - 1);
        return place(tree, 1, number, 0, &address, sizeof address);
    };
    CHECK(of(SYS_connect, "link") == tree.path + "/file");
    CHECK(of(SYS_connect, "missing") == "");
    CHECK(of(SYS_bind, "dir/socket") == tree.path + "/dir/socket");
    CHECK(of(SYS_bind, "link") == tree.path + "/link");
}

TEST_CASE("which calls open a place only") {
    const Tree tree;
    const auto opens_place = [&](long number, auto... arguments) {
        Supervised process{policy.program(), [&] { return ::syscall(number, arguments...) == 0 ? 0 : 1; }};
        Pending call;
        process.receive(call);
        const bool found = sg::supervise::opens_place(call);
        process.listener.answer(call.id, 0, 0);
        CHECK(process.exit_code() == 0);
        return found;
    };
    const open_how how{O_PATH, 0, 0};
    const open_how plain{O_RDONLY, 0, 0};
    CHECK(opens_place(SYS_openat, AT_FDCWD, "x", O_PATH, 0));
    CHECK_FALSE(opens_place(SYS_openat, AT_FDCWD, "x", O_RDONLY, 0));
    CHECK(opens_place(SYS_openat2, AT_FDCWD, "x", &how, sizeof how));
    CHECK_FALSE(opens_place(SYS_openat2, AT_FDCWD, "x", &plain, sizeof plain));
    CHECK_FALSE(opens_place(SYS_unlinkat, AT_FDCWD, "x", O_PATH));
}
