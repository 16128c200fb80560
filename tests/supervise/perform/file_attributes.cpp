#include <sysguard/supervise/perform/file_attributes.hpp>

#include "performing.hpp"

#include <sys/resource.h>
#include <sys/time.h>

#include "support/reach.hpp"

using namespace performing;

namespace {

/// Paths whose attributes may be changed by root without harm: those that lead into the tree, or nowhere.
std::vector<std::string> harmless_paths() {
    std::vector<std::string> list;
    for (const std::string& path : paths()) {
        const bool leaves = path.find("root") != path.npos || path.find("up") != path.npos ||
                            path.rfind("..", 0) == 0 || path.rfind("/dev/", 0) == 0 || path == "dir/.." ||
                            path == "file/..";
        const bool is_system = path.rfind("/proc", 0) == 0 && path.find("fd/2") == path.npos;
        const bool is_root = path.find_first_not_of("/.") == path.npos;
        if (!leaves && !is_system && (!is_root || path == "." || path.empty())) list.push_back(path);
    }
    for (const char* path : {"/proc/self/cwd/file", "/proc/self/fd/20", "/dev/fd/20", "/proc/self/mem"})
        if (std::string{path} != "/proc/self/mem") list.emplace_back(path);
    return list;
}

}  // namespace

TEST_CASE("modes, owners and sizes, on every kind of path") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        for (const std::string& path : harmless_paths()) {
            for (const int flags : {0, int{AT_SYMLINK_NOFOLLOW}, int{AT_EMPTY_PATH}, 1 << 20}) {
                if (path == "closed" || path == "closed/" || path == ".") continue;
                pair.same(sg::sys::fchmodat2, {long{AT_FDCWD}, path, 0755L, long{flags}});
                pair.same(SYS_fchownat, {long{AT_FDCWD}, path, 12L, -1L, long{flags}});
                pair.same(SYS_fchownat, {long{AT_FDCWD}, path, -1L, -1L, long{flags}});
            }
            if (path != "closed" && path != "closed/") pair.same(SYS_fchmodat, {long{AT_FDCWD}, path, 07751L});
            pair.same_trees();
        }
        for (const std::string& path : harmless_paths())
            for (const long length : {3L, -1L, 70000L}) pair.same(SYS_truncate, {path, length});
        pair.same_trees();
    });
}

TEST_CASE("attributes of descriptors") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    Pair pair;
    for (const int fd : {file_fd, directory_fd, link_fd, path_fd, closed_fd, int{AT_FDCWD}}) {
        pair.same(SYS_fchmod, {long{fd}, 0640L});
        pair.same(SYS_fchown, {long{fd}, -1L, -1L});
        pair.same(SYS_ftruncate, {long{fd}, 2L});
        pair.same(SYS_ftruncate, {long{fd}, -2L});
        pair.same(SYS_fchownat, {long{fd}, std::string{}, -1L, -1L, long{AT_EMPTY_PATH}});
        pair.same(sg::sys::fchmodat2, {long{fd}, std::string{}, 0600L, long{AT_EMPTY_PATH}});
    }
    pair.same_trees();
}

TEST_CASE("times") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    for_each_user([](Pair& pair) {
        const timespec sets[][2] = {{{1000, 5}, {2000, 6}},       {{0, UTIME_NOW}, {3000, 0}},
                                    {{0, UTIME_OMIT}, {4000, 0}}, {{0, UTIME_OMIT}, {0, UTIME_OMIT}},
                                    {{1, 1'000'000'000}, {1, 0}}, {{1, -1}, {1, 0}}};
        for (const std::string& path : harmless_paths())
            for (const int flags : {0, int{AT_SYMLINK_NOFOLLOW}, int{AT_EMPTY_PATH}, 1 << 20}) {
                for (const auto& times : sets)
                    pair.same(SYS_utimensat, {long{AT_FDCWD}, path, bytes_of(times), long{flags}});
                pair.same(SYS_utimensat, {long{AT_FDCWD}, path, Unreadable{}, long{flags}});
            }
        pair.same_trees();
        for (const std::string& path : harmless_paths()) pair.same(SYS_utimensat, {long{AT_FDCWD}, path, nullptr, 0L});
        for (const int fd : {file_fd, directory_fd, link_fd, path_fd, closed_fd, int{AT_FDCWD}})
            for (const int flags : {0, int{AT_SYMLINK_NOFOLLOW}, int{AT_EMPTY_PATH}}) {
                pair.same(SYS_utimensat, {long{fd}, nullptr, bytes_of(sets[0]), long{flags}});
                pair.same(SYS_utimensat, {long{fd}, std::string{}, bytes_of(sets[0]), long{flags}});
                pair.same(SYS_utimensat, {long{fd}, Unreadable{}, bytes_of(sets[0]), long{flags}});
            }
        pair.same_trees();
    });
}

#if defined(__x86_64__)
TEST_CASE("the calls without a directory") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    Pair pair;
    const timeval times[2] = {{1000, 5}, {2000, 6}};
    const timeval wrong[2] = {{1000, 5}, {2000, 1'000'000}};
    const utimbuf seconds{3000, 4000};
    for (const char* path : {"file", "missing", "loop", "to_file"}) {
        pair.same(SYS_chmod, {std::string{path}, 0600L});
        pair.same(SYS_chown, {std::string{path}, -1L, -1L});
        pair.same(SYS_lchown, {std::string{path}, -1L, -1L});
        pair.same(SYS_utimes, {std::string{path}, bytes_of(times)});
        pair.same(SYS_utimes, {std::string{path}, bytes_of(wrong)});
        pair.same(SYS_utimes, {std::string{path}, Unreadable{}});
        pair.same_trees();
        pair.same(SYS_utime, {std::string{path}, bytes_of(seconds)});
        pair.same(SYS_futimesat, {long{AT_FDCWD}, std::string{path}, bytes_of(times)});
        pair.same_trees();
    }
    pair.same(SYS_utime, {std::string{"file"}, nullptr});
    pair.same(SYS_futimesat, {long{file_fd}, nullptr, bytes_of(times)});
    pair.same(SYS_futimesat, {long{AT_FDCWD}, nullptr, bytes_of(times)});
    pair.same_trees();
}
#endif

TEST_CASE("a file does not grow beyond the worker's limit") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    Pair pair{[] {
        const rlimit limit{1000, 1000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }};
    CHECK(pair.same(SYS_truncate, {std::string{"file"}, 1000L}) == 0);
    CHECK(pair.same(SYS_truncate, {std::string{"file"}, 1001L}) == -EFBIG);
    CHECK(pair.same(SYS_ftruncate, {long{file_fd}, 1001L}) == -EFBIG);
}
