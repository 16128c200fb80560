#include <sysguard/abi/table.hpp>
#include <sysguard/abi/types.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include "support/skip.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <set>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace abi = sysguard::abi;
namespace sg = sysguard;

namespace {

constexpr long high_bit = 1L << 32;

/// A file of its own, removed at the end.
struct TemporaryFile {
    TemporaryFile() { fd = ::mkstemp(path); }
    ~TemporaryFile() {
        ::close(fd);
        ::unlink(path);
    }
    mode_t mode() const {
        struct stat info {};
        ::fstat(fd, &info);
        return info.st_mode & 07777;
    }
    char path[32] = "/tmp/sysguard-test-XXXXXX";
    int fd = -1;
};

}  // namespace

TEST_CASE("every type is some argument's, or of what one leads to, and has a meaning") {
    std::set<abi::Type> used{abi::Type::port};  // of a socket address
    for (const abi::Syscall& call : abi::syscalls)
        for (int i = 0; i < call.argument_count(); ++i) used.insert(call.arguments[i].type);
    CHECK(used.size() == std::size(abi::type_infos));
    for (const abi::TypeInfo& info : abi::type_infos) CHECK(std::strlen(info.meaning) > 0);
}

TEST_CASE("what takes part in a comparison is a part of what a mask looks at, and of a number a run of low bits") {
    for (const abi::TypeInfo& info : abi::type_infos) {
        CAPTURE(std::string{info.name});
        if (info.kind == abi::TypeInfo::Kind::number) CHECK((info.compared & (info.compared + 1)) == 0);
        CHECK((info.compared & ~info.tested) == 0);
    }
}

TEST_CASE("signs") {
    CHECK(abi::info(abi::Type::int32).is_signed);
    CHECK(abi::info(abi::Type::fd).is_signed);
    CHECK(abi::info(abi::Type::pid).is_signed);
    CHECK(abi::info(abi::Type::offset).is_signed);
    CHECK_FALSE(abi::info(abi::Type::uint32).is_signed);
    CHECK_FALSE(abi::info(abi::Type::size).is_signed);
    CHECK_FALSE(abi::info(abi::Type::uid).is_signed);
}

// What follows shows, live, that the kernel reads no more of a register than the type says: with other bits set the
// call does the same.

TEST_CASE("live: int arguments are read as 32 bits") {
    const long fd = ::syscall(SYS_socket, AF_INET | high_bit, SOCK_STREAM | high_bit, high_bit);
    CHECK(fd >= 0);
    ::close(static_cast<int>(fd));
}

TEST_CASE("live: the descriptor and the count of readv, declared unsigned long, are read as 32 bits") {
    CHECK(abi::find(SYS_readv)->arguments[0].type == abi::Type::fd);
    CHECK(abi::find(SYS_readv)->arguments[2].type == abi::Type::uint32);
    TemporaryFile file;
    REQUIRE(::write(file.fd, "abcd", 4) == 4);
    char byte = 0;
    iovec part{&byte, 1};
    ::lseek(file.fd, 0, SEEK_SET);
    CHECK(::syscall(SYS_readv, file.fd | high_bit, &part, 1) == 1);
    CHECK(::syscall(SYS_readv, file.fd, &part, 1 | high_bit) == 1);
    CHECK(::syscall(SYS_preadv, file.fd | high_bit, &part, 1 | high_bit, 0, 0) == 1);
    CHECK(::syscall(SYS_writev, file.fd | high_bit, &part, 1 | high_bit) == 1);
    CHECK(::syscall(SYS_pwritev, file.fd | high_bit, &part, 1 | high_bit, 0, 0) == 1);
}

TEST_CASE("live: the local count of process_vm_readv is read as 32 bits, the remote one as 64") {
    char byte = 1;
    char copy = 0;
    iovec remote{&byte, 1};
    iovec local{&copy, 1};
    const long read = ::syscall(SYS_process_vm_readv, ::getpid(), &local, 1 | high_bit, &remote, 1, 0L);
    if (read < 0 && (errno == ENOSYS || errno == EPERM)) SYSGUARD_SKIP("process_vm_readv is not allowed here");
    CHECK(read == 1);
    CHECK(::syscall(SYS_process_vm_readv, ::getpid(), &local, 1, &remote, 1 | high_bit, 0L) < 0);
}

TEST_CASE("live: the descriptor of mmap is read as 32 bits") {
    CHECK(abi::find(SYS_mmap)->arguments[4].type == abi::Type::fd);
    TemporaryFile file;
    REQUIRE(::ftruncate(file.fd, 4096) == 0);
    const long at = ::syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, file.fd | high_bit, 0L);
    REQUIRE(at > 0);
    ::munmap(reinterpret_cast<void*>(at), 4096);
}

TEST_CASE("live: the flags of clone are read as 32 bits") {
    CHECK(abi::find(SYS_clone)->arguments[0].type == abi::Type::clone_flags);
    const long pid = ::syscall(SYS_clone, SIGCHLD | high_bit, 0, 0, 0, 0);
    if (pid == 0) ::_exit(7);
    REQUIRE(pid > 0);
    int status = 0;
    CHECK(::waitpid(static_cast<pid_t>(pid), &status, 0) == pid);
    CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("live: ptrace reads all of its request, and 32 bits of the pid") {
    CHECK(abi::find(SYS_ptrace)->arguments[0].type == abi::Type::int64);
    CHECK(abi::find(SYS_ptrace)->arguments[1].type == abi::Type::pid);
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const long seized = ::syscall(SYS_ptrace, PTRACE_SEIZE, child | high_bit, 0, 0);
    const int reason = errno;
    const long wrong = ::syscall(SYS_ptrace, PTRACE_SEIZE | high_bit, child, 0, 0);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    if (seized < 0 && (reason == ENOSYS || reason == EPERM)) SYSGUARD_SKIP("ptrace is not allowed here");
    CHECK(seized == 0);
    CHECK(wrong < 0);
}

TEST_CASE("live: of a mode, chmod reads the permissions and nothing else") {
    TemporaryFile file;
    CHECK(::syscall(SYS_fchmod, file.fd, 0xffff0000L | 0100000 | 0640) == 0);
    CHECK(file.mode() == 0640);
    CHECK(::syscall(SYS_fchmodat, AT_FDCWD, file.path, high_bit | 0170000 | 0600) == 0);
    CHECK(file.mode() == 0600);
}

TEST_CASE("live: of a mode, open reads the permissions and nothing else") {
    TemporaryFile file;
    ::unlink(file.path);
    ::umask(0);
    const long fd = ::syscall(SYS_openat, AT_FDCWD, file.path, O_CREAT | O_EXCL | O_RDWR, 0170000 | 0x10000 | 0604);
    REQUIRE(fd >= 0);
    struct stat info {};
    ::fstat(static_cast<int>(fd), &info);
    ::close(static_cast<int>(fd));
    CHECK((info.st_mode & 07777) == 0604);
}

TEST_CASE("live: of a mode, mkdir reads neither set-id bits nor a file type") {
    CHECK(abi::info(abi::Type::directory_mode).compared == 01777);
    char path[] = "/tmp/sysguard-test-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    REQUIRE(::rmdir(path) == 0);
    ::umask(0);
    REQUIRE(::syscall(SYS_mkdirat, AT_FDCWD, path, 0176000 | 0x10000 | 0705) == 0);
    struct stat info {};
    ::stat(path, &info);
    ::rmdir(path);
    CHECK((info.st_mode & 05777) == 0705);  // a set-group-id directory above gives that bit
}

TEST_CASE("live: of a mode, mknod reads 16 bits") {
    TemporaryFile file;
    ::unlink(file.path);
    ::umask(0);
    REQUIRE(::syscall(SYS_mknodat, AT_FDCWD, file.path, 0x10000 | S_IFIFO | 0606, 0) == 0);
    struct stat info {};
    ::stat(file.path, &info);
    CHECK(info.st_mode == (S_IFIFO | 0606));
}

TEST_CASE("live: umask reads nine bits") {
    ::syscall(SYS_umask, 0xfffff000L | 07000 | 0123);
    CHECK(::umask(0) == 0123);
}

TEST_CASE("live: the type of a socket is its low four bits, and a flag above them does not make it another") {
    CHECK(abi::info(abi::Type::socket_type).compared == 0xf);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(fd >= 0);
    int type = 0;
    socklen_t size = sizeof type;
    CHECK(::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0);
    CHECK(type == SOCK_STREAM);
    ::close(fd);
    CHECK(::socket(AF_UNIX, SOCK_STREAM | 0x20, 0) == -1);
}

TEST_CASE("live: mmap ignores bits of its protection that it does not know") {
    CHECK((abi::info(abi::Type::map_protection).compared & 0x100) == 0);
    constexpr long unknown = 0x100 | high_bit;
    void* const page = reinterpret_cast<void*>(
        ::syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | unknown, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L));
    REQUIRE(page != MAP_FAILED);
    *static_cast<volatile int*>(page) = 1;
    CHECK(::mprotect(page, 4096, PROT_READ | 0x100) == -1);
    ::munmap(page, 4096);

    constexpr sg::Policy exact{sg::policy::Rule<SYS_mmap>{sg::arg::prot == (PROT_READ | PROT_WRITE)}.deny(EACCES),
                               sg::otherwise.allow()};
    CHECK(exact.decide<SYS_mmap>(0, 4096, PROT_READ | PROT_WRITE | unknown, 0, -1, 0) == sg::Action::deny);
}

TEST_CASE("live: open ignores bits of its flags that it does not know, and O_LARGEFILE") {
    constexpr std::uint64_t known = abi::info(abi::Type::open_flags).compared;
    CHECK(known == (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | O_ASYNC |
                    O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE));
    TemporaryFile file;
    const auto open = [&](long flags) {
        const long fd = ::syscall(SYS_openat, AT_FDCWD, file.path, flags, 0);
        const int kept = ::fcntl(static_cast<int>(fd), F_GETFL);
        ::close(static_cast<int>(fd));
        return kept;
    };
    const int plain = open(O_WRONLY);
    REQUIRE(plain >= 0);
    for (int bit = 0; bit < 64; ++bit)
        if ((known >> bit & 1) == 0) CHECK(open(O_WRONLY | 1L << bit) == plain);

    constexpr sg::Policy exact{sg::Rule<SYS_openat>{sg::arg::flags == O_WRONLY}.deny(EACCES), sg::otherwise.allow()};
    static_assert(exact.decide<SYS_openat>(0, nullptr, O_WRONLY | 8, 0) == sg::Action::deny);
    static_assert(exact.decide<SYS_openat>(0, nullptr, O_WRONLY | 0xff800000, 0) == sg::Action::deny);
    static_assert(exact.decide<SYS_openat>(0, nullptr, O_WRONLY | O_CLOEXEC, 0) == sg::Action::allow);
    constexpr sg::Policy strict{sg::Rule<SYS_openat>{(sg::arg::flags & ~O_CLOEXEC) == 0}.allow(), sg::otherwise.kill()};
    CHECK(strict.decide<SYS_openat>(0, nullptr, 8, 0) == sg::Action::kill);
}

TEST_CASE("live: open_by_handle_at ignores them too") {
    constexpr std::uint64_t known = abi::info(abi::Type::open_flags).compared;
    TemporaryFile file;
    alignas(file_handle) char room[sizeof(file_handle) + 128]{};
    auto* const handle = reinterpret_cast<file_handle*>(room);
    handle->handle_bytes = 128;
    int mount = 0;
    if (::name_to_handle_at(AT_FDCWD, file.path, handle, &mount, 0) < 0) SYSGUARD_SKIP("no handles of files here");
    const auto open = [&](long flags) {
        const long fd = ::syscall(SYS_open_by_handle_at, file.fd, handle, flags);
        const int kept = fd < 0 ? -errno : ::fcntl(static_cast<int>(fd), F_GETFL);
        ::close(static_cast<int>(fd));
        return kept;
    };
    const int plain = open(O_WRONLY);
    if (plain < 0) SYSGUARD_SKIP("open_by_handle_at is not allowed here");
    for (int bit = 0; bit < 64; ++bit)
        if ((known >> bit & 1) == 0) CHECK(open(O_WRONLY | 1L << bit) == plain);
}

TEST_CASE("live: mq_open opens the same, whatever bits that it does not know are set") {
    constexpr std::uint64_t known = abi::info(abi::Type::open_flags).compared;
    CHECK(abi::find(SYS_mq_open)->arguments[1].type == abi::Type::open_flags);
    const std::string name = "sysguard-test-" + std::to_string(::getpid());
    const auto open = [&](long flags) { return ::syscall(SYS_mq_open, name.c_str(), flags, 0600, nullptr); };
    const long made = open(O_CREAT | O_EXCL | O_RDWR);
    if (made < 0) SYSGUARD_SKIP("message queues are not allowed here");
    ::close(static_cast<int>(made));
    for (int bit = 0; bit < 64; ++bit) {
        if ((known >> bit & 1) != 0) continue;
        const long fd = open(O_WRONLY | 1L << bit);
        CHECK(fd >= 0);
        CHECK((::fcntl(static_cast<int>(fd), F_GETFL) & O_ACCMODE) == O_WRONLY);
        ::close(static_cast<int>(fd));
    }
    ::syscall(SYS_mq_unlink, name.c_str());
}

TEST_CASE("live: dup3 and pipe2 read all 32 bits of their flags") {
    CHECK(abi::find(SYS_dup3)->arguments[2].type == abi::Type::new_fd_flags);
    CHECK(abi::find(SYS_pipe2)->arguments[1].type == abi::Type::new_fd_flags);
    CHECK(abi::info(abi::Type::new_fd_flags).compared == 0xffffffff);
    TemporaryFile file;
    int ends[2];
    CHECK(::syscall(SYS_dup3, file.fd, 200, 8) == -1);
    CHECK(::syscall(SYS_pipe2, ends, 8) == -1);
    CHECK(::syscall(SYS_dup3, file.fd, 200, O_CLOEXEC | high_bit) == 200);
    CHECK(::syscall(SYS_pipe2, ends, O_CLOEXEC | high_bit) == 0);
    for (const int fd : {200, ends[0], ends[1]}) ::close(fd);
}

TEST_CASE("live: mmap ignores bits of its flags that it does not know, or refuses them with MAP_SHARED_VALIDATE") {
    constexpr std::uint64_t known = abi::info(abi::Type::map_flags).compared;
    TemporaryFile file;
    REQUIRE(::ftruncate(file.fd, 4096) == 0);
    const auto maps = [&](long flags) {
        const int fd = (flags & MAP_ANONYMOUS) != 0 ? -1 : file.fd;
        const long at = ::syscall(SYS_mmap, 0, 4096, PROT_READ, flags, fd, 0L);
        if (at != -1) ::munmap(reinterpret_cast<void*>(at), 4096);
        return at != -1;
    };
    CHECK(maps(MAP_SHARED_VALIDATE));
    for (int bit = 0; bit < 64; ++bit) {
        const long flag = 1L << bit;
        if ((known >> bit & 1) != 0) continue;
        CAPTURE(bit);
        CHECK(maps(MAP_PRIVATE | MAP_ANONYMOUS | flag));
        CHECK(maps(MAP_SHARED | MAP_ANONYMOUS | flag));
        CHECK(maps(MAP_PRIVATE | flag));
        CHECK(maps(MAP_SHARED | flag));
        CHECK(maps(MAP_SHARED_VALIDATE | flag) == ((flag & (MAP_DENYWRITE | MAP_EXECUTABLE)) != 0));
    }

    constexpr sg::Policy exact{sg::Rule<SYS_mmap>{sg::arg::flags == (MAP_SHARED | MAP_ANONYMOUS)}.deny(EPERM),
                               sg::otherwise.allow()};
    static_assert(exact.decide<SYS_mmap>(0, 1, 1, MAP_SHARED | MAP_ANONYMOUS | high_bit, -1, 0) == sg::Action::deny);
    static_assert(exact.decide<SYS_mmap>(0, 1, 1, MAP_SHARED | MAP_ANONYMOUS | 0x200, -1, 0) == sg::Action::deny);
    CHECK(exact.decide<SYS_mmap>(0, 1, 1, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == sg::Action::allow);
}

TEST_CASE("live: mmap reads a size of huge pages beside MAP_HUGETLB only") {
    constexpr int usual = MAP_PRIVATE | MAP_ANONYMOUS;
    for (int bit = 26; bit < 32; ++bit) {
        const long at = ::syscall(SYS_mmap, 0, 4096, PROT_READ, usual | 1L << bit, -1, 0L);
        CHECK(at != -1);
        ::munmap(reinterpret_cast<void*>(at), 4096);
    }
    constexpr long no_such_size = 1L << 26;
    CHECK(::syscall(SYS_mmap, 0, 4096, PROT_READ, usual | MAP_HUGETLB | no_such_size, -1, 0L) == -1);

    using sg::Rule, sg::Action;
    constexpr sg::Policy small{Rule<SYS_mmap>{sg::arg::flags == usual}.deny(EPERM), sg::otherwise.allow()};
    static_assert(small.decide<SYS_mmap>(0, 1, 1, usual | no_such_size, -1, 0) == Action::deny);
    static_assert(small.decide<SYS_mmap>(0, 1, 1, usual | MAP_HUGETLB, -1, 0) == Action::allow);
    constexpr sg::Policy huge{Rule<SYS_mmap>{sg::arg::flags.in(usual | MAP_HUGETLB)}.allow(), sg::otherwise.kill()};
    static_assert(huge.decide<SYS_mmap>(0, 1, 1, usual | MAP_HUGETLB, -1, 0) == Action::allow);
    static_assert(huge.decide<SYS_mmap>(0, 1, 1, usual | MAP_HUGETLB | 30L << 26, -1, 0) == Action::kill);
    constexpr sg::Policy size{Rule<SYS_mmap>{sg::arg::flags == (usual | MAP_HUGETLB | 30 << 26)}.allow(),
                              sg::otherwise.kill()};
    CHECK(size.decide<SYS_mmap>(0, 1, 1, usual | MAP_HUGETLB | 30L << 26 | high_bit, -1, 0) == Action::allow);
}

TEST_CASE("live: of its flags, remap_file_pages reads MAP_NONBLOCK") {
    CHECK(abi::info(abi::Type::remap_flags).compared == MAP_NONBLOCK);
    TemporaryFile file;
    REQUIRE(::ftruncate(file.fd, 8192) == 0);
    void* const pages = ::mmap(nullptr, 8192, PROT_READ, MAP_SHARED, file.fd, 0);
    REQUIRE(pages != MAP_FAILED);
    const long remapped = ::syscall(SYS_remap_file_pages, pages, 4096, 0, 1, ~long{MAP_NONBLOCK});
    const int reason = errno;
    ::munmap(pages, 8192);
    if (remapped < 0 && (reason == ENOSYS || reason == EPERM)) SYSGUARD_SKIP("remap_file_pages is not allowed here");
    CHECK(remapped == 0);
}

TEST_CASE("live: mprotect reads all 64 bits of its protection") {
    void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    CHECK(::syscall(SYS_mprotect, page, 4096, PROT_READ | high_bit) < 0);
    ::munmap(page, 4096);
}
