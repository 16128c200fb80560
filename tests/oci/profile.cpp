#include <sysguard/filter/interpret.hpp>
#include <sysguard/foreign.hpp>
#include <sysguard/json.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/said.hpp"
#include "support/scratch.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace arg = sysguard::arg;
using sg::Action;
using sg::Decision;
using sg::Rule;
using support::error_of, support::has;

namespace {

constexpr sg::OciConditions now{{}, {6, 18}};

/// A profile of these blocks that refuses all else.
std::string of_blocks(const std::string& blocks, const std::string& more = "") {
    return R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 99, )" + more + R"("syscalls": [)" + blocks + "]}";
}

sg::OciProfile load(const std::string& blocks, const std::string& more = "",
                    const sg::OciConditions& conditions = now) {
    return sg::parse_oci_profile(of_blocks(blocks, more), conditions);
}

std::string block(const std::string& name, const std::string& action, const std::string& more = "") {
    return R"({"names": [")" + name + R"("], "action": ")" + action + "\"" + (more.empty() ? "" : ", " + more) + "}";
}

std::string test(int index, const std::string& op, std::uint64_t value, std::uint64_t second = 0) {
    return "{\"index\": " + std::to_string(index) + ", \"op\": \"SCMP_CMP_" + op +
           "\", \"value\": " + std::to_string(value) + ", \"valueTwo\": " + std::to_string(second) + "}";
}

/// What the compiled filter returns.
std::uint32_t filtered(const sg::DynamicPolicy& policy, int number, std::uint64_t first = 0, std::uint64_t second = 0,
                       std::uint64_t third = 0) {
    const seccomp_data data{number, abi::audit_architecture(abi::native_abi), 0, {first, second, third}};
    return sg::filter::interpret(policy.program(), data).value;
}

std::string docker() {
    std::ifstream file{std::string{SYSGUARD_TEST_PROFILES} + "/docker-default.json"};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

TEST_CASE("every action") {
    const struct {
        const char* action;
        const char* more;
        std::uint32_t value;
    } cases[] = {
        {"SCMP_ACT_KILL", "", SECCOMP_RET_KILL_THREAD},
        {"SCMP_ACT_KILL_THREAD", "", SECCOMP_RET_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", "", SECCOMP_RET_KILL_PROCESS},
        {"SCMP_ACT_TRAP", "", SECCOMP_RET_TRAP},
        {"SCMP_ACT_ERRNO", "", SECCOMP_RET_ERRNO | EPERM},
        {"SCMP_ACT_ERRNO", R"("errnoRet": 38)", SECCOMP_RET_ERRNO | ENOSYS},
        {"SCMP_ACT_ERRNO", R"("errnoRet": 0)", SECCOMP_RET_ERRNO},
        {"SCMP_ACT_ERRNO", R"("errno": "ENOSYS")", SECCOMP_RET_ERRNO | ENOSYS},
        {"SCMP_ACT_ERRNO", R"("errno": "ENOSYS", "errnoRet": 38)", SECCOMP_RET_ERRNO | ENOSYS},
        {"SCMP_ACT_TRACE", "", SECCOMP_RET_TRACE | EPERM},
        {"SCMP_ACT_TRACE", R"("errnoRet": 65535)", SECCOMP_RET_TRACE | 65535},
        {"SCMP_ACT_ALLOW", "", SECCOMP_RET_ALLOW},
        {"SCMP_ACT_LOG", "", SECCOMP_RET_LOG},
    };
    for (const auto& each : cases) {
        CAPTURE(each.action);
        CHECK(filtered(load(block("getppid", each.action, each.more)).policy(), SYS_getppid) == each.value);
        const std::string more = each.more;
        if (each.value == SECCOMP_RET_ALLOW || more.find("errno\"") != std::string::npos) continue;
        const std::string as_default = more.empty() ? "" : R"(, "defaultE)" + more.substr(2);
        const sg::OciProfile profile =
            sg::parse_oci_profile(R"({"defaultAction": ")" + std::string{each.action} + "\"" + as_default + "}", now);
        CHECK(filtered(profile.policy(), SYS_getppid) == each.value);
        CHECK(filtered(profile.policy(), abi::native_limit) == (SECCOMP_RET_ERRNO | ENOSYS));
    }
}

TEST_CASE("every operator, unsigned, on what the kernel reads") {
    constexpr std::uint64_t edges[] = {0,          1,          2,          0x7fffffff,       0x80000000,
                                       0xfffffffe, 0xffffffff, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 63,
                                       ~0ULL - 1,  ~0ULL};
    const auto holds = [](const std::string& op, std::uint64_t a, std::uint64_t value, std::uint64_t second) {
        return op == "NE"   ? a != value
               : op == "LT" ? a < value
               : op == "LE" ? a <= value
               : op == "EQ" ? a == value
               : op == "GE" ? a >= value
               : op == "GT" ? a > value
                            : (a & value) == (second & value);
    };
    std::size_t wrong = 0;
    for (const std::string op : {"NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"})
        for (const std::uint64_t value : edges)
            for (const std::uint64_t second : {std::uint64_t{0}, std::uint64_t{1}, value}) {
                if (second != 0 && op != "MASKED_EQ") continue;
                const std::string args = R"("args": [)" + test(1, op, value, second) + "]";
                const auto policy =  // lseek's offset has 64 bits, kill's signal 32
                    load(block("lseek", "SCMP_ACT_ALLOW", args) + "," + block("kill", "SCMP_ACT_ALLOW", args)).policy();
                for (const std::uint64_t a : edges) {
                    const auto of = [](bool allowed) -> std::uint32_t {
                        return allowed ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | 99;
                    };
                    wrong += filtered(policy, SYS_lseek, 0, a) != of(holds(op, a, value, second));
                    if (value >= 0xffffffff80000000) continue;
                    wrong += filtered(policy, SYS_kill, 0, a) != of(holds(op, a & 0xffffffff, value, second));
                }
            }
    CHECK(wrong == 0);
}

TEST_CASE("a negative int may be written in 64 bits; another value beyond 32 is reported, and never or always right") {
    const auto with = [](const std::string& op, std::uint64_t value, std::uint64_t second = 0) {
        return load(block("kill", "SCMP_ACT_ALLOW", R"("args": [)" + test(0, op, value, second) + "]"));
    };
    for (const std::uint64_t a : {~std::uint64_t{0}, std::uint64_t{0xffffffff}, std::uint64_t{0xdeadbeefffffffff}}) {
        CHECK(filtered(with("EQ", ~0ULL).policy(), SYS_kill, a) == SECCOMP_RET_ALLOW);
        CHECK(filtered(with("NE", ~0ULL).policy(), SYS_kill, a) != SECCOMP_RET_ALLOW);
        CHECK(filtered(with("MASKED_EQ", ~0ULL, ~0ULL).policy(), SYS_kill, a) == SECCOMP_RET_ALLOW);
    }
    CHECK(!has(with("EQ", ~0ULL).notes(), "syscalls"));
    CHECK(has(with("EQ", 1ULL << 32).notes(), "syscalls[0].args[0] for kill"));
    CHECK(with("EQ", 1ULL << 32).rules().size() + 1 == with("NE", 0).rules().size());
    CHECK(filtered(with("LT", 1ULL << 32).policy(), SYS_kill, ~0ULL) == SECCOMP_RET_ALLOW);
    CHECK(has(with("LT", 1ULL << 32).notes(), "always"));
    CHECK(filtered(with("MASKED_EQ", 0, 5).policy(), SYS_kill, 77) == SECCOMP_RET_ALLOW);
}

TEST_CASE("what a comparison cannot see is reported") {
    const auto notes = [](const char* name, int index) {
        return load(block(name, "SCMP_ACT_ALLOW", R"("args": [)" + test(index, "EQ", 7) + "]")).notes();
    };
    CHECK(has(notes("openat", 1), "a pointer"));
    CHECK(has(notes("getppid", 0), "no such argument"));
    CHECK(has(notes("ioctl", 2), "depends on another one"));
    CHECK(!has(notes("openat", 2), "syscalls[0]"));
    CHECK(filtered(load(block("getppid", "SCMP_ACT_ALLOW", R"("args": [)" + test(0, "EQ", 7) + "]")).policy(),
                   SYS_getppid, (1ULL << 40) + 7) != SECCOMP_RET_ALLOW);
}

TEST_CASE("the comparisons of a block all have to hold; several of one argument each by itself, as for runc") {
    const std::string both = R"("args": [)" + test(0, "EQ", 1) + "," + test(1, "LE", 9) + "]";
    const auto policy = load(block("kill", "SCMP_ACT_ALLOW", both)).policy();
    CHECK(policy.decide<SYS_kill>(1, 9) == Action::allow);
    CHECK(policy.decide<SYS_kill>(1, 10) == Action::deny);
    CHECK(policy.decide<SYS_kill>(2, 9) == Action::deny);
    const std::string twice = R"("args": [)" + test(1, "EQ", 1) + "," + test(1, "EQ", 2) + "," + test(0, "EQ", 5) + "]";
    const sg::OciProfile either = load(block("kill", "SCMP_ACT_ALLOW", twice));
    CHECK(has(either.notes(), "each comparison by itself"));
    CHECK(either.policy().decide<SYS_kill>(0, 1) == Action::allow);
    CHECK(either.policy().decide<SYS_kill>(0, 2) == Action::allow);
    CHECK(either.policy().decide<SYS_kill>(5, 3) == Action::allow);
    CHECK(either.policy().decide<SYS_kill>(6, 3) == Action::deny);
}

TEST_CASE("of several rules that match, the strictest decides, in whatever order they are written") {
    const std::string allow = block("kill", "SCMP_ACT_ALLOW");
    const std::string some = block("kill", "SCMP_ACT_ERRNO", R"("args": [)" + test(1, "EQ", 9) + "]");
    const std::string small = block("kill", "SCMP_ACT_KILL_PROCESS", R"("args": [)" + test(0, "LT", 2) + "]");
    for (const std::string& blocks : {allow + "," + some + "," + small, small + "," + some + "," + allow}) {
        const sg::OciProfile profile = load(blocks);
        const auto policy = profile.policy();
        CHECK(policy.decide<SYS_kill>(2, 1) == Action::allow);
        CHECK(policy.decide<SYS_kill>(2, 9) == Decision{Action::deny, EPERM});
        CHECK(policy.decide<SYS_kill>(1, 9) == Action::kill_now);
        CHECK(has(profile.notes(), "runtimes that use libseccomp drop the stricter rule"));
    }
    const sg::OciProfile refused = load(block("kill", "SCMP_ACT_ERRNO") + "," + allow);
    CHECK(refused.policy().decide<SYS_kill>(0, 0) == Action::deny);
    CHECK(has(refused.notes(), "syscalls[1] for kill: never reached"));
    const std::string otherwise = block("kill", "SCMP_ACT_ERRNO", R"("errnoRet": 99)");
    const std::string nine = block("kill", "SCMP_ACT_ALLOW", R"("args": [)" + test(1, "EQ", 9) + "]");
    for (const std::string& blocks : {otherwise + "," + nine, nine + "," + otherwise + "," + otherwise}) {
        const auto policy = load(blocks).policy();  // as for runc: it says what happens otherwise
        CHECK(policy.decide<SYS_kill>(0, 9) == Action::allow);
        CHECK(policy.decide<SYS_kill>(0, 8) == Decision{Action::deny, 99});
    }
    CHECK(load(otherwise + "," + allow).policy().decide<SYS_kill>(0, 9) == Action::deny);
    const std::string refused_nine =
        block("kill", "SCMP_ACT_ERRNO", R"("errnoRet": 99, "args": [)" + test(1, "EQ", 9) + "]");
    CHECK(load(allow + "," + refused_nine).policy().decide<SYS_kill>(0, 9) == Action::deny);
    const sg::OciProfile shadowed =
        load(block("kill", "SCMP_ACT_ERRNO", R"("args": [)" + test(1, "LE", 5) + "]") + "," +
             block("kill", "SCMP_ACT_ALLOW", R"("args": [)" + test(1, "EQ", 3) + "]"));
    CHECK(shadowed.policy().decide<SYS_kill>(0, 3) == Action::deny);
}

TEST_CASE("includes and excludes: architectures, capabilities, kernels") {
    const bool x86 = abi::native_abi == abi::Abi::x86_64;
    const auto applies = [](const std::string& condition, const sg::OciConditions& conditions = now) {
        return load(block("getppid", "SCMP_ACT_ALLOW", condition), "", conditions).policy().decide<SYS_getppid>() ==
               Action::allow;
    };
    const sg::OciConditions two{{CAP_SYS_ADMIN, CAP_BPF}, {4, 8}};
    CHECK(applies(R"("includes": {}, "excludes": null)"));
    CHECK(applies(R"("includes": {"arches": ["amd64", "x32"]})") == x86);
    CHECK(applies(R"("excludes": {"arches": ["s390x", "amd64"]})") != x86);
    CHECK(!applies(R"("includes": {"caps": ["CAP_SYS_ADMIN"]})"));
    CHECK(applies(R"("includes": {"caps": ["CAP_SYS_ADMIN"]})", two));
    CHECK(applies(R"("includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]})", two));
    CHECK(!applies(R"("includes": {"caps": ["CAP_SYS_ADMIN", "CAP_CHOWN"]})", two));
    CHECK(!applies(R"("excludes": {"caps": ["CAP_CHOWN", "CAP_BPF"]})", two));
    CHECK(applies(R"("excludes": {"caps": ["CAP_CHOWN"]})", two));
    CHECK(applies(R"("includes": {"minKernel": "4.8"})", two));
    CHECK(!applies(R"("includes": {"minKernel": "4.9"})", two));
    CHECK(!applies(R"("includes": {"minKernel": "5.0"})", two));
    CHECK(applies(R"("excludes": {"minKernel": "4.10"})", two));
    CHECK(!applies(R"("excludes": {"minKernel": "3.10"})", two));
    CHECK(!applies(R"("includes": {"caps": ["CAP_SYS_ADMIN"], "minKernel": "5.0"})", two));
    CHECK(applies(R"("includes": {"minKernel": "2.6"})", {}));
    if (::geteuid() != 0) CHECK(!applies(R"("includes": {"caps": ["CAP_CHOWN"]})", {sg::Capabilities::kept()}));
    CHECK(has(
        load(block("getppid", "SCMP_ACT_ALLOW", R"("includes": {"caps": ["CAP_FLY"], "arches": ["pdp11"]})")).notes(),
        "CAP_FLY"));
}

TEST_CASE("names that mean nothing here are told apart") {
    const sg::OciProfile profile =
        load(R"({"names": ["getppid", "socketcall", "fly", "fly"], "action": "SCMP_ACT_ALLOW"})");
    CHECK(profile.unknown_names() == std::vector<std::string>{"fly"});
    CHECK(profile.foreign_names() == std::vector<std::string>{"socketcall"});
    CHECK(profile.policy().decide<SYS_getppid>() == Action::allow);
}

TEST_CASE("old and rich forms") {
    const sg::OciProfile profile = sg::parse_oci_profile(
        R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS", "architectures": ["SCMP_ARCH_NATIVE", "SCMP_ARCH_X86"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"], "listenerPath": "/run/x",
            "syscalls": [{"name": "getppid", "action": "SCMP_ACT_ALLOW", "args": null, "comment": "", "includes": {},
                          "excludes": {}},
                         {"names": ["getpid"], "action": "SCMP_ACT_ALLOW", "args": []}]})",
        now);
    CHECK(profile.policy().decide<SYS_getppid>() == Action::allow);
    CHECK(profile.policy().decide<SYS_getpid>() == Action::allow);
    CHECK(profile.otherwise() == Decision{Action::deny, ENOSYS});
    CHECK(profile.foreign() == Action::kill);
    for (const char* const words : {"SCMP_ARCH_X86 is not admitted", "FLAG_LOG", "listenerPath"})
        CHECK(has(profile.notes(), words));
}

TEST_CASE("32-bit calls are admitted where the host says so, by the same rules") {
    const sg::OciProfile profile =
        load(block("getpid", "SCMP_ACT_ALLOW") + "," +
                 block("socket", "SCMP_ACT_ALLOW", R"("args": [)" + test(0, "EQ", 2) + "]"),
             sg::abi::native_abi == sg::Abi::x86_64 ? R"("architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], )"
                                                    : R"("architectures": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"], )");
    constexpr sg::Abi compat = sg::abi::compat_abi;
    CHECK(has(profile.notes(), std::string{"unless policy() gets sg::admit<sg::Abi::"} + abi::name(compat) + ">"));
    constexpr int getpid_there = 20;
    constexpr int socket_there = abi::find("socket")->number(compat);
    constexpr int socketcall_there = 102;  // which only i386 has
    CHECK(profile.policy().decide(compat, getpid_there, {}) == Action::kill);
    const sg::DynamicPolicy policy = profile.policy(Rule<SYS_getppid>{}.deny(EXFULL), sg::admit<compat>);
    CHECK(policy.decide(compat, getpid_there, {}) == Action::allow);
    CHECK(policy.decide(compat, socket_there, {2}) == Action::allow);
    CHECK(policy.decide(compat, socket_there, {40}) == Decision{Action::deny, 99});
    CHECK(policy.decide(compat, socketcall_there, {1}) ==
          (compat == sg::Abi::i386 ? Decision{Action::kill} : Decision{Action::deny, ENOSYS}));
    const seccomp_data data{getpid_there, abi::audit_architecture(compat), 0, {}};
    CHECK(sg::filter::interpret(policy.program(), data).value == SECCOMP_RET_ALLOW);
    CHECK_FALSE(error_of([&] { (void)profile.policy(sg::admit<compat>, sg::admit<compat>); }).empty());
}

TEST_CASE("calls newer than all that a profile names answer ENOSYS, unless others are allowed") {
    const sg::OciProfile profile = load(block("openat2", "SCMP_ACT_ALLOW"));
    CHECK(profile.policy().decide(SYS_openat2 + 2, {}) == Decision{Action::deny, ENOSYS});
    CHECK(profile.policy().decide<SYS_getppid>() == Decision{Action::deny, 99});
    CHECK(has(profile.notes(), "answered with ENOSYS: "));
    for (const char* const action : {"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"}) {
        const auto open = sg::parse_oci_profile(R"({"defaultAction": ")" + std::string{action} + R"(", "syscalls": [)" +
                                                    block("openat2", "SCMP_ACT_ERRNO") + "]}",
                                                now);
        CHECK(open.policy().decide(SYS_openat2 + 2, {}) == open.otherwise());
        CHECK(open.policy().decide(abi::native_limit, {}) == Decision{Action::deny, ENOSYS});
    }
}

TEST_CASE("what is no profile is refused, with the place") {
    const struct {
        std::string text;
        const char* words;
    } cases[] = {
        {"", "it is no JSON"},
        {"{", "it is no JSON"},
        {"[]", "an object is expected"},
        {"7", "an object is expected"},
        {"{}", "defaultAction: it is missing"},
        {R"({"defaultAction": 7})", "defaultAction: a text"},
        {R"({"defaultAction": "SCMP_ACT_FLY"})", "\"SCMP_ACT_FLY\""},
        {R"({"defaultAction": "SCMP_ACT_NOTIFY"})", "is no default"},
        {R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1})", "take an errno"},
        {R"({"defaultAction": "SCMP_ACT_KILL", "defaultAction": "SCMP_ACT_ALLOW"})", "twice"},
        {R"({"DefaultAction": "SCMP_ACT_KILL"})", "no profile has a member \"DefaultAction\""},
        {of_blocks("", R"("syscals": [], )"), "syscals"},
        {of_blocks("7"), "syscalls[0]: an object"},
        {of_blocks("null"), "syscalls[0]: a value"},
        {of_blocks(R"({"names": "read", "action": "SCMP_ACT_ALLOW"})"), "names: an array"},
        {of_blocks(R"({"names": [], "action": "SCMP_ACT_ALLOW"})"), "names no system call"},
        {of_blocks(R"({"action": "SCMP_ACT_ALLOW"})"), "names no system call"},
        {of_blocks(R"({"names": [""], "action": "SCMP_ACT_ALLOW"})"), "names[0]"},
        {of_blocks(R"({"names": [null], "action": "SCMP_ACT_ALLOW"})"), "names[0]"},
        {of_blocks(R"({"names": ["read"], "name": "write", "action": "SCMP_ACT_ALLOW"})"), "either name or names"},
        {of_blocks(R"({"names": ["read"]})"), "syscalls[0].action: it is missing"},
        {of_blocks(block("read", "ALLOW")), "\"ALLOW\""},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("errnoRet": 1)")), "syscalls[0].errnoRet"},
        {of_blocks(block("read", "SCMP_ACT_ERRNO", R"("errnoRet": 4096)")), "from 0 to 4095"},
        {of_blocks(block("read", "SCMP_ACT_ERRNO", R"("errnoRet": -1)")), "from 0 to 4095"},
        {of_blocks(block("read", "SCMP_ACT_ERRNO", R"("errnoRet": 1.5)")), "from 0 to 4095"},
        {of_blocks(block("read", "SCMP_ACT_ERRNO", R"("errno": "EFLY")")), "EFLY"},
        {of_blocks(block("read", "SCMP_ACT_ERRNO", R"("errno": "EPERM", "errnoRet": 2)")), "another errno"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("arg": [])")), "member \"arg\""},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("args": {})")), "args: an array"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("args": [{}])")), "args[0].index"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}])")),
         "from 0 to 5"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("args": [{"index": 0, "op": "SCMP_CMP_EQ"}])")), "args[0].value"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW",
                         R"("args": [{"index": 0, "value": 18446744073709551616, "op": "SCMP_CMP_EQ"}])")),
         "args[0].value"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("args": [{"index": 0, "value": 0, "op": "=="}])")), "\"==\""},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("args": [{"index": 0, "value": 0}])")), "args[0].op"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("includes": {"caps": "CAP_CHOWN"})")), "includes.caps"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("includes": {"cap": []})")), "member \"cap\""},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("excludes": {"minKernel": "4"})")), "excludes.minKernel"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("excludes": {"minKernel": "4.8.1"})")), "excludes.minKernel"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("excludes": {"minKernel": "99999999999.8"})")), "minKernel"},
        {of_blocks(block("read", "SCMP_ACT_ALLOW", R"("excludes": {"minKernel": 4})")), "minKernel"},
        {of_blocks(block("futex", "SCMP_ACT_NOTIFY")), "never answers"},
        {of_blocks("", R"("architectures": ["SCMP_ARCH_PDP11"], )"), "architectures[0]"},
        {of_blocks("", R"("architectures": ["SCMP_ARCH_S390X"], )"), "which this program runs on"},
        {of_blocks("", R"("archMap": [{"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]}], )"),
         "archMap"},
        {of_blocks("", R"("archMap": [{}], )"), "archMap[0].architecture"},
        {of_blocks("", R"("archMap": [{"architecture": "SCMP_ARCH_NATIVE"}], "architectures": ["SCMP_ARCH_NATIVE"], )"),
         "either"},
        {of_blocks("", R"("flags": ["FLY"], )"), "flags[0]"},
        {std::string(1000, '['), "nested too deeply"},
        {std::string(5 << 20, ' '), "4 MiB"},
        {"\xff\xfe{}", "it is no JSON"},
        {R"({"defaultAction": "\ud800"})", "it is no JSON"},
        {R"({"defaultErrnoRet": 1e999})", "the profile"},
        {"{\n\"defaultAction\": \n7,,}", "line 3"},
    };
    for (const auto& each : cases) {
        const std::string error = error_of([&] { sg::parse_oci_profile(each.text, now).policy(); });
        CAPTURE(each.text.substr(0, 200));
        CAPTURE(error);
        CHECK(error.find(each.words) != std::string::npos);
        CHECK(error.size() < 400);
    }
}

TEST_CASE("more rules than a policy has, and more than the kernel takes, are refused") {
    std::string tests;
    for (std::uint64_t i = 0; i < 3000; ++i) tests += (i > 0 ? "," : "") + test(1, "EQ", i * 0x300000001);
    CHECK(error_of([&] {
              load(block("lseek", "SCMP_ACT_ALLOW", "\"args\": [" + tests + "]")).policy();
          }).find("4096") != std::string::npos);
    std::string names = "\"getppid\"";
    for (int i = 0; i < 9; ++i) names += "," + names;
    std::string blocks;
    for (int i = 0; i < 50; ++i)
        blocks += (i > 0 ? "," : "") + (R"({"action": "SCMP_ACT_ALLOW", "names": [)" + names + "]}");
    CHECK(error_of([&] { load(blocks); }).find("more rules") != std::string::npos);
}

TEST_CASE("files and streams") {
    const support::Scratch scratch;
    const std::string path = scratch / "profile.json";
    std::ofstream{path} << of_blocks(block("getppid", "SCMP_ACT_ALLOW"));
    CHECK(sg::load_oci_profile(path, now).policy().decide<SYS_getppid>() == Action::allow);
    std::istringstream stream{of_blocks(block("getppid", "SCMP_ACT_ALLOW"))};
    CHECK(sg::load_oci_profile(stream, now).policy().decide<SYS_getppid>() == Action::allow);
    std::ofstream{path} << "{";
    CHECK(error_of([&] { sg::load_oci_profile(path); }).find(path) != std::string::npos);
    CHECK(error_of([&] { sg::load_oci_profile(scratch / "missing"); }).find("missing") != std::string::npos);
    CHECK(error_of([&] { sg::load_oci_profile(scratch.path()); }).find("directory") != std::string::npos);
    CHECK(!error_of([&] { sg::load_oci_profile(std::string{}); }).empty());
}

TEST_CASE("a damaged profile is an error or a profile, and with a damaged member an error") {
    const std::string whole = docker();
    REQUIRE(whole.size() > 10000);
    std::mt19937_64 random{1};
    for (int i = 0; i < 60; ++i) {
        std::string text = whole;
        for (std::uint64_t flips = 1 + random() % 3; flips > 0; --flips)
            text[random() % text.size()] ^= static_cast<char>(1U << random() % 8);
        const std::string error = error_of([&] { sg::parse_oci_profile(text, now).policy(); });
        CHECK((error.empty() || error.find("the profile") != std::string::npos));
        const std::string cut = whole.substr(0, random() % (whole.size() - 3));
        CHECK(!error_of([&] { sg::parse_oci_profile(cut, now); }).empty());
    }
    std::size_t members = 0;
    for (const std::string member : {"\"args\"", "\"includes\"", "\"excludes\"", "\"caps\"", "\"op\"", "\"action\""})
        for (std::size_t at = whole.find(member); at != std::string::npos; at = whole.find(member, at + 1)) {
            if (++members % 3 != 0) continue;
            std::string text = whole;
            text[at + 1 + random() % (member.size() - 2)] ^= static_cast<char>(1U << random() % 5);
            CHECK(!error_of([&] { sg::parse_oci_profile(text, now); }).empty());
        }
    CHECK(members > 80);
}

TEST_CASE("the host's own rules come first, and what they leave nothing of is left out") {
    const sg::OciProfile profile =
        load(R"({"names": ["getppid", "getpid", "kill"], "action": "SCMP_ACT_ALLOW"})", R"("comment": "x", )");
    const sg::RuleList denied{Rule<SYS_getppid>{}.deny(EXFULL)};
    const auto policy = profile.policy(denied, Rule<SYS_kill>{arg::sig == 9}.deny(EPERM));
    CHECK(policy.decide<SYS_getppid>() == Decision{Action::deny, EXFULL});
    CHECK(policy.decide<SYS_getpid>() == Action::allow);
    CHECK(policy.decide<SYS_kill>(0, 9) == Action::deny);
    CHECK(policy.decide<SYS_kill>(0, 1) == Action::allow);
    CHECK(policy.view().rule_count == profile.rules().size() + 1);
    CHECK(!error_of([&] { (void)profile.policy(sg::allow<SYS_read>, Rule<SYS_read>{}.deny(1)); }).empty());
}

TEST_CASE("what a profile notifies of needs a handler, and gets it") {
    sg::OciProfile profile = sg::parse_oci_profile(
        R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getpriority", "getsid"], "action": "SCMP_ACT_NOTIFY"}]})",
        now);
    CHECK(profile.notifies());
    CHECK(error_of([&] { (void)profile.policy(); }).find("handle_notified") != std::string::npos);
    const std::string word = "a word of more than sixteen bytes";
    profile.handle_notified([word](const sg::AnyCall& call) {
        return call.name() == "getsid" ? call.deny(static_cast<int>(word.size())) : call.deny(EXFULL);
    });
    const sg::Sandbox box{profile.policy()};
    CHECK(*box.call([] { return ::syscall(SYS_getpriority, 0, 0) < 0 ? errno : 0; }) == EXFULL);
    CHECK(*box.call([] { return ::syscall(SYS_getsid, 0) < 0 ? errno : 0; }) == 33);
    const sg::Sandbox own{
        profile.policy(Rule<SYS_getsid>{}.handle([](const sg::AnyCall& call) { return call.deny(ELOOP); }))};
    CHECK(*own.call([] { return ::syscall(SYS_getsid, 0) < 0 ? errno : 0; }) == ELOOP);
}
