#include <sysguard/filter/interpret.hpp>
#include <sysguard/json.hpp>
#include <sysguard/policy/weights.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/probe.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace arg = sysguard::arg;
using nlohmann::json;
using sg::Call;
using sg::Rule;

namespace {

const std::string path = std::string{SYSGUARD_TEST_PROFILES} + "/docker-default.json";

json document() {
    std::ifstream file{path};
    return json::parse(file);
}

struct Surroundings {
    sg::OciConditions conditions;
    std::set<std::string> capabilities;
};

std::vector<Surroundings> surroundings() {
    constexpr sg::KernelVersion now{6, 18};
    std::vector<Surroundings> list = {
        {{{}, {3, 10}}, {}},
        {{{}, {4, 7}}, {}},
        {{{}, {4, 8}}, {}},
        {{{}, {5, 0}}, {}},
        {{{CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_BOOT, 38, 39}, now},
         {"CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_PERFMON", "CAP_BPF"}},
    };
    const std::vector<std::pair<int, std::string>> single = {
        {CAP_CHOWN, "CAP_CHOWN"},
        {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
        {CAP_SYS_MODULE, "CAP_SYS_MODULE"},
        {CAP_SYS_RAWIO, "CAP_SYS_RAWIO"},
        {CAP_SYS_CHROOT, "CAP_SYS_CHROOT"},
        {CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
        {CAP_SYS_PACCT, "CAP_SYS_PACCT"},
        {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
        {CAP_SYS_BOOT, "CAP_SYS_BOOT"},
        {CAP_SYS_NICE, "CAP_SYS_NICE"},
        {CAP_SYS_TIME, "CAP_SYS_TIME"},
        {CAP_SYS_TTY_CONFIG, "CAP_SYS_TTY_CONFIG"},
        {CAP_SYSLOG, "CAP_SYSLOG"},
        {38, "CAP_PERFMON"},
        {39, "CAP_BPF"},
    };
    for (const auto& [number, name] : single) list.push_back({{{number}, now}, {name}});
    return list;
}

/// The profile's own semantics, read off the document: all rules whose conditions hold count, the strictest that
/// matches decides, and what is newer than all that is named does not exist.
class Meaning {
public:
    Meaning(const json& profile, const Surroundings& of) {
        for (const json& block : profile["syscalls"]) {
            const json includes = block.value("includes", json::object());
            const json excludes = block.value("excludes", json::object());
            if (!holds(includes, of, true) || holds(excludes, of, false)) continue;
            for (const json& name : block["names"]) {
                const abi::Syscall* const call = abi::find(name.get<std::string>());
                const int number = call == nullptr ? -1 : call->number();
                if (number < 0) continue;
                highest = std::max(highest, number);
                rules[number].push_back(parse(block));
            }
        }
        otherwise = SECCOMP_RET_ERRNO | profile["defaultErrnoRet"].get<std::uint32_t>();
    }

    std::uint32_t decide(int number, const std::uint64_t* registers) const {
        if (number > highest) return SECCOMP_RET_ERRNO | ENOSYS;
        std::uint32_t strictest = 0;
        const auto found = rules.find(number);
        if (found == rules.end()) return otherwise;
        for (const Block& block : found->second) {
            bool all = true;
            for (const Test& test : block.tests) all = all && compare(test, registers);
            if (all && (strictest == 0 || block.value < strictest)) strictest = block.value;
        }
        return strictest != 0 ? strictest : otherwise;
    }

    struct Test {
        int index;
        std::uint64_t value;
        std::uint64_t second;
        char op;
    };
    struct Block {
        std::vector<Test> tests;
        std::uint32_t value;
    };

    std::map<int, std::vector<Block>> rules{};
    int highest = 0;
    std::uint32_t otherwise = 0;

private:
    static bool holds(const json& filter, const Surroundings& of, bool all) {
        std::vector<bool> parts;
        if (filter.contains("arches")) {
            bool here = false;
            for (const json& machine : filter["arches"])
                here = here || machine == (abi::native_abi == abi::Abi::x86_64 ? "amd64" : "arm64");
            parts.push_back(here);
        }
        if (filter.contains("caps"))
            for (const json& capability : filter["caps"])
                parts.push_back(of.capabilities.count(capability.get<std::string>()) != 0);
        if (filter.contains("minKernel"))
            parts.push_back(filter["minKernel"] == "4.8" &&
                            10 * of.conditions.kernel.version + of.conditions.kernel.revision >= 48);
        for (const bool part : parts)
            if (part != all) return !all;
        return all;
    }

    /// socket's domain, personality's persona and clone's flags are what the profile compares: 32 bits all of them.
    static bool compare(const Test& test, const std::uint64_t* registers) {
        const std::uint64_t value = registers[test.index] & 0xffffffff;
        switch (test.op) {
            case '=': return value == test.value;
            case '<': return value < test.value;
            case '>': return value > test.value;
            default: return (value & test.value) == test.second;
        }
    }

    static Block parse(const json& block) {
        const bool allows = block["action"] == "SCMP_ACT_ALLOW";
        REQUIRE((allows || block["action"] == "SCMP_ACT_ERRNO"));
        Block parsed{{},
                     allows ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | block.value("errnoRet", std::uint32_t{EPERM})};
        const std::map<std::string, char> operators = {
            {"SCMP_CMP_EQ", '='}, {"SCMP_CMP_LT", '<'}, {"SCMP_CMP_GT", '>'}, {"SCMP_CMP_MASKED_EQ", '&'}};
        for (const json& test : block.value("args", json::array()))
            parsed.tests.push_back(
                {test["index"], test["value"], test.value("valueTwo", std::uint64_t{0}), operators.at(test["op"])});
        return parsed;
    }
};

/// Around everything that any rule for the call compares with.
std::vector<std::uint64_t> boundaries(const Meaning& meaning, int number) {
    std::set<std::uint64_t> values = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1ULL << 63, ~0ULL};
    const auto found = meaning.rules.find(number);
    if (found != meaning.rules.end())
        for (const Meaning::Block& block : found->second)
            for (const auto& [index, value, second, op] : block.tests) {
                for (const std::uint64_t each : {value - 1, value, value + 1}) values.insert(each);
                for (unsigned bit = 0; bit < 64; ++bit) {
                    values.insert(value ^ 1ULL << bit);
                    values.insert(1ULL << bit);
                }
            }
    return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("it says what the profile says, of every call and every boundary of every argument") {
    const json profile = document();
    std::size_t probes = 0;
    for (const Surroundings& of : surroundings()) {
        const Meaning meaning{profile, of};
        const sg::DynamicPolicy policy = sg::load_oci_profile(path, of.conditions).policy();
        const sg::filter::ProgramView program = policy.program();
        std::size_t wrong = 0;
        for (int number = 0; number < abi::native_limit; ++number) {
            if (!abi::is_known(number)) continue;
            const bool compared = meaning.rules.count(number) != 0 && [&] {
                for (const Meaning::Block& block : meaning.rules.at(number))
                    if (!block.tests.empty()) return true;
                return false;
            }();
            for (const std::uint64_t value : boundaries(meaning, number))
                for (unsigned position = 0; position < (compared ? abi::max_arguments : 1); ++position) {
                    std::uint64_t registers[abi::max_arguments] = {7, 7, 7, 7, 7, 7};
                    registers[position] = value;
                    const std::uint32_t expected = meaning.decide(number, registers);
                    seccomp_data data{number, abi::audit_architecture(abi::native_abi), 0, {}};
                    for (unsigned i = 0; i < abi::max_arguments; ++i) data.args[i] = registers[i];
                    wrong += sg::filter::return_value(policy.decide(number, registers)) != expected;
                    wrong += sg::filter::interpret(program, data).value != expected;
                    ++probes;
                }
        }
        CAPTURE(of.capabilities.size());
        CAPTURE(of.conditions.kernel.version);
        CHECK(wrong == 0);
    }
    CHECK(probes > 50000);
}

TEST_CASE("the kernel says so, too") {
    const Surroundings plain{{{}, sg::KernelVersion::running()}, {}};
    const Meaning meaning{document(), plain};
    const sg::DynamicPolicy policy = sg::load_oci_profile(path, plain.conditions).policy();
    std::vector<support::Probe> probes;
    std::vector<long> expected;
    const auto add = [&](int number, std::uint64_t first, std::uint64_t others, long result) {
        probes.push_back({number, {first, others, others, others, others, others}});
        expected.push_back(result);
    };
    for (const abi::Syscall& call : abi::syscalls) {  // what is refused, with arguments that lead nowhere
        const std::uint64_t nowhere[abi::max_arguments] = {~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL};
        const int number = call.number();
        if (number < 0 || call.argument_count() == 0 || number == SYS_personality || number == SYS_socket) continue;
        const std::uint32_t value = meaning.decide(number, nowhere);
        if ((value & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
            add(number, ~0ULL, ~0ULL, -static_cast<long>(value & SECCOMP_RET_DATA));
    }
    const std::size_t refused = probes.size();
    CHECK(refused > 30);
    for (const std::uint64_t domain : boundaries(meaning, SYS_socket)) {
        const std::uint64_t registers[abi::max_arguments] = {domain, ~0ULL};
        const bool allowed = meaning.decide(SYS_socket, registers) == SECCOMP_RET_ALLOW;
        add(SYS_socket, domain, ~0ULL, allowed ? -EINVAL : -EPERM);  // no type of socket is -1
    }
    const std::vector<support::Answer> answers = support::make_calls(policy.program(), probes);
    for (std::size_t i = 0; i < probes.size(); ++i) {
        CAPTURE(probes[i].number);
        CAPTURE(probes[i].arguments[0]);
        CHECK(answers[i].made);
        if (expected[i] != -EINVAL || answers[i].result != -EAFNOSUPPORT) CHECK(answers[i].result == expected[i]);
    }
}

TEST_CASE("a loaded profile is weighed by a recorded run, and decides the same") {
    const sg::OciProfile profile = sg::load_oci_profile(path);
    const sg::DynamicPolicy plain = profile.policy();
    const sg::DynamicPolicy weighed = profile.policy(sg::weights(
        std::vector<sg::CallCount>{{sg::sys::newfstatat, 2452}, {sg::sys::read, 1383}, {sg::sys::clone, 2000}}));
    std::size_t executed[2]{};
    for (const sg::abi::Syscall& call : abi::syscalls)
        for (const std::uint64_t argument : {0ULL, 40ULL, ~0ULL}) {
            seccomp_data data{};
            data.nr = call.number();
            data.arch = abi::audit_architecture(abi::native_abi);
            for (auto& each : data.args) each = argument;
            const sg::filter::Verdict one = sg::filter::interpret(plain.program(), data);
            const sg::filter::Verdict other = sg::filter::interpret(weighed.program(), data);
            CHECK(one.value == other.value);
            CHECK(one.only_number == other.only_number);
            if (data.nr != sg::sys::newfstatat && data.nr != sg::sys::read && data.nr != sg::sys::clone) continue;
            executed[0] += one.instructions;
            executed[1] += other.instructions;
        }
    CHECK(executed[1] < executed[0]);
}

TEST_CASE("programs and functions run under it") {
    const sg::Sandbox box{sg::load_oci_profile(path).policy()};
    const sg::Outcome said = box.run({"/bin/sh", "-c", "echo hello; exec /bin/cat /proc/self/comm"},
                                     {.output = sg::Stdio::capture(), .error = sg::Stdio::capture()});
    CAPTURE(said.explain());
    CHECK(said);
    CHECK(said.output() == "hello\ncat\n");
    const auto answers = box.call([] {
        errno = 0;
        const long keyed = ::syscall(SYS_keyctl, 0, 0);
        const int refused = errno;
        errno = 0;
        const long cloned = ::syscall(SYS_clone3, nullptr, 0);
        return keyed == -1 && refused == EPERM && cloned == -1 && errno == ENOSYS && ::getppid() >= 0;
    });
    REQUIRE(answers);
    CHECK(*answers);
}

TEST_CASE("AF_VSOCK is refused whatever is in the upper half of the domain, where libseccomp lets it through") {
    constexpr std::uint64_t disguised = AF_VSOCK + (1ULL << 32);
    scmp_filter_ctx context = ::seccomp_init(SCMP_ACT_ERRNO(EPERM));
    REQUIRE(context != nullptr);
    for (const scmp_arg_cmp& test : {scmp_arg_cmp{0, SCMP_CMP_LT, 38, 0}, scmp_arg_cmp{0, SCMP_CMP_EQ, 39, 0},
                                     scmp_arg_cmp{0, SCMP_CMP_GT, 40, 0}})
        REQUIRE(::seccomp_rule_add_array(context, SCMP_ACT_ALLOW, SYS_socket, 1, &test) == 0);
    const int fd = ::memfd_create("filter", MFD_CLOEXEC);
    REQUIRE(::seccomp_export_bpf(context, fd) == 0);
    ::seccomp_release(context);
    std::vector<sock_filter> code(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)) / sizeof(sock_filter));
    REQUIRE(::pread(fd, code.data(), code.size() * sizeof(sock_filter), 0) > 0);
    ::close(fd);
    seccomp_data data{SYS_socket, abi::audit_architecture(abi::native_abi), 0, {disguised, SOCK_STREAM}};
    CHECK(sg::filter::interpret({code.data(), code.size()}, data).value == SECCOMP_RET_ALLOW);

    const sg::Sandbox box{sg::load_oci_profile(path).policy()};
    const auto bypass = box.call([] {
        const bool denied = ::syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0) == -1 && errno == EPERM;
        return denied && ::syscall(SYS_socket, disguised, SOCK_STREAM, 0) == -1 && errno == EPERM;
    });
    REQUIRE(bypass);
    CHECK(*bypass);
}

TEST_CASE("a policy made of it gains handlers and conditions of the host's own") {
    const support::Scratch scratch;
    const std::string secret = scratch / "secret";
    std::ofstream{secret} << "told";
    const sg::OciProfile profile = sg::load_oci_profile(path);
    const sg::Launch captured{.output = sg::Stdio::capture(), .error = sg::Stdio::capture()};
    const std::vector<std::string> cat = {"/bin/cat", secret};
    CHECK(sg::Sandbox{profile.policy()}.run(cat, captured).output() == "told");

    std::atomic<int> asked{0};
    const auto policy = profile.policy(Rule<SYS_openat>{arg::path.under(scratch.path())}.deny(EACCES),
                                       Rule<SYS_getpriority>{}.handle([&asked](const sg::AnyCall& call) {
                                           ++asked;
                                           return call.deny(EXFULL);
                                       }));
    const sg::Sandbox box{policy};
    const sg::Outcome refused = box.run(cat, captured);
    CHECK(!refused);
    CHECK(refused.output().empty());
    CHECK(*box.call([] { return ::syscall(SYS_getpriority, 0, 0) < 0 ? errno : 0; }) == EXFULL);
    CHECK(asked == 1);
    CHECK(*box.call([] { return ::syscall(SYS_keyctl, 0, 0) < 0 ? errno : 0; }) == EPERM);
}

TEST_CASE("the page on profiles shows what compiles and runs") {
#include "support/profile_example.inc"
    const sg::Outcome outcome = box.run({"/bin/sh", "-c", "echo hello"}, {.output = sg::Stdio::capture()});
    CAPTURE(outcome.explain());
    CHECK(outcome.output() == "hello\n");
    const std::string here = __FILE__;
    const auto file = [&](const std::string& name) {
        std::ifstream in{here.substr(0, here.rfind("tests/oci/")) + name};
        return std::string{std::istreambuf_iterator<char>{in}, {}};
    };
    const std::string example = file("tests/support/profile_example.inc");
    REQUIRE(!example.empty());
    CHECK(file("docs/profiles.md").find("```cpp\n" + example + "```") != std::string::npos);
}
