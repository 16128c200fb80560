#include <sysguard/policy.hpp>
#include <sysguard/policy/presets.hpp>
#include <sysguard/policy/tasks.hpp>

#include <doctest/doctest.h>

#include <cerrno>

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace preset = sysguard::preset;
using sg::Action;

namespace {

template <class Preset>
constexpr auto with(const Preset& rules) {
    return sg::Policy{rules, sg::otherwise.kill()};
}

constexpr auto compute = with(preset::compute);
constexpr auto stdio = with(preset::stdio);
constexpr auto static_runtime = with(preset::static_runtime);
constexpr auto dynamic_loader = with(preset::dynamic_loader);
constexpr auto cpp_runtime = with(preset::cpp_runtime);
constexpr auto threads = with(preset::threads);
constexpr auto read_files = with(preset::read_files);
constexpr auto write_files = with(preset::write_files);
constexpr auto network_client = with(preset::network_client);
constexpr auto network_server = with(preset::network_server);
constexpr auto event_loop = with(preset::event_loop);
constexpr auto processes = with(preset::processes);

}  // namespace

TEST_CASE("compute: memory and time, but no file, no socket, no process, no executable memory") {
    static_assert(compute.decide<SYS_brk>(0) == Action::allow);
    static_assert(compute.decide<SYS_mmap>(0, 4096, PROT_READ | PROT_WRITE, 0, -1, 0) == Action::allow);
    static_assert(compute.decide<SYS_mmap>(0, 4096, PROT_READ | PROT_EXEC, 0, -1, 0) == Action::kill);
    static_assert(compute.decide<SYS_mprotect>(0, 4096, PROT_EXEC) == Action::kill);
    static_assert(compute.decide<SYS_openat>(0, nullptr, 0, 0) == Action::kill);
    static_assert(compute.decide<SYS_read>(0, nullptr, 0) == Action::kill);
    static_assert(compute.decide<SYS_write>(1, nullptr, 0) == Action::kill);
    static_assert(compute.decide<SYS_socket>(0, 0, 0) == Action::kill);
    static_assert(compute.decide<SYS_clone>(0, 0, nullptr, nullptr, 0) == Action::kill);
    CHECK(compute.decide<SYS_kill>(1, 9) == Action::kill);
}

TEST_CASE("stdio: what is open, and nothing more of a terminal than its size and mode") {
    static_assert(stdio.decide<SYS_write>(1, nullptr, 5) == Action::allow);
    static_assert(stdio.decide<SYS_ioctl>(1, TCGETS, 0) == Action::allow);
    static_assert(stdio.decide<SYS_ioctl>(1, TIOCSTI, 0) == Action::kill);
    static_assert(stdio.decide<SYS_ioctl>(1, 1ULL << 32 | TIOCSTI, 0) == Action::kill);
    CHECK(stdio.decide<SYS_openat>(0, nullptr, 0, 0) == Action::kill);
}

TEST_CASE("static_runtime opens nothing") {
    static_assert(static_runtime.decide<SYS_set_tid_address>(nullptr) == Action::allow);
    static_assert(static_runtime.decide<SYS_openat>(0, nullptr, 0, 0) == Action::kill);
    static_assert(static_runtime.decide<SYS_prlimit64>(0, RLIMIT_STACK, nullptr, nullptr) == Action::allow);
    static_assert(static_runtime.decide<SYS_prlimit64>(0, RLIMIT_AS, nullptr, nullptr) == Action::deny);
    static_assert(static_runtime.decide<SYS_madvise>(0, 4096, MADV_DONTNEED) == Action::allow);
    static_assert(static_runtime.decide<SYS_madvise>(0, 4096, 100 /* MADV_HWPOISON */) == Action::kill);
    static_assert(static_runtime.decide<SYS_prlimit64>(1, 0, nullptr, nullptr) == Action::kill);
    CHECK(static_runtime.decide<SYS_execve>(nullptr, nullptr, nullptr) == Action::kill);
}

TEST_CASE("dynamic_loader opens for reading only, and memory is never writable and executable") {
    static_assert(dynamic_loader.decide<SYS_openat>(-100, nullptr, O_RDONLY | O_CLOEXEC, 0) == Action::allow);
    static_assert(dynamic_loader.decide<SYS_openat>(-100, nullptr, O_WRONLY, 0) == Action::kill);
    static_assert(dynamic_loader.decide<SYS_openat>(-100, nullptr, O_RDWR | O_CLOEXEC, 0) == Action::kill);
    static_assert(dynamic_loader.decide<SYS_openat>(-100, nullptr, O_CREAT, 0644) == Action::kill);
    static_assert(dynamic_loader.decide<SYS_openat>(-100, nullptr, O_PATH, 0) == Action::kill);
    static_assert(dynamic_loader.decide<SYS_openat>(-100, nullptr, O_TMPFILE, 0) == Action::kill);
    static_assert(dynamic_loader.decide<SYS_openat>(-100, nullptr, O_TRUNC, 0) == Action::kill);
    static_assert(dynamic_loader.decide<SYS_mmap>(0, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0) == Action::allow);
    static_assert(dynamic_loader.decide<SYS_mmap>(0, 1, PROT_WRITE | PROT_EXEC, MAP_PRIVATE, 3, 0) == Action::kill);
    static_assert(dynamic_loader.decide<SYS_mprotect>(0, 1, PROT_READ) == Action::allow);
    CHECK(dynamic_loader.decide<SYS_mprotect>(0, 1, PROT_READ | PROT_EXEC) == Action::kill);
}

TEST_CASE("cpp_runtime is static_runtime and dynamic_loader") {
    static_assert(cpp_runtime.decide<SYS_set_tid_address>(nullptr) == Action::allow);
    static_assert(cpp_runtime.decide<SYS_openat>(-100, nullptr, O_RDONLY | O_CLOEXEC, 0) == Action::allow);
    static_assert(cpp_runtime.decide<SYS_clone3>(nullptr, 88) == Action::kill);
    CHECK(cpp_runtime.decide<SYS_socket>(0, 0, 0) == Action::kill);
}

TEST_CASE("threads starts threads, and neither processes nor namespaces") {
    constexpr unsigned thread = 0x3d0f00;  // what glibc's pthread_create asks for
    static_assert(threads.decide<SYS_clone>(thread, 0, nullptr, nullptr, 0) == Action::allow);
    static_assert(threads.decide<SYS_clone>(0x7d0f00, 0, nullptr, nullptr, 0) == Action::allow);  // musl's
    static_assert(threads.decide<SYS_clone>(17, 0, nullptr, nullptr, 0) == Action::kill);
    static_assert(threads.decide<SYS_clone>(thread | CLONE_NEWUSER, 0, nullptr, nullptr, 0) == Action::kill);
    static_assert(threads.decide<SYS_clone>(thread & ~unsigned{CLONE_SIGHAND}, 0, nullptr, nullptr, 0) == Action::kill);
    static_assert(threads.decide<SYS_clone3>(nullptr, 88) == sg::Decision{Action::deny, ENOSYS});
    CHECK_FALSE(sg::policy::tasks_of(threads.view()).processes);
}

TEST_CASE("read_files reads") {
    static_assert(read_files.decide<SYS_openat>(-100, nullptr, O_RDONLY | O_DIRECTORY, 0) == Action::allow);
    static_assert(read_files.decide<SYS_openat>(-100, nullptr, O_RDWR, 0) == Action::kill);
    static_assert(read_files.decide<SYS_openat2>(-100, nullptr, nullptr, 24) == Action::kill);
    static_assert(read_files.decide<SYS_write>(1, nullptr, 0) == Action::kill);
    CHECK(read_files.decide<SYS_unlinkat>(-100, nullptr, 0) == Action::kill);
}

TEST_CASE("write_files writes, but makes nothing set-id") {
    static_assert(write_files.decide<SYS_openat>(-100, nullptr, O_RDWR | O_CREAT, 0644) == Action::allow);
    static_assert(write_files.decide<SYS_openat>(-100, nullptr, O_RDWR | O_CREAT, 04755) == Action::kill);
    static_assert(write_files.decide<SYS_fchmod>(3, 0644) == Action::kill);
    CHECK(write_files.decide<SYS_mknodat>(-100, nullptr, 0, 0) == Action::kill);
}

TEST_CASE("network_client connects, network_server listens, neither has raw sockets") {
    static_assert(network_client.decide<SYS_socket>(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) == Action::allow);
    static_assert(network_client.decide<SYS_socket>(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 17) == Action::allow);
    static_assert(network_client.decide<SYS_socket>(AF_INET, SOCK_RAW, 1) == Action::kill);
    static_assert(network_client.decide<SYS_socket>(AF_PACKET, SOCK_DGRAM, 0) == Action::kill);
    static_assert(network_client.decide<SYS_socket>(AF_NETLINK, SOCK_RAW, 0) ==
                  sg::Decision{Action::deny, EAFNOSUPPORT});
    static_assert(network_client.decide<SYS_connect>(3, nullptr, 16) == Action::allow);
    static_assert(network_client.decide<SYS_bind>(3, nullptr, 16) == Action::kill);
    static_assert(network_server.decide<SYS_bind>(3, nullptr, 16) == Action::allow);
    static_assert(network_server.decide<SYS_accept4>(3, nullptr, nullptr, 0) == Action::allow);
    CHECK(network_server.decide<SYS_connect>(3, nullptr, 16) == Action::kill);
}

TEST_CASE("a server does not connect by sending, nor does a client past a rule for connect") {
    static_assert(network_server.decide<SYS_sendto>(3, nullptr, 6, MSG_FASTOPEN, nullptr, 16) == Action::kill);
    static_assert(network_server.decide<SYS_sendmsg>(3, nullptr, MSG_FASTOPEN | MSG_NOSIGNAL) == Action::kill);
    static_assert(network_server.decide<SYS_sendmmsg>(3, nullptr, 1, MSG_FASTOPEN) == Action::kill);
    static_assert(network_server.decide<SYS_sendto>(3, nullptr, 6, MSG_NOSIGNAL, nullptr, 16) == Action::allow);
    static_assert(network_client.decide<SYS_sendmsg>(3, nullptr, MSG_DONTWAIT) == Action::allow);
    static_assert(network_client.decide<SYS_sendmmsg>(3, nullptr, 1, 0) == Action::allow);
    constexpr sg::Policy unconnected{sg::Rule<SYS_connect>{sysguard::arg::fd >= 0}.deny(EACCES), preset::network_client,
                                     sg::otherwise.deny(EPERM)};
    static_assert(unconnected.decide<SYS_connect>(3, nullptr, 16) == sg::Decision{Action::deny, EACCES});
    static_assert(unconnected.decide<SYS_sendto>(3, nullptr, 6, MSG_FASTOPEN, nullptr, 16) == Action::deny);
    CHECK(unconnected.decide<SYS_sendto>(3, nullptr, 6, 1ULL << 32 | MSG_FASTOPEN, nullptr, 16) == Action::deny);
}

TEST_CASE("event_loop waits") {
    static_assert(event_loop.decide<SYS_epoll_pwait>(3, nullptr, 1, -1, nullptr, 8) == Action::allow);
    CHECK(event_loop.decide<SYS_ioctl>(3, TIOCSTI, 0) == Action::kill);
}

TEST_CASE("processes starts programs in the namespaces that are there") {
    static_assert(processes.decide<SYS_execve>(nullptr, nullptr, nullptr) == Action::allow);
    static_assert(processes.decide<SYS_clone>(0x1200011, 0, nullptr, nullptr, 0) == Action::allow);  // glibc's fork
    static_assert(processes.decide<SYS_clone>(CLONE_NEWUSER | 17, 0, nullptr, nullptr, 0) == Action::kill);
    static_assert(processes.decide<SYS_unshare>(CLONE_NEWUSER) == Action::kill);
    CHECK(processes.decide<SYS_setsid>() == Action::kill);
}

TEST_CASE("no preset lets through what kernel-level attacks begin with") {
    constexpr sg::Policy all{preset::cpp_runtime,    preset::threads,        preset::read_files, preset::write_files,
                             preset::network_client, preset::network_server, preset::processes,  sg::otherwise.kill()};
    static_assert(all.decide<SYS_ptrace>(0, 0, 0, 0) == Action::kill);
    static_assert(all.decide<SYS_io_uring_setup>(1, nullptr) == Action::kill);
    static_assert(all.decide<SYS_bpf>(0, nullptr, 0) == Action::kill);
    static_assert(all.decide<SYS_userfaultfd>(0) == Action::kill);
    static_assert(all.decide<SYS_perf_event_open>(nullptr, 0, 0, 0, 0) == Action::kill);
    static_assert(all.decide<SYS_process_vm_writev>(1, nullptr, 0, nullptr, 0, 0) == Action::kill);
    static_assert(all.decide<SYS_pidfd_getfd>(1, 1, 0) == Action::kill);
    static_assert(all.decide<SYS_setns>(1, 0) == Action::kill);
    static_assert(all.decide<SYS_unshare>(0) == Action::kill);
    static_assert(all.decide<SYS_keyctl>(0, 0, 0, 0, 0) == Action::kill);
    static_assert(all.decide<SYS_mount>(nullptr, nullptr, nullptr, 0, nullptr) == Action::kill);
    static_assert(all.decide<SYS_personality>(0) == Action::kill);
    static_assert(all.decide<SYS_kcmp>(1, 1, 0, 0, 0) == Action::kill);
    static_assert(all.decide<SYS_ioctl>(0, TIOCSTI, 0) == Action::kill);
    static_assert(all.decide<SYS_ioctl>(0, 0x541C, 0) == Action::kill);  // TIOCLINUX
    CHECK(all.decide<SYS_kill>(1, 9) == Action::kill);
}
