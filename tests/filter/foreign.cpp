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

#include "support/i386.hpp"
#include "support/probe.hpp"
#include "support/random_policy.hpp"
#include "support/skip.hpp"

#if defined(__x86_64__)

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace filter = sysguard::filter;
namespace policy = sysguard::policy;
using sg::Action;
using sg::Decision;

namespace {

constexpr std::size_t most_rules = support::FixedPolicy::most_rules;
using Code = filter::ForeignCode<filter::max_instructions, most_rules>;
constexpr Code i386_code = sg::Admission<sg::Abi::i386>::code<filter::max_instructions, most_rules>();

/// Native calls whose arguments lie elsewhere in i386, or mean something else there, and some that do not.
const std::vector<int> calls{
    SYS_arch_prctl, SYS_chown,     SYS_clone,           SYS_fadvise64, SYS_fallocate,      SYS_fanotify_mark,
    SYS_fcntl,      SYS_ftruncate, SYS_getpriority,     SYS_ioctl,     SYS_kill,           SYS_lookup_dcookie,
    SYS_lseek,      SYS_mmap,      SYS_mprotect,        SYS_msgctl,    SYS_msgrcv,         SYS_openat,
    SYS_pread64,    SYS_preadv2,   SYS_prctl,           SYS_readahead, SYS_rt_sigprocmask, SYS_semctl,
    SYS_semop,      SYS_sendto,    SYS_setpriority,     SYS_setresuid, SYS_shmat,          SYS_socket,
    SYS_socketpair, SYS_stat,      SYS_sync_file_range, SYS_truncate,  SYS_umount2,        SYS_wait4,
};

/// A call of i386 that the rules of a native one hold for.
struct Door {
    int number = 0;
    int part = -1;  ///< of socketcall and ipc
    const abi::ForeignLayout* layout = nullptr;
};

std::vector<Door> doors_of(int native) {
    std::vector<Door> doors;
    for (int place = 0; place < abi::i386_places; ++place) {
        if (abi::i386_layout(place).native != native) continue;
        if (place >= abi::i386_instead) continue;
        if (place < abi::i386_limit)
            doors.push_back({place, -1, &abi::i386_layout(place)});
        else if (place < abi::i386_ipc)
            doors.push_back({abi::i386_socketcall_number, place - abi::i386_socketcall, &abi::i386_layout(place)});
        else
            doors.push_back({abi::i386_ipc_number, place - abi::i386_ipc, &abi::i386_layout(place)});
    }
    return doors;
}

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
        view.admitted = &policy::admitted_i386;
        return view;
    }

    /// A call that mostly comes to a native one with arguments on the edges of its rules, with bits above those that
    /// the kernel reads.
    support::Probe next() {
        support::Choices& choices = random_.choices();
        const int native = choices.pick(natives_);
        const std::vector<Door> doors = doors_of(native);
        support::Probe probe;
        for (std::uint64_t& argument : probe.arguments) argument = choices.number();
        probe.number = static_cast<int>(choices.below(480));
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

void compile(const policy::View& view, filter::Program<filter::max_instructions>& program) {
    const policy::RulesByCall<most_rules> by_call{view};
    program = {};
    filter::compile(view, by_call, program, i386_code);
}

seccomp_data data_of(const support::Probe& probe) {
    seccomp_data data{};
    data.nr = probe.number;
    data.arch = abi::audit_architecture(sg::Abi::i386);
    for (int i = 0; i < 6; ++i) data.args[i] = probe.arguments[i];
    return data;
}

/// Whether what was decided is what the rules of the native call say, whatever that is of its arguments which is not
/// known.
bool agrees_with_native_rules(const policy::View& view, const policy::NativeCall& native,
                              const policy::ForeignDecision& decided, bool is_told, Probes& probes) {
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
bool is_told(const policy::View& view, const support::Probe& probe) {
    const abi::ForeignLayout& layout = policy::i386_layout(view, abi::i386_place(probe.number, probe.arguments[0]));
    for (std::size_t i = 0; i < view.rule_count; ++i)
        if (view.rules[i].number == layout.native &&
            (view.rules[i].in_memory ||
             !policy::is_told_by_registers(view.condition(view.rules[i]), view.rules[i].node_count, layout)))
            return false;
    return true;
}

}  // namespace

TEST_CASE("random policies: the rules, as for the native calls, and the compiled program agree on calls of i386") {
    const std::vector<Decision> decisions = support::all_decisions();
    static filter::Program<filter::max_instructions> program;
    int undecided = 0;
    int by_native_rules = 0;
    int too_large = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        Probes probes{seed};
        const policy::View view = probes.make(decisions);
        try {
            compile(view, program);
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
            const policy::ForeignDecision decided = policy::decide_i386(view, probe.number, probe.arguments);
            REQUIRE(policy::decide(view, sg::Abi::i386, probe.number, probe.arguments) == decided.decision);
            const std::uint32_t value = filter::interpret(program, data_of(probe)).value;
            if (value != filter::return_value(decided.decision))
                REQUIRE(value == filter::return_value(decided.decision));
            const policy::NativeCall native = policy::translate_i386(view, probe.number, probe.arguments);
            undecided += decided.is_undecided ? 1 : 0;
            if (native.number < 0) {
                CHECK(decided.decision == policy::unknown_call);
            } else if (native.number != SYS_exit && native.number != SYS_exit_group) {
                ++by_native_rules;
                REQUIRE(agrees_with_native_rules(view, native, decided, is_told(view, probe), probes));
            }
        }
    }
    CHECK(undecided > 1000);
    CHECK(by_native_rules > 40000);
    CHECK(too_large < 40);
}

TEST_CASE("a policy that admits i386 decides native calls as before, with as many instructions") {
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
        view.admitted = &policy::admitted_i386;
        try {
            compile(view, program);
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

TEST_CASE("what a policy that admits i386 says to all other ABIs is proven") {
    constexpr sg::Policy policy{sg::preset::cpp_runtime, sg::preset::network_client, sg::admit<sg::Abi::i386>,
                                sg::otherwise.kill()};
    const filter::Proof proof = filter::prove(policy.program(), policy.view());
    CHECK(proof.decided);
    CHECK_FALSE(proof.against);
    policy::View other = policy.view();
    other.foreign = {Action::deny, EXFULL};
    CHECK(filter::prove(policy.program(), other).against);
}

TEST_CASE("other ABIs are as foreign as before") {
    constexpr sg::Policy open{sg::foreign.kill_now(), sg::admit<sg::Abi::i386>, sg::otherwise.allow()};
    static_assert(filter::interpret(open.program(), {4, 0x40000003, 0, {}}).value == SECCOMP_RET_ALLOW);
    for (const std::uint32_t architecture : {0U, 0xC00000B7U, 0xC00000F3U, 0x40000028U, 0x40000002U})
        CHECK(filter::interpret(open.program(), {4, architecture, 0, {}}).value == SECCOMP_RET_KILL_PROCESS);
    for (const std::uint32_t number : {0x40000000U, 0x40000004U, 0x7fffffffU, 0xfffffffeU})
        CHECK(filter::interpret(open.program(), {static_cast<int>(number), 0xC000003E, 0, {}}).value ==
              SECCOMP_RET_KILL_PROCESS);
    for (const std::uint32_t number : {0x40000004U, 500U, 222U, 166U, 0xfffffffeU})  // none of i386 either
        CHECK(filter::interpret(open.program(), {static_cast<int>(number), 0x40000003, 0, {}}).value ==
              (SECCOMP_RET_ERRNO | ENOSYS));
}

TEST_CASE("calls of i386 that are allowed whatever their arguments can be cached by the kernel") {
    constexpr sg::Policy runtime{sg::preset::static_runtime, sg::admit<sg::Abi::i386>, sg::otherwise.kill()};
    for (const int number : {1, 3, 4, 45, 91, 252, 403, 422}) {
        const filter::Verdict verdict = filter::interpret(runtime.program(), {number, 0x40000003, 0, {}});
        CHECK(verdict.value == SECCOMP_RET_ALLOW);
        CHECK(verdict.only_number);
        CHECK(verdict.instructions < 20);
    }
}

TEST_CASE("random policies: the rules and the live kernel agree on calls of i386") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel has no door for 32-bit calls");
    // Nothing is allowed that would run.
    const std::vector<Decision> decisions{{Action::deny, EXFULL}, {Action::deny, EBADRQC}, {Action::deny, EBADSLT}};
    static filter::Program<filter::max_instructions> program;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Probes random{seed};
        const policy::View view = random.make(decisions);
        compile(view, program);
        std::vector<support::Probe> probes(200);
        for (support::Probe& probe : probes) {
            do probe = random.next();
            while (probe.number == 1 || probe.number == 252);
        }
        const std::vector<support::Answer> answers = support::make_i386_calls(program, probes);
        for (std::size_t i = 0; i < probes.size(); ++i) {
            CAPTURE(seed);
            CAPTURE(i);
            CAPTURE(probes[i].number);
            REQUIRE(answers[i].made);
            const Decision decision = policy::decide(view, sg::Abi::i386, probes[i].number, probes[i].arguments);
            const bool is_for_the_host = decision == Action::handle;  // and nobody listens
            REQUIRE((is_for_the_host || decision == Action::deny));
            CHECK(answers[i].result == (is_for_the_host ? -ENOSYS : -decision.value));
        }
    }
}

#endif
