#include <sysguard/filter/interpret.hpp>
#include <sysguard/filter/prove.hpp>
#include <sysguard/foreign.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/compat.hpp"
#include "support/probe.hpp"
#include "support/random_policy.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace filter = sysguard::filter;
namespace policy = sysguard::policy;
using sg::Action;
using sg::Decision;

namespace {

constexpr std::size_t most_rules = support::FixedPolicy::most_rules;
using Code = filter::ForeignCode<filter::max_instructions, most_rules>;

template <abi::Abi foreign>
constexpr Code code_for{filter::write_foreign<foreign, filter::max_instructions, most_rules>, true};

/// Native calls whose arguments lie elsewhere in a 32-bit ABI, or mean something else there, and some that do not.
const std::vector<int> calls {
    SYS_clone, SYS_dup3, SYS_fadvise64, SYS_fallocate, SYS_fanotify_mark, SYS_fchownat, SYS_fcntl, SYS_ftruncate,
        SYS_getpgid, SYS_getpriority, SYS_ioctl, SYS_kill, SYS_linkat, SYS_lookup_dcookie, SYS_lseek, SYS_mmap,
        SYS_mprotect, SYS_msgctl, SYS_msgrcv, SYS_newfstatat, SYS_openat, SYS_ppoll, SYS_pread64, SYS_preadv2,
        SYS_prctl, SYS_prlimit64, SYS_ptrace, SYS_readahead, SYS_rt_sigprocmask, SYS_semctl, SYS_semop, SYS_sendto,
        SYS_setpriority, SYS_setresuid, SYS_shmat, SYS_socket, SYS_socketpair, SYS_sync_file_range, SYS_truncate,
        SYS_umount2, SYS_unlinkat, SYS_wait4,
#if defined(__x86_64__)
        SYS_arch_prctl, SYS_chown, SYS_stat,
#endif
};

/// A call of a 32-bit ABI that the rules of a native one hold for.
struct Door {
    int number = 0;
    int part = -1;  ///< of socketcall and ipc
    const abi::ForeignLayout* layout = nullptr;
};

template <abi::Abi foreign>
std::vector<Door> doors_of(int native) {
    using Places = abi::ForeignPlaces<foreign>;
    std::vector<Door> doors;
    const auto add = [&](int place, int number, int part) {
        const abi::ForeignLayout& layout = abi::foreign_layout<foreign>(place);
        if (layout.native == native) doors.push_back({number, part, &layout});
    };
    for (const abi::NumberRange& range : Places::ranges)
        for (int i = 0; i < range.count; ++i) add(range.place + i, range.first + i, -1);
    for (const abi::Multiplexer& each : Places::multiplexers)
        for (int part = 0; each.number >= 0 && part <= each.last_part; ++part)
            add(each.place + part, each.number, part);
    return doors;
}

template <abi::Abi foreign>
class Probes {
public:
    explicit Probes(std::uint64_t seed) : random_{support::Choices{seed}, calls} {}

    /// Valid until the next.
    policy::View make(const std::vector<Decision>& decisions) {
        support::LoosePolicy loose = random_.make(decisions);
        loose.foreign = {Action::deny, EXFULL};
        loose.rules.insert(loose.rules.begin(), {SYS_exit_group, {}, false, {Action::allow}});
        natives_.clear();
        for (const support::LoosePolicy::Rule& rule : loose.rules) natives_.push_back(rule.number);
        fixed_.emplace(loose);
        policy::View view = fixed_->view();
        view.admitted = &policy::admitted_abi<foreign>;
        return view;
    }

    /// A call that mostly comes to a native one with arguments on the edges of its rules, with bits above those that
    /// the kernel reads.
    support::Probe next() {
        support::Choices& choices = random_.choices();
        const int native = choices.pick(natives_);
        const std::vector<Door> doors = doors_of<foreign>(native);
        support::Probe probe;
        for (std::uint64_t& argument : probe.arguments) argument = choices.number();
        probe.number = static_cast<int>(choices.below(480));
        if (choices.one_in(8)) probe.number = 0x0f0000 + static_cast<int>(choices.below(8));
        if (doors.empty() || choices.one_in(16)) return probe;
        const Door door = choices.pick(doors);
        probe.number = door.number;
        const seccomp_data data = random_.input(native);
        for (int i = 0; i < abi::max_arguments; ++i) {
            const abi::Source& source = door.layout->sources[i];
            const std::uint64_t above = choices.one_in(2) ? choices.number() << 32 : 0;
            probe.arguments[source.low] = above | (data.args[i] & 0xffffffff);
            if (source.kind == abi::Source::Kind::pair) probe.arguments[source.high] = above | data.args[i] >> 32;
        }
        if (door.part >= 0) probe.arguments[0] = choices.number() << 32 | static_cast<std::uint64_t>(door.part);
        return probe;
    }

    /// Some argument of a call.
    std::uint64_t argument(int native, int position) { return random_.input(native).args[position]; }

private:
    support::RandomPolicy random_;
    std::optional<support::FixedPolicy> fixed_{};
    std::vector<int> natives_{};
};

template <abi::Abi foreign>
void compile(const policy::View& view, filter::Program<filter::max_instructions>& program) {
    const policy::RulesByCall<most_rules> by_call{view};
    program = {};
    filter::compile(view, by_call, program, code_for<foreign>);
}

template <abi::Abi foreign>
seccomp_data data_of(const support::Probe& probe) {
    seccomp_data data{};
    data.nr = probe.number;
    data.arch = abi::audit_architecture(foreign);
    for (int i = 0; i < 6; ++i) data.args[i] = probe.arguments[i];
    return data;
}

/// Whether what was decided is what the rules of the native call say, whatever that is of its arguments which is not
/// known.
template <abi::Abi foreign>
bool agrees_with_native_rules(const policy::View& view, const policy::NativeCall& native,
                              const policy::ForeignDecision& decided, bool is_told, Probes<foreign>& probes) {
    for (int attempt = 0; attempt < (is_told ? 1 : 12); ++attempt) {
        std::uint64_t arguments[abi::max_arguments]{};
        for (int i = 0; i < abi::max_arguments; ++i)
            arguments[i] = native.known[i] ? native.arguments[i] : probes.argument(native.number, i);
        const Decision expected = policy::decide(view, native.number, arguments);
        const bool is_for_the_host = expected == Action::handle && !native.is_served;
        if (is_told && decided.is_undecided != is_for_the_host) return false;
        if (!decided.is_undecided && !is_for_the_host && !(decided.decision == expected)) return false;
    }
    return true;
}

/// Whether the registers tell all that the rules for a call look at.
template <abi::Abi foreign>
bool is_told(const policy::View& view, const support::Probe& probe) {
    const int place = abi::foreign_place<foreign>(probe.number, probe.arguments[0]);
    const abi::ForeignLayout& layout = policy::foreign_layout<foreign>(view, place);
    for (std::size_t i = 0; i < view.rule_count; ++i)
        if (view.rules[i].number == layout.native &&
            (view.rules[i].in_memory ||
             !policy::is_told_by_registers(view.condition(view.rules[i]), view.rules[i].node_count, layout)))
            return false;
    return true;
}

/// The rules, as for the native calls, and the compiled program agree.
template <abi::Abi foreign>
void check_random_policies() {
    const std::vector<Decision> decisions = support::all_decisions();
    static filter::Program<filter::max_instructions> program;
    int undecided = 0;
    int by_native_rules = 0;
    int too_large = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        Probes<foreign> probes{seed};
        const policy::View view = probes.make(decisions);
        try {
            compile<foreign>(view, program);
        } catch (const sg::Error&) {
            ++too_large;
            continue;
        }
        REQUIRE(filter::is_valid(program));
        for (int i = 0; i < 150; ++i) {
            const support::Probe probe = probes.next();
            CAPTURE(seed);
            CAPTURE(i);
            CAPTURE(probe.number);
            const policy::ForeignDecision decided =
                policy::decide_foreign<foreign>(view, probe.number, probe.arguments);
            REQUIRE(policy::decide(view, foreign, probe.number, probe.arguments) == decided.decision);
            const std::uint32_t value = filter::interpret(program, data_of<foreign>(probe)).value;
            if (value != filter::return_value(decided.decision))
                REQUIRE(value == filter::return_value(decided.decision));
            const policy::NativeCall native = policy::translate_foreign<foreign>(view, probe.number, probe.arguments);
            undecided += decided.is_undecided ? 1 : 0;
            if (native.number < 0) {
                const bool is_known = abi::foreign_place<foreign>(probe.number, probe.arguments[0]) >= 0;
                const Decision expected = is_known ? Decision{Action::allow} : policy::unknown_call;
                CHECK(decided.decision == expected);
            } else if (native.number != SYS_exit && native.number != SYS_exit_group) {
                ++by_native_rules;
                REQUIRE(agrees_with_native_rules(view, native, decided, is_told<foreign>(view, probe), probes));
            }
        }
    }
    CHECK(undecided > 1000);
    CHECK(by_native_rules > 40000);
    CHECK(too_large < 40);
}

/// The rules and the live kernel agree: `make_calls` makes calls of the 32-bit ABI here.
template <class MakeCalls>
void check_random_policies_live(const MakeCalls& make_calls) {
    constexpr abi::Abi foreign = support::compat;
    // Nothing is allowed that would run, but for what always is.
    const std::vector<Decision> decisions{{Action::deny, EXFULL}, {Action::deny, EBADRQC}, {Action::deny, EBADSLT}};
    static filter::Program<filter::max_instructions> program;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Probes<foreign> random{seed};
        const policy::View view = random.make(decisions);
        compile<foreign>(view, program);
        std::vector<support::Probe> probes(200);
        const auto decide = [&](const support::Probe& probe) {
            return policy::decide(view, foreign, probe.number, probe.arguments);
        };
        for (support::Probe& probe : probes) {
            do probe = random.next();
            while (decide(probe) == Action::allow);
        }
        const std::vector<support::Answer> answers = make_calls(program, probes);
        for (std::size_t i = 0; i < probes.size(); ++i) {
            CAPTURE(seed);
            CAPTURE(i);
            CAPTURE(probes[i].number);
            REQUIRE(answers[i].made);
            const Decision decision = decide(probes[i]);
            const bool is_for_the_host = decision == Action::handle;  // and nobody listens
            REQUIRE((is_for_the_host || decision == Action::deny));
            CHECK(answers[i].result == (is_for_the_host ? -ENOSYS : -decision.value));
        }
    }
}

template <abi::Abi foreign>
void check_native_calls() {
    const std::vector<Decision> decisions{{Action::allow}, {Action::deny, EPERM}, {Action::kill}};
    static filter::Program<filter::max_instructions> plain;
    static filter::Program<filter::max_instructions> program;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        support::RandomPolicy random{support::Choices{seed}, calls};
        const support::FixedPolicy fixed{random.make(decisions)};
        policy::View view = fixed.view();
        const policy::RulesByCall<most_rules> by_call{view};
        plain = {};
        filter::compile(view, by_call, plain);
        view.admitted = &policy::admitted_abi<foreign>;
        try {
            compile<foreign>(view, program);
        } catch (const sg::Error&) {
            continue;
        }
        for (int i = 0; i < 100; ++i) {
            seccomp_data data = random.input();
            data.arch = abi::audit_architecture(abi::native_abi);
            const filter::Verdict before = filter::interpret(plain, data);
            const filter::Verdict after = filter::interpret(program, data);
            CHECK(after.value == before.value);
            CHECK(after.instructions <= before.instructions + 1);  // a step over 255 instructions
            CHECK(after.only_number == before.only_number);
        }
    }
}

}  // namespace

TEST_CASE("random policies: the rules, as for the native calls, and the compiled program agree on calls of arm") {
    check_random_policies<sg::Abi::arm>();
}

#if defined(__x86_64__)
TEST_CASE("random policies: the rules, as for the native calls, and the compiled program agree on calls of i386") {
    check_random_policies<sg::Abi::i386>();
}
#endif

TEST_CASE("a policy that admits a 32-bit ABI decides native calls as before, with as many instructions") {
    check_native_calls<support::compat>();
}

TEST_CASE("what a policy that admits a 32-bit ABI says to all other ABIs is proven") {
    constexpr sg::Policy policy{sg::preset::cpp_runtime, sg::preset::network_client, sg::admit<support::compat>,
                                sg::otherwise.kill()};
    const filter::Proof proof = filter::prove(policy.program(), policy.view());
    CHECK(proof.decided);
    CHECK_FALSE(proof.against);
    policy::View other = policy.view();
    other.foreign = {Action::deny, EXFULL};
    CHECK(filter::prove(policy.program(), other).against);
}

TEST_CASE("other ABIs are as foreign as before") {
    constexpr sg::Policy open{sg::foreign.kill_now(), sg::admit<support::compat>, sg::otherwise.allow()};
    constexpr std::uint32_t admitted = abi::audit_architecture(support::compat);
    constexpr std::uint32_t native = abi::audit_architecture(abi::native_abi);
    static_assert(filter::interpret(open.program(), {4, admitted, 0, {}}).value == SECCOMP_RET_ALLOW);
    for (const std::uint32_t architecture : {0U, 0xC000003EU, 0xC00000B7U, 0xC00000F3U, 0x40000003U, 0x40000028U,
                                             admitted - 1, admitted | 0x80000000, native ^ 0x40000000}) {
        if (architecture == admitted || architecture == native) continue;
        CHECK(filter::interpret(open.program(), {4, architecture, 0, {}}).value == SECCOMP_RET_KILL_PROCESS);
    }
    if (abi::native_abi == sg::Abi::x86_64)
        for (const std::uint32_t number : {0x40000000U, 0x40000004U, 0x7fffffffU, 0xfffffffeU})
            CHECK(filter::interpret(open.program(), {static_cast<int>(number), native, 0, {}}).value ==
                  SECCOMP_RET_KILL_PROCESS);
    for (const std::uint32_t number : {0x40000004U, 500U, 222U, 166U, 0xfffffffeU})  // none of the 32-bit ABIs either
        CHECK(filter::interpret(open.program(), {static_cast<int>(number), admitted, 0, {}}).value ==
              (SECCOMP_RET_ERRNO | ENOSYS));
}

TEST_CASE("calls of a 32-bit ABI that are allowed whatever their arguments can be cached by the kernel") {
    constexpr sg::Policy runtime{sg::preset::static_runtime, sg::admit<support::compat>, sg::otherwise.kill()};
    for (const char* const name :
         {"exit", "read", "write", "brk", "munmap", "exit_group", "clock_gettime64", "futex_time64"}) {
        const int number = support::compat_number(name);
        CAPTURE(name);
        const seccomp_data data{number, abi::audit_architecture(support::compat), 0, {}};
        const filter::Verdict verdict = filter::interpret(runtime.program(), data);
        CHECK(verdict.value == SECCOMP_RET_ALLOW);
        CHECK(verdict.only_number);
        CHECK(verdict.instructions < 20);
    }
}

TEST_CASE("random policies: the rules and the live kernel agree on calls of a program of 32 bits") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    check_random_policies_live(support::make_calls_in_32_bits);
}

#if defined(__x86_64__)
TEST_CASE("random policies: the rules and the live kernel agree on calls of i386 with more than 32 bits") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel has no door for 32-bit calls");
    check_random_policies_live(support::make_i386_calls);
}
#endif
