#pragma once

#include "../abi/error.hpp"
#include "program.hpp"

#include <cerrno>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sysguard::filter {

/// Puts a filter on the calling thread and on what it starts from now on; it cannot be taken off again. Sets
/// no_new_privs first (prctl(2), PR_SET_NO_NEW_PRIVS), which the kernel demands of whoever lacks CAP_SYS_ADMIN.
/// Throws `Error`. A filter with decisions for the host (`kill`, `fake`) makes those calls fail with ENOSYS here,
/// because nobody listens. Linux 4.14.
inline void install(const ProgramView& program) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw Error{errno, "set no_new_privs"};
    const sock_fprog filter{static_cast<unsigned short>(program.size), const_cast<sock_filter*>(program.code)};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
        throw Error{errno, "install the seccomp filter"};
}

}  // namespace sysguard::filter
