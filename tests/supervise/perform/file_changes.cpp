#include <sysguard/supervise/perform/file_changes.hpp>

#include "performing.hpp"
#include "support/reach.hpp"
#include "support/skip.hpp"

using namespace performing;

TEST_CASE("making and removing, on every kind of path") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        std::vector<std::string> list = paths();
        for (const char* path :
             {"new", "new/", "dir/new", "to_dir/new", "dir/../new2", "fifo", "closed/new", "sticky/new"})
            list.emplace_back(path);
        for (const std::string& path : list) {
            pair.same(SYS_mkdirat, {long{AT_FDCWD}, path, 0777L});
            pair.same(SYS_mkdirat, {long{AT_FDCWD}, path, 01750L});
            pair.same(SYS_unlinkat, {long{AT_FDCWD}, path, 1L << 20});
            pair.same_trees();
        }
        for (const std::string& path : list) pair.same(SYS_symlinkat, {std::string{"target"}, long{AT_FDCWD}, path});
        for (const int mode : {S_IFREG | 0640, S_IFIFO | 0644, S_IFSOCK | 0600, S_IFDIR | 0755, S_IFCHR | 0600, 0600})
            for (const char* path : {"node", "dir/node", "to_dir/node", "closed/node", "missing/node"})
                pair.same(SYS_mknodat, {long{AT_FDCWD}, path + std::to_string(mode), long{mode}, 0x103L});
        for (const std::string& path : list) pair.same(SYS_mknodat, {long{AT_FDCWD}, path, long{S_IFREG | 0600}, 0L});
        pair.same_trees();
        for (const std::string& path : list)
            if (path != "@/file" && path.rfind("/dev", 0) != 0 && !is_own_descriptors(path))
                pair.same(SYS_unlinkat, {long{AT_FDCWD}, path, long{path.size() % 2 == 0 ? 0 : AT_REMOVEDIR}});
        pair.same_trees();
    });
}

TEST_CASE("removing files and directories") {
    for (const int flags : {0, int{AT_REMOVEDIR}}) {
        Pair pair;
        for (const std::string& path : paths())
            if (path.rfind("/dev", 0) != 0 && !is_own_descriptors(path))
                pair.same(SYS_unlinkat, {long{AT_FDCWD}, path, long{flags}});
        pair.same_trees();
    }
}

TEST_CASE("renaming") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        std::vector<std::string> froms{
            "file",      "dir",        "dir/",  "file/", "to_file", "to_dir/",      "missing",
            ".",         "..",         "/",     "",      "loop/x",  "closed/x",     "fifo",
            "chain41/x", "/proc/self", "empty", "deep",  "@/file",  "to_dir/inner", "/dev/fd/21/inner"};
        const std::vector<std::string> tos{
            "moved", "moved/", "dir", "dir/",     "file",    "empty/",      "to_file",      "missing/x",
            ".",     "/",      "",    "closed/x", "@/moved", "dir/inner/x", "/proc/self/x", "dir/sub"};
        for (const std::string& from : froms)
            for (const std::string& to : tos)
                for (const long flags : {0, 1, 2, 3, 8}) {
                    pair.same(SYS_renameat2, {long{AT_FDCWD}, from, long{AT_FDCWD}, to, flags});
                    pair.same_trees();
                }
        pair.same(SYS_renameat2, {long{AT_FDCWD}, Unreadable{}, long{AT_FDCWD}, std::string{"x"}, 0L});
        pair.same(SYS_renameat2, {long{AT_FDCWD}, std::string{"missing"}, long{AT_FDCWD}, Unreadable{}, 0L});
        pair.same(SYS_renameat2, {long{directory_fd}, std::string{"inner"}, long{closed_fd}, std::string{"x"}, 0L});
        pair.same(SYS_renameat2, {long{directory_fd}, std::string{"inner"}, long{file_fd}, std::string{"x"}, 0L});
        pair.same_trees();
    });
}

TEST_CASE("linking") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        int count = 0;
        for (const std::string& from : paths())
            for (const int flags : {0, int{AT_SYMLINK_FOLLOW}, 1 << 20}) {
                if (from.find("status") != from.npos) continue;
                pair.same(SYS_linkat,
                          {long{AT_FDCWD}, from, long{AT_FDCWD}, "linked" + std::to_string(count++), long{flags}});
                pair.same(SYS_linkat, {long{AT_FDCWD}, from, long{AT_FDCWD}, std::string{"file"}, long{flags}});
                pair.same(SYS_linkat, {long{AT_FDCWD}, from, long{AT_FDCWD}, std::string{"missing/x"}, long{flags}});
            }
        for (const char* to : {"", ".", "/", "new/", "dir", "dir/", "to_file", "dangling", "closed/new"})
            pair.same(SYS_linkat, {long{AT_FDCWD}, std::string{"file"}, long{AT_FDCWD}, std::string{to}, 0L});
        pair.same_trees();
    });
}

TEST_CASE("linking a descriptor's file") {
    Pair pair;
    for (const int fd : {file_fd, directory_fd, link_fd, path_fd, closed_fd})
        pair.same(SYS_linkat,
                  {long{fd}, std::string{}, long{AT_FDCWD}, "linked" + std::to_string(fd), long{AT_EMPTY_PATH}});
    pair.same_trees();
}

TEST_CASE("what a link is to contain") {
    Pair pair;
    for (const Argument& target : {Argument{std::string{}}, Argument{Unreadable{}}, Argument{nullptr},
                                   Argument{std::string(4095, 't')}, Argument{std::string{"/"}}})
        for (const char* path : {"new", "file", "missing/x", ""})
            pair.same(SYS_symlinkat, {target, long{AT_FDCWD}, std::string{path}});
    pair.same(SYS_symlinkat, {std::string{"x"}, long{AT_FDCWD}, Unreadable{}});
    pair.same(SYS_symlinkat, {std::string{"x"}, long{directory_fd}, std::string{"new"}});
    pair.same(SYS_symlinkat, {std::string{"x"}, long{closed_fd}, std::string{"new"}});
    pair.same_trees();
}

#if defined(__x86_64__)
TEST_CASE("the calls without a directory") {
    Pair pair;
    pair.same(SYS_mkdir, {std::string{"made"}, 0700L});
    pair.same(SYS_mknod, {std::string{"node"}, long{S_IFREG | 0600}, 0L});
    pair.same(SYS_symlink, {std::string{"node"}, std::string{"made/link"}});
    pair.same(SYS_link, {std::string{"made/link"}, std::string{"hard"}});
    pair.same(SYS_rename, {std::string{"node"}, std::string{"made/node"}});
    pair.same(SYS_renameat, {long{directory_fd}, std::string{"inner"}, long{AT_FDCWD}, std::string{"outer"}});
    pair.same(SYS_rmdir, {std::string{"made"}});
    pair.same(SYS_rmdir, {std::string{"empty/"}});
    pair.same(SYS_rmdir, {std::string{"/"}});
    pair.same(SYS_unlink, {std::string{"hard"}});
    pair.same(SYS_unlink, {std::string{"/"}});
    pair.same(SYS_unlink, {std::string{"dir"}});
    pair.same_trees();
}
#endif

TEST_CASE("both paths of a call are compared with what was decided") {
    Pair pair;
    const std::string file = pair.trees().performed() + "/file";
    CHECK(pair.worker().perform(SYS_unlinkat, {long{AT_FDCWD}, std::string{"to_dir/inner"}, 0L}, file.c_str()).result ==
          -EACCES);
    CHECK(pair.worker().perform(SYS_unlinkat, {long{AT_FDCWD}, std::string{"dir/../file"}, 0L}, file.c_str()).result ==
          0);
}
