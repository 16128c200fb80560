#include <sysguard/filter/export_libseccomp.hpp>
#include <sysguard/filter/pseudo_code.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/supervise/call.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <sys/syscall.h>

#include "support/large_policy.hpp"
#include "support/random_policy.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using sg::Action;
using sg::Rule;

namespace {

/// Runs pseudo code, as its indentation has it.
class Runner {
public:
    explicit Runner(const std::string& text) {
        std::istringstream lines{text};
        for (std::string line; std::getline(lines, line);) {
            const std::size_t begin = line.find_first_not_of(' ');
            if (begin == std::string::npos || line[begin] == '#') continue;
            lines_.push_back({begin / 2, line.substr(begin)});
        }
    }

    /// The action, without what stands behind it.
    std::string run(const seccomp_data& data) const {
        std::string action;
        std::size_t at = 0;
        block(at, 0, true, data, action);
        return action;
    }

private:
    struct Line {
        std::size_t level;
        std::string text;
    };

    bool is(std::size_t at, std::size_t level, const char* begin) const {
        return at < lines_.size() && lines_[at].level == level && lines_[at].text.rfind(begin, 0) == 0;
    }

    /// Walks through the lines of a level and those below; `runs`: they are executed.
    void block(std::size_t& at, std::size_t level, bool runs, const seccomp_data& data, std::string& action) const {
        while (at < lines_.size() && lines_[at].level >= level) {
            const std::string& text = lines_[at].text;
            if (lines_[at].level != level) FAIL(text);
            if (text.rfind("action ", 0) == 0) {
                if (runs && action.empty()) action = text.substr(7, text.find(';') - 7);
                ++at;
                continue;
            }
            if (text == "else") return;
            if (text.rfind("if (", 0) != 0) FAIL(text);
            const bool holds = test(text.substr(4, text.size() - 5), data);
            ++at;
            block(at, level + 1, runs && holds && action.empty(), data, action);
            if (!is(at, level, "else")) continue;
            ++at;
            block(at, level + 1, runs && !holds && action.empty(), data, action);
        }
    }

    static bool test(const std::string& text, const seccomp_data& data) {
        std::istringstream words{text};
        std::string name;
        std::string comparison;
        std::uint64_t value = 0;
        words >> name >> comparison;
        std::uint64_t left = name == "$arch" ? data.arch : static_cast<std::uint32_t>(data.nr);
        if (name[1] == 'a' && name != "$arch") {
            const std::uint64_t argument = data.args[name[2] - '0'];
            left = name.find(".hi32") != std::string::npos ? argument >> 32 : argument & 0xffffffff;
        }
        if (comparison == "&") {
            std::string mask;
            words >> mask >> comparison;
            left &= std::strtoull(mask.c_str(), nullptr, 16);
        }
        words >> value;
        if (comparison == "==") return left == value;
        if (comparison == ">=") return left >= value;
        if (comparison != ">") FAIL(text);
        return left > value;
    }

    std::vector<Line> lines_{};
};

std::string action_of(std::uint32_t value) {
    const std::string text = filter::detail::pseudo_action(filter::decision_of(value));
    return text.substr(0, text.find(';'));
}

/// The lines of each call, without what libseccomp adds to them.
std::map<std::string, std::string> blocks(const std::string& text) {
    std::map<std::string, std::string> found;
    std::istringstream lines{text};
    std::string name;
    for (std::string line; std::getline(lines, line);) {
        const std::size_t begin = line.find_first_not_of(" #");
        if (line.find("# filter for syscall \"") != std::string::npos)
            name = line.substr(begin + 19, line.find(')') - begin - 18);
        if (line.find("# default action") != std::string::npos) name = "default";
        if (line.find("# invalid arch") != std::string::npos) name = "invalid";
        if (name.empty() || line.find('#') != std::string::npos) continue;
        if (line.find(".hi32 & 0x00000000 == 0)") != std::string::npos) continue;
        const std::size_t mask = line.find(" & 0xffffffff");
        if (mask != std::string::npos) line.erase(mask, 13);
        found[name] += line.substr(line.find_first_not_of(' ')) + "\n";
    }
    return found;
}

}  // namespace

TEST_CASE("a policy as pseudo code") {
    if (sg::abi::native_abi != sg::abi::Abi::x86_64) return;
    constexpr sg::Policy policy{sg::allow<SYS_read>,
                                Rule<SYS_write>{arg::count > 0x200000000}.deny(EFBIG),
                                Rule<SYS_socket>{arg::domain == 2 && arg::type.in(1, 2)}.allow(),
                                Rule<SYS_kill>{arg::pid == 1 || (arg::sig & 0x30) != 0x10}.kill(),
                                Rule<SYS_kill>{}.fake(7),
                                Rule<SYS_connect>{arg::addr.is_loopback() && arg::addrlen <= 16}.allow(),
                                sg::foreign.kill_now(),
                                sg::otherwise.deny(EPERM)};
    const std::string text = filter::pseudo_code(policy.view());
    const std::string expected = R"(  # filter for syscall "read" (0)
  if ($syscall == 0)
    action ALLOW;
  # filter for syscall "write" (1)
  if ($syscall == 1)
    if ($a2.hi32 > 2)
      action ERRNO(27);
    else
      if ($a2.hi32 == 2)
        if ($a2.lo32 >= 1)
          action ERRNO(27);
  # filter for syscall "socket" (41)
  if ($syscall == 41)
    if ($a0.lo32 == 2)
      if ($a1.lo32 & 0x0000000f == 1)
        action ALLOW;
      if ($a1.lo32 & 0x0000000f == 2)
        action ALLOW;
  # filter for syscall "connect" (42)
  if ($syscall == 42)
    if ($a2.lo32 > 16)
    else
      action NOTIFY; # handle()
    if ($a2.lo32 >= 2147483648)
      action NOTIFY; # handle()
  # filter for syscall "kill" (62)
  if ($syscall == 62)
    if ($a0.lo32 == 1)
      action NOTIFY; # kill()
    if ($a1.lo32 & 0x00000030 == 16)
    else
      action NOTIFY; # kill()
    action NOTIFY; # fake(7)
  # default action
  action ERRNO(1);
# invalid architecture action
action KILL_PROCESS;
#
# pseudo filter code end
#
)";
    CHECK(text.find("#\n# pseudo filter code start\n#\n# filter for arch x86_64 (3221225534)\n"
                    "if ($arch == 3221225534)\n") == 0);
    CHECK(text.substr(text.find("  # filter for syscall \"read\"")) == expected);
}

TEST_CASE("it says what libseccomp's says, where both can say it") {
    constexpr sg::Policy policy{sg::allow<SYS_getpid, SYS_read>,
                                Rule<SYS_kill>{arg::sig == 9}.deny(EPERM),
                                Rule<SYS_write>{arg::count != 7}.allow(),
                                Rule<SYS_lseek>{arg::offset == 5}.log(),
                                Rule<SYS_fchmod>{(arg::mode & 07000) == 0}.allow(),
                                Rule<SYS_getsid>{arg::pid == 1}.kill_now(),
                                sg::foreign.kill_now(),
                                sg::otherwise.deny(ENOSYS)};
    const filter::LibseccompExport exported = filter::export_libseccomp(policy.view());
    const auto own = blocks(filter::pseudo_code(policy.view()));
    const auto theirs = blocks(filter::pseudo_code_of(exported.context.get()));
    for (const auto& block : own) {
        const auto same = theirs.find(block.first);
        REQUIRE_MESSAGE(same != theirs.end(), block.first);
        CHECK_MESSAGE(same->second == block.second, block.first);
    }
    CHECK(own.size() == 9);
}

TEST_CASE("pseudo code of random policies, run, does what the filter does") {
    std::size_t probes = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        support::RandomPolicy random{support::Choices{seed}};
        const support::FixedPolicy fixed{random.make(support::all_decisions())};
        const std::vector<sock_filter> program = fixed.compile();
        const Runner runner{filter::pseudo_code(fixed.view())};
        for (int i = 0; i < 40; ++i) {
            const seccomp_data data = random.input();
            const std::string said = runner.run(data);
            const std::string expected = action_of(filter::interpret({program.data(), program.size()}, data).value);
            ++probes;
            if (said != expected)
                FAIL("seed " << seed << ", " << support::text(data) << ": " << said << ", not " << expected);
        }
    }
    MESSAGE(probes << " probes agree");
}

TEST_CASE("and so does what libseccomp prints of what was exported") {
    constexpr sg::Policy policy{Rule<SYS_kill>{arg::sig.in(1, 2, 15)}.deny(EPERM),
                                Rule<SYS_socket>{arg::domain == 2 && arg::type == 1}.allow(), sg::foreign.kill_now(),
                                sg::otherwise.deny(ENOSYS)};
    const filter::LibseccompExport exported = filter::export_libseccomp(policy.view());
    const Runner theirs{filter::pseudo_code_of(exported.context.get())};
    const Runner own{filter::pseudo_code(policy.view())};
    for (const int number : {SYS_kill, SYS_socket, SYS_read, 1023, -1})
        for (const std::uint64_t first : {0ULL, 1ULL, 2ULL, 3ULL, 2ULL | 1ULL << 50})
            for (const std::uint64_t second : {0ULL, 1ULL, 2ULL, 15ULL, 15ULL | 1ULL << 33}) {
                const seccomp_data data{number, ::seccomp_arch_native(), 0, {first, second, 0, 0, 0, 0}};
                if (own.run(data) != theirs.run(data)) FAIL(support::text(data));
            }
}
