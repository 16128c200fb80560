#include <sysguard/dynamic_policy.hpp>
#include <sysguard/lint.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace abi = sysguard::abi;
namespace arg = sysguard::arg;
namespace preset = sysguard::preset;
namespace sys = sysguard::sys;
using sg::Rule;
using sg::Severity;
using Kind = sg::Finding::Kind;

namespace {

/// Rules that are put together while a test runs.
struct Built {
    explicit Built(sg::Decision otherwise) : rest{otherwise} {}

    void prepend(int number, const sg::policy::BoundNode* begin, std::size_t count, bool in_memory,
                 sg::Decision decision) {
        sg::policy::RuleRecord rule;
        rule.number = static_cast<std::int16_t>(number);
        rule.first_node = static_cast<std::uint16_t>(nodes.size());
        rule.node_count = static_cast<std::uint16_t>(count);
        rule.in_memory = in_memory;
        rule.decision = decision;
        nodes.insert(nodes.end(), begin, begin + count);
        rules.insert(rules.begin(), rule);
    }

    /// The rules of a group, behind the others.
    template <class Rules>
    void append(const Rules& group) {
        Built before = *this;
        rules.clear();
        prepend_all(group);
        prepend_all(before);
    }

    /// The rules of a group, in front of the others.
    template <class Rules>
    void prepend_all(const Rules& group) {
        prepend_all(group.begin(), group.size(), group.nodes());
    }
    void prepend_all(const Built& other) { prepend_all(other.rules.data(), other.rules.size(), other.nodes.data()); }
    void prepend_all(const sg::policy::RuleRecord* begin, std::size_t count, const sg::policy::BoundNode* from) {
        for (std::size_t i = count; i-- > 0;)
            prepend(begin[i].number, from + begin[i].first_node, begin[i].node_count, begin[i].in_memory,
                    begin[i].decision);
    }

    sg::policy::View view() const { return {rules.data(), rules.size(), nodes.data(), rest, foreign}; }

    std::vector<sg::policy::RuleRecord> rules{};
    std::vector<sg::policy::BoundNode> nodes{};
    sg::Decision rest;
    sg::Decision foreign{sg::Action::kill};
};

/// What is found in a policy of these rules. Not a sg::Policy of them: compiled by the hundred, those take long.
template <class... Parts>
sg::Findings found_in(sg::Decision otherwise, const Parts&... parts) {
    Built policy{otherwise};
    const int last_first[] = {0, (policy.append(parts), 0)...};
    static_cast<void>(last_first);
    return sg::filter::lint(policy.view());
}

template <class... Parts>
sg::Findings of(const Parts&... parts) {
    return found_in({sg::Action::kill}, parts...);
}
template <class... Parts>
sg::Findings beside_all(const Parts&... parts) {
    return found_in({sg::Action::allow}, parts...);
}
template <class... Parts>
sg::Findings refusing(const Parts&... parts) {
    return found_in({sg::Action::deny, EPERM}, parts...);
}

std::string without_spaces(std::string text) {
    text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\n'; }), text.end());
    return text;
}

/// A rule as the text that it was written as.
struct Written {
    template <class Rules>
    Written(const char* source, const Rules& from) : text{without_spaces(source)} {
        rules.prepend_all(from);
    }
    std::string text;
    Built rules{{}};
};

#define WRITTEN(...)              \
    Written {                     \
#__VA_ARGS__, __VA_ARGS__ \
    }

/// Every rule that lint suggests and that does more than to deny a call.
const std::vector<Written>& written() {
    static const std::vector<Written> all {
        WRITTEN(Rule<sg::sys::sendto>{arg::addrlen != 0}.deny(EPERM)),
            WRITTEN(Rule<sg::family::io_uring>{}.deny(ENOSYS)),
            WRITTEN(Rule<sg::sys::ioctl>{arg::request.in(TIOCSTI, TIOCLINUX)}.deny(EPERM)),
            WRITTEN(
                Rule<sg::sys::openat>{(arg::flags & O_ACCMODE) != O_RDONLY && arg::path.under("/proc")}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::openat2>{arg::path.under("/proc")}.deny(EACCES)),
            WRITTEN(
                Rule<sg::sys::mmap>{(arg::prot & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC)}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::mprotect>{arg::prot & PROT_EXEC}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::pkey_mprotect>{arg::prot & PROT_EXEC}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::shmat>{arg::shmflg & SHM_EXEC}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::personality>{(arg::persona & 0x400000) && arg::persona != 0xffffffff}.deny(EPERM)),
            WRITTEN(Rule<sg::sys::openat>{!arg::path.under("/usr")}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::openat2>{!arg::path.under("/usr")}.deny(EACCES)),
            WRITTEN(Rule<sg::family::exec>{}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::clone>{arg::flags & CLONE_NEWUSER}.deny(EPERM)),
            WRITTEN(Rule<sg::sys::clone>{(arg::flags & CLONE_THREAD) == 0}.deny(EPERM)),
            WRITTEN(Rule<sg::sys::fcntl>{arg::cmd.in(F_DUPFD, F_DUPFD_CLOEXEC)}.deny(EPERM)),
            WRITTEN(Rule<sg::sys::socketpair>{arg::type == SOCK_DGRAM}.deny(EPERM)), WRITTEN(sg::allow<sg::sys::exit>),
            WRITTEN(sg::allow<sg::sys::exit_group>), WRITTEN(sg::allow<sg::sys::rt_sigreturn>),
            WRITTEN(sg::allow<sg::sys::restart_syscall>),
#if defined(__x86_64__)
            WRITTEN(Rule<sg::sys::open>{(arg::flags & O_ACCMODE) != O_RDONLY && arg::path.under("/proc")}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::creat>{arg::path.under("/proc")}.deny(EACCES)),
            WRITTEN(Rule<sg::sys::open>{!arg::path.under("/usr")}.deny(EACCES)),
#endif
    };
    return all;
}

/// Puts the rule that a finding suggests before others.
void follow(const sg::Finding& finding, Built& policy) {
    const std::string rule = finding.rule();
    CAPTURE(rule);
    if (rule == "sg::foreign.kill()") {
        policy.foreign = {sg::Action::kill};
        return;
    }
    for (const Written& each : written())
        if (each.text == without_spaces(rule)) return policy.prepend_all(each.rules);
    // The others deny one call. That they compile: its name is that of a constant in sg::sys, and Rule takes any.
    const std::string name{abi::find(finding.call)->name};
    REQUIRE(rule == "Rule<sg::sys::" + name + ">{}.deny(" + (finding.error == ENOSYS ? "ENOSYS)" : "EPERM)"));
    policy.prepend(finding.call, nullptr, 0, false, {sg::Action::deny, finding.error});
}

/// Follows all suggestions until nothing is found; each closes what it was made for.
void check_suggestions(Built policy, bool each_alone) {
    for (int round = 0;; ++round) {
        const sg::Findings found = sg::filter::lint(policy.view());
        if (found.empty()) return;
        REQUIRE(round < 5);
        for (const sg::Finding& finding : found) {
            CAPTURE(finding.explain());
            if (each_alone && round == 0) {
                Built alone = policy;
                follow(finding, alone);
                CHECK_FALSE(sg::filter::lint(alone.view()).contains(finding.kind, finding.call));
            }
            follow(finding, policy);
        }
    }
}

}  // namespace

TEST_CASE("a policy of constants is judged by the compiler, one of run time when it runs") {
    constexpr sg::Policy good{preset::cpp_runtime, preset::threads, sg::otherwise.kill()};
    static_assert(sg::lint(good).empty());
    constexpr sg::Policy bad{preset::cpp_runtime, sg::allow<sys::clone3, SYS_userfaultfd>, sg::otherwise.kill()};
    static_assert(sg::lint(bad).size() == 2);
    static_assert(sg::lint(bad).contains(Kind::clone3));
    static_assert(sg::lint(bad).contains(Kind::powerful_call, SYS_userfaultfd));
    static_assert(!sg::lint(bad).contains(Kind::powerful_call, SYS_bpf));
    static_assert(!sg::lint(bad).contains(Kind::sibling));
    static_assert(sg::lint(bad).contains(Severity::hole) && !sg::lint(bad).contains(Severity::breakage));
    static_assert(sg::lint(bad).without(Kind::clone3).size() == 1);
    static_assert(sg::lint(bad).without(Kind::clone3, Kind::powerful_call).empty());
    static_assert(sg::lint(bad).without(Severity::hole)[0].call == SYS_userfaultfd);
    static_assert(sg::lint(bad).without_call(Kind::powerful_call, SYS_userfaultfd).size() == 1);
    static_assert(sg::lint(bad).without_call(Kind::powerful_call, SYS_bpf).size() == 2);

    const sg::Findings found = sg::lint(bad);
    CHECK(found.contains(Severity::hole));
    CHECK_FALSE(found.contains(Severity::breakage));
    CHECK(found.without(Severity::hole).size() == 1);
    CHECK(found.without_call(Kind::powerful_call, SYS_userfaultfd).size() == 1);
    CHECK(found.without_call(Kind::powerful_call, SYS_bpf).size() == 2);

    sg::RuleList rules;
    rules.append(sg::allow<sys::clone3>);
    CHECK(sg::lint(sg::DynamicPolicy{rules, sg::otherwise.kill()}).contains(Kind::clone3));
    CHECK_FALSE(sg::lint(sg::DynamicPolicy{rules, sg::otherwise.kill()}).contains(Kind::io_uring));
}

TEST_CASE("findings in words") {
    const auto found = of(Rule<SYS_openat>{(arg::flags & O_ACCMODE) == O_RDONLY}.allow(), sg::allow<sys::openat2>);
    REQUIRE(found.contains(Kind::sibling, sys::openat2));
    const sg::Finding& first = found[0];
    CHECK(first.beside == SYS_openat);
    CHECK(first.reason() == "openat2 does what the policy refuses to openat: it opens files");
    CHECK(first.rule() == "Rule<sg::sys::openat2>{}.deny(ENOSYS)");
    CHECK(first.explain() ==
          "hole, sibling: openat2 does what the policy refuses to openat: it opens files\n"
          "    Rule<sg::sys::openat2>{}.deny(ENOSYS),");
    CHECK(found.explain().find(first.explain() + "\n") == 0);
    CHECK(of(preset::compute).explain() == "nothing found\n");
    std::vector<std::string> names;
    for (int kind = 0; kind <= static_cast<int>(Kind::needs_enosys); ++kind)
        names.emplace_back(name(static_cast<Kind>(kind)));
    CHECK(names.back() == "needs_enosys");
    std::sort(names.begin(), names.end());
    CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
    CHECK(std::string{name(static_cast<Kind>(99))} == "?");
    CHECK(std::string{name(Severity::hole)} + name(Severity::risk) + name(Severity::breakage) == "holeriskbreakage");
    CHECK(std::string{name(static_cast<Severity>(99))} == "?");
}

TEST_CASE("the presets: nothing is found, but what is so") {
    CHECK(of(preset::compute).empty());
    CHECK(of(preset::stdio).empty());
    CHECK(of(preset::static_runtime).empty());
    CHECK(of(preset::cpp_runtime).empty());
    CHECK(of(preset::channel).empty());
    CHECK(of(preset::processes).empty());
    CHECK(of(preset::cpp_runtime, preset::threads, preset::event_loop, preset::read_files).empty());
    CHECK(of(preset::cpp_runtime, preset::network_client).without(Kind::exfiltration).empty());
    CHECK(of(preset::cpp_runtime, preset::network_server).without(Kind::exfiltration).empty());
    CHECK(of(preset::static_runtime, preset::network_client).empty());
    CHECK(of(preset::cpp_runtime, preset::write_files).without(Kind::other_memory).empty());
    CHECK(of(preset::cpp_runtime, preset::write_files, preset::processes)
              .without(Kind::other_memory, Kind::write_and_execute)
              .empty());
    // Programs need what else there is: threads alone cannot return from a call in which they were stopped.
    CHECK(of(preset::threads).contains(Kind::missing_call, SYS_restart_syscall));
    CHECK(of(preset::event_loop).contains(Kind::missing_call, SYS_restart_syscall));
    CHECK(of(preset::read_files).contains(Kind::needs_enosys, SYS_getrandom));

    CHECK(refusing(preset::compute).empty());
    CHECK(refusing(preset::cpp_runtime).contains(Kind::needs_enosys, SYS_statx));
    CHECK(refusing(preset::cpp_runtime).contains(Kind::needs_enosys, sys::openat2));
    CHECK(refusing(preset::cpp_runtime).size() == 2);
    CHECK(refusing(preset::processes).contains(Kind::needs_enosys, SYS_execveat));
    CHECK(found_in({sg::Action::deny, ENOSYS}, preset::cpp_runtime).empty());
}

TEST_CASE("siblings: left open, held as well, or held by an order of rules") {
    const auto reading = Rule<SYS_openat>{(arg::flags & O_ACCMODE) == O_RDONLY}.allow();
    CHECK(of(reading, sg::allow<sys::openat2>).contains(Kind::sibling, sys::openat2));
    CHECK_FALSE(of(reading).contains(Kind::sibling));
    CHECK_FALSE(of(reading, Rule<sys::openat2>{}.deny(ENOSYS)).contains(Kind::sibling));
    CHECK_FALSE(of(reading, Rule<sys::openat2>{arg::path.under("/srv")}.allow()).contains(Kind::sibling));
    CHECK_FALSE(of(sg::allow<SYS_openat, sys::openat2>).contains(Kind::sibling));
    CHECK(of(Rule<SYS_openat>{arg::path.under("/srv")}.allow(), sg::allow<sys::open_by_handle_at>)
              .contains(Kind::sibling, sys::open_by_handle_at));

    CHECK(beside_all(Rule<SYS_fchmodat>{}.deny(EPERM)).contains(Kind::sibling, sys::fchmodat2));
    CHECK_FALSE(beside_all(Rule<sg::family::chmod>{}.deny(EPERM)).contains(Kind::sibling));
    CHECK_FALSE(beside_all(Rule<SYS_fchmodat>{}.deny(ENOSYS)).contains(Kind::sibling));
    const auto some = Rule<SYS_fchmodat>{arg::mode & 06000}.deny(EPERM);
    const auto more = Rule<sys::fchmodat2>{arg::mode & 07000}.deny(EPERM);
    CHECK(of(some, sg::allow<SYS_fchmodat>, more, sg::allow<sys::fchmodat2>).contains(Kind::sibling, SYS_fchmodat));
    CHECK_FALSE(
        of(some, sg::allow<SYS_fchmodat>, more, sg::allow<sys::fchmodat2>).contains(Kind::sibling, sys::fchmodat2));

    CHECK(beside_all(Rule<SYS_execve>{}.deny(EPERM)).contains(Kind::sibling, SYS_execveat));
    CHECK(beside_all(Rule<SYS_kill>{arg::sig == 9}.deny(EPERM)).contains(Kind::sibling, SYS_tgkill));
    CHECK(of(Rule<SYS_clone>{arg::flags & CLONE_THREAD}.allow(), sg::allow<sys::clone3>)
              .contains(Kind::sibling, sys::clone3));
    CHECK(of(Rule<SYS_prlimit64>{arg::pid == 7}.allow(), sg::allow<SYS_setrlimit>).contains(Kind::sibling));
    CHECK_FALSE(of(Rule<SYS_prlimit64>{arg::pid == 0}.allow(), sg::allow<SYS_setrlimit>).contains(Kind::sibling));
    CHECK(of(Rule<SYS_dup3>{arg::newfd > 2}.allow(), Rule<SYS_fcntl>{arg::cmd == F_DUPFD_CLOEXEC}.allow())
              .contains(Kind::sibling, SYS_fcntl));
    CHECK_FALSE(of(Rule<SYS_dup3>{arg::newfd > 2}.allow(), Rule<SYS_fcntl>{arg::cmd == F_GETFD}.allow())
                    .contains(Kind::sibling));
    CHECK(of(Rule<SYS_read>{arg::fd == 0}.allow(), Rule<SYS_readv>{arg::fd < 2}.allow()).contains(Kind::sibling));
    CHECK_FALSE(
        of(Rule<SYS_read>{arg::fd == 0}.allow(), Rule<SYS_readv>{arg::fd == 0}.allow()).contains(Kind::sibling));
    CHECK(of(Rule<SYS_socket>{arg::domain == AF_INET}.allow(), sg::allow<SYS_socketpair>).contains(Kind::sibling));
    CHECK_FALSE(
        of(Rule<SYS_socket>{arg::domain == AF_INET}.allow(), Rule<SYS_socketpair>{arg::type == SOCK_STREAM}.allow())
            .contains(Kind::sibling));
#if defined(__x86_64__)
    CHECK(of(reading, sg::allow<SYS_open>).contains(Kind::sibling, SYS_open));
    CHECK(of(reading, sg::allow<SYS_creat>).contains(Kind::sibling, SYS_creat));
    CHECK_FALSE(of(reading, Rule<SYS_open>{(arg::flags & O_ACCMODE) == O_RDONLY}.allow()).contains(Kind::sibling));
    CHECK_FALSE(of(Rule<SYS_openat>{arg::dirfd == AT_FDCWD}.allow(), sg::allow<SYS_open>).contains(Kind::sibling));
    CHECK(of(Rule<SYS_openat>{arg::dirfd == 3}.allow(), sg::allow<SYS_open>).contains(Kind::sibling));
    CHECK(of(preset::threads, sg::allow<SYS_fork>).contains(Kind::sibling, SYS_fork));
    CHECK(of(Rule<SYS_rmdir>{}.deny(EPERM), Rule<SYS_unlinkat>{arg::flags == AT_REMOVEDIR}.allow())
              .contains(Kind::sibling, SYS_unlinkat));
    CHECK_FALSE(of(Rule<SYS_rmdir>{}.deny(EPERM), Rule<SYS_unlinkat>{arg::flags == 0}.allow()).contains(Kind::sibling));
#endif
}

TEST_CASE("what works on open files does what paths are refused, where files can be opened") {
    const auto by_path = Rule<SYS_fchmodat>{}.deny(EPERM);
    CHECK(of(by_path, sg::allow<SYS_fchmod, SYS_openat>).contains(Kind::sibling, SYS_fchmod));
    CHECK_FALSE(of(by_path, sg::allow<SYS_fchmod>).contains(Kind::sibling));
    // Where the host opens files, what was denied without a look at a path is denied in vain, and what was not is held.
    const auto opened_by_the_host = Rule<SYS_openat>{arg::path.under("/srv")}.allow();
    const auto looked_at = Rule<SYS_fchmodat>{arg::path.under("/srv")}.allow();
    const auto in_part = Rule<SYS_fchmodat>{(arg::mode & 07000) == 0 && arg::path.under("/srv")}.allow();
    CHECK(of(by_path, sg::allow<SYS_fchmod>, opened_by_the_host).contains(Kind::sibling, SYS_fchmod));
    CHECK_FALSE(of(looked_at, sg::allow<SYS_fchmod>, opened_by_the_host).contains(Kind::sibling));
    CHECK(of(in_part, sg::allow<SYS_fchmod>, opened_by_the_host).contains(Kind::sibling, SYS_fchmod));
    const auto not_there = Rule<SYS_newfstatat>{}.deny(ENOENT);
    CHECK_FALSE(of(not_there, sg::allow<SYS_fstat>, opened_by_the_host).contains(Kind::sibling));
    CHECK(of(not_there, sg::allow<SYS_fstat, SYS_openat>).contains(Kind::sibling, SYS_fstat));
}

TEST_CASE("sending to an address beside connect") {
    const auto held = Rule<SYS_connect>{arg::fd == 7}.allow();
    const auto streams = Rule<SYS_socket>{arg::domain == AF_INET && arg::type == SOCK_STREAM}.allow();
    const auto plain = Rule<sg::family::send>{(arg::flags & MSG_FASTOPEN) == 0}.allow();
    CHECK(of(held, streams, sg::allow<SYS_sendto>).contains(Kind::sibling, SYS_sendto));
    CHECK(of(held, streams, sg::allow<SYS_sendmsg>).contains(Kind::sibling, SYS_sendmsg));
    CHECK_FALSE(of(held, streams, plain).contains(Kind::sibling));
    CHECK(of(held, sg::allow<SYS_socket>, plain).contains(Kind::sibling, SYS_sendto));
    CHECK(of(held, sg::allow<SYS_socket>, plain).contains(Kind::sibling, SYS_sendmmsg));
    CHECK_FALSE(of(held, sg::allow<SYS_socket>, Rule<SYS_sendto>{arg::addrlen == 0}.allow()).contains(Kind::sibling));
    CHECK_FALSE(of(sg::allow<SYS_connect, SYS_socket, SYS_sendto>).contains(Kind::sibling));
    CHECK_FALSE(of(sg::allow<SYS_socket, SYS_sendto>).contains(Kind::sibling));
}

TEST_CASE("listening beside bind") {
    const auto held = Rule<SYS_bind>{arg::fd == 7}.allow();
    const auto streams = Rule<SYS_socket>{arg::domain == AF_INET && arg::type == SOCK_STREAM}.allow();
    const auto local = Rule<SYS_socket>{arg::domain == AF_UNIX || arg::type == SOCK_DGRAM}.allow();
    CHECK(of(held, streams, sg::allow<SYS_listen>).contains(Kind::sibling, SYS_listen));
    CHECK_FALSE(of(held, local, sg::allow<SYS_listen>).contains(Kind::sibling));
    CHECK_FALSE(of(held, streams).contains(Kind::sibling));
    CHECK_FALSE(of(streams, sg::allow<SYS_bind, SYS_listen>).contains(Kind::sibling));
}

TEST_CASE("work that no filter sees") {
    CHECK(of(sg::allow<sys::io_uring_setup>).contains(Kind::io_uring));
    CHECK(of(sg::allow<sys::io_uring_enter>).contains(Kind::io_uring, sys::io_uring_enter));
    CHECK(of(sg::allow<sys::io_uring_register>).contains(Kind::io_uring));
    CHECK_FALSE(beside_all(Rule<sg::family::io_uring>{}.deny(ENOSYS)).contains(Kind::io_uring));
    CHECK(beside_all(Rule<SYS_read>{arg::fd == 7}.deny(EPERM)).contains(Kind::sibling, SYS_io_submit));
    CHECK(of(sg::allow<sys::clone3>).contains(Kind::clone3));
    CHECK_FALSE(beside_all(Rule<sys::clone3>{}.deny(ENOSYS)).contains(Kind::clone3));
}

TEST_CASE("typing into the terminal: by any number whose low 32 bits are the request's") {
    constexpr std::uint64_t above = 1ULL << 32;
    CHECK(of(sg::allow<SYS_ioctl>).contains(Kind::terminal_input));
    CHECK(of(Rule<SYS_ioctl>{arg::request == TIOCLINUX}.allow()).contains(Kind::terminal_input));
    CHECK(of(Rule<SYS_ioctl>{arg::request == TIOCSTI && arg::fd == 0}.allow()).contains(Kind::terminal_input));
    CHECK(beside_all(Rule<SYS_ioctl>{arg::request == TIOCSTI}.deny(EPERM)).contains(Kind::terminal_input));
    const auto both = Rule<SYS_ioctl>{arg::request.in(TIOCSTI, TIOCLINUX)}.deny(EPERM);
    CHECK_FALSE(beside_all(both).contains(Kind::terminal_input));
    CHECK_FALSE(of(both, sg::allow<SYS_ioctl>).contains(Kind::terminal_input));
    CHECK_FALSE(of(Rule<SYS_ioctl>{arg::request == TIOCGWINSZ}.allow()).contains(Kind::terminal_input));
    CHECK(of(both, sg::allow<SYS_ioctl>).empty());
    const sg::Policy policy{both, sg::otherwise.allow()};
    CHECK(policy.decide<SYS_ioctl>(0, above | TIOCSTI, 0) == sg::Decision{sg::Action::deny, EPERM});
}

TEST_CASE("other processes' memory") {
    CHECK(of(sg::allow<SYS_ptrace>).contains(Kind::other_memory, SYS_ptrace));
    CHECK(of(sg::allow<SYS_process_vm_writev>).contains(Kind::other_memory, SYS_process_vm_writev));
    CHECK(of(sg::allow<SYS_process_vm_readv>).contains(Kind::other_memory, SYS_process_vm_readv));
    CHECK(of(sg::allow<sys::pidfd_getfd>).contains(Kind::other_memory, sys::pidfd_getfd));
    CHECK_FALSE(of(Rule<SYS_ptrace>{arg::request == 0}.allow()).contains(Kind::other_memory));
    CHECK(of(Rule<SYS_ptrace>{arg::request == 16}.allow()).contains(Kind::other_memory));
    CHECK(of(sg::allow<SYS_openat>).contains(Kind::other_memory, SYS_openat));
    CHECK(of(sg::allow<sys::openat2>).contains(Kind::other_memory, sys::openat2));
    CHECK(of(Rule<SYS_openat>{(arg::flags & O_ACCMODE) == O_RDWR}.allow()).contains(Kind::other_memory));
    CHECK_FALSE(of(preset::read_files).contains(Kind::other_memory));
    CHECK_FALSE(of(Rule<SYS_openat>{!arg::path.under("/srv")}.deny(EACCES), sg::allow<SYS_openat>)
                    .contains(Kind::other_memory));
}

TEST_CASE("reading any file and sending it away: each link of the chain is needed") {
    const auto sockets = Rule<SYS_socket>{arg::domain == AF_INET}.allow();
    const auto local = Rule<SYS_socket>{arg::domain == AF_UNIX}.allow();
    CHECK(of(sg::allow<SYS_openat, SYS_read, SYS_connect>, sockets).contains(Kind::exfiltration, SYS_openat));
    CHECK(of(sg::allow<sys::openat2, SYS_mmap, SYS_accept4>, sockets).contains(Kind::exfiltration, sys::openat2));
    CHECK(of(sg::allow<SYS_openat, SYS_sendfile, SYS_sendto>, sockets).contains(Kind::exfiltration));
    CHECK_FALSE(of(sg::allow<SYS_openat, SYS_read, SYS_connect>, local).contains(Kind::exfiltration));
    CHECK_FALSE(of(sg::allow<SYS_openat, SYS_read>, sockets).contains(Kind::exfiltration));
    CHECK_FALSE(of(sg::allow<SYS_openat, SYS_connect>, sockets).contains(Kind::exfiltration));
    CHECK_FALSE(of(sg::allow<SYS_read, SYS_connect>, sockets).contains(Kind::exfiltration));
    CHECK_FALSE(of(sg::allow<SYS_read, SYS_connect>, Rule<SYS_openat>{arg::path.under("/usr")}.allow(), sockets)
                    .contains(Kind::exfiltration));
}

TEST_CASE("writing files and executing them") {
    CHECK(of(sg::allow<SYS_openat, SYS_execve>).contains(Kind::write_and_execute, SYS_execve));
    CHECK(of(preset::write_files, sg::allow<SYS_execveat>).contains(Kind::write_and_execute, SYS_execveat));
    CHECK(of(sg::allow<sys::memfd_create, SYS_execveat>).contains(Kind::write_and_execute, sys::memfd_create));
    CHECK_FALSE(of(preset::read_files, sg::allow<SYS_execve>).contains(Kind::write_and_execute));
    CHECK_FALSE(of(preset::write_files).contains(Kind::write_and_execute));
}

TEST_CASE("memory that is written and executed") {
    const auto apart = Rule<SYS_mmap>{!(arg::prot & PROT_WRITE) || !(arg::prot & PROT_EXEC)}.allow();
    CHECK(of(sg::allow<SYS_mmap>).contains(Kind::executable_memory, SYS_mmap));
    CHECK_FALSE(of(apart).contains(Kind::executable_memory));
    CHECK(of(apart, sg::allow<sys::memfd_create>).contains(Kind::executable_memory, sys::memfd_create));
    CHECK_FALSE(of(preset::compute, sg::allow<sys::memfd_create>).contains(Kind::executable_memory));
    CHECK(of(sg::allow<SYS_mprotect>).contains(Kind::executable_memory, SYS_mprotect));
    CHECK(of(sg::allow<sys::pkey_mprotect>).contains(Kind::executable_memory, sys::pkey_mprotect));
    CHECK_FALSE(of(Rule<SYS_mprotect>{arg::prot == PROT_READ}.allow()).contains(Kind::executable_memory));
    CHECK(of(sg::allow<SYS_shmat>).contains(Kind::executable_memory, SYS_shmat));
    CHECK_FALSE(of(Rule<SYS_shmat>{arg::shmflg == 0}.allow()).contains(Kind::executable_memory));
    CHECK(of(Rule<SYS_personality>{arg::persona & 0x400000}.allow()).contains(Kind::executable_memory));
    CHECK_FALSE(of(Rule<SYS_personality>{arg::persona.in(0, 0xffffffff)}.allow()).contains(Kind::executable_memory));
}

TEST_CASE("powerful calls without a condition") {
    CHECK(of(sg::allow<SYS_bpf>).contains(Kind::powerful_call, SYS_bpf));
    CHECK(of(Rule<SYS_bpf>{}.log()).contains(Kind::powerful_call, SYS_bpf));
    CHECK_FALSE(of(Rule<SYS_bpf>{arg::cmd == 1}.allow()).contains(Kind::powerful_call));
    CHECK(of(sg::allow<SYS_unshare>).contains(Kind::powerful_call, SYS_unshare));
    CHECK(of(sg::allow<SYS_clone>).contains(Kind::powerful_call, SYS_clone));
    CHECK_FALSE(of(preset::threads, preset::processes).contains(Kind::powerful_call));
    for (const int number : {sys::perf_event_open, sys::kcmp, sys::setns, sys::personality, sys::keyctl, sys::mount,
                             sys::userfaultfd, sys::init_module, sys::process_madvise})
        CHECK(beside_all(Rule<SYS_read>{arg::fd == 1}.allow()).contains(Kind::powerful_call, number));
}

TEST_CASE("calls of other ABIs, where a policy lets them in") {
    Built policy{{sg::Action::kill}};
    CHECK_FALSE(sg::filter::lint(policy.view()).contains(Kind::foreign_abi));
    policy.foreign = {sg::Action::deny, ENOSYS};
    CHECK_FALSE(sg::filter::lint(policy.view()).contains(Kind::foreign_abi));
    policy.foreign = {sg::Action::allow};
    const sg::Findings found = sg::filter::lint(policy.view());
    REQUIRE(found.contains(Kind::foreign_abi));
    CHECK(found[0].reason().find("foreign: ") == 0);
    CHECK(found[0].rule() == "sg::foreign.kill()");
    check_suggestions(policy, true);
}

TEST_CASE("calls that the kernel makes by itself, and those by which a worker ends") {
    CHECK(of(sg::allow<SYS_rt_sigaction>).contains(Kind::missing_call, SYS_rt_sigreturn));
    CHECK_FALSE(of(sg::allow<SYS_rt_sigaction, SYS_rt_sigreturn>).contains(Kind::missing_call));
    CHECK_FALSE(of(sg::allow<SYS_read>).contains(Kind::missing_call));
    CHECK(of(sg::allow<SYS_nanosleep>).contains(Kind::missing_call, SYS_restart_syscall));
    CHECK_FALSE(of(sg::allow<SYS_nanosleep, SYS_restart_syscall>).contains(Kind::missing_call));
    CHECK(of(Rule<SYS_exit_group>{}.deny(EPERM)).contains(Kind::missing_call, SYS_exit_group));
    CHECK(of(Rule<SYS_exit>{arg::status == 0}.allow()).contains(Kind::missing_call, SYS_exit));
    CHECK_FALSE(of(sg::allow<SYS_exit, SYS_exit_group>).contains(Kind::missing_call));
}

TEST_CASE("ENOSYS, where libcs take an older call") {
    CHECK(refusing(sg::allow<SYS_clone>).contains(Kind::needs_enosys, sys::clone3));
    CHECK(of(sg::allow<SYS_clone>).contains(Kind::needs_enosys, sys::clone3));
    CHECK(of(sg::allow<SYS_clone>, Rule<sys::clone3>{}.deny(EPERM)).contains(Kind::needs_enosys, sys::clone3));
    CHECK(of(sg::allow<SYS_clone>, Rule<sys::clone3>{}.fake(0)).contains(Kind::needs_enosys, sys::clone3));
    CHECK(of(sg::allow<SYS_clone>, Rule<sys::clone3>{}.kill_now()).contains(Kind::needs_enosys, sys::clone3));
    CHECK_FALSE(of(sg::allow<SYS_clone>, Rule<sys::clone3>{}.deny(ENOSYS)).contains(Kind::needs_enosys));
    CHECK_FALSE(of(sg::allow<SYS_getpid>).contains(Kind::needs_enosys));
    CHECK_FALSE(refusing(sg::allow<SYS_getpid>).contains(Kind::needs_enosys));
    CHECK(refusing(sg::allow<SYS_newfstatat>).contains(Kind::needs_enosys, SYS_statx));
    CHECK_FALSE(of(sg::allow<SYS_newfstatat>).contains(Kind::needs_enosys));  // who asks for statx is not surprised
    CHECK(of(sg::allow<SYS_set_tid_address>).contains(Kind::needs_enosys, SYS_rseq));
    CHECK_FALSE(refusing(sg::allow<SYS_set_tid_address>).contains(Kind::needs_enosys));
    CHECK(of(sg::allow<SYS_faccessat>).contains(Kind::needs_enosys, sys::faccessat2));
    CHECK_FALSE(of(sg::allow<SYS_faccessat, sys::faccessat2>).contains(Kind::needs_enosys));
}

TEST_CASE("every rule that is suggested compiles, and closes what it is for") {
    check_suggestions(Built{{sg::Action::allow}}, true);
    check_suggestions(Built{{sg::Action::log}}, false);
    for (const sg::Decision rest : {sg::Decision{sg::Action::deny, EPERM}, sg::Decision{sg::Action::kill}}) {
        Built policy{rest};
        for (const auto& fallback : sg::filter::detail::fallbacks)
            if (fallback.older >= 0) policy.prepend(fallback.older, nullptr, 0, false, {sg::Action::allow});
        for (const int number : {SYS_rt_sigaction, SYS_nanosleep})
            policy.prepend(number, nullptr, 0, false, {sg::Action::allow});
        for (const int number : {SYS_exit, SYS_exit_group})
            policy.prepend(number, nullptr, 0, false, {sg::Action::deny, EPERM});
        check_suggestions(policy, true);
    }
}

TEST_CASE("every call of every group: what is refused to it alone, its siblings do; the suggestions hold them") {
    std::size_t seen = 0;
    for (const auto& sibling : sg::filter::detail::siblings) {
        if (sibling.number < 0) continue;
        Built policy{{sg::Action::allow}};
        policy.prepend(sibling.number, nullptr, 0, false, {sg::Action::deny, EACCES});
        const bool is_door = sibling.role == sg::filter::detail::Role::door;
        bool found = false;
        for (const sg::Finding& finding : sg::filter::lint(policy.view())) {
            if (finding.kind != Kind::sibling) continue;
            CAPTURE(finding.explain());
            CHECK(finding.beside == sibling.number);
            found = true;
            ++seen;
            Built closed = policy;
            follow(finding, closed);
            CHECK_FALSE(sg::filter::lint(closed.view()).contains(Kind::sibling, finding.call));
        }
        const std::string name{abi::find(sibling.number)->name};
        CAPTURE(name);
        CHECK((found || is_door));
    }
    CHECK(seen > 100);
}

TEST_CASE("there is room for all that can be found") {
    constexpr std::size_t siblings = sizeof sg::filter::detail::siblings / sizeof sg::filter::detail::siblings[0];
    constexpr std::size_t powerful =
        sizeof sg::filter::detail::powerful_calls / sizeof sg::filter::detail::powerful_calls[0];
    constexpr std::size_t fallbacks = sizeof sg::filter::detail::fallbacks / sizeof sg::filter::detail::fallbacks[0];
    static_assert(siblings + powerful + fallbacks + 40 <= sg::Findings::capacity);
    CHECK(beside_all(Rule<SYS_read>{arg::fd == 1}.deny(EPERM)).size() > 60);
}
