// Runs a command as root of a container without privileges: container_like [--memory] command [argument...]
//
// With the capabilities, and filters that decide like the profile, that Docker gives without options (its
// documentation, "Runtime privilege and Linux capabilities" and "Seccomp security profiles for Docker"), where the
// profile has no exception for new kernels: ptrace(2) is refused, and without --memory process_vm_readv(2) and
// process_vm_writev(2), too. /sys and /proc/sys are read-only. Needs root.
#include <sysguard/policy.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace sys = sysguard::sys;

namespace {

constexpr std::uint64_t namespaces = 0x7e020000;  // CLONE_NEW*, without time

template <int... numbers>
constexpr auto refusing() {
    return sg::Policy{
        sg::Rule<sys::clone>{(arg::flags & namespaces) != 0}.deny(EPERM),
        sg::Rule<sys::clone3>{}.deny(ENOSYS),
        sg::Rule<sys::socket>{arg::domain.in(38, 40)}.deny(EPERM),  // AF_ALG, AF_VSOCK
        sg::Rule<sys::personality>{!arg::persona.in(0, 8, 0x20000, 0x20008, 0xffffffff)}.deny(EPERM),
        sg::Rule<numbers>{}.deny(EPERM)...,
        sg::foreign.deny(ENOSYS),
        sg::otherwise.allow(),
    };
}

constexpr auto profile = refusing<
#if defined(__x86_64__)
    sys::iopl, sys::ioperm, sys::sysfs, sys::uselib, sys::ustat,
#endif
    // namespaces and mounts
    sys::unshare, sys::setns, sys::mount, sys::umount2, sys::pivot_root, sys::fsopen, sys::fsconfig, sys::fsmount,
    sys::fspick, sys::open_tree, sys::open_tree_attr, sys::move_mount, sys::mount_setattr, sys::open_by_handle_at,
    // other processes
    sys::ptrace, sys::process_madvise, sys::pidfd_getfd, sys::kcmp, sys::move_pages, sys::migrate_pages,
    sys::perf_event_open,
    // the kernel's own
    sys::bpf, sys::userfaultfd, sys::io_uring_setup, sys::io_uring_enter, sys::io_uring_register, sys::add_key,
    sys::request_key, sys::keyctl, sys::fanotify_init, sys::init_module, sys::finit_module, sys::delete_module,
    sys::kexec_load, sys::kexec_file_load, sys::lsm_get_self_attr, sys::lsm_set_self_attr, sys::lsm_list_modules,
    // the machine
    sys::acct, sys::clock_settime, sys::settimeofday, sys::quotactl, sys::quotactl_fd, sys::reboot, sys::sethostname,
    sys::setdomainname, sys::swapon, sys::swapoff, sys::syslog, sys::vhangup, sys::mbind, sys::get_mempolicy,
    sys::set_mempolicy, sys::set_mempolicy_home_node>();

// Of other processes' memory, which the profile lets be read and written since Linux 4.8.
constexpr sg::Policy memory{
    sg::Rule<sys::process_vm_readv>{}.deny(EPERM),
    sg::Rule<sys::process_vm_writev>{}.deny(EPERM),
    sg::foreign.deny(ENOSYS),
    sg::otherwise.allow(),
};

constexpr std::uint64_t kept = 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID |
                               1ULL << CAP_KILL | 1ULL << CAP_SETGID | 1ULL << CAP_SETUID | 1ULL << CAP_SETPCAP |
                               1ULL << CAP_NET_BIND_SERVICE | 1ULL << CAP_NET_RAW | 1ULL << CAP_SYS_CHROOT |
                               1ULL << CAP_MKNOD | 1ULL << CAP_AUDIT_WRITE | 1ULL << CAP_SETFCAP;

bool make_read_only(const char* path) {
    const std::uint64_t attributes[4] = {1 /* MOUNT_ATTR_RDONLY */, 0, 0, 0};  // struct mount_attr
    return ::mount(path, path, nullptr, MS_BIND | MS_REC, nullptr) == 0 &&
           ::syscall(SYS_mount_setattr, AT_FDCWD, path, 0x8000 /* AT_RECURSIVE */, attributes, sizeof attributes) == 0;
}

template <const auto& policy>
bool install_filter() {
    // Docker lets calls through the 32-bit door, too; a policy never does.
    static sock_filter code[policy.program().size + 3];
    code[0] = {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)};
    code[1] = {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, sg::abi::audit_architecture(sg::abi::native_abi)};
    code[2] = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    std::memcpy(code + 3, policy.program().code, policy.program().size * sizeof *code);
    const sock_fprog filter{static_cast<unsigned short>(std::size(code)), code};
    return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

bool drop_capabilities() {
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        if ((kept >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return false;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const auto low = static_cast<std::uint32_t>(kept);
    const __user_cap_data_struct data[2] = {{low, low, 0}, {}};
    return ::syscall(SYS_capset, &header, data) == 0;
}

int fail(const char* step) {
    std::fprintf(stderr, "container_like: %s: %s\n", step, std::strerror(errno));
    return 125;
}

}  // namespace

int main(int count, char** arguments) {
    static_assert(kept >> 32 == 0);
    const bool has_memory = count > 1 && std::strcmp(arguments[1], "--memory") == 0;
    char** const command = arguments + (has_memory ? 2 : 1);
    if (*command == nullptr) {
        std::fputs("usage: container_like [--memory] command [argument...]\n", stderr);
        return 125;
    }
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return fail("make a mount namespace");
    if (!make_read_only("/sys") || !make_read_only("/proc/sys")) return fail("make /sys and /proc/sys read-only");
    // The filters first: without no_new_privs, which a container does not have, they take CAP_SYS_ADMIN.
    if (!install_filter<profile>() || (!has_memory && !install_filter<memory>())) return fail("install a filter");
    if (!drop_capabilities()) return fail("drop capabilities");
    ::setenv("SYSGUARD_IN_CONTAINER", "1", 1);  // for checks that cannot ask for themselves
    ::execvp(command[0], command);
    return fail(command[0]);
}
