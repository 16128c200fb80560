#include <sysguard/supervise/perform/file_status.hpp>

#include "performing.hpp"
#include "support/reach.hpp"
#include "support/skip.hpp"

using namespace performing;

namespace {

const Room stat_room{sizeof(struct stat)};
const Room statx_room{sizeof(struct statx)};
const Room statfs_room{sizeof(struct statfs)};

}  // namespace

TEST_CASE("status of every kind of path") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        std::vector<std::string> list = paths();
        list.push_back("fifo");
        for (const std::string& path : list) {
            for (const int flags :
                 {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 1 << 20}) {
                pair.same(SYS_newfstatat, {long{AT_FDCWD}, path, stat_room, long{flags}});
                pair.same(SYS_statx, {long{AT_FDCWD}, path, long{flags}, long{STATX_BASIC_STATS}, statx_room});
            }
            for (const int mode : {F_OK, R_OK, W_OK, X_OK, R_OK | W_OK | X_OK, 8}) {
                if (is_own_descriptors(path) && (mode & W_OK) != 0) continue;
                pair.same(SYS_faccessat, {long{AT_FDCWD}, path, long{mode}});
                for (const int flags : {0, AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, 1 << 20})
                    pair.same(SYS_faccessat2, {long{AT_FDCWD}, path, long{mode}, long{flags}});
            }
            for (const int size : {-1, 0, 3, 4096})
                pair.same(SYS_readlinkat, {long{AT_FDCWD}, path, Room{4096}, long{size}});
            pair.same(SYS_statfs, {path, statfs_room});
        }
    });
}

TEST_CASE("status of descriptors, and of what they are the directories of") {
    Pair pair;
    for (const int fd : {file_fd, directory_fd, link_fd, path_fd, closed_fd, int{AT_FDCWD}, -1}) {
        pair.same(SYS_fstat, {long{fd}, stat_room});
        pair.same(SYS_fstatfs, {long{fd}, statfs_room});
        for (const char* path : {"", "inner", "..", "file"}) {
            for (const int flags : {0, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW}) {
                pair.same(SYS_newfstatat, {long{fd}, std::string{path}, stat_room, long{flags}});
                pair.same(SYS_statx, {long{fd}, std::string{path}, long{flags}, long{STATX_BASIC_STATS}, statx_room});
                pair.same(SYS_faccessat2, {long{fd}, std::string{path}, long{R_OK}, long{flags}});
            }
            pair.same(SYS_readlinkat, {long{fd}, std::string{path}, Room{4096}, 4096L});
        }
        pair.same(SYS_newfstatat, {long{fd}, nullptr, stat_room, long{AT_EMPTY_PATH}});
        pair.same(SYS_statx, {long{fd}, nullptr, long{AT_EMPTY_PATH}, long{STATX_BASIC_STATS}, statx_room});
        pair.same(SYS_newfstatat, {long{fd}, nullptr, stat_room, 0L});
    }
}

TEST_CASE("what cannot be read or written") {
    Pair pair;
    const std::string path = "file";
    pair.same(SYS_newfstatat, {long{AT_FDCWD}, Unreadable{}, stat_room, 0L});
    pair.same(SYS_newfstatat, {long{AT_FDCWD}, Unreadable{}, stat_room, 1L << 20});
    pair.same(SYS_newfstatat, {long{AT_FDCWD}, path, nullptr, 0L});
    pair.same(SYS_newfstatat, {long{AT_FDCWD}, std::string{"missing"}, nullptr, 0L});
    pair.same(SYS_fstat, {long{file_fd}, nullptr});
    pair.same(SYS_statx, {long{AT_FDCWD}, Unreadable{}, 0L, long{STATX_BASIC_STATS}, statx_room});
    pair.same(SYS_statx, {long{AT_FDCWD}, path, 0L, 1L << 31, statx_room});
    pair.same(SYS_statx, {long{AT_FDCWD}, path, 0x6000L, long{STATX_BASIC_STATS}, statx_room});
    pair.same(SYS_readlinkat, {long{AT_FDCWD}, Unreadable{}, Room{64}, 64L});
    pair.same(SYS_readlinkat, {long{AT_FDCWD}, std::string{"to_file"}, nullptr, 64L});
    pair.same(SYS_faccessat, {long{AT_FDCWD}, Unreadable{}, 0L});
    pair.same(SYS_statfs, {Unreadable{}, statfs_room});
    pair.same(SYS_fstatfs, {long{file_fd}, nullptr});
}

#if defined(__x86_64__)
TEST_CASE("the calls without a directory") {
    Pair pair;
    for (const std::string& path : paths()) {
        pair.same(SYS_stat, {path, stat_room});
        pair.same(SYS_lstat, {path, stat_room});
        if (!is_own_descriptors(path)) pair.same(SYS_access, {path, long{R_OK | W_OK}});
        pair.same(SYS_readlink, {path, Room{4096}, 4096L});
    }
}
#endif

TEST_CASE("access is asked with the worker's real ids") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    Pair pair{[] {
        if (::setgroups(0, nullptr) != 0 || ::setresuid(65534, 0, 0) != 0) ::_exit(1);
    }};
    CHECK(pair.same(SYS_faccessat2, {long{AT_FDCWD}, std::string{"closed/x"}, long{R_OK}, 0L}) == -EACCES);
    CHECK(pair.same(SYS_faccessat2, {long{AT_FDCWD}, std::string{"closed/x"}, long{R_OK}, long{AT_EACCESS}}) == 0);
    CHECK(pair.same(SYS_faccessat2, {long{AT_FDCWD}, std::string{"file"}, long{W_OK}, long{AT_EACCESS}}) == 0);
    CHECK(pair.same(SYS_faccessat2, {long{AT_FDCWD}, std::string{"file"}, long{W_OK}, 0L}) == -EACCES);
}

TEST_CASE("links on procfs read as they do in the worker's root") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    Trees trees;
    const std::string tree = trees.performed();
    REQUIRE(::mkdir((tree + "/proc").c_str(), 0755) == 0);
    Worker worker{[&] {
        settle(tree);
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("proc", "proc", "proc", 0, nullptr) != 0 || ::chroot(".") != 0 || ::chdir("/dir") != 0)
            ::_exit(1);
        ::dup2(::open("/dir/inner", O_RDONLY), closed_fd);
    }};
    for (const std::string path : {"/proc/self", "/proc/thread-self", "/proc/self/cwd", "/proc/self/root",
                                   "/proc/self/fd/24", "/proc/self/exe", "/proc/mounts", "/proc/self/ns/user"}) {
        CAPTURE(path);
        const Answer native = worker.make(SYS_readlinkat, {long{AT_FDCWD}, path, Room{4096}, 4096L});
        const Answer got = worker.perform(SYS_readlinkat, {long{AT_FDCWD}, std::string{path}, Room{4096}, 4096L});
        CHECK(got.result == native.result);
        CHECK(got.out[2] == native.out[2].substr(0, static_cast<std::size_t>(native.result)));
    }
}
