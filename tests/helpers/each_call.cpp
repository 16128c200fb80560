// Makes every call of the table: with pointers that lead nowhere and descriptors that are none, and by hand with what
// it accepts and with what is made to mislead who looks on. For the comparison of what is written of them with
// strace(1).
#include <sysguard/abi/table.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string_view>

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace abi = sysguard::abi;

namespace {

/// Calls that are not made, and why.
constexpr struct {
    std::string_view call;
    const char* reason;
} excluded[] = {
    {"exit", "ends the program"},
    {"exit_group", "ends the program, at its end"},
    {"rt_sigreturn", "takes registers from the stack"},
    {"pause", "waits for a signal"},
    {"fork", "starts a process: by hand"},
    {"vfork", "starts a process that shares the stack"},
    {"clone", "starts a process: by hand"},
    {"alarm", "ends the program in a while: by hand"},
    {"personality", "changes how the program runs: by hand"},
    {"reboot", "would end the machine, where it is allowed"},
    {"kexec_load", "would replace the kernel, where it is allowed"},
    {"kexec_file_load", "would replace the kernel, where it is allowed"},
    {"sync", "waits for all disks"},
    {"vhangup", "would hang up the terminal, where it is allowed"},
    {"sched_setaffinity", "changes where the program runs: by hand"},
    {"uprobe", "ends a program that has no probes"},
    {"uretprobe", "ends a program that has no probes"},
};

struct Value {
    std::uint64_t bits;

    Value(int number) : bits{static_cast<std::uint64_t>(std::int64_t{number})} {}
    Value(unsigned number) : bits{number} {}
    Value(long number) : bits{static_cast<std::uint64_t>(number)} {}
    Value(unsigned long number) : bits{number} {}
    Value(const void* address) : bits{reinterpret_cast<std::uint64_t>(address)} {}
    Value(std::nullptr_t) : bits{0} {}
};

long make(long number, std::initializer_list<Value> given) {
    std::uint64_t a[6] = {};
    std::size_t count = 0;
    for (const Value& value : given) a[count++] = value.bits;
    return ::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

alignas(16) char memory[1 << 17];
std::size_t used = 0;

/// Memory of zeroes.
char* room(std::size_t size = 256) {
    char* const at = memory + used;
    used += (size + 15) / 16 * 16;
    if (used > sizeof memory) ::abort();
    return at;
}

char* words(std::initializer_list<Value> values) {
    char* const at = room(values.size() * 8);
    std::size_t i = 0;
    for (const Value& value : values) std::memcpy(at + 8 * i++, &value.bits, 8);
    return at;
}

char* halves(std::initializer_list<unsigned> values) {
    char* const at = room(values.size() * 4);
    std::size_t i = 0;
    for (const unsigned value : values) std::memcpy(at + 4 * i++, &value, 4);
    return at;
}

const void* const nowhere = reinterpret_cast<const void*>(8);

bool is_excluded(std::string_view name) {
    for (const auto& each : excluded)
        if (each.call == name) return true;
    return false;
}

/// Every call, with nothing that it can use.
void bad() {
    for (const abi::Syscall& call : abi::syscalls) {
        if (call.number() < 0 || is_excluded(call.name)) continue;
        std::uint64_t a[6] = {};
        for (int i = 0; i < call.argument_count(); ++i) {
            const abi::Type type = call.arguments[i].type;
            a[i] = abi::is_pointer(type)                               ? 8
                   : type == abi::Type::fd                             ? 99
                   : type == abi::Type::dirfd                          ? 98
                   : type == abi::Type::pid                            ? 99999999
                   : type == abi::Type::command                        ? 77
                   : abi::info(type).kind == abi::TypeInfo::Kind::bits ? 0x8000018
                                                                       : 5;
        }
        ::syscall(call.number(), a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

void files() {
    const long directory = make(SYS_openat, {AT_FDCWD, "/proc/self/fdinfo", O_RDONLY | O_DIRECTORY});
    make(SYS_getdents64, {directory, room(1024), 1024});
    make(SYS_close, {directory});
    const long file = make(SYS_memfd_create, {"each\tcall", 3});
    make(SYS_write, {file, "x\t\n\r\33\v\f\"\\\177\377\0001\0002", 16});
    make(SYS_pread64, {file, room(), 100, 0});
    make(SYS_pwrite64, {file, "a long text that is longer than what is shown of it", 51, 3});
    make(SYS_lseek, {file, 0, SEEK_END});
    make(SYS_lseek, {file, -1, 9});
    make(SYS_readv, {file, words({room(), 4, room(), 9}), 2});
    make(SYS_preadv, {file, words({room(), 4, room(), 9}), 2, 3, 0});
    make(SYS_writev, {file, words({"one", 3, "two", 3, nowhere, 5}), 3});
    make(SYS_pwritev2, {file, words({"one", 3}), 1, -1, -1, 0x1f});
    make(SYS_fallocate, {file, 3, 0, 10});
    make(SYS_fallocate, {file, 0x80, 0, -1});
    make(SYS_fstat, {file, room()});
    make(SYS_fchmod, {file, 04755});
    make(SYS_fchown, {file, -1, -1});
    make(SYS_fsync, {file});
    make(SYS_flock, {file, 6});
    make(SYS_flock, {file, 0xff});
    for (const auto& [command, argument] : {std::pair<int, Value>{F_GETFD, 0},
                                            {F_SETFD, 3},
                                            {F_GETFL, 0},
                                            {F_SETFL, O_RDWR | O_APPEND | O_NONBLOCK},
                                            {F_GETSIG, 0},
                                            {F_SETSIG, 10},
                                            {F_GETSIG, 0},
                                            {F_ADD_SEALS, 7},
                                            {F_GET_SEALS, 0},
                                            {F_GETLEASE, 0},
                                            {99, 7},
                                            {F_SETLEASE, 1},
                                            {F_NOTIFY, 5},
                                            {F_GETPIPE_SZ, 0},
                                            {F_SETPIPE_SZ, 4096},
                                            {F_SETOWN, 0},
                                            {F_GETOWN, 0}})
        make(SYS_fcntl, {file, command, argument});
    make(SYS_fcntl, {file, F_SETLK, words({1, 0, 10, 0})});
    make(SYS_fcntl, {file, F_GETLK, words({1, 0, 10, 0})});
    make(SYS_fcntl, {file, F_OFD_GETLK, words({0x10001, 0, 10, 0})});
    make(SYS_fcntl, {file, F_GETOWN_EX, room()});
    make(SYS_ioctl, {file, 0x541b, room()});
    make(SYS_ioctl, {file, 0x5421, halves({1})});
    make(SYS_ioctl, {file, 0x5401, room()});
    make(SYS_ioctl, {file, 0x5402, halves({0x2d02, 5, 0x4bf, 0x8a3b, 0, 0, 0, 0, 0})});
    make(SYS_ioctl, {file, 0xc0101234, nowhere});
    make(SYS_ioctl, {file, 0x5414, words({0x50'0018})});
    make(SYS_dup, {file});
    make(SYS_dup3, {file, 50, O_CLOEXEC});
    make(SYS_sendfile, {file, file, words({1}), 3});
    make(SYS_copy_file_range, {file, words({1}), file, words({90}), 3, 0});
    make(SYS_splice, {file, nullptr, file, nowhere, 10, 0x1f});
    make(SYS_openat, {AT_FDCWD, "/etc/passwd", O_RDONLY | O_CLOEXEC});
    make(SYS_openat, {AT_FDCWD, "/nowhere/at/all", O_RDWR | O_CREAT | O_TRUNC | O_EXCL, 0640});
    make(SYS_openat, {AT_FDCWD, "/nowhere", 0x3f000003});
    make(SYS_openat, {AT_FDCWD, room(8), O_TMPFILE | O_WRONLY, 0600});
    make(SYS_openat2, {AT_FDCWD, "/nowhere", words({O_CREAT, 0644, 0x1f}), 24});
    make(SYS_openat2, {AT_FDCWD, "/nowhere", words({0, 0, 0, 1}), 32});
    make(SYS_newfstatat, {AT_FDCWD, "/dev/null", room(), 0x100});
    make(SYS_newfstatat, {AT_FDCWD, "/etc/passwd", room(), 0x1100});
    make(SYS_statx, {AT_FDCWD, "/dev/null", 0x100, 0xfff, room()});
    make(SYS_statfs, {"/proc", room()});
    make(SYS_faccessat, {AT_FDCWD, "/", R_OK | X_OK});
    make(SYS_readlinkat, {AT_FDCWD, "/proc/self/ns/user", room(), 3});
    make(SYS_getcwd, {room(), 256});
    make(SYS_utimensat, {AT_FDCWD, "/nowhere", words({1, 2, 3, 0x3ffffffe}), 0x100});
    make(SYS_mknodat, {AT_FDCWD, "/nowhere/x", 0020644, 0x103});
    make(SYS_mknodat, {AT_FDCWD, "/nowhere/x", 0170000, 5});
    make(SYS_renameat2, {AT_FDCWD, "/nowhere/a", AT_FDCWD, "/nowhere/b", 1});
    make(SYS_symlinkat, {"to", AT_FDCWD, "/nowhere/a"});
    make(SYS_mkdirat, {AT_FDCWD, "/nowhere/a", 01777});
    make(SYS_unlinkat, {AT_FDCWD, "/nowhere/a", 0x200});
    make(SYS_umask, {022});
    make(SYS_fgetxattr, {file, "user.none", room(), 100});
    make(SYS_mount, {"src", "/nowhere", "tmpfs", 0x21, "mode=1"});
    make(SYS_mount, {nullptr, "/nowhere", nullptr, 0xc0ed1000, nullptr});
    make(SYS_pipe2, {room(), O_CLOEXEC | O_NONBLOCK});
    make(SYS_inotify_init1, {0x80800});
}

void waiting() {
    char* const pipe = room(8);
    make(SYS_pipe2, {pipe, 0});
    unsigned ends[2];
    std::memcpy(ends, pipe, sizeof ends);
    make(SYS_write, {ends[1], "data", 4});
    make(SYS_ppoll, {halves({ends[0], 1, 99, 5, ends[1], 4}), 3, words({0, 1}), words({0x4200}), 8});
    make(SYS_ppoll, {halves({~0U, 1}), 1, words({0, 1}), nullptr, 8});
    make(SYS_pselect6, {6, words({0x3f}), nullptr, words({0}), words({0, 0}), words({words({0x4200}), 8})});
    make(SYS_pselect6, {-1, nowhere, nowhere, nowhere, nowhere, nowhere});
    const long poll = make(SYS_epoll_create1, {O_CLOEXEC});
    make(SYS_epoll_ctl, {poll, 1, ends[0], halves({1, ends[0], 0, 0})});
    make(SYS_epoll_pwait, {poll, room(), 4, 0, nullptr, 8});
    make(SYS_epoll_ctl, {poll, 2, ends[0], nullptr});
    const long event = make(SYS_eventfd2, {1, 0x80801});
    make(SYS_read, {event, room(), 8});
    const long timer = make(SYS_timerfd_create, {1, 0x80800});
    make(SYS_timerfd_settime, {timer, 0, words({0, 0, 100, 0}), room()});
    make(SYS_timerfd_gettime, {timer, room()});
    make(SYS_signalfd4, {-1, words({0x4200}), 8, 0x80800});
    make(SYS_timer_create, {0, words({5, 0x10000000a, 77}), room()});
    make(SYS_timer_settime, {0, 1, words({0, 0, 1L << 40, 0}), room()});
    make(SYS_timer_delete, {0});
    make(SYS_nanosleep, {words({0, 1}), room()});
    make(SYS_clock_nanosleep, {1, 1, words({0, 1}), nullptr});
    make(SYS_clock_gettime, {4, room()});
    make(SYS_clock_getres, {-6, room()});
    make(SYS_gettimeofday, {room(), room()});
    make(SYS_times, {room()});
    make(SYS_setitimer, {1, words({0, 0, 0, 0}), room()});
    make(SYS_getitimer, {2, room()});
    make(SYS_futex, {halves({5}), 0x80, 6, words({1, 0})});
    make(SYS_futex, {halves({5}), 0x189, 6, nullptr, 0, -1});
    make(SYS_futex, {room(), 5, 1, 1, room(), 0x4000001});
    make(SYS_futex, {room(), 0x81, 1});
    make(SYS_futex_waitv, {words({1, 0x1000, 2}), 1, 0, words({1, 0}), 1});
}

void sockets() {
    const char loopback[] = "\2\0\1\2\177\0\0\1\0\0\0\0\0\0\0";
    const char local[] = "\1\0/nowhere/socket";
    const char abstract[] = "\1\0\0abs\1";
    const char six[28] = {10, 0, 0, 80, 0, 0, 0, 5, '\xfe', '\x80', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};
    const long inet = make(SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP});
    make(SYS_socket, {99, 0x77, 5});
    make(SYS_socket, {AF_NETLINK, SOCK_RAW, 15});
    make(SYS_socket, {AF_UNIX, SOCK_SEQPACKET, 3});
    make(SYS_connect, {inet, loopback, 16});
    make(SYS_connect, {inet, local, 18});
    make(SYS_connect, {inet, abstract, 7});
    make(SYS_connect, {inet, six, 28});
    make(SYS_connect, {inet, "\21\0\0\3\0\0\0\0\1\0\0\6\1\2\3\4\5\6\0", 20});
    make(SYS_connect, {inet, "\20\0\0\0\5\0\0\0\1\0\0\0", 12});
    make(SYS_connect, {inet, "\50\0\0\0\120\0\0\0\2\0\0\0\0\0\0", 16});
    make(SYS_connect, {inet, "M\0\1\2\3", 5});
    make(SYS_connect, {inet, loopback, 5});
    make(SYS_connect, {inet, loopback, -1});
    make(SYS_bind, {inet, "\2\0\0\0\177\0\0\1\0\0\0\0\0\0\0", 16});
    make(SYS_getpeername, {inet, room(), halves({128})});
    make(SYS_getsockname, {inet, room(), halves({4})});
    make(SYS_getsockname, {inet, nullptr, nullptr});
    for (const auto& [level, option] :
         {std::pair<int, int>{1, 2}, {1, 4}, {1, 7}, {6, 1}, {0, 1}, {41, 26}, {1, 999}, {99, 98}}) {
        make(SYS_setsockopt, {inet, level, option, halves({1, 0}), 4});
        make(SYS_getsockopt, {inet, level, option, room(), halves({40})});
    }
    make(SYS_setsockopt, {inet, SOL_SOCKET, SO_LINGER, halves({1, 5}), 8});
    make(SYS_getsockopt, {inet, SOL_SOCKET, SO_LINGER, room(), halves({8})});
    make(SYS_setsockopt, {inet, 6, 13, "cubic", 5});
    make(SYS_listen, {inet, 5});
    make(SYS_shutdown, {inet, 9});
    char* const pair = room(8);
    make(SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, pair});
    unsigned ends[2];
    std::memcpy(ends, pair, sizeof ends);
    make(SYS_sendto, {ends[0], "hello", 5, MSG_NOSIGNAL, nullptr, 0});
    make(SYS_recvfrom, {ends[1], room(), 100, MSG_DONTWAIT, room(), halves({128})});
    make(SYS_recvfrom, {ends[1], room(), 100, MSG_DONTWAIT, nullptr, nullptr});
    char* const rights = words({20, 0x100000001, ends[0]});
    const Value vector = words({"one\0two", 7});
    make(SYS_sendmsg, {ends[0], words({0, 0, vector, 1, rights, 24, 0}), 0});
    make(SYS_sendmsg, {ends[0], words({loopback, 16, vector, 1, words({16, 0x3200000029}), 16, 0}), 0});
    // A control message whose length overflows is left to the tests of rendering: strace 6.1 never ends with it.
    make(SYS_recvmsg,
         {ends[1], words({0, 0, words({room(), 100}), 1, room(), 64, 0}), MSG_DONTWAIT | MSG_CMSG_CLOEXEC});
    make(SYS_recvmsg, {ends[1], words({0, 0, words({room(), 100}), 1, 0, 0, 0}), MSG_DONTWAIT});
    char* const several = words({0, 0, vector, 1, 0, 0, 0, 0, 0, 0, vector, 1, 0, 0, 0, 0});
    make(SYS_sendmmsg, {ends[0], several, 2, 0});
    char* const received = words({0, 0, words({room(), 9}), 1, 0, 0, 0, 0, 0, 0, words({room(), 100}), 1, 0, 0, 0, 0});
    make(SYS_recvmmsg, {ends[1], received, 2, MSG_DONTWAIT, words({1, 0})});
}

void processes() {
    make(SYS_prlimit64, {0, RLIMIT_STACK, nullptr, room()});
    make(SYS_prlimit64, {0, RLIMIT_CORE, words({0, ~0UL}), room()});
    make(SYS_prlimit64, {0, 77, words({1536, 1L << 40}), nullptr});
    make(SYS_getrusage, {0, room()});
    make(SYS_uname, {room(512)});
    make(SYS_sysinfo, {room()});
    make(SYS_personality, {0xffffffff});
    make(SYS_getpriority, {0, 0});
    make(SYS_sched_getaffinity, {0, 8, room()});
    make(SYS_sched_getscheduler, {0});
    make(SYS_sched_setscheduler, {0, 0, halves({0})});
    make(SYS_sched_getattr, {0, room(), 56, 0});
    make(SYS_sched_get_priority_max, {1});
    make(SYS_ioprio_get, {1, 0});
    make(SYS_ioprio_set, {1, 0, 0x4004});
    make(SYS_capget, {halves({0x20080522, 0}), room()});
    make(SYS_capset, {halves({0x20080522, 0}), halves({1, 2, 4, 0, 1, 2})});
    make(SYS_getresuid, {room(), room(), room()});
    make(SYS_setresuid, {-1, -1, -1});
    make(SYS_getgroups, {100, room(512)});
    make(SYS_rt_sigaction, {10, words({1, 0x10000000, 0, 0x4000}), room(), 8});
    make(SYS_rt_sigaction, {10, nullptr, room(), 8});
    make(SYS_rt_sigprocmask, {0, words({0x4200}), room(), 8});
    make(SYS_rt_sigprocmask, {0, words({0xfffffffefffffeff}), room(), 8});
    make(SYS_rt_sigprocmask, {2, words({0}), room(), 8});
    make(SYS_rt_sigpending, {room(), 8});
    make(SYS_rt_sigtimedwait, {words({0x200}), room(), words({0, 1}), 8});
    make(SYS_sigaltstack, {words({0x1000, 7, 8192}), room()});
    make(SYS_kill, {99999999, 34});
    make(SYS_rt_sigqueueinfo,
         {99999999, 10, words({10, 0xffffffff, 0x200000001, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})});
    make(SYS_prctl, {PR_SET_NAME, "each_call"});
    make(SYS_prctl, {PR_GET_NAME, room()});
    make(SYS_prctl, {PR_GET_DUMPABLE});
    make(SYS_prctl, {PR_SET_PDEATHSIG, 0});
    make(SYS_prctl, {PR_GET_PDEATHSIG, room()});
    make(SYS_prctl, {PR_CAPBSET_READ, 21});
    make(SYS_prctl, {999, 1, 2, 3, 4});
    make(SYS_execve, {"/nowhere", words({"a", "b c", 0}), words({"A=1", 0})});
    make(SYS_execve, {"/nowhere", words({nowhere, 0}), nowhere});
    make(SYS_wait4, {-1, room(), WNOHANG | WUNTRACED, nullptr});
    make(SYS_waitid, {P_ALL, 0, room(), WNOHANG | WEXITED, room()});
    make(SYS_clone3, {words({0x1000, 0, 0, 0, 99, 0, 0, 0}), 64});
    make(SYS_clone3, {words({0x300, 8, 16, 24, 17, 0x1000, 0x2000, 0x3000, 8, 2, 5, 1}), 96});
    make(SYS_unshare, {0x1000001});
    make(SYS_setns, {99, 0x40000000});
    make(SYS_ptrace, {0x4200, 99999999, 8, 0x77});
    make(SYS_kcmp, {1, 99999999, 0, 1, 2});
    const long child = make(SYS_clone, {SIGCHLD, 0, 0, 0, 0});
    if (child == 0) ::syscall(SYS_exit_group, 3);
    make(SYS_wait4, {child, room(), 0, room()});
}

void mappings() {
    const long page = make(SYS_mmap, {nullptr, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0});
    make(SYS_mmap, {8, 0, 0xf0f, 0x40022 | 21U << 26, -1, 0});
    make(SYS_mmap, {nullptr, 4096, 0, MAP_ANONYMOUS, 99, 0x1000});
    make(SYS_mprotect, {page, 4096, 1});
    make(SYS_mprotect, {8, 4096, 0x1000001});
    make(SYS_madvise, {page, 4096, 4});
    make(SYS_mincore, {page, 8192, room()});
    make(SYS_msync, {page, 4096, 4});
    make(SYS_mlock2, {page, 4096, 1});
    make(SYS_mremap, {page, 8192, 4096, 1});
    make(SYS_mremap, {8, 4096, 8192, 15, 0x5000});
    make(SYS_membarrier, {0, 0});
    make(SYS_munmap, {page, 4096});
    make(SYS_brk, {nullptr});
    make(SYS_memfd_create, {"q", 5 | 21U << 26});
    make(SYS_getrandom, {room(), 0, 7});
    make(SYS_process_vm_readv, {99999999, words({room(), 5}), 1, words({8, 5}), 1, 0});
}

void others() {
    make(SYS_shmget, {0x12345, 4096, 0xf80});
    make(SYS_semctl, {99, 0, 16, 5});
    make(SYS_shmctl, {99, 2, room()});
    make(SYS_mq_open, {"nowhere", 0x42, 0600, words({0, 2, 10, 0})});
    make(SYS_mq_open, {"nowhere", 0});
    make(SYS_bpf, {0, halves({2, 4, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), 72});
    make(SYS_bpf, {99, words({1}), 8});
    make(SYS_seccomp, {2, 0, halves({0x7fc00000})});
    make(SYS_seccomp, {3, 0, room()});
    make(SYS_keyctl, {0, -3, 0});
    make(SYS_keyctl, {6, -3, room(), 100});
    make(SYS_keyctl, {99, 1, 2, 3, 4});
    make(SYS_io_setup, {5, words({5})});
    make(SYS_io_submit, {5, 2, words({words({7, 0, 0x6300010000, "data", 4, 0, 0, 0}), 8})});
    make(SYS_io_uring_setup, {0, room()});
    make(SYS_landlock_create_ruleset, {nullptr, 0, 1});
    make(SYS_landlock_add_rule, {99, 1, words({5, 99}), 0});
    make(SYS_perf_event_open, {words({0x7000000000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), 0, -1, -1, 8});
    make(SYS_quotactl, {0x80000700, "/dev/null", 0, room()});
    make(SYS_syslog, {99, nowhere, 10});
    make(SYS_adjtimex, {room()});
    make(SYS_name_to_handle_at, {AT_FDCWD, "/etc/passwd", halves({0, 0}), room(), 0});
    make(SYS_get_robust_list, {0, room(), room()});
    make(SYS_getcpu, {nullptr, nullptr, nullptr});
    make(9999, {1, 2, 3, 4, 5, 6});
    make(SYS_pkey_alloc, {0, 3});
    make(SYS_mbind, {8, 4096, 1, words({1}), 64, 0});
}

}  // namespace

int main() {
    if (::getuid() == 0) {  // as nobody
        if (::setgroups(0, nullptr) != 0 || ::setresgid(65534, 65534, 65534) != 0 ||
            ::setresuid(65534, 65534, 65534) != 0)
            return 77;
    }
    ::signal(SIGPIPE, SIG_IGN);
    for (int fd = 3; fd < 64; ++fd) ::close(fd);
    bad();
    files();
    waiting();
    sockets();
    processes();
    mappings();
    others();
    std::fflush(stdout);
    return 0;
}
