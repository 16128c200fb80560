#include <sysguard/supervise/perform/extended_attributes.hpp>

#include "performing.hpp"
#include "support/reach.hpp"
#include "support/skip.hpp"

#include <sys/xattr.h>

using namespace performing;

namespace {

bool has_attributes(Pair& pair) {
    return pair.same(SYS_setxattr, {std::string{"file"}, std::string{"user.probe"}, Bytes{"x"}, 1L, 0L}) != -EOPNOTSUPP;
}

struct Args {
    std::uint64_t value;
    std::uint32_t size;
    std::uint32_t flags;
};

}  // namespace

TEST_CASE("attributes of every kind of path") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        if (!has_attributes(pair)) SYSGUARD_SKIP("no extended attributes here");
        for (const char* path : {"file",
                                 "dir",
                                 "dir/",
                                 "file/",
                                 "to_file",
                                 "to_dir/inner",
                                 "dangling",
                                 "loop",
                                 "missing",
                                 "",
                                 "closed/x",
                                 "read_only",
                                 "fifo",
                                 "absolute",
                                 "@/file",
                                 "/proc/self/fd/20",
                                 "/proc/self/fd/22",
                                 "/proc/self/cwd/file",
                                 "chain39",
                                 "chain40"}) {
            for (const char* name : {"user.one", "user.", "nonsense", "", "trusted.x", "security.x"}) {
                pair.same(SYS_setxattr, {std::string{path}, std::string{name}, Bytes{"value"}, 5L, 0L});
                pair.same(SYS_lsetxattr,
                          {std::string{path}, std::string{name}, Bytes{"other"}, 5L, long{XATTR_REPLACE}});
                pair.same(SYS_getxattr, {std::string{path}, std::string{name}, Room{64}, 64L});
                pair.same(SYS_getxattr, {std::string{path}, std::string{name}, Room{2}, 2L});
                pair.same(SYS_getxattr, {std::string{path}, std::string{name}, nullptr, 0L});
                pair.same(SYS_lgetxattr, {std::string{path}, std::string{name}, Room{64}, 64L});
            }
            pair.same(SYS_listxattr, {std::string{path}, Room{512}, 512L});
            pair.same(SYS_llistxattr, {std::string{path}, Room{512}, 512L});
            pair.same(SYS_listxattr, {std::string{path}, nullptr, 0L});
            pair.same(SYS_lremovexattr, {std::string{path}, std::string{"user.one"}});
            pair.same(SYS_removexattr, {std::string{path}, std::string{"user.one"}});
        }
    });
}

TEST_CASE("attributes of descriptors") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    Pair pair;
    if (!has_attributes(pair)) SYSGUARD_SKIP("no extended attributes here");
    for (const int fd : {file_fd, directory_fd, link_fd, path_fd, closed_fd}) {
        pair.same(SYS_fsetxattr, {long{fd}, std::string{"user.one"}, Bytes{"value"}, 5L, 0L});
        pair.same(SYS_fgetxattr, {long{fd}, std::string{"user.one"}, Room{64}, 64L});
        pair.same(SYS_flistxattr, {long{fd}, Room{512}, 512L});
        pair.same(SYS_fremovexattr, {long{fd}, std::string{"user.one"}});
    }
}

TEST_CASE("arguments that are wrong") {
    Pair pair;
    if (!has_attributes(pair)) SYSGUARD_SKIP("no extended attributes here");
    const std::string file = "file";
    const std::string name = "user.one";
    pair.same(SYS_setxattr, {file, Unreadable{}, Bytes{"x"}, 1L, 0L});
    pair.same(SYS_setxattr, {file, name, Unreadable{}, 1L, 0L});
    pair.same(SYS_setxattr, {file, name, Bytes{"x"}, 1L, 8L});
    pair.same(SYS_setxattr, {file, name, nullptr, 0L, 0L});
    pair.same(SYS_setxattr, {file, name, Bytes{"x"}, 65537L, 0L});
    pair.same(SYS_setxattr, {std::string{"missing"}, std::string(300, 'n'), Bytes{"x"}, 1L, 0L});
    pair.same(SYS_setxattr, {Unreadable{}, name, Bytes{"x"}, 1L, 0L});
    pair.same(SYS_getxattr, {file, std::string(300, 'n'), Room{4}, 4L});
}

TEST_CASE("the calls with a directory") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    if (::syscall(sg::sys::listxattrat, AT_FDCWD, ".", 0, nullptr, 0) < 0 && errno == ENOSYS)
        SYSGUARD_SKIP("needs Linux 6.13");
    Pair pair;
    if (!has_attributes(pair)) SYSGUARD_SKIP("no extended attributes here");
    const std::string name = "user.at";
    for (const int fd : {int{AT_FDCWD}, directory_fd, file_fd, path_fd, closed_fd})
        for (const char* path : {"file", "inner", "", "to_file", "missing"})
            for (const int flags : {0, int{AT_EMPTY_PATH}, int{AT_SYMLINK_NOFOLLOW}, 1 << 20}) {
                pair.same(sg::sys::listxattrat, {long{fd}, std::string{path}, long{flags}, Room{512}, 512L});
                pair.same(sg::sys::removexattrat,
                          {long{fd}, std::string{path}, long{flags}, std::string{"user.probe"}});
            }

    // The value lies in the worker's memory: here, the second slot.
    const std::string tree = pair.trees().performed();
    Worker& worker = pair.worker();
    const Bytes set = bytes_of(Args{4096, 5, 0});
    CHECK(
        worker.perform(sg::sys::setxattrat, {long{AT_FDCWD}, std::string{"file"}, 0L, name, set, 16L}, nullptr, "value")
            .result == 0);
    char value[16] = {};
    CHECK(::getxattr((tree + "/file").c_str(), name.c_str(), value, sizeof value) == 5);
    CHECK(std::string{value} == "value");
    CHECK(
        worker.perform(sg::sys::setxattrat, {long{AT_FDCWD}, std::string{"file"}, 0L, name, set, 15L}, nullptr, "value")
            .result == -EINVAL);
    CHECK(
        worker.perform(sg::sys::setxattrat, {long{AT_FDCWD}, std::string{"missing"}, 0L, name, set, 16L}, nullptr, "v")
            .result == -ENOENT);
    CHECK(worker
              .perform(sg::sys::setxattrat, {long{AT_FDCWD}, std::string{"file"}, 0L, name, Unreadable{}, 16L}, nullptr,
                       "v")
              .result == -EFAULT);
    const Bytes get = bytes_of(Args{4096, 16, 0});
    const Answer got =
        worker.perform(sg::sys::getxattrat, {long{AT_FDCWD}, std::string{"to_file"}, 0L, name, get, 16L});
    CHECK(got.result == 5);
    CHECK(got.out[5] == "value");
    const Answer size = worker.perform(sg::sys::getxattrat,
                                       {long{AT_FDCWD}, std::string{"file"}, 0L, name, bytes_of(Args{0, 0, 0}), 16L});
    CHECK(size.result == 5);
}
