#include <sysguard/filter/interpret.hpp>
#include <sysguard/foreign.hpp>
#include <sysguard/libseccomp.hpp>
#include <sysguard/policy/tasks.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Action;
using sg::AnyCall;
using sg::Decision;
using sg::LibseccompContext;
using sg::LibseccompPolicy;
using sg::Rule;
using sg::Verdict;
using Kind = sg::Outcome::Kind;

namespace {

constexpr sg::Policy open_policy{sg::otherwise.allow()};

void add(const LibseccompContext& context, std::uint32_t action, int call) {
    REQUIRE(::seccomp_rule_add_exact(context.get(), action, call, 0) == 0);
}

void add(const LibseccompContext& context, std::uint32_t action, int call, const std::vector<scmp_arg_cmp>& tests) {
    REQUIRE(::seccomp_rule_add_exact_array(context.get(), action, call, static_cast<unsigned>(tests.size()),
                                           tests.data()) == 0);
}

scmp_arg_cmp equal(unsigned argument, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, 0xffffffff, value};
}

/// A context that allows everything but getpriority.
LibseccompContext with(std::uint32_t action) {
    LibseccompContext context{SCMP_ACT_ALLOW};
    add(context, action, SYS_getpriority);
    return context;
}

int priority(std::uint64_t which = 0) {
    return ::syscall(SYS_getpriority, which, 0) < 0 ? -errno : 0;
}

template <class Make>
sg::Error error_of(const Make& make) {
    try {
        make();
    } catch (const sg::Error& error) {
        return error;
    }
    return {0, "none"};
}

bool has_notify() {
    LibseccompContext context{SCMP_ACT_ALLOW};
    return ::seccomp_rule_add_exact(context.get(), SCMP_ACT_NOTIFY, SYS_getpriority, 0) == 0;
}

}  // namespace

TEST_CASE("workers run under a context, which may be changed and released meanwhile") {
    LibseccompContext context{SCMP_ACT_ALLOW};
    add(context, SCMP_ACT_ERRNO(EXFULL), SYS_getpriority, {equal(0, 1)});
    const sg::Sandbox box = [&] {
        const LibseccompPolicy policy{context.get()};
        add(context, SCMP_ACT_ERRNO(EBADE), SYS_getpriority, {equal(0, 0)});
        return sg::Sandbox{policy};
    }();
    ::seccomp_release(context.release());
    CHECK(*box.call([] { return priority(0); }) == 0);
    CHECK(*box.call([] { return priority(1); }) == -EXFULL);
    CHECK(box.run({support::helper("noop")}));
}

TEST_CASE("each action of a context is what it is with libseccomp") {
    CHECK(*sg::Sandbox{LibseccompPolicy{with(SCMP_ACT_ERRNO(EXFULL)).get()}}.call([] { return priority(); }) ==
          -EXFULL);
    CHECK(*sg::Sandbox{LibseccompPolicy{with(SCMP_ACT_TRACE(7)).get()}}.call([] { return priority(); }) == -ENOSYS);
    for (const std::uint32_t action : {SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_TRAP}) {
        const LibseccompPolicy policy{with(action).get()};
        CHECK(sg::Sandbox{policy}.call([] { return priority(); }).outcome().kind() == Kind::violation);
    }
    CHECK(LibseccompPolicy{with(SCMP_ACT_LOG).get()}.decide<SYS_getpriority>(0, 0) == Action::log);
    CHECK(LibseccompPolicy{with(SCMP_ACT_TRAP).get()}.decide<SYS_getpriority>(0, 0) == Action::trap);
    CHECK(LibseccompPolicy{with(SCMP_ACT_ERRNO(0)).get()}.decide<SYS_getpriority>(0, 0) == Decision{Action::fake, 0});
}

TEST_CASE("a context that forbids what a worker is started with lets it start") {
    SYSGUARD_SKIP_SANITIZED();
    LibseccompContext context{SCMP_ACT_KILL_PROCESS};
    constexpr sg::Policy needed{sg::preset::static_runtime, sg::otherwise.kill()};
    for (const sg::policy::RuleRecord& rule : sg::preset::static_runtime)
        if (rule.number != SYS_execve && rule.number != SYS_exit_group && rule.node_count == 0 &&
            rule.decision == Action::allow)
            ::seccomp_rule_add_exact(context.get(), SCMP_ACT_ALLOW, rule.number, 0);
    for (const int call : {sg::sys::mmap, sg::sys::mprotect, sg::sys::prlimit64, sg::sys::arch_prctl})
        if (call >= 0) ::seccomp_rule_add_exact(context.get(), SCMP_ACT_ALLOW, call, 0);
    const LibseccompPolicy alone{context.get()};
    CHECK(alone.decide<SYS_execve>(nullptr, nullptr, nullptr) == Action::kill_now);
    CHECK(alone.decide<SYS_seccomp>(0, 0, nullptr) == Action::kill_now);
    CHECK(alone.decide<SYS_prctl>(1, 0, 0, 0, 0) == Action::kill_now);
    const sg::Outcome outcome = sg::Sandbox{alone}.run({support::helper("noop")});
    CHECK_MESSAGE(static_cast<bool>(outcome), outcome.explain());
    const LibseccompPolicy both{context.get(), needed};
    const sg::Outcome confined = sg::Sandbox{both}.run({support::helper("noop")});
    CHECK_MESSAGE(static_cast<bool>(confined), confined.explain());
    CHECK(sg::Sandbox{both}.run({support::helper("behave"), "execute", "/bin/true"}).kind() == Kind::violation);
}

TEST_CASE("with a policy both have to let a call pass") {
    constexpr sg::Policy own{Rule<SYS_getpriority>{arg::which == 1}.deny(EBADE),
                             Rule<SYS_getpriority>{arg::which == 2}.kill(), sg::otherwise.allow()};
    LibseccompContext context{SCMP_ACT_ALLOW};
    add(context, SCMP_ACT_ERRNO(EXFULL), SYS_getpriority, {equal(0, 0)});
    add(context, SCMP_ACT_ERRNO(EXFULL), SYS_getpriority, {equal(0, 1)});
    add(context, SCMP_ACT_ERRNO(ENOANO), SYS_getpgid);
    const LibseccompPolicy policy{context.get(), own};
    const sg::Sandbox box{policy};
    CHECK(*box.call([] { return priority(0); }) == -EXFULL);
    CHECK(*box.call([] { return priority(1); }) == -EBADE);  // of two errnos, the policy's
    CHECK(*box.call([] { return ::getpgid(0) < 0 ? errno : 0; }) == ENOANO);
    CHECK(*box.call([] { return ::getsid(0) > 0; }));
    const auto killed = box.call([] { return priority(2); });
    REQUIRE(killed.outcome().kind() == Kind::violation);
    CHECK(killed.outcome().violation()->call.find("getpriority") != std::string::npos);
    CHECK(policy.decide<SYS_getpriority>(0, 0) == Decision{Action::deny, EXFULL});
    CHECK(policy.decide<SYS_getpriority>(1, 0) == Decision{Action::deny, EBADE});
    CHECK(policy.decide<SYS_getpriority>(2, 0) == Action::kill);
    CHECK(policy.decide<SYS_getpriority>(3, 0) == Action::allow);
    CHECK(policy.decide<SYS_getsid>(0) == Action::allow);
}

TEST_CASE("what gets by a comparison of 64 bits does not get by the policy") {
    constexpr sg::Policy own{Rule<SYS_getpriority>{arg::which == 0}.deny(EPERM), sg::otherwise.allow()};
    LibseccompContext context{SCMP_ACT_ALLOW};
    add(context, SCMP_ACT_ERRNO(EPERM), SYS_getpriority, {{0, SCMP_CMP_EQ, 0, 0}});
    const auto attack = [] { return priority(1ULL << 32); };
    CHECK(*sg::Sandbox{LibseccompPolicy{context.get()}}.call(attack) == 0);
    CHECK(*sg::Sandbox{LibseccompPolicy{context.get(), own}}.call(attack) == -EPERM);
}

TEST_CASE("who is to be asked about SCMP_ACT_NOTIFY has to be said") {
    if (!has_notify()) SYSGUARD_SKIP("the kernel lacks user notification, or hides it");
    const LibseccompContext context = with(SCMP_ACT_NOTIFY);
    const sg::Error error = error_of([&] { LibseccompPolicy{context.get()}; });
    CHECK(error.code().value() == EINVAL);
    CHECK(error.step().find("SCMP_ACT_NOTIFY") != std::string::npos);
    CHECK(error_of([&] { LibseccompPolicy{context.get(), open_policy}; }).step() == error.step());
}

TEST_CASE("a handler decides what the context gives to a listener, and sees the call") {
    if (!has_notify()) SYSGUARD_SKIP("the kernel lacks user notification, or hides it");
    const std::string kept(64, 'x');
    const LibseccompPolicy policy{with(SCMP_ACT_NOTIFY).get(), [kept](const AnyCall& call) -> Verdict {
                                      if (call.name() != "getpriority") return call.kill();
                                      if (call.registers()[0] == 1) return call.proceed_unchecked();
                                      if (call.registers()[0] == 2) return call.fake(77);
                                      return call.deny(static_cast<int>(kept.size()));
                                  }};
    CHECK(policy.decide<SYS_getpriority>(0, 0) == Action::handle);
    const sg::Sandbox box{policy};
    CHECK(*box.call([] { return priority(0); }) == -64);
    CHECK(*box.call([] { return priority(1); }) == 0);
    CHECK(*box.call([] { return ::syscall(SYS_getpriority, 2, 0); }) == 77);
    const LibseccompPolicy throws{with(SCMP_ACT_NOTIFY).get(),
                                  [](const AnyCall&) -> Verdict { throw std::runtime_error{"no"}; }};
    CHECK(*sg::Sandbox{throws}.call([] { return priority(0); }) == -EPERM);
}

TEST_CASE(
    "what the handler lets pass the policy has to allow, and what the policy never allows nobody is asked about") {
    if (!has_notify()) SYSGUARD_SKIP("the kernel lacks user notification, or hides it");
    static std::atomic<int> asked{0};
    static std::atomic<int> handled{0};
    constexpr sg::Policy own{Rule<SYS_getpriority>{arg::which == 1}.deny(EBADE),
                             Rule<SYS_getpriority>{arg::which == 2}.kill(),
                             Rule<SYS_getpriority>{arg::which == 3}.fake(55),
                             Rule<SYS_getpriority>{arg::which >= 4}.handle([](const sg::Call<SYS_getpriority>& call) {
                                 ++handled;
                                 return call[arg::which] == 5 ? call.deny(ENOANO) : call.proceed();
                             }),
                             sg::otherwise.allow()};
    const LibseccompPolicy policy{with(SCMP_ACT_NOTIFY).get(), own, [](const AnyCall& call) -> Verdict {
                                      ++asked;
                                      return call.registers()[0] == 6 ? call.deny(EXFULL) : call.proceed_unchecked();
                                  }};
    const sg::Sandbox box{policy};
    const auto result = [&](std::uint64_t which) {
        asked = handled = 0;
        const auto answer = box.call([which] { return static_cast<int>(priority(which)); });
        return answer ? *answer : 1;
    };
    CHECK(result(0) == 0);
    CHECK((asked == 1 && handled == 0));
    CHECK(result(1) == -EBADE);
    CHECK(asked == 0);
    CHECK(result(2) == 1);
    CHECK(asked == 0);
    CHECK(result(3) == 0);
    CHECK(asked == 0);
    CHECK(result(4) == -EINVAL);  // from the kernel: there is no such thing to ask for
    CHECK((asked == 1 && handled == 1));
    CHECK(result(5) == -ENOANO);
    CHECK((asked == 1 && handled == 1));
    CHECK(result(6) == -EXFULL);
    CHECK((asked == 1 && handled == 0));
}

TEST_CASE("a handler of the context's cannot go round the policy's by answering later") {
    if (!has_notify()) SYSGUARD_SKIP("the kernel lacks user notification, or hides it");
    const auto late = [](const AnyCall& call) -> Verdict {
        sg::Deferred later = call.defer();
        Verdict verdict = later.pending();
        later.answer(later.call().proceed_unchecked());
        return verdict;
    };
    constexpr sg::Policy handles{
        Rule<SYS_getpriority>{}.handle([](const sg::Call<SYS_getpriority>& call) { return call.deny(EXFULL); }),
        sg::otherwise.allow()};
    const LibseccompContext context = with(SCMP_ACT_NOTIFY);
    CHECK(*sg::Sandbox{LibseccompPolicy{context.get(), open_policy, late}}.call([] { return priority(); }) == 0);
    CHECK(*sg::Sandbox{LibseccompPolicy{context.get(), handles, late}}.call([] { return priority(); }) == -EPERM);
}

TEST_CASE("a policy's handler decides only what the context allows") {
    constexpr sg::Policy own{
        Rule<SYS_getpriority>{}.handle([](const sg::Call<SYS_getpriority>& call) { return call.fake(33); }),
        sg::otherwise.allow()};
    LibseccompContext context{SCMP_ACT_ALLOW};
    add(context, SCMP_ACT_ERRNO(EXFULL), SYS_getpriority, {equal(0, 1)});
    add(context, SCMP_ACT_TRACE(1), SYS_getpriority, {equal(0, 2)});
    const sg::Sandbox box{LibseccompPolicy{context.get(), own}};
    CHECK(*box.call([] { return ::syscall(SYS_getpriority, 0, 0); }) == 33);
    CHECK(*box.call([] { return priority(1); }) == -EXFULL);
    CHECK(*box.call([] { return priority(2); }) == -ENOSYS);
}

TEST_CASE("what workers may start is known from the context") {
    LibseccompContext context{SCMP_ACT_ALLOW};
    for (const int call : {sg::sys::fork, sg::sys::vfork, sg::sys::clone3, sg::sys::setsid, sg::sys::setpgid})
        if (call >= 0) add(context, SCMP_ACT_ERRNO(ENOSYS), call);
    CHECK(sg::policy::tasks_of(LibseccompPolicy{context.get()}.view()).processes);
    add(context, SCMP_ACT_ERRNO(EPERM), SYS_clone, {{0, SCMP_CMP_MASKED_EQ, 0x10000, 0}});
    const sg::policy::Tasks alone = sg::policy::tasks_of(LibseccompPolicy{context.get()}.view());
    CHECK_FALSE(alone.processes);
    CHECK(alone.threads);
    CHECK_FALSE(alone.groups);
    constexpr sg::Policy own{Rule<SYS_clone>{}.deny(EPERM), sg::otherwise.allow()};
    const sg::policy::Tasks both = sg::policy::tasks_of(LibseccompPolicy{context.get(), own}.view());
    CHECK_FALSE(both.processes);
    CHECK_FALSE(both.threads);
    CHECK_FALSE(both.groups);
}

TEST_CASE("contexts that cannot be used are refused, and it is said what to do") {
    CHECK(error_of([] { LibseccompPolicy{scmp_filter_ctx{nullptr}}; }).code().value() == EINVAL);
    const std::uint32_t other = sg::abi::native_abi == sg::abi::Abi::x86_64 ? SCMP_ARCH_X86 : SCMP_ARCH_ARM;
    LibseccompContext context{SCMP_ACT_ALLOW};
    REQUIRE(::seccomp_arch_add(context.get(), other) == 0);
    const sg::Error foreign = error_of([&] { LibseccompPolicy{context.get()}; });
    CHECK(foreign.code().value() == EINVAL);
    CHECK(foreign.step().find("seccomp_arch_remove") != std::string::npos);
    CHECK(error_of([&] { LibseccompPolicy{context.get(), open_policy}; }).code().value() == 0);
    REQUIRE(::seccomp_arch_remove(context.get(), SCMP_ARCH_NATIVE) == 0);
    const sg::Error missing = error_of([&] { LibseccompPolicy{context.get(), open_policy}; });
    CHECK(missing.code().value() == EINVAL);
    CHECK(missing.step().find("seccomp_arch_add") != std::string::npos);
}

TEST_CASE("calls of other architectures that a context lets pass the policy refuses") {
    if (sg::abi::native_abi != sg::abi::Abi::x86_64) SYSGUARD_SKIP("for x86_64");
    LibseccompContext context{SCMP_ACT_ALLOW};
    REQUIRE(::seccomp_arch_add(context.get(), SCMP_ARCH_X86) == 0);
    REQUIRE(::seccomp_arch_add(context.get(), SCMP_ARCH_X32) == 0);
    const LibseccompPolicy policy{context.get(), sg::Policy{sg::foreign.deny(ENOSYS), sg::otherwise.allow()}};
    const std::uint32_t refused = SECCOMP_RET_ERRNO | ENOSYS;
    CHECK(sg::filter::interpret(policy.program(), {20, SCMP_ARCH_X86, 0, {}}).value == refused);
    CHECK(sg::filter::interpret(policy.program(), {0x40000027, SCMP_ARCH_X86_64, 0, {}}).value == refused);
    CHECK(sg::filter::interpret(policy.program(), {39, SCMP_ARCH_X86_64, 0, {}}).value == SECCOMP_RET_ALLOW);
}

TEST_CASE("calls that both allow are cached") {
    LibseccompContext context{SCMP_ACT_ERRNO(EPERM)};
    add(context, SCMP_ACT_ALLOW, SYS_getpid);
    const LibseccompPolicy policy{context.get(), open_policy};
    const sg::filter::Verdict verdict =
        sg::filter::interpret(policy.program(), {SYS_getpid, ::seccomp_arch_native(), 0, {}});
    CHECK(verdict.value == SECCOMP_RET_ALLOW);
    CHECK(verdict.only_number);
}

TEST_CASE("a policy that is exported and taken over again is the same") {
    constexpr sg::Policy own{Rule<SYS_getpriority>{arg::which == 1}.deny(EXFULL),
                             Rule<SYS_getpriority>{arg::which.in(2, 5)}.kill_now(), sg::foreign.kill_now(),
                             sg::otherwise.allow()};
    const sg::LibseccompExport exported = sg::export_to_libseccomp(own);
    CHECK(exported.notes.empty());
    CHECK(sg::pseudo_code(own).find("    if ($a0.lo32 == 1)\n      action ERRNO(54);") != std::string::npos);
    CHECK(sg::pseudo_code(exported.context.get()).find("if ($a0.lo32 & 0xffffffff == 1)") != std::string::npos);
    const LibseccompPolicy again{exported.context.get()};
    for (const std::uint64_t which : {0ULL, 1ULL, 2ULL, 3ULL, 5ULL, 1ULL << 32, 5 | 1ULL << 40})
        CHECK(again.decide(SYS_getpriority, {which}) == own.decide(SYS_getpriority, {which}));
    CHECK(again.decide<SYS_getpid>() == Action::allow);
    const sg::Sandbox box{again};
    CHECK(*box.call([] { return priority(0); }) == 0);
    CHECK(*box.call([] { return priority(1 | 1ULL << 32); }) == -EXFULL);
    CHECK(box.call([] { return priority(2); }).outcome().kind() == Kind::violation);
}

TEST_CASE("the page on libseccomp: workers under a context, alone and with a policy") {
    constexpr sg::Policy policy{Rule<SYS_getpriority>{arg::which == 2}.deny(EBADE), sg::otherwise.allow()};
    LibseccompContext owned{SCMP_ACT_ALLOW};
    add(owned, SCMP_ACT_ERRNO(EXFULL), SYS_getpriority, {equal(0, 1)});
    const bool notifies = has_notify();
    if (notifies) add(owned, SCMP_ACT_NOTIFY, SYS_getsid);
    const scmp_filter_ctx context = owned.release();
    const sg::Sandbox asked{LibseccompPolicy{context, policy, [](const AnyCall& call) -> Verdict {
                                                 return call.name() == "getsid" ? call.deny(ENOANO)
                                                                                : call.proceed_unchecked();
                                             }}};
    ::seccomp_release(context);
    CHECK(*asked.call([] { return priority(0); }) == 0);
    CHECK(*asked.call([] { return priority(1); }) == -EXFULL);
    CHECK(*asked.call([] { return priority(2); }) == -EBADE);
    if (notifies) CHECK(*asked.call([] { return ::getsid(0) < 0 ? errno : 0; }) == ENOANO);
    const sg::LibseccompExport made = sg::export_to_libseccomp(policy);
    CHECK(made.notes.size() == 1);
}

TEST_CASE("a policy that admits 32-bit calls does not go below a context, which is not asked about them") {
    constexpr sg::Policy admits{sg::admit<sg::abi::compat_abi>, sg::otherwise.allow()};
    const LibseccompContext context{SCMP_ACT_ALLOW};
    CHECK_THROWS_AS((LibseccompPolicy{context.get(), admits}), sg::Error);
}
