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

TEST_CASE("what takes part in a comparison is a run of low bits, and a part of what a mask looks at") {
    for (const abi::TypeInfo& info : abi::type_infos) {
        CAPTURE(std::string{info.name});
        CHECK((info.compared & (info.compared + 1)) == 0);
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
    const long read = ::syscall(SYS_process_vm_readv, ::getpid(), &local, 1 | high_bit, &remote, 1, 0);
    if (read < 0 && (errno == ENOSYS || errno == EPERM)) SYSGUARD_SKIP("process_vm_readv is not allowed here");
    CHECK(read == 1);
    CHECK(::syscall(SYS_process_vm_readv, ::getpid(), &local, 1, &remote, 1 | high_bit, 0) < 0);
}

TEST_CASE("live: the descriptor of mmap is read as 32 bits") {
    CHECK(abi::find(SYS_mmap)->arguments[4].type == abi::Type::fd);
    TemporaryFile file;
    REQUIRE(::ftruncate(file.fd, 4096) == 0);
    const long at = ::syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, file.fd | high_bit, 0);
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
        ::syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | unknown, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(page != MAP_FAILED);
    *static_cast<volatile int*>(page) = 1;
    CHECK(::mprotect(page, 4096, PROT_READ | 0x100) == -1);
    ::munmap(page, 4096);

    constexpr sg::Policy exact{sg::policy::Rule<SYS_mmap>{sg::arg::prot == (PROT_READ | PROT_WRITE)}.deny(EACCES),
                               sg::otherwise.allow()};
    CHECK(exact.decide<SYS_mmap>(0, 4096, PROT_READ | PROT_WRITE | unknown, 0, -1, 0) == sg::Action::deny);
}

TEST_CASE("live: mprotect reads all 64 bits of its protection") {
    void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    CHECK(::syscall(SYS_mprotect, page, 4096, PROT_READ | high_bit) < 0);
    ::munmap(page, 4096);
}
