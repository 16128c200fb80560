#include <sysguard/filter/diagram.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/foreign.hpp>
#include <sysguard/json.hpp>
#include <sysguard/supervise/call.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/random_policy.hpp"
#include "support/said.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace arg = sysguard::arg;
using nlohmann::json;
using sg::Action;
using sg::Decision;
using sg::Rule;
using support::error_of, support::has;

namespace {

const std::vector<int> calls = {SYS_kill,  SYS_socket, SYS_mmap,  SYS_fcntl,   SYS_ioctl, SYS_prctl,
                                SYS_clone, SYS_lseek,  SYS_umask, SYS_openat2, SYS_read};

/// What the kernel would be told. A kill that is reported is one in a profile.
std::uint32_t told(const Decision& decision) {
    return sg::filter::return_value(decision == Action::kill ? Decision{Action::kill_now} : decision);
}

/// The order in which the kernel prefers actions: the lower, the stricter (kernel/seccomp.c, seccomp_run_filters()).
std::int32_t rank(std::uint32_t value) {
    return static_cast<std::int32_t>(value & SECCOMP_RET_ACTION_FULL);
}

template <class A, class B>
bool same(const A& a, const B& b) {
    sg::filter::Diagram diagram;
    const auto end_of = [&](const Decision& decision) { return diagram.end(told(decision)); };
    const auto first = diagram.policy(a.view(), end_of);
    const auto second = diagram.policy(b.view(), end_of);
    return first == second || !diagram.complete();
}

Decision decided(const sg::policy::View& rules, const seccomp_data& call) {
    std::uint64_t registers[abi::max_arguments];
    std::copy(std::begin(call.args), std::end(call.args), registers);
    return sg::policy::decide(rules, call.nr, registers);
}

/// A random policy, and calls on the edges of its rules.
struct Case {
    Case(std::uint64_t seed, const std::vector<int>& of, const std::vector<Decision>& decisions)
        : random{support::Choices{seed}, of}, loose{random.make(decisions)} {}

    seccomp_data input() {
        if (loose.rules.empty()) return random.input(SYS_getppid);
        return random.input(random.choices().pick(loose.rules).number);
    }

    /// How many of some calls another policy lets do more.
    template <class A, class B>
    std::size_t laxer(const A& policy, const B& other) {
        std::size_t count = 0;
        for (int probe = 0; probe < 40; ++probe) {
            const seccomp_data input = this->input();
            const Decision before = decided(policy.view(), input);
            count += rank(told(decided(other.view(), input))) > rank(told(before));
        }
        return count;
    }

    support::RandomPolicy random;
    support::LoosePolicy loose;
};

sg::OciProfile answered(const std::string& text) {
    sg::OciProfile profile = sg::parse_oci_profile(text);
    profile.handle_notified([](const sg::AnyCall& call) { return call.deny(EPERM); });
    return profile;
}

/// The filter that runc gets of libseccomp for a profile: 64 bits of a register are compared, rules that say what
/// happens otherwise are left out, and numbers above all that are named answer ENOSYS.
class Runtime {
public:
    explicit Runtime(const std::string& text) {
        const json profile = json::parse(text);
        const std::uint32_t otherwise = action(profile, "defaultAction", "defaultErrnoRet");
        stub_ = otherwise != SCMP_ACT_ALLOW && otherwise != SCMP_ACT_LOG;
        scmp_filter_ctx context = ::seccomp_init(otherwise);
        REQUIRE(context != nullptr);
        for (const json& block : profile["syscalls"]) {
            const std::uint32_t value = action(block, "action", "errnoRet");
            std::vector<scmp_arg_cmp> tests;
            for (const json& test : block.value("args", json::array()))
                tests.push_back({test["index"], test["op"] == "SCMP_CMP_EQ" ? SCMP_CMP_EQ : SCMP_CMP_MASKED_EQ,
                                 test["value"], test.value("valueTwo", std::uint64_t{0})});
            for (const json& name : block["names"]) {
                const int number = abi::find(name.get<std::string>())->number();
                highest_ = std::max(highest_, number);
                if (value == otherwise) continue;
                const auto count = static_cast<unsigned>(tests.size());
                REQUIRE(::seccomp_rule_add_array(context, value, number, count, tests.data()) == 0);
            }
        }
        const int fd = ::memfd_create("filter", MFD_CLOEXEC);
        REQUIRE(::seccomp_export_bpf(context, fd) == 0);
        ::seccomp_release(context);
        code_.resize(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)) / sizeof(sock_filter));
        REQUIRE(::pread(fd, code_.data(), code_.size() * sizeof(sock_filter), 0) > 0);
        ::close(fd);
    }

    std::uint32_t decide(seccomp_data data) const {
        if (stub_ && highest_ > 0 && data.nr > highest_) return SECCOMP_RET_ERRNO | ENOSYS;
        data.arch = abi::audit_architecture(abi::native_abi);
        const auto verdict = sg::filter::interpret({code_.data(), code_.size()}, data);
        REQUIRE(verdict.valid);
        return verdict.value;
    }

private:
    static std::uint32_t action(const json& of, const char* key, const char* value) {
        const std::string word = of[key];
        const auto data = of.value(value, std::uint32_t{0});
        return word == "SCMP_ACT_ALLOW"          ? SCMP_ACT_ALLOW
               : word == "SCMP_ACT_LOG"          ? SCMP_ACT_LOG
               : word == "SCMP_ACT_ERRNO"        ? SCMP_ACT_ERRNO(data)
               : word == "SCMP_ACT_TRACE"        ? SCMP_ACT_TRACE(data)
               : word == "SCMP_ACT_TRAP"         ? SCMP_ACT_TRAP
               : word == "SCMP_ACT_KILL_PROCESS" ? SCMP_ACT_KILL_PROCESS
                                                 : SCMP_ACT_KILL_THREAD;
    }

    std::vector<sock_filter> code_{};
    int highest_ = -1;
    bool stub_ = false;
};

const std::vector<Decision> expressible = {{Action::allow},    {Action::allow},      {Action::deny, EPERM},
                                           {Action::deny, 38}, {Action::deny, 99},   {Action::log},
                                           {Action::fake, 0},  {Action::kill_now},   {Action::trap},
                                           {Action::trace, 7}, {Action::kill_thread}};

}  // namespace

TEST_CASE("what can be expressed is, loaded again, the same for all calls, registers and architectures") {
    std::size_t exact = 0;
    constexpr std::size_t policies = 60;
    for (std::uint64_t seed = 1; seed <= policies; ++seed) {
        CAPTURE(seed);
        Case random{seed, calls, expressible};
        random.loose.foreign = {Action::kill};
        const support::FixedPolicy policy{random.loose};
        const sg::OciText text = sg::to_oci_profile(policy);
        if (has(text.notes, "that the kernel does not read")) continue;
        const sg::DynamicPolicy loaded = sg::parse_oci_profile(text.json).policy();
        if (text.stricter.empty()) {
            ++exact;
            CHECK(same(policy, loaded));
        }
        CHECK(random.laxer(policy, loaded) == 0);
    }
    CHECK(exact > policies / 5);
}

TEST_CASE("what cannot be expressed becomes stricter, and is reported") {
    const std::vector<Decision> any = {{Action::allow},   {Action::deny, EPERM}, {Action::handle},
                                       {Action::fake, 5}, {Action::kill},        {Action::trap, 3},
                                       {Action::fake, 0}, {Action::trace, 9},    {Action::kill_now}};
    const std::vector<Decision> ends = {{Action::allow}, {Action::deny, EACCES}, {Action::kill}, {Action::fake, 5}};
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        Case random{seed, calls, any};
        random.loose.otherwise = ends[seed % ends.size()];
        random.loose.foreign = seed % 3 == 0 ? Decision{Action::deny, ENOSYS} : Decision{Action::kill};
        const support::FixedPolicy policy{random.loose};
        const sg::OciText text = sg::to_oci_profile(policy);
        if (has(text.notes, "that the kernel does not read")) continue;
        const sg::DynamicPolicy loaded = sg::parse_oci_profile(text.json).policy();
        if (text.stricter.empty() && text.json.find("TRAP") == std::string::npos) CHECK(same(policy, loaded));
        CHECK(random.laxer(policy, loaded) == 0);
        const sg::OciText notifying = sg::to_oci_profile(policy, {.listener_path = "/run/agent.sock"});
        CHECK(random.laxer(policy, answered(notifying.json).policy()) == 0);
    }
}

TEST_CASE("a container runtime that compares 64 bits decides the same, whatever is in the upper halves") {
    const std::vector<Decision> decisions = {{Action::allow}, {Action::deny, EPERM}, {Action::deny, 99}, {Action::log}};
    std::size_t compared = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        Case random{seed, {SYS_kill, SYS_socket, SYS_clone, SYS_umask, SYS_fcntl}, decisions};
        random.loose.foreign = {Action::kill};
        const support::FixedPolicy policy{random.loose};
        const sg::OciText text = sg::to_oci_profile(policy);
        if (!text.stricter.empty()) continue;
        const Runtime runtime{text.json};
        ++compared;
        for (int probe = 0; probe < 60; ++probe) {
            const seccomp_data input = random.input();
            CHECK(runtime.decide(input) == told(decided(policy.view(), input)));
        }
    }
    CHECK(compared > 5);
}

TEST_CASE("rules on 32 bits, ranges and their order come out as equalities that exclude each other") {
    const sg::Policy policy{Rule<SYS_kill>{arg::sig == 9}.deny(EPERM), sg::allow<SYS_kill>,
                            Rule<SYS_setpgid>{arg::pid > 1 && arg::pgid.in(0, 9, 15)}.allow(),
                            Rule<SYS_read>{arg::count <= 4095}.allow(), sg::otherwise.deny(EACCES)};
    const sg::OciText text = sg::to_oci_profile(policy, {.strict = true});
    const json profile = json::parse(text.json);
    CHECK(profile["defaultAction"] == "SCMP_ACT_ERRNO");
    CHECK(profile["defaultErrnoRet"] == EACCES);
    CHECK(same(policy, sg::parse_oci_profile(text.json).policy()));
    bool refused = false;
    for (const json& block : profile["syscalls"])
        refused = refused || (block["names"] == json::array({"kill"}) && block["action"] == "SCMP_ACT_ERRNO" &&
                              block["args"] == json::parse(R"([{"index": 1, "value": 4294967295, "valueTwo": 9,
                                                               "op": "SCMP_CMP_MASKED_EQ"}])"));
    CHECK(refused);
}

TEST_CASE("what comes to too many comparisons is refused as a whole") {
    const sg::Policy policy{Rule<SYS_kill>{arg::pid > 1 && arg::sig != 9}.allow(), sg::allow<SYS_read>,
                            sg::otherwise.deny(EPERM)};
    const sg::OciText text = sg::to_oci_profile(policy);
    CHECK(has(text.stricter, "kill: its conditions"));
    const sg::DynamicPolicy loaded = sg::parse_oci_profile(text.json).policy();
    CHECK(loaded.decide<SYS_kill>(2, 1) == Action::deny);
    CHECK(loaded.decide<SYS_read>(0, nullptr, 0) == Action::allow);
}

TEST_CASE("where all other calls are allowed, those newer than the table are not") {
    const sg::Policy policy{Rule<SYS_kill>{arg::sig == 9}.deny(EPERM), sg::otherwise.allow()};
    const sg::OciText text = sg::to_oci_profile(policy, {.strict = true});
    const json profile = json::parse(text.json);
    CHECK(profile["defaultAction"] == "SCMP_ACT_ERRNO");
    CHECK(profile["defaultErrnoRet"] == ENOSYS);
    CHECK(same(policy, sg::parse_oci_profile(text.json).policy()));
    CHECK(Runtime{text.json}.decide({SYS_read, 0, 0, {}}) == SECCOMP_RET_ALLOW);
    CHECK(Runtime{text.json}.decide({abi::native_limit + 5, 0, 0, {}}) == (SECCOMP_RET_ERRNO | ENOSYS));
}

TEST_CASE("what the host decides is refused, killed where it might have been, or left to an agent") {
    const sg::Policy policy{Rule<SYS_openat>{arg::path.under("/usr")}.allow(),
                            Rule<SYS_getpriority>{}.handle([](const sg::AnyCall& call) { return call.deny(EPERM); }),
                            Rule<SYS_getppid>{}.fake(7), sg::allow<SYS_read>, sg::otherwise.kill()};
    const sg::OciText text = sg::to_oci_profile(policy);
    const sg::DynamicPolicy loaded = sg::parse_oci_profile(text.json).policy();
    CHECK(loaded.decide<SYS_openat>(0, nullptr, 0, 0) == Action::kill_now);
    CHECK(loaded.decide<SYS_getpriority>(0, 0) == Decision{Action::deny, EPERM});
    CHECK(loaded.decide<SYS_getppid>() == Decision{Action::deny, EPERM});
    CHECK(loaded.decide<SYS_read>(0, nullptr, 0) == Action::allow);
    for (const char* const call : {"getpriority", "getppid"}) CHECK(has(text.stricter, call));
    CHECK(has(text.notes, "SCMP_ACT_KILL_PROCESS"));
    CHECK(error_of([&] { sg::to_oci_profile(policy, {.strict = true}); }).find("get") != std::string::npos);

    const sg::OciText asking = sg::to_oci_profile(policy, {.listener_path = "/run/agent.sock"});
    CHECK(json::parse(asking.json)["listenerPath"] == "/run/agent.sock");
    CHECK(has(asking.notes, "openat"));
    CHECK(error_of([&] { sg::parse_oci_profile(asking.json).policy(); }).find("handle_notified") != std::string::npos);
    const sg::DynamicPolicy agent = answered(asking.json).policy();
    CHECK(agent.decide<SYS_openat>(0, nullptr, 0, 0) == Action::handle);
    CHECK(agent.decide<SYS_getpriority>(0, 0) == Action::handle);
    CHECK(agent.decide<SYS_getppid>() == Decision{Action::deny, EPERM});
}

TEST_CASE("a foreign ABI that a policy admits is none of its profile's, which is reported") {
    const sg::Policy policy{sg::allow<SYS_read>, sg::admit<sg::abi::compat_abi>, sg::otherwise.deny(EPERM)};
    const sg::OciText text = sg::to_oci_profile(policy);
    CHECK(has(text.stricter, std::string{"calls through "} + sg::abi::name(sg::abi::compat_abi)));
    CHECK(!error_of([&] { sg::to_oci_profile(policy, {.strict = true}); }).empty());
    const char* const native = sg::abi::native_abi == sg::Abi::x86_64 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64";
    CHECK(json::parse(text.json)["architectures"] == json::array({native}));
}

TEST_CASE("Docker's default profile, saved and loaded again, is the same policy") {
    const sg::DynamicPolicy policy =
        sg::load_oci_profile(std::string{SYSGUARD_TEST_PROFILES} + "/docker-default.json").policy();
    const sg::OciText text = sg::to_oci_profile(policy, {.strict = true});
    CHECK(same(policy, sg::parse_oci_profile(text.json).policy()));
}

TEST_CASE("a file is replaced as a whole, or stays as it was") {
    const support::Scratch scratch;
    const sg::Policy policy{sg::allow<SYS_read>, sg::otherwise.deny(EPERM)};
    const std::string path = scratch / "profile.json";
    const auto contents = [&] {
        std::ifstream file{path};
        return std::string{std::istreambuf_iterator<char>{file}, {}};
    };
    const auto files = [&] {
        return std::distance(std::filesystem::directory_iterator{scratch.path()},
                             std::filesystem::directory_iterator{});
    };
    std::ofstream{path} << "old";
    const sg::OciText text = sg::save_oci_profile(policy, path);
    CHECK(contents() == text.json);
    CHECK(same(policy, sg::load_oci_profile(path).policy()));
    CHECK(files() == 1);
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07133) == 0);

    std::ofstream{path} << "old";
    const sg::Policy asking{Rule<SYS_getppid>{}.fake(7), sg::otherwise.kill()};
    CHECK(!error_of([&] { sg::save_oci_profile(asking, path, {.strict = true}); }).empty());
    CHECK(contents() == "old");
    CHECK(error_of([&] { sg::save_oci_profile(policy, scratch / "missing/profile.json"); }).find("missing") !=
          std::string::npos);
    ::mkdir((scratch / "directory").c_str(), 0755);
    CHECK(error_of([&] { sg::save_oci_profile(policy, scratch / "directory"); }).find("directory") !=
          std::string::npos);
    CHECK(!error_of([&] { sg::save_oci_profile(policy, ""); }).empty());
    CHECK(files() == 2);
}
