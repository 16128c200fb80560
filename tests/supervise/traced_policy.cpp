#include <sysguard/dynamic_policy.hpp>
#include <sysguard/sandbox.hpp>
#include <sysguard/supervise/traced_policy.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::supervise::TracedPolicy;

TEST_CASE("a traced policy keeps copies and decides as the policy does") {
    auto policy = std::make_unique<sg::DynamicPolicy>(sg::RuleList{sg::Rule<SYS_socket>{arg::domain == 2}.deny(EACCES)},
                                                      sg::otherwise.allow());
    const TracedPolicy traced{policy->view()};
    policy.reset();
    const std::uint64_t internet[6] = {2};
    const std::uint64_t local[6] = {1};
    CHECK(sg::policy::decide(traced.view(), SYS_socket, internet) == sg::Decision{sg::Action::deny, EACCES});
    CHECK(sg::policy::decide(traced.view(), SYS_socket, local) == sg::Action::allow);
}

TEST_CASE("a traced policy knows the calls that it does not just allow") {
    const sg::DynamicPolicy few{sg::RuleList{sg::Rule<SYS_socket>{}.deny(EACCES), sg::allow<SYS_read>},
                                sg::otherwise.allow()};
    const sg::CallSet decided = TracedPolicy{few.view()}.decided();
    CHECK(decided.contains(SYS_socket));
    CHECK_FALSE(decided.contains(SYS_read));
    CHECK_FALSE(decided.contains(SYS_write));
    CHECK(decided.has_unknown());  // which get ENOSYS
    const sg::DynamicPolicy most{sg::RuleList{sg::allow<SYS_read>}, sg::otherwise.deny(EPERM)};
    CHECK(TracedPolicy{most.view()}.decided().contains(SYS_write));
}

TEST_CASE("rules that a tracer cannot keep are refused by name") {
    const auto refusal = [](const sg::Decision& decision) -> std::string {
        sg::RuleList rules;
        rules.add(SYS_socket, nullptr, 0, false, decision);
        const sg::DynamicPolicy policy{rules, sg::otherwise.allow()};
        try {
            const TracedPolicy traced{policy.view()};
        } catch (const sg::Error& error) {
            CHECK(error.code().value() == ENOTSUP);
            return error.step();
        }
        return {};
    };
    CHECK(refusal({sg::Action::trap, 1}).find("rule for socket ends with trap") != std::string::npos);
    CHECK(refusal({sg::Action::trace, 1}).find("ends with trace") != std::string::npos);
    CHECK(refusal({sg::Action::kill_thread}).find("ends with kill_thread") != std::string::npos);
    CHECK(refusal({sg::Action::kill_now}).empty());
    CHECK(refusal({sg::Action::fake, 3}).empty());
}
