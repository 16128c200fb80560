#include <sysguard/filter/install.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/supervise/reach.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "support/forked.hpp"

namespace sg = sysguard;
namespace supervise = sysguard::supervise;

TEST_CASE("what a filter refuses the host is told, with what to do") {
    static constexpr sg::Policy policy{
        sg::Rule<sg::sys::pidfd_getfd>{}.deny(EPERM),
        sg::Rule<sg::sys::process_vm_writev>{}.deny(EPERM),
        sg::otherwise.allow(),
    };
    const std::string said = support::in_fork([] {
        sg::filter::install(policy.program());
        const sg::process::Offer descriptors = supervise::offer_of_descriptors();
        const sg::process::Offer memory = supervise::offer_of_memory();
        return std::to_string(descriptors.error) + descriptors.why_not + std::to_string(memory.error) + memory.why_not;
    });
    CHECK(said.find("1workers' descriptors: pidfd_getfd(2) is refused") == 0);
    CHECK(said.find("1workers' memory: process_vm_writev(2) is refused") != std::string::npos);
}

TEST_CASE("what is offered has no reason") {
    for (const sg::process::Offer& offer : {supervise::offer_of_descriptors(), supervise::offer_of_memory()})
        CHECK(offer.why_not.empty() == static_cast<bool>(offer));
}
