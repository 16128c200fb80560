#pragma once

#include "../process/descriptor.hpp"
#include "../process/layer.hpp"

#include <cerrno>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace sysguard::supervise {

/// Whether the host may have its workers' descriptors (pidfd_getfd(2), Linux 5.6), as far as what it runs under says:
/// tried on itself. Without, `Call::fd` gives nothing but directories, and `perform()` of a call on a socket, or on
/// another descriptor than a directory's, fails with EPERM.
inline process::Offer offer_of_descriptors() {
    const process::Descriptor self{static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0))};
    const process::Descriptor copy{static_cast<int>(::syscall(SYS_pidfd_getfd, self.get(), self.get(), 0))};
    if (copy) return {};
    return {errno, errno == ENOSYS
                       ? "workers' descriptors: this kernel has no pidfd_getfd(2) (Linux 5.6), or a filter hides it"
                       : "workers' descriptors: pidfd_getfd(2) is refused by a filter that the host runs under, such "
                         "as a default container's; allow it in the container's seccomp profile, or give the "
                         "container CAP_SYS_PTRACE"};
}

/// Whether the host may reach its workers' memory by process_vm_readv(2) and process_vm_writev(2), as far as what it
/// runs under says: tried on itself. Without, `Call::write` and `perform()` of a call that writes to memory fail with
/// EFAULT; memory is read all the same, where a worker has forbidden itself to read it (PROT_NONE), too.
inline process::Offer offer_of_memory() {
    char from = 1, to = 0;
    const iovec local{&from, 1}, remote{&to, 1};
    if (::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0) == 1) return {};
    return {
        errno,
        "workers' memory: process_vm_writev(2) is refused by a filter that the host runs under, such as a container's "
        "on an old container engine; allow it in the container's seccomp profile, or give the container "
        "CAP_SYS_PTRACE"};
}

}  // namespace sysguard::supervise
