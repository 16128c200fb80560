#pragma once

#include <sysguard/process/detail/host_facts.hpp>
#include <sysguard/supervise/reach.hpp>

#include <linux/capability.h>
#include <unistd.h>

#include "skip.hpp"

/// Ends a test where a probe of sysguard's says that something is not offered, with its reason.
#define SYSGUARD_SKIP_WITHOUT(probe)                                   \
    if (const sysguard::process::Offer offer = (probe); !offer) {      \
        SYSGUARD_SKIP(("not offered here: " + offer.why_not).c_str()); \
    }                                                                  \
    static_cast<void>(0)

/// Ends a test where a filter that the tests run under keeps the host from its workers' descriptors.
#define SYSGUARD_SKIP_WITHOUT_DESCRIPTORS() SYSGUARD_SKIP_WITHOUT(sysguard::supervise::offer_of_descriptors())

/// Ends a test where a filter that the tests run under keeps the host from its workers' memory.
#define SYSGUARD_SKIP_WITHOUT_MEMORY() SYSGUARD_SKIP_WITHOUT(sysguard::supervise::offer_of_memory())

/// Ends a test as root of whom a container has taken what it takes to look at processes of other users.
#define SYSGUARD_SKIP_WITHOUT_OTHER_USERS()                                                      \
    if (::geteuid() == 0 && !sysguard::process::detail::host_capabilities().has(CAP_SYS_PTRACE)) \
    SYSGUARD_SKIP("not offered here: the processes of other users, without CAP_SYS_PTRACE")
