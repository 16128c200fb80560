#include <sysguard/supervise/perform/open_files.hpp>

#include "performing.hpp"
#include "support/reach.hpp"
#include "support/skip.hpp"

using namespace performing;

namespace {

constexpr int flag_sets[] = {
    O_RDONLY,
    O_WRONLY,
    O_RDWR | O_APPEND,
    O_RDONLY | O_DIRECTORY,
    O_RDONLY | O_NOFOLLOW,
    O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
    O_PATH,
    O_PATH | O_NOFOLLOW,
    O_PATH | O_NOFOLLOW | O_DIRECTORY,
    O_PATH | O_CREAT,
    O_WRONLY | O_TRUNC,
    O_WRONLY | O_CREAT,
    O_RDONLY | O_CREAT,
    O_RDWR | O_CREAT | O_EXCL,
    O_WRONLY | O_CREAT | O_NOFOLLOW,
    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
    O_WRONLY | O_CREAT | O_TRUNC,
    O_RDWR | O_CREAT | O_DIRECTORY,
    O_RDWR | O_TMPFILE,
    O_RDWR | O_TMPFILE | O_EXCL,
    O_RDONLY | O_TMPFILE,
    O_RDWR | O_TMPFILE | O_NOFOLLOW,
    O_ACCMODE,
};

}  // namespace

TEST_CASE("every way to open, on every kind of path, is as the worker's own") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        for (const int flags : flag_sets) {
            CAPTURE(flags);
            const int waiting = (flags & O_PATH) == 0 ? O_NONBLOCK : 0;
            for (const std::string& path : paths()) {
                if ((flags & O_TMPFILE) == O_TMPFILE && is_own_descriptors(path)) continue;
                pair.same(SYS_openat, {long{AT_FDCWD}, path, long{flags | waiting}, 0666L});
            }
            pair.same(SYS_openat, {long{AT_FDCWD}, std::string{"fifo"}, long{flags | waiting}, 0666L});
            pair.same_trees();
        }
    });
}

TEST_CASE("a path that is relative to a descriptor") {
    Pair pair;
    for (const int directory : {directory_fd, file_fd, link_fd, path_fd, closed_fd, -1})
        for (const char* path : {"inner", "../file", "new", "", ".", "/", "@/file", "missing/x"})
            for (const int flags : {O_RDONLY, O_RDWR | O_CREAT, O_PATH})
                pair.same(SYS_openat, {long{directory}, std::string{path}, long{flags}, 0600L});
    pair.same_trees();
}

TEST_CASE("arguments that are wrong are wrong in the kernel's order") {
    Pair pair;
    for (const int flags : {O_RDONLY, O_RDWR | O_TMPFILE, O_RDONLY | O_TMPFILE, O_CREAT | O_DIRECTORY}) {
        pair.same(SYS_openat, {long{AT_FDCWD}, Unreadable{}, long{flags}, 0L});
        pair.same(SYS_openat, {long{AT_FDCWD}, nullptr, long{flags}, 0L});
        pair.same(SYS_openat, {long{closed_fd}, std::string{}, long{flags}, 0L});
    }
}

#if defined(__x86_64__)
TEST_CASE("open and creat") {
    Pair pair;
    for (const std::string& path : paths()) {
        pair.same(SYS_open, {path, long{O_RDONLY | O_NONBLOCK}, 0L});
        pair.same(SYS_creat, {path, 0640L});
    }
    pair.same_trees();
}
#endif

TEST_CASE("new files get the worker's umask") {
    const int mask = 0137;
    Pair pair{[] { ::umask(mask); }};
    pair.same(SYS_openat, {long{AT_FDCWD}, std::string{"new"}, long{O_RDWR | O_CREAT}, 0777L});
    pair.same_trees();
    struct stat status;
    REQUIRE(::stat((pair.trees().performed() + "/new").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == (0777 & ~mask));
}

TEST_CASE("openat2 with every way to resolve") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    for_each_user([](Pair& pair) {
        const std::uint64_t resolves[] = {0,
                                          RESOLVE_NO_SYMLINKS,
                                          RESOLVE_NO_MAGICLINKS,
                                          RESOLVE_BENEATH,
                                          RESOLVE_IN_ROOT,
                                          RESOLVE_NO_XDEV,
                                          RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
                                          RESOLVE_BENEATH | RESOLVE_NO_XDEV,
                                          RESOLVE_BENEATH | RESOLVE_IN_ROOT,
                                          1 << 20};
        for (const std::uint64_t resolve : resolves)
            for (const int flags : {O_RDONLY | O_NONBLOCK, O_RDWR | O_CREAT, O_PATH | O_NOFOLLOW}) {
                CAPTURE(resolve);
                const open_how how{static_cast<std::uint64_t>(flags), (flags & O_CREAT) != 0 ? 0600U : 0U, resolve};
                for (const std::string& path : paths())
                    pair.same(SYS_openat2, {long{AT_FDCWD}, path, bytes_of(how), long{sizeof how}});
                for (const char* path : {"inner", "../file", "/inner", "/../file", "..", "."})
                    if (path[0] != '/' || how.mode == 0 || (resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)) != 0)
                        pair.same(SYS_openat2,
                                  {long{directory_fd}, std::string{path}, bytes_of(how), long{sizeof how}});
            }
        pair.same_trees();
    });
}

TEST_CASE("the sizes of openat2's structure") {
    Pair pair;
    const open_how how{O_RDONLY, 0, 0};
    const std::string path = "file";
    for (const std::size_t size : {0UL, 8UL, 23UL, 24UL, 32UL, 4096UL, 4097UL, 100000UL})
        for (const bool is_zero : {true, false}) {
            Bytes bytes = bytes_of(how);
            bytes.bytes.resize(size < 24 ? 24 : size);
            if (!is_zero && size > 24) bytes.bytes.back() = 1;
            pair.same(SYS_openat2, {long{AT_FDCWD}, path, bytes, static_cast<long>(size)});
        }
    pair.same(SYS_openat2, {long{AT_FDCWD}, path, Unreadable{}, 24L});
    pair.same(SYS_openat2, {long{AT_FDCWD}, path, nullptr, 24L});
    pair.same(SYS_openat2, {long{AT_FDCWD}, path, bytes_of(open_how{std::uint64_t{1} << 40, 0, 0}), 24L});
    pair.same(SYS_openat2, {long{AT_FDCWD}, path, bytes_of(open_how{O_RDONLY, 0600, 0}), 24L});
    pair.same(SYS_openat2, {long{AT_FDCWD}, path, bytes_of(open_how{O_CREAT, 010000, 0}), 24L});
    const open_how cached{O_RDONLY, 0, RESOLVE_CACHED};
    CHECK(pair.worker().perform(SYS_openat2, {long{AT_FDCWD}, path, bytes_of(cached), 24L}).result == -EAGAIN);
}

TEST_CASE("the terminal of the host is not the worker's") {
    Pair pair;
    CHECK(pair.same(SYS_openat, {long{AT_FDCWD}, std::string{"/dev/tty"}, long{O_RDWR}, 0L}) < 0);
    CHECK(pair.same(SYS_openat, {long{AT_FDCWD}, std::string{"/dev/tty"}, long{O_RDWR | O_CREAT}, 0L}) < 0);
}

TEST_CASE("a path that leads elsewhere than decided is refused") {
    Pair pair;
    const std::string tree = pair.trees().performed();
    const auto open = [&](const char* path, int flags, const std::string& decided) {
        return pair.worker().perform(SYS_openat, {long{AT_FDCWD}, path, long{flags}, 0600L}, decided.c_str()).result;
    };
    CHECK(open("file", O_RDONLY, tree + "/file") == 0);
    CHECK(open("to_file", O_RDONLY, tree + "/file") == 0);
    CHECK(open("to_file", O_RDONLY, tree + "/to_file") == -EACCES);
    CHECK(open("to_dir/../file", O_RDONLY, tree + "/file") == 0);
    CHECK(open("dangling", O_RDWR | O_CREAT, tree + "/other") == -EACCES);
    CHECK(open("dangling", O_RDWR | O_CREAT, tree + "/missing") == 0);
    CHECK(open("/proc/self/fd/20", O_RDONLY, tree + "/file") == 0);
    CHECK(open("/proc/self/fd/20", O_RDONLY, tree + "/dir") == -EACCES);
    CHECK(open(".", O_RDONLY, tree) == 0);
    CHECK(open("/", O_RDONLY, "/") == 0);
}

TEST_CASE("a link that comes and goes never leads to what was not decided") {
    Trees trees;
    const std::string tree = trees.performed();
    Worker worker{[&] { settle(tree); }};
    Trees::write(tree + "/secret", "secret");
    Trees::write(tree + "/spare", "spare");
    REQUIRE(::symlink("secret", (tree + "/trap").c_str()) == 0);
    const pid_t swapper = ::fork();
    if (swapper == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::chdir(tree.c_str()) != 0) ::_exit(1);
        for (;;) ::syscall(SYS_renameat2, AT_FDCWD, "spare", AT_FDCWD, "trap", 2);  // RENAME_EXCHANGE
    }
    int opened = 0;
    int refused = 0;
    for (int i = 0; i < 2000; ++i) {
        const int flags = i % 2 == 0 ? O_RDONLY : O_RDWR | O_CREAT;
        const Answer answer = worker.perform(SYS_openat, {long{AT_FDCWD}, std::string{"spare"}, long{flags}, 0600L},
                                             (tree + "/spare").c_str());
        if (answer.place.find("secret") != std::string::npos) FAIL("opened " << answer.place);
        answer.result == 0 ? ++opened : ++refused;
        const bool gave_up = (flags & O_CREAT) != 0 && answer.result == -ELOOP;  // it changed at every look
        if (answer.result != 0 && answer.result != -EACCES && !gave_up) FAIL("answered " << answer.result);
    }
    ::kill(swapper, SIGKILL);
    ::waitpid(swapper, nullptr, 0);
    CHECK(opened > 0);
    CHECK(refused > 0);
}

TEST_CASE("a worker in another root cannot leave it") {
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    Trees trees;
    const std::string tree = trees.performed();
    const std::string jail = tree + "/dir";
    REQUIRE(::symlink("/../../file", (jail + "/out").c_str()) == 0);
    REQUIRE(::symlink("../../../../../../file", (jail + "/up").c_str()) == 0);
    REQUIRE(::symlink("/inner", (jail + "/in").c_str()) == 0);
    Worker worker{[&] {
        settle(tree);
        if (::chroot(jail.c_str()) != 0 || ::chdir("/") != 0) ::_exit(1);
    }};
    const auto open = [&](const char* path, const char* decided = nullptr) {
        return worker.perform(SYS_openat, {long{AT_FDCWD}, std::string{path}, long{O_RDONLY}, 0L}, decided);
    };
    for (const char* path : {"out", "up", "../file", "/../file", "/file", "../../../../etc/passwd", "/etc/passwd"})
        CHECK(open(path).result == -ENOENT);
    for (const char* path : {"in", "inner", "/inner", "/../inner", "../../inner"}) {
        CHECK(open(path, "/inner").result == 0);
        CHECK(open(path).place == jail + "/inner");
    }
    CHECK(open("/..", "/").place == jail);
}

TEST_CASE("another user's link in a directory that all may write to") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    Pair pair{become_nobody};
    for (const std::string& tree : {pair.trees().native(), pair.trees().performed()})
        for (const char* link : {"/sticky/link", "/to_dir"}) REQUIRE(::lchown((tree + link).c_str(), 1234, 1234) == 0);
    for (const char* path : {"sticky/link", "sticky/link/", "sticky/../sticky/link", "to_dir", "to_dir/inner"})
        for (const int flags : {O_RDONLY, O_PATH | O_NOFOLLOW, O_RDONLY | O_NOFOLLOW, O_RDWR | O_CREAT})
            pair.same(SYS_openat, {long{AT_FDCWD}, std::string{path}, long{flags}, 0600L});
}
