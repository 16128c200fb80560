#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/explain.hpp>
#include <sysguard/policy/presets.hpp>
#include <sysguard/policy/rule.hpp>
#include <sysguard/supervise/call.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

#include "support/large_policy.hpp"
#include "support/random_policy.hpp"
#include "support/read_condition.hpp"

namespace sg = sysguard;
namespace sys = sysguard::sys;
namespace arg = sysguard::arg;
namespace abi = sysguard::abi;
namespace filter = sysguard::filter;
namespace policy = sysguard::policy;
using sg::Action;
using sg::Rule;

namespace {

using Group = sg::Rules<600, 4000>;

std::string explain(const policy::View& view) {
    const auto program = std::make_unique<filter::Program<filter::max_instructions>>();
    filter::compile(view, policy::RulesByCall<600>{view}, *program);
    return filter::explain(view, *program);
}

template <class... Parts>
std::string explain(sg::Decision otherwise, sg::Decision foreign, const Parts&... parts) {
    const auto rules = std::make_unique<Group>(parts...);
    return explain({rules->begin(), rules->size(), rules->nodes(), otherwise, foreign});
}

template <class... Parts>
std::string explained(const Parts&... parts) {
    return explain({Action::kill}, {Action::kill}, parts...);
}

/// How many instructions there are is the compiler's affair.
[[maybe_unused]] std::string without_size(std::string text) {
    const std::size_t begin = text.find(" of ") + 4;
    return text.replace(begin, text.find(" instructions") - begin, "N");
}

bool has(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

/// What an explanation says, read back: the lines of each call, unwrapped.
struct Read {
    std::map<std::string, std::vector<std::string>> lines{};
    std::string otherwise{};
    std::size_t others = 0;

    explicit Read(const std::string& text) {
        std::istringstream in{text};
        std::string group;
        std::vector<std::string> names;
        bool listing = false;
        bool joins = false;
        for (std::string line; std::getline(in, line);) {
            const std::size_t indent = line.find_first_not_of(' ');
            if (line.empty()) {
                group.clear();
                names.clear();
            } else if (indent == 0) {
                group = line;
                listing = has(line, ", whatever their arguments (");
                if (line.rfind("All other calls (", 0) == 0) {
                    others = std::stoul(line.substr(17));
                    otherwise = line.substr(line.find("): ") + 3);
                    otherwise.resize(otherwise.find('.'));
                }
                if (listing) group = line.substr(0, line.find(", whatever"));
                if (line.substr(line.size() - 2) != "):") group.clear();
            } else if (indent == 2 && line[2] >= 'A' && line[2] <= 'Z') {
                group.clear();
                listing = false;
            } else if (listing) {
                for (const std::string& name : split(line))
                    CHECK(lines.emplace(name, std::vector<std::string>{"whatever: " + group}).second);
            } else if (indent == 2 && !group.empty()) {
                if (!joins) names.clear();
                for (const std::string& name : split(line)) {
                    names.push_back(name);
                    CHECK(lines.emplace(name, std::vector<std::string>{}).second);
                }
                joins = line.back() == ',';
            } else if (indent == 4) {
                for (const std::string& name : names) lines[name].push_back(line.substr(line.find(". ") + 2));
            } else if (indent > 4) {
                for (const std::string& name : names) {
                    std::string& last = lines[name].back();
                    last += (last.back() == '|' ? "" : " ") + line.substr(indent);
                }
            }
        }
    }

    static std::vector<std::string> split(const std::string& line) {
        std::vector<std::string> names;
        std::istringstream in{line};
        for (std::string name; in >> name;) {
            if (name.back() == ',') name.pop_back();
            names.push_back(name);
        }
        return names;
    }
};

/// What the words of a decision mean.
sg::Decision meaning(std::string words) {
    if (!words.empty() && words[0] >= 'A' && words[0] <= 'Z') words[0] = static_cast<char>(words[0] - 'A' + 'a');
    for (const sg::Decision& decision : support::all_decisions())
        if (filter::detail::text_of(decision) == words) return decision;
    FAIL("not understood: " << words);
    return {};
}

/// Decides by the words of an explanation.
sg::Decision decide(const Read& read, const abi::Syscall& call, const std::uint64_t* arguments) {
    const auto found = read.lines.find(std::string{call.name});
    if (found == read.lines.end()) return meaning(read.otherwise);
    for (const std::string& line : found->second) {
        if (line.rfind("whatever: ", 0) == 0) return meaning(line.substr(10));
        if (line.rfind("otherwise ", 0) == 0) return meaning(line.substr(10));
        const std::string hands_over = "; the kernel hands over ";
        const std::size_t host = line.rfind(hands_over);
        if (host != line.npos) {
            const std::string which = line.substr(host + hands_over.size());
            const std::string where = "those where ";
            if (which == "every call that gets here" ||
                (which.rfind(where, 0) == 0 &&
                 support::ReadCondition::read(call, which.substr(where.size()))(arguments)))
                return {Action::handle};
            continue;
        }
        const std::size_t condition = line.find(" if ");
        if (condition == line.npos) return meaning(line.substr(0, line.find(", whatever its arguments")));
        if (support::ReadCondition::read(call, line.substr(condition + 4))(arguments))
            return meaning(line.substr(0, condition));
    }
    FAIL("no line for " << call.name);
    return {};
}

}  // namespace

#if defined(__x86_64__)
TEST_CASE("a policy in words") {
    CHECK(without_size(
              explained(sg::allow<sys::read, sys::write, sys::exit_group>,
                        Rule<sys::socket>{arg::domain == AF_INET && arg::type != SOCK_RAW}.allow(),
                        Rule<sys::fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM), Rule<sys::clone3>{}.deny(ENOSYS),
                        Rule<sys::connect>{}.handle([](const sg::AnyCall& call) { return call.deny(EPERM); }))) ==
          R"(A seccomp filter for x86_64 of N instructions. There are rules for 7 of the 385 system calls.

Allowed, whatever their arguments (3):
  exit_group, read, write
  The kernel caches each of them (Linux 5.11).

Denied with ENOSYS, whatever their arguments (1):
  clone3

Decided in the kernel by their arguments, by the first line that fits (2):
  fchmodat
    1. denied with EPERM if mode has any of 07002
    2. otherwise the worker is killed
  socket
    1. allowed if domain is AF_INET and type is not SOCK_RAW
    2. otherwise the worker is killed

Decided with the host, by the first line that fits (1):
  connect
    1. handler 1 decides

All other calls (378): the worker is killed.
Numbers that are newer than the table, which ends at 471, or that it lacks: denied with ENOSYS.
Calls through another ABI (32-bit, x32): the worker is killed.
Where the worker is killed, the kernel stops the call, and the host kills the whole worker and tells
  the call in its outcome.
)");
}

TEST_CASE("what the kernel hands over, and what the host makes of it") {
    const auto refuse = [](const sg::AnyCall& call) { return call.deny(EPERM); };
    const auto look = [](const sg::AnyCall& call) { return call.deny(EPERM); };
    CHECK(without_size(explain(
              {Action::deny, EPERM}, {Action::deny, ENOSYS}, sg::allow<sys::exit_group>,
              Rule<sys::openat>{(arg::flags & O_ACCMODE) == O_RDONLY && arg::path.under("/usr")}.allow(),
              Rule<sys::openat>{arg::flags & O_PATH}.allow(), Rule<sys::openat>{}.handle(refuse),
              Rule<sys::bind>{arg::addr.is_loopback()}.kill_now(), Rule<sys::connect>{arg::addrlen > 16}.handle(look),
              Rule<sys::connect>{arg::addr.in("10.0.0.0/8", 443)}.allow(),
              Rule<sys::connect>{arg::addrlen <= 8}.deny(EINVAL), Rule<sys::listen>{}.handle(refuse))) ==
          R"(A seccomp filter for x86_64 of N instructions. There are rules for 5 of the 385 system calls.

Allowed, whatever their arguments (1):
  exit_group
  The kernel caches each of them (Linux 5.11).

Decided with the host, by the first line that fits (4):
  bind
    1. the worker is killed if addr is a loopback address; the kernel hands over every call that
       gets here
    2. otherwise denied with EPERM
  connect
    1. handler 2 decides if addrlen is above 16
    2. performed by the host if addr is in 10.0.0.0/8 and addr's port is 443; the kernel hands over
       every call that gets here
    3. denied with EINVAL if addrlen is at most 8
    4. otherwise denied with EPERM
  listen
    1. handler 3 decides
  openat
    1. performed by the host if flags & O_ACCMODE is O_RDONLY and path leads to "/usr" or below; the
       kernel hands over those where flags & O_ACCMODE is O_RDONLY
    2. allowed if flags has O_PATH
    3. otherwise handler 1 decides
  A call that the kernel has handed over stays with the host: where the line does not fit after all,
  the host goes on with the next ones, and performs itself what they allow.

All other calls (380): denied with EPERM.
Numbers that are newer than the table, which ends at 471, or that it lacks: denied with ENOSYS.
Calls through another ABI (32-bit, x32): denied with ENOSYS.
Where the worker is killed, the kernel stops the call, and the host kills the whole worker and tells
  the call in its outcome.
)");
}
#endif

TEST_CASE("every decision in words") {
    const std::string text =
        explain({Action::allow}, {Action::kill_now}, Rule<sys::uname>{}.log(), Rule<sys::getpid>{}.fake(0),
                Rule<sys::getuid>{}.fake(7), Rule<sys::getgid>{}.deny(4000), Rule<sys::ptrace>{}.kill_now(),
                Rule<sys::reboot>{}.kill(), Rule<sys::kill>{arg::sig == 9}.log());
    CHECK(has(text, "Allowed, and written to the audit log, whatever their arguments (1):\n  uname\n\n"));
    CHECK(has(text, "Not run, and said to have returned 0, whatever their arguments (1):\n  getpid\n"));
    CHECK(has(text, "Not run, and said to have returned 7, whatever their arguments (1):\n  getuid\n"));
    CHECK(has(text, "Denied with errno 4000, whatever their arguments (1):\n  getgid\n"));
    CHECK(has(text, "The process is killed at once, whatever their arguments (1):\n  ptrace\n"));
    CHECK(has(text, "The worker is killed, whatever their arguments (1):\n  reboot\n"));
    CHECK(has(text, "1. allowed, and written to the audit log if sig is SIGKILL\n    2. otherwise allowed\n"));
    CHECK(has(text, "): allowed. The kernel caches each of them (Linux 5.11).\n"));
    CHECK(has(text, "A result other than 0 is given by the host.\n"));
    CHECK(has(text, "): the process is killed at once.\n"));
    CHECK(has(text, "Where the worker is killed, "));
    CHECK_FALSE(has(explain({Action::deny, 1}, {Action::deny, 1}), "worker"));
    using filter::detail::text_of;
    CHECK(text_of({Action::kill_thread}) == "the calling thread is killed at once");
    CHECK(text_of({Action::trap, 3}) == "not run, and a SIGSYS is sent that tells 3");
    CHECK(text_of({Action::trace, 4}) == "left to a tracer, which is told 4");
    CHECK(text_of({Action::handle}) == "the host decides");
}

TEST_CASE("what changes nothing is left out") {
    const std::string text =
        explained(sg::preset::static_runtime, sg::preset::static_runtime, Rule<sys::kill>{arg::sig == 0}.allow(),
                  Rule<sys::kill>{arg::pid == 1}.kill(), Rule<sys::socket>{arg::domain == AF_INET}.allow(),
                  Rule<sys::socket>{arg::domain == AF_UNIX}.kill(), Rule<sys::tkill>{arg::sig == 0}.kill());
    CHECK(has(text, "  kill\n    1. allowed if sig is 0\n    2. otherwise the worker is killed\n"));
    CHECK(has(text, "  socket\n    1. allowed if domain is AF_INET\n    2. otherwise the worker is killed\n"));
    CHECK(has(text, "The worker is killed, whatever their arguments (1):\n  tkill\n"));
}

TEST_CASE("calls that are treated alike share their lines") {
    const auto handler = [](const sg::AnyCall& call) { return call.deny(EPERM); };
    const std::string text = explained(Rule<sg::family::chmod>{arg::mode & 07000}.deny(EPERM),
                                       Rule<sg::family::send_signal>{}.handle(handler));
    CHECK(has(text, "fchmod, fchmodat, fchmodat2\n    1. denied with EPERM if mode has any of 07000\n"));
    CHECK(has(text, "  kill, pidfd_send_signal, rt_sigqueueinfo, rt_tgsigqueueinfo, tgkill, tkill\n    1. handler 1 "));
}

TEST_CASE("what the kernel does not cache although it is allowed") {
    const auto rules = std::make_unique<Group>(sg::allow<sys::read, sys::write>);
    const policy::View view{rules->begin(), rules->size(), rules->nodes(), {Action::kill}, {Action::kill}};
    const sock_filter all_arguments[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
                                         {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    CHECK(has(filter::explain(view, {all_arguments, 2}), "  read, write\n  The kernel caches none of them.\n"));
    CHECK(has(filter::explain(view, {}), "of 0 instructions"));
    const sock_filter only_write[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, static_cast<std::uint32_t>(sys::write)},
                                      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
                                      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    CHECK(has(filter::explain(view, {only_write, 4}), "The kernel caches each of them (Linux 5.11) but read.\n"));
}

TEST_CASE("an ABI that is admitted is named") {
    const policy::AdmittedAbi i386{abi::Abi::i386};
    policy::View view{};
    view.foreign = {Action::deny, ENOSYS};
    CHECK_FALSE(has(filter::explain(view, {}), "Admitted"));
    view.admitted = &i386;
    CHECK(has(filter::explain(view, {}), "): denied with ENOSYS.\nAdmitted of these are calls of i386: "));
}

TEST_CASE("lines are short, and ASCII whatever the policy holds") {
    const std::string odd = "/\x1b[31m\n\t\xc3\xbc \"" + std::string(300, '|');
    const auto rules = std::make_unique<Group>(
        support::large_policy(), Rule<sys::ptrace>{}.deny(EPERM),
        Rule<sys::mount>{arg::source == odd || arg::target.under(odd) || !arg::target.glob("\x01*")}.deny(EPERM),
        Rule<sys::openat2>{arg::path == odd}.allow());
    const std::string text = explain({rules->begin(), rules->size(), rules->nodes(), {Action::kill}, {Action::kill}});
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        CHECK_MESSAGE((line.size() <= 100 || has(line, "|||")), line);
        CHECK(line.find_first_of("\t\r\x1b") == line.npos);
        CHECK_FALSE((!line.empty() && line.back() == ' '));
        CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c < 0x7f; }));
    }
    CHECK(has(text, R"("/\x1b[31m\x0a\x09\xc3\xbc \")"));
}

TEST_CASE("wrapping") {
    const auto wrapped = [](std::string_view text, std::size_t width) {
        std::string out;
        filter::detail::wrap(out, text, 1, 3, width);
        return out;
    };
    CHECK(wrapped("", 10) == " \n");
    CHECK(wrapped("aa bb cc dd", 6) == " aa bb\n   cc\n   dd\n");
    CHECK(wrapped("a \"b c\\\" d\" e", 6) == " a\n   \"b c\\\" d\"\n   e\n");
    CHECK(wrapped("x A|B|CCC|DDD y", 8) == " x A|B|\n   CCC|\n   DDD y\n");
    CHECK(wrapped("\"a|b|c|d|e|f\"", 8) == " \"a|b|c|d|e|f\"\n");
}

TEST_CASE("random policies are said as they decide, and each call is in one place") {
    const std::vector<int> calls = support::all_calls();
    const std::uint64_t seed = std::random_device{}();
    INFO("seed ", seed);
    support::RandomPolicy random{support::Choices{seed}};
    int unconditional = 0;
    int conditional = 0;
    int handed_over = 0;
    for (int round = 0; round < 100; ++round) {
        const support::FixedPolicy policy{random.make(support::all_decisions())};
        const policy::View view = policy.view();
        const std::string text = filter::explain(view, {});
        const Read read{text};
        CHECK(read.lines.size() + read.others == calls.size());
        for (const int number : calls) {
            const abi::Syscall& call = *abi::find(number);
            const bool has_rules = std::any_of(view.rules, view.rules + view.rule_count,
                                               [&](const policy::RuleRecord& rule) { return rule.number == number; });
            REQUIRE(has_rules == (read.lines.count(std::string{call.name}) == 1));
            if (!has_rules) continue;
            const bool whatever = read.lines.at(std::string{call.name})[0].rfind("whatever: ", 0) == 0;
            for (int probe = 0; probe < 10; ++probe) {
                const seccomp_data data = random.input(number);
                std::uint64_t arguments[6];
                std::copy(std::begin(data.args), std::end(data.args), arguments);
                INFO(text);
                const sg::Decision decision = policy::decide(view, number, arguments);
                REQUIRE(decide(read, call, arguments) == decision);
                ++(whatever ? unconditional : conditional);
                handed_over += decision == Action::handle;
            }
        }
    }
    CHECK(handed_over > 100);
    CHECK(unconditional > 100);
    CHECK(conditional > 100);
}
