#include <sysguard/foreign.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/compat.hpp"
#include "support/libc.hpp"
#include "support/scratch.hpp"
#include "support/supervised.hpp"

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Outcome, sg::Rule;
using support::has;
using support::make_calls_in_32_bits;

namespace {

using support::compat, support::compat_number;

/// "32-bit (i386) system call " or what it is here.
const std::string prefix = std::string{"32-bit ("} + sg::abi::name(compat) + ") system call ";

constexpr bool is_arm = compat == sg::Abi::arm;

/// Runs the program of 32 bits, which makes the calls that `words` say: by their names in its ABI.
Outcome run(const sg::Sandbox& box, const std::string& words) {
    std::vector<std::string> command{support::helper("compat")};
    std::istringstream stream{words};
    bool is_name = true;
    for (std::string word; stream >> word;) {
        if (is_name) {
            const int number = compat_number(word);
            CAPTURE(word);
            REQUIRE(number >= 0);
            word = std::to_string(number);
        }
        is_name = word == "then";
        command.push_back(word);
    }
    return box.run(std::move(command), {.output = sg::Stdio::capture()});
}

/// What its calls returned.
std::vector<int> results(const sg::Sandbox& box, const std::string& words) {
    const Outcome outcome = run(box, words);
    CAPTURE(outcome.explain());
    CHECK(outcome);
    std::vector<int> values;
    for (const std::string& line : support::lines(outcome.output())) values.push_back(std::stoi(line));
    return values;
}

/// The same in one line.
[[maybe_unused]] std::string said(const sg::Sandbox& box, const std::string& words) {
    std::string line;
    for (const int value : results(box, words)) line += (line.empty() ? "" : " ") + std::to_string(value);
    return line;
}

using Values = std::vector<int>;

}  // namespace

TEST_CASE("a static program of 32 bits runs under the preset for static programs") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    static constexpr sg::Policy policy{sg::preset::static_runtime, sg::admit<compat>, sg::otherwise.kill()};
    const sg::Sandbox box{policy};
    // What a libc does at its start: the thread's own memory first, on i386 by a new segment.
    const std::string own_memory = is_arm ? "set_tls room" : "set_thread_area block:0xffffffff,0,0xfffff,0x51";
    const Values values =
        results(box, own_memory +
                         " then brk 0 then set_tid_address room then set_robust_list room 12 then getrandom room 16 0 "
                         "then mmap2 0 8192 3 0x22 -1 0 then rt_sigprocmask 0 0 room 8 then _llseek 9 0 0 room 1 then "
                         "clock_gettime64 1 room then gettid");
    REQUIRE(values.size() == 10);
    CHECK(values[0] == 0);
    CHECK(values[1] != 0);
    CHECK(values[2] > 0);
    CHECK(values[3] == 0);
    CHECK(values[4] == 16);
    CHECK((values[5] & 0xfff) == 0);
    CHECK(values[6] == 0);
    CHECK(values[7] == -EBADF);
    CHECK(values[8] == 0);
    CHECK(values[9] > 0);
    const Outcome opens = run(box, "open path:/etc/passwd 0");
    REQUIRE(opens.violation() != nullptr);
    CHECK(has(opens.explain(),
              prefix + (is_arm ? "open as openat(dirfd=-100, " : "open(") + "path=\"/etc/passwd\", flags=0, mode=0)"));
    CHECK(opens.violation()->number == 5);
    CHECK(opens.violation()->architecture == sg::abi::audit_architecture(compat));
    CHECK_FALSE(opens.violation()->is_native());
    const Outcome executable = run(box, "mmap2 0 8192 7 0x22 -1 0");
    CHECK(has(executable.explain(), prefix + "mmap2 as mmap(addr=0, len=8192, prot=0x7, flags=0x22, fd=-1, offset=?)"));
    CHECK(executable.violation()->number == 192);
}

TEST_CASE("without admission a program of 32 bits dies at its first call, and its outcome says why") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    const Outcome outcome = run(sg::Sandbox{support::static_program}, "getpid");
    REQUIRE(outcome.kind() == Outcome::Kind::violation);
    CHECK(outcome.output().empty());
    CHECK(has(outcome.explain(), prefix + "20 (getpid), which the policy does not admit, at address"));
    static constexpr sg::Policy denies{sg::preset::static_runtime, sg::foreign.deny(EPERM), sg::otherwise.kill()};
    const Outcome without_calls = run(sg::Sandbox{denies}, "getpid");  // it cannot even end
    CHECK_FALSE(without_calls);
}

TEST_CASE("numbers mean other calls: 94 is fchmod, and natively another") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    constexpr int number = 94;
    static_assert(compat_number("fchmod") == number);
    constexpr int meant = is_arm ? SYS_exit_group : sg::sys::lchown;
    static_assert(meant == number);
    // A filter that looks at numbers alone lets the program change a file, though it was meant for another call.
    const sock_filter by_number[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                     {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, meant},
                                     {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
                                     {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const std::vector<support::Probe> probes{{number, {3 /* the file of the probes */, 0711}}};
    CHECK(make_calls_in_32_bits({by_number, 4}, probes)[0].result == 0);

    constexpr sg::Policy closed{sg::allow<meant>, sg::foreign.deny(EXFULL), sg::otherwise.deny(EPERM)};
    CHECK(make_calls_in_32_bits(closed.program(), probes)[0].result == -EXFULL);
    constexpr sg::Policy admits{sg::allow<meant>, sg::admit<compat>, sg::otherwise.deny(EPERM)};
    CHECK(make_calls_in_32_bits(admits.program(), probes)[0].result == -EPERM);
}

TEST_CASE(
    "socketcall and ipc do not get around rules: on i386 they have those of what is behind, on arm they are none") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    const std::vector<support::Probe> probes{{102, {1}}, {117, {23, 0x53670001, 16, 0}}};
    constexpr sg::Policy policy{Rule<SYS_socket>{}.deny(EXFULL), Rule<SYS_shmget>{}.deny(EBADSLT), sg::admit<compat>,
                                sg::otherwise.allow()};
    const auto answers = make_calls_in_32_bits(policy.program(), probes);
    CHECK(answers[0].result == (is_arm ? -ENOSYS : -EXFULL));
    CHECK(answers[1].result == (is_arm ? -ENOSYS : -EBADSLT));
}

TEST_CASE("half a register of an old call is not the whole of it: setuid with ids of 16 bits, in a 32-bit program") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    const auto set_user = [](const sg::filter::ProgramView& program, int number, std::uint64_t id) {
        return make_calls_in_32_bits(program, {{number, {id}}})[0].result;
    };
    const auto self = static_cast<std::uint32_t>(::getuid() & 0xffff);
    const sock_filter compares_32_bits[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                            {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 23 /* setuid */},
                                            {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
                                            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, self},
                                            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL},
                                            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    CHECK(set_user({compares_32_bits, 6}, 23, self) == -EXFULL);
    CHECK(set_user({compares_32_bits, 6}, 23, 0x10000 | self) == 0);

    const sg::Policy policy{Rule<SYS_setuid>{arg::uid == ::getuid()}.deny(EXFULL), sg::foreign.deny(EBADSLT),
                            sg::admit<compat>, sg::otherwise.allow()};
    CHECK(set_user(policy.program(), 23, 0x10000 | self) == -EBADSLT);
    CHECK(set_user(policy.program(), 213 /* setuid32 */, ::getuid()) == -EXFULL);
}

TEST_CASE("numbers of 64 bits in two registers, signed ones, and those that are in memory") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    static constexpr sg::Policy policy{
        sg::preset::static_runtime,
        sg::admit<compat>,
        sg::foreign.deny(EBADSLT),
        Rule<SYS_pread64>{arg::offset == 0x500000007}.deny(EXFULL),
        Rule<SYS_truncate>{arg::length < 0}.deny(EBADRQC),
        Rule<support::libc::select>{arg::nfds > 0}.deny(EXFULL),
        Rule<SYS_fcntl>{arg::cmd == F_SETLK}.deny(EXFULL),
        sg::otherwise.deny(EPERM),
    };
    const sg::Sandbox box{policy};
    const auto with_pair = [](const std::string& words, const std::string& low, const std::string& high) {
        return words + (is_arm ? " 0 " : " ") + low + " " + high;  // in an even register and the next
    };
    CHECK(results(box, with_pair("pread64 0 room 1", "7", "5") + " then " + with_pair("pread64 0 room 1", "5", "7")) ==
          Values{-EXFULL, -EPERM});
    CHECK(results(box, "truncate path:/x -1 then truncate path:/x 1 then " +
                           with_pair("truncate64 path:/x", "0", "-1") + " then " +
                           with_pair("truncate64 path:/x", "-1", "0")) == Values{-EBADRQC, -EPERM, -EBADRQC, -EPERM});
    CHECK(results(box, "_newselect 1 0 0 0 0 then _newselect 0 0 0 0 0") == Values{-EXFULL, -EPERM});
    CHECK(results(box, "fcntl 0 6 room then fcntl64 0 6 room then fcntl64 0 13 room then fcntl64 0 7 room") ==
          Values{-EXFULL, -EXFULL, -EBADSLT, -EPERM});
}

#if defined(__x86_64__)
TEST_CASE("calls of i386 whose arguments are in memory, or fewer") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    static constexpr sg::Policy policy{sg::preset::static_runtime,
                                       sg::admit<compat>,
                                       sg::foreign.deny(EBADSLT),
                                       Rule<SYS_select>{arg::nfds > 0}.deny(EXFULL),
                                       Rule<SYS_umount2>{arg::flags == 0}.deny(EXFULL),
                                       sg::otherwise.deny(EPERM)};
    const sg::Sandbox box{policy};
    CHECK(results(box, "select block:0,0,0,0,0") == Values{-EBADSLT});
    CHECK(results(box, "umount path:/nowhere then umount2 path:/nowhere 1") == Values{-EXFULL, -EPERM});
    // static_runtime asks for prot.
    CHECK(results(box, "mmap block:0,4096,3,0x22,-1,0") == Values{-EBADSLT});
}
#else
TEST_CASE("arm's own calls: what needs none natively is always allowed, the kernel has no others") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    const std::vector<support::Probe> probes{{0x0f0005, {0x1000}}, {0x0f0002, {0, 0, 0}}, {0x0f0002, {0, 0, 1}},
                                             {0x0f0001, {}},       {0x0f0003, {}},        {0x0f0004, {}},
                                             {0x0f0006, {}},       {0x0f07ff, {}}};
    const sock_filter all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    constexpr sg::Policy policy{sg::admit<compat>, sg::otherwise.deny(EPERM)};
    for (const sg::filter::ProgramView program : {sg::filter::ProgramView{all, 1}, policy.program()}) {
        const auto answers = make_calls_in_32_bits(program, probes);
        CHECK(answers[0].result == 0);
        CHECK(answers[1].result == 0);
        CHECK(answers[2].result == -EINVAL);  // it has no flags: the kernel saw it
        for (std::size_t i = 3; i < probes.size(); ++i) CHECK(answers[i].result == -ENOSYS);
    }
    // Beyond them, a call that a filter lets through is a mistake that ends the program.
    const std::vector<support::Probe> beyond{{0x0f0800, {}}};
    CHECK_FALSE(make_calls_in_32_bits({all, 1}, beyond)[0].made);
    CHECK(make_calls_in_32_bits(policy.program(), beyond)[0].result == -ENOSYS);
}

TEST_CASE("calls that arm has and aarch64 does not have the rules of those that do the same, and the host's answers") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    const support::Scratch scratch;
    std::ofstream{scratch / "file"} << "text";
    const sg::Policy policy{
        sg::preset::static_runtime,
        sg::admit<compat>,
        Rule<SYS_openat>{arg::path.under(scratch.path())}.allow(),
        Rule<SYS_renameat>{arg::oldpath.under(scratch.path()) && arg::newpath.under(scratch.path())}.allow(),
        Rule<SYS_linkat>{arg::oldpath.under(scratch.path()) && arg::newpath.under(scratch.path())}.allow(),
        Rule<SYS_symlinkat>{arg::linkpath.under(scratch.path())}.allow(),
        Rule<SYS_unlinkat>{arg::path.under(scratch.path())}.allow(),
        Rule<SYS_fchmodat>{arg::path.under(scratch.path())}.allow(),
        Rule<SYS_faccessat>{arg::path.under(scratch.path())}.allow(),
        Rule<SYS_readlinkat>{arg::path.under(scratch.path())}.allow(),
        Rule<SYS_mkdirat>{arg::path.under(scratch.path())}.allow(),
        Rule<SYS_pipe2>{arg::flags == 0}.allow(),
        Rule<SYS_dup3>{arg::flags == 0}.allow(),
        Rule<SYS_getpgid>{arg::pid == 0}.fake(99),
        Rule<SYS_eventfd2>{arg::flags == 0}.deny(EXFULL),
        Rule<SYS_sendto>{arg::addrlen == 0}.deny(EBADSLT),
        sg::otherwise.deny(EPERM),
    };
    const sg::Sandbox box{policy};
    const auto in = [&](const char* name) { return " path:" + (scratch / name); };
    CHECK(said(box, "creat" + in("made") + " 0x180 then close 3 then rename" + in("made") + in("moved") + " then link" +
                        in("moved") + in("linked") + " then symlink path:moved" + in("way") + " then readlink" +
                        in("way") + " room 64 then unlink" + in("way") + " then unlink" + in("moved") + " then access" +
                        in("linked") + " 0 then chmod" + in("linked") + " 0x1c0 then mkdir" + in("dir") +
                        " 0x1c0 then rmdir" + in("dir") + " then rmdir" + in("dir")) == "3 0 0 0 0 5 0 0 0 0 0 0 -2");
    struct stat status {};
    CHECK(::stat((scratch / "linked").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
    CHECK(said(box, "open path:/etc/passwd 0 then unlink path:/etc/passwd then rmdir path:/etc") == "-1 -1 -1");
    CHECK(said(box, "pipe room then dup2 3 9 then dup2 3 3 then getpgrp then eventfd 0 then send 3 room 1 0 5 5") ==
          "0 9 3 99 -54 -57");
}
#endif

TEST_CASE("rules that the host decides hold where both ABIs have the same in memory") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    const support::Scratch scratch;
    std::ofstream{scratch / "file"} << "text";
    using support::libc::open, support::libc::mkdir;
    const sg::Policy policy{
        sg::preset::static_runtime,
        sg::admit<compat>,
        Rule<open>{arg::path.under(scratch.path())}.allow(),
        Rule<open>{}.deny(EACCES),
        Rule<mkdir>{}.handle([](const Call<mkdir>& call) {
            return call.abi() == compat && call[arg::mode] == 0711 ? call.perform() : call.deny(EXFULL);
        }),
        Rule<SYS_getpriority>{}.fake(77),
        Rule<SYS_chdir>{}.kill(),
        sg::otherwise.deny(EPERM),
    };
    const sg::Sandbox box{policy};
    const std::string file = "path:" + (scratch / "file");
    const std::string made = "path:" + (scratch / "made");
    const Values opened = results(box, "open " + file + " 0 then read 3 room 4 then open path:/etc/passwd 0");
    CHECK(opened == Values{3, 4, -EACCES});
    CHECK(results(box, "mkdir " + made + " 0711 then mkdir " + made + "2 0700") == Values{-EXFULL, -EXFULL});
    CHECK(results(box, "mkdir " + made + " 0x1c9 then mkdir " + made + " 0x1c9") == Values{0, -EEXIST});
    struct stat status {};
    CHECK(::stat((scratch / "made").c_str(), &status) == 0);
    CHECK(results(box, "getpriority 0 0") == Values{77});
    const Outcome killed = run(box, "chdir " + made);
    CHECK(has(killed.explain(), prefix + "chdir(path=\"" + (scratch / "made") + "\")"));
}

TEST_CASE("what a handler would see otherwise than natively is refused, and the outcome says so") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    static constexpr auto never = [](const sg::AnyCall& call) { return call.deny(EXFULL); };
    using support::libc::stat;
    static constexpr sg::Policy kills{sg::preset::static_runtime, sg::admit<compat>, Rule<stat>{}.handle(never),
                                      sg::otherwise.deny(EPERM)};
    const Outcome outcome = run(sg::Sandbox{kills}, "stat64 path:/etc room");
    REQUIRE(outcome.violation() != nullptr);
    CHECK(outcome.violation()->number == 195);
    CHECK(has(outcome.explain(), prefix + "stat64 as " + (is_arm ? "newfstatat(dirfd=-100, path=" : "stat(path=")));
    CHECK(has(outcome.explain(), ", to which the policy's rules for it cannot be applied, at"));
    static constexpr sg::Policy denies{sg::preset::static_runtime, sg::admit<compat>, sg::foreign.deny(ENOSYS),
                                       Rule<stat>{arg::path.under("/etc")}.deny(EACCES), sg::otherwise.deny(EPERM)};
    CHECK(results(sg::Sandbox{denies}, "stat64 path:/etc room then stat path:/etc room") == Values{-ENOSYS, -ENOSYS});
}

TEST_CASE("a worker of 32 bits may start processes where its policy lets it") {
    SYSGUARD_SKIP_WITHOUT_COMPAT_PROGRAMS();
    static constexpr sg::Policy policy{sg::preset::static_runtime, sg::preset::processes, sg::admit<compat>,
                                       sg::otherwise.deny(EPERM)};
    const Outcome outcome = run(sg::Sandbox{policy}, "fork then wait4 -1 room 0 0 then clone 0x10000000 0 0 0 0");
    CHECK(outcome);
    CHECK(has(outcome.output(), "-1\n"));  // CLONE_NEWUSER
}

TEST_CASE("ports that Landlock holds and calls of 32 bits do not go together") {
    static constexpr sg::Policy policy{sg::preset::static_runtime, sg::admit<compat>, sg::otherwise.kill()};
    try {
        const sg::Sandbox box{policy, {.network = sg::Network::tcp({})}};
        CHECK(false);
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == ENOTSUP);
        CAPTURE(std::string{error.what()});
        if (!has(error.what(), "Landlock")) CHECK(has(error.what(), "admits 32-bit calls"));
    }
}

TEST_CASE("a 32-bit ABI is admitted once") {
    CHECK_THROWS_AS((sg::Policy{sg::admit<compat>, sg::admit<compat>, sg::otherwise.kill()}), sg::Error);
}
