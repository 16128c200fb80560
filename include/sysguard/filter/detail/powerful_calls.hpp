#pragma once

#include "../../abi/numbers.hpp"

#include <cstdint>

namespace sysguard::filter::detail {

struct PowerfulCall {
    int number = 0;
    const char* why = nullptr;
};

/// Calls that reach beyond the worker, or behind which lies much of the kernel that nobody needs who does not name it.
inline constexpr PowerfulCall powerful_calls[] = {
    {sys::bpf, "loads programs into the kernel"},
    {sys::userfaultfd,
     "holds the kernel at a page fault for as long as the worker likes, which exploits of races want (userfaultfd(2))"},
    {sys::perf_event_open, "watches the kernel and other processes; much code, and a history of exploits"},
    {sys::kcmp, "compares what other processes have, and tells of the kernel's addresses"},
    {sys::setns, "enters other namespaces"},
    {sys::unshare, "makes namespaces, a user namespace among them, in which a worker has all capabilities"},
    {sys::personality, "changes how memory is laid out and made executable (personality(2))"},
    {sys::keyctl, "reads and changes keyrings, which belong to the user, not to the worker"},
    {sys::add_key, "adds to keyrings, which belong to the user, not to the worker"},
    {sys::request_key, "has the kernel start a program of the host's to find a key"},
    {sys::mount, "changes what is mounted where"},
    {sys::umount2, "uncovers what lies beneath a mount"},
    {sys::pivot_root, "changes the root directory"},
    {sys::chroot, "changes the root directory, and with it what paths mean to handlers"},
    {sys::move_mount, "changes what is mounted where"},
    {sys::open_tree, "copies mounts"},
    {sys::open_tree_attr, "copies mounts, and changes their attributes"},
    {sys::fsopen, "has the kernel read file systems of the worker's making"},
    {sys::fsconfig, "has the kernel read file systems of the worker's making"},
    {sys::fsmount, "mounts"},
    {sys::fspick, "reconfigures what is mounted"},
    {sys::mount_setattr, "changes attributes of mounts, such as being read-only"},
    {sys::open_by_handle_at, "opens files past the directories that lead to them, for who has CAP_DAC_READ_SEARCH"},
    {sys::fanotify_init, "watches files of the whole system, and answers for them"},
    {sys::init_module, "loads code into the kernel"},
    {sys::finit_module, "loads code into the kernel"},
    {sys::delete_module, "unloads code of the kernel's"},
    {sys::kexec_load, "loads another kernel"},
    {sys::kexec_file_load, "loads another kernel"},
    {sys::reboot, "ends the machine"},
    {sys::swapon, "has the kernel write memory to a file"},
    {sys::swapoff, "takes the machine's swap away"},
    {sys::acct, "has the kernel write about processes to a file"},
    {sys::quotactl, "changes users' quotas"},
    {sys::quotactl_fd, "changes users' quotas"},
    {sys::syslog, "reads the kernel's messages, and the addresses in them"},
    {sys::iopl, "gives a process the machine's ports"},
    {sys::ioperm, "gives a process the machine's ports"},
    {sys::modify_ldt, "changes segments; code of the kernel's that little else runs, and a history of exploits"},
    {sys::settimeofday, "sets the machine's clock"},
    {sys::clock_settime, "sets the machine's clock"},
    {sys::sethostname, "changes the machine's name"},
    {sys::setdomainname, "changes the machine's name"},
    {sys::vhangup, "hangs up the terminal"},
    {sys::process_mrelease, "releases the memory of a process that dies"},
    {sys::process_madvise, "tells the kernel what to do with other processes' memory"},
    {sys::move_pages, "moves other processes' memory"},
    {sys::migrate_pages, "moves other processes' memory"},
    {sys::lookup_dcookie, "tells paths of the whole system"},
    {sys::uselib, "maps a library at an address of its own choice"},
    {sys::nfsservctl, "talks to the kernel's file server"},
    {sys::_sysctl, "changes settings of the kernel"},
};

}  // namespace sysguard::filter::detail
