#include "made.hpp"

#include <doctest/doctest.h>

#include "support/scratch.hpp"

#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

// Expected texts are what strace 6.1 writes of the same calls.

using rendered::answered;
using rendered::einval;
using rendered::entered;
using rendered::hex;
using rendered::made;
using rendered::refused;

namespace {

const void* const nowhere = reinterpret_cast<const void*>(8);

}  // namespace

TEST_CASE("opening: flags by their names, a mode only where a file may be made") {
    CHECK(refused(SYS_openat, {AT_FDCWD, "f", O_RDWR | O_CREAT | O_TRUNC, 0644}) ==
          "openat(AT_FDCWD, \"f\", O_RDWR|O_CREAT|O_TRUNC, 0644)" + einval);
    CHECK(refused(SYS_openat, {AT_FDCWD, "f", O_RDONLY, 0644}) == "openat(AT_FDCWD, \"f\", O_RDONLY)" + einval);
    CHECK(refused(SYS_openat, {99, "f", 0x3f000003, 0}) == "openat(99, \"f\", O_ACCMODE|0x3f000000)" + einval);
    CHECK(refused(SYS_openat, {AT_FDCWD, nullptr, O_RDWR | O_TMPFILE, 0600}) ==
          "openat(AT_FDCWD, NULL, O_RDWR|O_TMPFILE, 0600)" + einval);
    CHECK(refused(SYS_openat, {AT_FDCWD, nowhere, O_WRONLY | O_CREAT, 07777}, EFAULT) ==
          "openat(AT_FDCWD, 0x8, O_WRONLY|O_CREAT, 07777) = -1 EFAULT (Bad address)");
    CHECK(refused(SYS_openat, {AT_FDCWD, "", O_ASYNC | O_SYNC | O_PATH, 0}, ENOENT) ==
          "openat(AT_FDCWD, \"\", O_RDONLY|O_SYNC|O_PATH|FASYNC) = -1 ENOENT (No such file or directory)");
}

TEST_CASE("openat2's structure, of any size") {
    struct {
        open_how how;
        std::uint64_t more;
    } given{{O_CREAT | 0x8000000000, 0644, 0x1f}, 0};
    CHECK(refused(SYS_openat2, {AT_FDCWD, "f", &given, 24}) ==
          "openat2(AT_FDCWD, \"f\", {flags=O_RDONLY|O_CREAT|0x8000000000, mode=0644, resolve=RESOLVE_NO_XDEV|"
          "RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS|RESOLVE_BENEATH|RESOLVE_IN_ROOT}, 24)" +
              einval);
    given = {{}, 1};
    CHECK(refused(SYS_openat2, {AT_FDCWD, "f", &given, 32}, E2BIG) ==
          "openat2(AT_FDCWD, \"f\", {flags=O_RDONLY, resolve=0, /* bytes 24..31 */ "
          "\"\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"}, 32) = -1 E2BIG (Argument list too long)");
    CHECK(refused(SYS_openat2, {AT_FDCWD, "f", nowhere, 3}) == "openat2(AT_FDCWD, \"f\", 0x8, 3)" + einval);
}

TEST_CASE("paths are written whole, strings as much as is wanted") {
    const std::string longest(4095, 'x');
    CHECK(refused(SYS_chdir, {longest.c_str()}) == "chdir(\"" + longest + "\")" + einval);
    const std::string longer(5000, 'x');
    CHECK(refused(SYS_chdir, {longer.c_str()}) == "chdir(\"" + longest + "\"...)" + einval);
    CHECK(refused(SYS_memfd_create, {longer.c_str(), 2}) ==
          "memfd_create(\"" + std::string(32, 'x') + "\"..., MFD_ALLOW_SEALING)" + einval);
}

TEST_CASE("bytes that cannot be printed are written as strace does") {
    char bytes[] = "x\t\n\r\x1b\v\f\"\\\x7f\xff\0001\0002";
    CHECK(answered(SYS_write, {1, bytes, 16}, 16) ==
          "write(1, \"x\\t\\n\\r\\33\\v\\f\\\"\\\\\\177\\377\\0001\\0002\\0\", 16) = 16");
    CHECK(answered(SYS_read, {0, bytes, 100}, 3) == "read(0, \"x\\t\\n\", 100) = 3");
    CHECK(answered(SYS_read, {0, bytes, 100}, 0) == "read(0, \"\", 100) = 0");
    CHECK(answered(SYS_read, {0, bytes, 100}, -EIO) ==
          "read(0, " + hex(bytes) + ", 100) = -1 EIO (Input/output error)");
    CHECK(answered(SYS_write, {1, nullptr, 0}, 0) == "write(1, NULL, 0) = 0");
    CHECK(answered(SYS_write, {1, nowhere, 5}, -EFAULT) == "write(1, 0x8, 5) = -1 EFAULT (Bad address)");
    const std::string many(50, 'a');
    CHECK(answered(SYS_write, {1, many.c_str(), 50}, 50) == "write(1, \"" + std::string(32, 'a') + "\"..., 50) = 50");
    char random[3] = {1, '\x2b', '\xff'};
    CHECK(answered(SYS_getrandom, {random, 3, 1}, 3) == "getrandom(\"\\x01\\x2b\\xff\", 3, GRND_NONBLOCK) = 3");
}

TEST_CASE("vectors of buffers") {
    char one[] = "one";
    char two[] = "twotwo";
    const iovec vector[] = {{one, 3}, {two, 6}};
    CHECK(answered(SYS_writev, {1, vector, 2}, 9) ==
          "writev(1, [{iov_base=\"one\", iov_len=3}, {iov_base=\"twotwo\", iov_len=6}], 2) = 9");
    CHECK(answered(SYS_readv, {0, vector, 2}, 5) ==
          "readv(0, [{iov_base=\"one\", iov_len=3}, {iov_base=\"tw\", iov_len=6}], 2) = 5");
    CHECK(answered(SYS_readv, {0, vector, 2}, 0) ==
          "readv(0, [{iov_base=\"\", iov_len=3}, {iov_base=\"\", iov_len=6}], 2) = 0");
    CHECK(answered(SYS_readv, {0, vector, 1}, -EBADF) ==
          "readv(0, [{iov_base=" + hex(one) + ", iov_len=3}], 1) = -1 EBADF (Bad file descriptor)");
    CHECK(answered(SYS_readv, {99, nowhere, 2}, -EBADF) == "readv(99, 0x8, 2) = -1 EBADF (Bad file descriptor)");
    CHECK(answered(SYS_preadv, {0, vector, 1, 3, 0}, 3) == "preadv(0, [{iov_base=\"one\", iov_len=3}], 1, 3) = 3");
    CHECK(answered(SYS_pwritev2, {0, vector, 1, -1, -1, 0x1f}, -EOPNOTSUPP) ==
          "pwritev2(0, [{iov_base=\"one\", iov_len=3}], 1, -1, RWF_HIPRI|RWF_DSYNC|RWF_SYNC|RWF_NOWAIT|RWF_APPEND)"
          " = -1 EOPNOTSUPP (Operation not supported)");
}

TEST_CASE("the status of files: the most important of it, all where that is wanted") {
    struct stat status {};
    status.st_mode = S_IFREG | S_ISUID | 0755;
    status.st_size = 44579;
    CHECK(answered(SYS_fstat, {3, &status}, 0) == "fstat(3, {st_mode=S_IFREG|S_ISUID|0755, st_size=44579, ...}) = 0");
    status.st_mode = S_IFCHR | 0666;
    status.st_rdev = 0x103;
    CHECK(answered(SYS_newfstatat, {AT_FDCWD, "/dev/null", &status, 0x1100}, 0) ==
          "newfstatat(AT_FDCWD, \"/dev/null\", {st_mode=S_IFCHR|0666, st_rdev=makedev(0x1, 0x3), ...}, "
          "AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH) = 0");
    CHECK(answered(SYS_newfstatat, {AT_FDCWD, "x", &status, 0x91000000}, -EINVAL) ==
          "newfstatat(AT_FDCWD, \"x\", " + hex(&status) + ", 0x91000000 /* AT_??? */)" + einval);
    rendered::render::Options all = rendered::bare();
    all.all_fields = true;
    status = {};
    status.st_mode = S_IFREG | 0600;
    status.st_uid = 5;
    CHECK(answered(SYS_fstat, {3, &status}, 0, all) ==
          "fstat(3, {st_dev=makedev(0, 0), st_ino=0, st_mode=S_IFREG|0600, st_nlink=0, st_uid=5, st_gid=0, "
          "st_blksize=0, st_blocks=0, st_size=0, st_atime=0, st_atime_nsec=0, st_mtime=0, st_mtime_nsec=0, "
          "st_ctime=0, st_ctime_nsec=0}) = 0");
    struct statx wide {};
    wide.stx_mask = 0x17ff;
    wide.stx_mode = S_IFDIR | 0700;
    wide.stx_size = 77;
    CHECK(answered(SYS_statx, {AT_FDCWD, "/", 0x100, 0xfff, &wide}, 0) ==
          "statx(AT_FDCWD, \"/\", AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW, STATX_ALL, "
          "{stx_mask=STATX_BASIC_STATS|STATX_MNT_ID, stx_attributes=0, stx_mode=S_IFDIR|0700, stx_size=77, ...}) = 0");
    struct statfs system {};
    system.f_type = 0x9fa0;
    system.f_bsize = 4096;
    system.f_flags = 0x1020;
    CHECK(answered(SYS_statfs, {"/proc", &system}, 0) ==
          "statfs(\"/proc\", {f_type=PROC_SUPER_MAGIC, f_bsize=4096, f_blocks=0, f_bfree=0, f_bavail=0, f_files=0, "
          "f_ffree=0, f_fsid={val=[0, 0]}, f_namelen=0, f_frsize=0, f_flags=ST_VALID|ST_RELATIME}) = 0");
}

TEST_CASE("modes are octal, devices by their two numbers") {
    CHECK(refused(SYS_mkdirat, {AT_FDCWD, "x", 01777}) == "mkdirat(AT_FDCWD, \"x\", 01777)" + einval);
    CHECK(refused(SYS_fchmodat, {AT_FDCWD, "x", 0}) == "fchmodat(AT_FDCWD, \"x\", 000)" + einval);
    CHECK(refused(SYS_fchmod, {3, 07}) == "fchmod(3, 007)" + einval);
    CHECK(refused(SYS_mknodat, {AT_FDCWD, "x", S_IFREG | 0644, 0}) ==
          "mknodat(AT_FDCWD, \"x\", S_IFREG|0644)" + einval);
    CHECK(refused(SYS_mknodat, {AT_FDCWD, "x", S_IFBLK | 1, 0x80012345}) ==
          "mknodat(AT_FDCWD, \"x\", S_IFBLK|001, makedev(0x123, 0x80045))" + einval);
    CHECK(refused(SYS_mknodat, {AT_FDCWD, "x", 0170000, 5}) == "mknodat(AT_FDCWD, \"x\", 0170000)" + einval);
    CHECK(answered(SYS_umask, {077777}, 022) == "umask(077777) = 022");
    CHECK(answered(SYS_umask, {0}, 0) == "umask(000) = 000");
    CHECK(refused(SYS_fchown, {3, -1, 5}) == "fchown(3, -1, 5)" + einval);
}

TEST_CASE("directories' entries are counted, links read") {
    const int directory = ::open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY);
    REQUIRE(directory >= 0);
    char buffer[2048];
    const std::string text = made(SYS_getdents64, {directory, buffer, sizeof buffer});
    CHECK(text.find("getdents64(" + std::to_string(directory) + ", " + hex(buffer) + " /* ") == 0);
    CHECK(text.find(" entries */, 2048) = ") != std::string::npos);
    CHECK(made(SYS_getdents64, {directory, buffer, sizeof buffer}).find(" /* 0 entries */") != std::string::npos);
    ::close(directory);
    CHECK(made(SYS_readlinkat, {AT_FDCWD, "/proc/self/fd/nothing", buffer, 100}) ==
          "readlinkat(AT_FDCWD, \"/proc/self/fd/nothing\", " + hex(buffer) +
              ", 100) = -1 ENOENT (No such file or directory)");
    std::strcpy(buffer, "/usr/bin");
    CHECK(answered(SYS_readlinkat, {AT_FDCWD, "/bin", buffer, 100}, 8) ==
          "readlinkat(AT_FDCWD, \"/bin\", \"/usr/bin\", 100) = 8");
    CHECK(answered(SYS_getcwd, {buffer, 100}, 9) == "getcwd(\"/usr/bin\", 100) = 9");
    CHECK(answered(SYS_getcwd, {buffer, 1}, -ERANGE) ==
          "getcwd(" + hex(buffer) + ", 1) = -1 ERANGE (Numerical result out of range)");
}

TEST_CASE("descriptors have their paths, also those that a call gives") {
    rendered::render::Options options;
    const int null = ::open("/dev/null", O_RDONLY);
    REQUIRE(null >= 0);
    const std::string self = std::to_string(null) + "</dev/null>";
    CHECK(made(SYS_fsync, {null}, options) == "fsync(" + self + ") = -1 EINVAL (Invalid argument)");
    const std::string copied = made(SYS_dup, {null}, options);
    CHECK(copied.find("dup(" + self + ") = ") == 0);
    CHECK(copied.substr(copied.size() - 11) == "</dev/null>");
    CHECK(made(SYS_fsync, {-1}, options) == "fsync(-1) = -1 EBADF (Bad file descriptor)");
    const support::Scratch scratch;
    const std::string odd = scratch.path() + "/a<b>\n";
    const int file = ::open(odd.c_str(), O_RDWR | O_CREAT, 0600);
    REQUIRE(file >= 0);
    const std::string name = scratch.path() + "/a\\74b\\76\\n";
    CHECK(made(SYS_fsync, {file}, options) == "fsync(" + std::to_string(file) + "<" + name + ">) = 0");
    ::unlink(odd.c_str());
    CHECK(made(SYS_fsync, {file}, options) == "fsync(" + std::to_string(file) + "<" + name + ">(deleted)) = 0");
    ::close(file);
    ::close(null);
}

TEST_CASE("locks, leases and the other commands of fcntl") {
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_len = 10;
    CHECK(answered(SYS_fcntl, {3, F_SETLK, &lock}, 0) ==
          "fcntl(3, F_SETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=10}) = 0");
    CHECK(answered(SYS_fcntl, {3, F_GETLK, &lock}, 0) ==
          "fcntl(3, F_GETLK, {l_type=F_RDLCK, l_whence=SEEK_SET, l_start=0, l_len=10, l_pid=0}) = 0");
    CHECK(answered(SYS_fcntl, {3, F_GETFL}, 0x8002) == "fcntl(3, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)");
    CHECK(answered(SYS_fcntl, {3, F_GETFD}, 1) == "fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)");
    CHECK(answered(SYS_fcntl, {3, F_SETFD, 3}, 0) == "fcntl(3, F_SETFD, FD_CLOEXEC|0x2) = 0");
    CHECK(answered(SYS_fcntl, {3, F_DUPFD, 100}, 100) == "fcntl(3, F_DUPFD, 100) = 100");
    CHECK(answered(SYS_fcntl, {3, 0x401, 0}, 2) == "fcntl(3, F_GETLEASE) = 0x2 (F_UNLCK)");
    CHECK(answered(SYS_fcntl, {3, F_GETSIG}, 10) == "fcntl(3, F_GETSIG) = 10 (SIGUSR1)");
    CHECK(refused(SYS_fcntl, {3, 99, 7}) == "fcntl(3, 0x63 /* F_??? */, 0x7)" + einval);
    CHECK(refused(SYS_fcntl, {3, F_SETLKW, nowhere}, EFAULT) == "fcntl(3, F_SETLKW, 0x8) = -1 EFAULT (Bad address)");
}

TEST_CASE("times of files, with their dates") {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    const timespec times[] = {{1, 2}, {0, UTIME_OMIT}};
    CHECK(refused(SYS_utimensat, {AT_FDCWD, "a", times, 0x100}) ==
          "utimensat(AT_FDCWD, \"a\", [{tv_sec=1, tv_nsec=2} /* 1970-01-01T00:00:01.000000002+0000 */, UTIME_OMIT], "
          "AT_SYMLINK_NOFOLLOW)" +
              einval);
    CHECK(refused(SYS_utimensat, {AT_FDCWD, "a", nullptr, 0}) == "utimensat(AT_FDCWD, \"a\", NULL, 0)" + einval);
}

TEST_CASE("extended attributes, mounts and marks") {
    CHECK(refused(SYS_setxattr, {"f", "user.a", "val", 3, 9}) ==
          "setxattr(\"f\", \"user.a\", \"val\", 3, XATTR_CREATE|0x8)" + einval);
    CHECK(refused(SYS_mount, {"src", "/m", "tmpfs", 0x400, "mode=1"}) ==
          "mount(\"src\", \"/m\", \"tmpfs\", MS_NOATIME, \"mode=1\")" + einval);
    CHECK(refused(SYS_mount, {nullptr, "/m", nullptr, 0xc0ed0020, nullptr}) ==
          "mount(NULL, \"/m\", NULL, MS_MGC_VAL|MS_REMOUNT, NULL)" + einval);
    CHECK(refused(SYS_umount2, {"/m", 0x1f}) ==
          "umount2(\"/m\", MNT_FORCE|MNT_DETACH|MNT_EXPIRE|UMOUNT_NOFOLLOW|0x10)" + einval);
    CHECK(refused(SYS_inotify_add_watch, {3, "/tmp", 0x80000003}) ==
          "inotify_add_watch(3, \"/tmp\", IN_ACCESS|IN_MODIFY|IN_ONESHOT)" + einval);
    CHECK(refused(SYS_fanotify_mark, {3, 1, 0x8000000040000000, AT_FDCWD, nullptr}) ==
          "fanotify_mark(3, FAN_MARK_ADD, FAN_ONDIR|0x8000000000000000, AT_FDCWD, NULL)" + einval);
    CHECK(refused(SYS_fanotify_init, {5, O_CLOEXEC}) ==
          "fanotify_init(FAN_CLASS_CONTENT|FAN_CLOEXEC, O_RDONLY|O_CLOEXEC)" + einval);
    CHECK(refused(SYS_fsconfig, {6, 2, "k", "\1\2", 2}) ==
          "fsconfig(6, FSCONFIG_SET_BINARY, \"k\", \"\\x01\\x02\", 2)" + einval);
    CHECK(refused(SYS_swapon, {"/n", 0x1ffff}) == "swapon(\"/n\", SWAP_FLAG_PREFER|SWAP_FLAG_DISCARD|32767)" + einval);
    CHECK(refused(SYS_renameat2, {AT_FDCWD, "a", AT_FDCWD, "b", 0x18}) ==
          "renameat2(AT_FDCWD, \"a\", AT_FDCWD, \"b\", 0x18 /* RENAME_?? */)" + einval);
    CHECK(refused(SYS_faccessat2, {AT_FDCWD, "/", 8, 1}) ==
          "faccessat2(AT_FDCWD, \"/\", 0x8 /* ?_OK */, 0x1 /* AT_??? */)" + einval);
    CHECK(refused(SYS_close_range, {5, 4, 9}) == "close_range(5, 4, 0x9 /* CLOSE_RANGE_??? */)" + einval);
}

TEST_CASE("requests of ioctl by their names") {
    winsize size{24, 80, 0, 0};
    CHECK(answered(SYS_ioctl, {0, 0x5413, &size}, 0) ==
          "ioctl(0, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0");
    CHECK(refused(SYS_ioctl, {0, 0x5413, &size}, ENOTTY) ==
          "ioctl(0, TIOCGWINSZ, " + hex(&size) + ") = -1 ENOTTY (Inappropriate ioctl for device)");
    CHECK(refused(SYS_ioctl, {3, 0xc0101234, 7}) ==
          "ioctl(3, _IOC(_IOC_READ|_IOC_WRITE, 0x12, 0x34, 0x10), 0x7)" + einval);
    int one = 1;
    CHECK(answered(SYS_ioctl, {3, 0x5421, &one}, 0) == "ioctl(3, FIONBIO, [1]) = 0");
    CHECK(answered(SYS_ioctl, {3, 0x541b, &one}, 0) == "ioctl(3, FIONREAD, [1]) = 0");
    CHECK(answered(SYS_ioctl, {3, 0x5451, 0}, 0) == "ioctl(3, FIOCLEX) = 0");
    CHECK(answered(SYS_ioctl, {3, 0x5412, "a"}, 0) == "ioctl(3, TIOCSTI, \"a\") = 0");
    const unsigned terminal[9] = {0x2d02, 5, 0x4bf, 0x8a3b};
    CHECK(answered(SYS_ioctl, {0, 0x5401, terminal}, 0) ==
          "ioctl(0, TCGETS, {c_iflag=BRKINT|ICRNL|IXON|IXANY|IMAXBEL, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, "
          "c_cflag=B38400|CS8|CREAD|HUPCL, c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|IEXTEN|ECHOCTL|ECHOKE, ...}) = 0");
}
