#pragma once

#include "../../abi/numbers.hpp"
#include "../perform/job.hpp"
#include "bare_text.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>

namespace sysguard::supervise::detail {

/// Has the performer held to what Landlock holds the worker to, for ever. To be called when the call's paths have been
/// walked, which reads what the worker's domain may forbid, and before what Landlock would look at in the worker's own
/// call. Returns 0 or a negative errno, on which nothing may be done. The domain is the performer's own: abstract
/// sockets that the worker has made, and files in /proc that are open to who may ptrace it, are outside of it. Bare
/// code.
SYSGUARD_BARE inline long enter_domain(perform::Job& job) noexcept {
    if (job.ruleset < 0) return 0;
    if (const long result = raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); result < 0) return result;
    const long result = raw_call(sys::landlock_restrict_self, job.ruleset, 0);
    if (result >= 0) job.ruleset = -1;
    return result;
}

}  // namespace sysguard::supervise::detail
