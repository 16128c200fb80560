#include <sysguard/foreign.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/i386.hpp"
#include "support/scratch.hpp"
#include "support/supervised.hpp"

#if defined(__x86_64__)

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Outcome, sg::Rule;
using support::has;
using support::make_calls, support::make_i386_calls;

namespace {

/// Ends a test that needs programs of 32 bits.
#define SYSGUARD_SKIP_WITHOUT_I386()                                                   \
    do {                                                                               \
        if (!support::has_i386()) SYSGUARD_SKIP("this kernel takes no calls of i386"); \
        if (::access(support::helper("i386").c_str(), X_OK) != 0)                      \
            SYSGUARD_SKIP("this compiler makes no programs of 32 bits");               \
    } while (false)

/// Runs the program of 32 bits, which makes the calls that `words` say.
Outcome run(const sg::Sandbox& box, const std::string& words) {
    std::vector<std::string> command{support::helper("i386")};
    std::istringstream stream{words};
    for (std::string word; stream >> word;) command.push_back(word);
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

using Values = std::vector<int>;

/// A rule as a filter without the architecture has it: by its native number.
template <std::size_t size>
sg::filter::ProgramView naive(const sock_filter (&code)[size]) {
    return {code, size};
}

/// Memory that registers of 32 bits reach.
class Low {
public:
    Low() : place_{::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0)} {}
    Low(const Low&) = delete;
    Low& operator=(const Low&) = delete;
    ~Low() { ::munmap(place_, 4096); }
    std::uint64_t put(const void* bytes, std::size_t size) {
        return reinterpret_cast<std::uint64_t>(std::memcpy(place_, bytes, size));
    }

private:
    void* place_;
};

}  // namespace

TEST_CASE("a static program of 32 bits runs under the preset for static programs") {
    SYSGUARD_SKIP_WITHOUT_I386();
    static constexpr sg::Policy policy{sg::preset::static_runtime, sg::admit<sg::Abi::i386>, sg::otherwise.kill()};
    const sg::Sandbox box{policy};
    // brk, set_thread_area of a new segment, set_tid_address, set_robust_list, getrandom, mmap2 of memory,
    // rt_sigprocmask, _llseek, clock_gettime64, gettid, exit.
    const Values values =
        results(box,
                "45 0 then 243 block:0xffffffff,0,0xfffff,0x51 then 258 room then 311 room 12 then 355 room 16 0 then "
                "192 0 8192 3 0x22 -1 0 then 175 0 0 room 8 then 140 9 0 0 room 1 then 403 1 room then 224");
    REQUIRE(values.size() == 10);
    CHECK(values[0] != 0);
    CHECK(values[1] == 0);
    CHECK(values[2] > 0);
    CHECK(values[3] == 0);
    CHECK(values[4] == 16);
    CHECK((values[5] & 0xfff) == 0);
    CHECK(values[6] == 0);
    CHECK(values[7] == -EBADF);
    CHECK(values[8] == 0);
    CHECK(values[9] > 0);
    const Outcome opens = run(box, "5 path:/etc/passwd 0");
    REQUIRE(opens.violation() != nullptr);
    CHECK(has(opens.explain(), "32-bit (i386) system call open(path=\"/etc/passwd\", flags=0, mode=0)"));
    CHECK(opens.violation()->number == 5);
    CHECK(opens.violation()->architecture == AUDIT_ARCH_I386);
    CHECK_FALSE(opens.violation()->is_native());
    const Outcome executable = run(box, "192 0 8192 7 0x22 -1 0");
    CHECK(has(executable.explain(),
              "32-bit (i386) system call mmap2 as mmap(addr=0, len=8192, prot=0x7, flags=0x22, fd=-1, offset=?)"));
    CHECK(executable.violation()->number == 192);
}

TEST_CASE("without admission a program of 32 bits dies at its first call, and its outcome says why") {
    SYSGUARD_SKIP_WITHOUT_I386();
    const Outcome outcome = run(sg::Sandbox{support::static_program}, "20");
    REQUIRE(outcome.kind() == Outcome::Kind::violation);
    CHECK(outcome.output().empty());
    CHECK(has(outcome.explain(), "32-bit (i386) system call 20 (getpid), which the policy does not admit, at address"));
    static constexpr sg::Policy denies{sg::preset::static_runtime, sg::foreign.deny(EPERM), sg::otherwise.kill()};
    const Outcome without_calls = run(sg::Sandbox{denies}, "20");  // it cannot even end
    CHECK_FALSE(without_calls);
}

TEST_CASE("numbers mean other calls: 39 is getpid and mkdir") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel takes no calls of i386");
    const support::Scratch scratch;
    const std::string made = scratch / "made";
    Low low;
    const std::uint64_t path = low.put(made.c_str(), made.size() + 1);
    const sock_filter by_number[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                     {BPF_JMP | BPF_JEQ | BPF_K, 2, 0, SYS_getpid},
                                     {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SYS_exit_group},
                                     {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
                                     {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    CHECK(make_calls(naive(by_number), {{SYS_mkdir, {path, 0700}}})[0].result == -EPERM);
    CHECK(make_i386_calls(naive(by_number), {{39, {path, 0700}}})[0].result == 0);
    CHECK(::rmdir(made.c_str()) == 0);

    constexpr sg::Policy closed{sg::allow<SYS_getpid, SYS_exit_group>, sg::foreign.deny(EXFULL),
                                sg::otherwise.deny(EPERM)};
    CHECK(make_i386_calls(closed.program(), {{39, {path, 0700}}})[0].result == -EXFULL);
    constexpr sg::Policy admits{sg::allow<SYS_getpid, SYS_exit_group>, sg::admit<sg::Abi::i386>,
                                sg::otherwise.deny(EPERM)};
    const auto answers = make_i386_calls(admits.program(), {{39, {path, 0700}}, {20, {}}});
    CHECK(answers[0].result == -EPERM);
    CHECK(answers[1].result > 0);
    CHECK(::access(made.c_str(), F_OK) != 0);
}

TEST_CASE("x32 numbers: past a filter that forgets their bit, and past none of ours") {
    const sock_filter forgets_x32[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 4},
        {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getppid},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const support::Probe x32{0x40000000 | SYS_getppid, {}};
    CHECK(make_calls(naive(forgets_x32), {{SYS_getppid, {}}})[0].result == -EXFULL);
    // The kernel gets it: it runs, or there is no x32 in this kernel.
    const long passed = make_calls(naive(forgets_x32), {x32})[0].result;
    CHECK((passed == ::getpid() || passed == -ENOSYS));

    constexpr sg::Policy closed{sg::foreign.deny(EXFULL), sg::otherwise.allow()};
    CHECK(make_calls(closed.program(), {x32})[0].result == -EXFULL);
    constexpr sg::Policy admits{sg::foreign.deny(EXFULL), sg::admit<sg::Abi::i386>, sg::otherwise.allow()};
    CHECK(make_calls(admits.program(), {x32})[0].result == -EXFULL);

    SYSGUARD_SKIP_SANITIZED();
    const auto call = [] { ::syscall(0x40000000 | SYS_getppid); };
    static constexpr sg::Policy kills{sg::preset::compute, sg::admit<sg::Abi::i386>, sg::otherwise.kill()};
    if (::prctl(PR_GET_SECCOMP) != 0) SYSGUARD_SKIP("a filter that the host runs under answers x32 calls first");
    const auto result = sg::Sandbox{kills}.call(call);
    CHECK(has(result.outcome().explain(), "x32 system call 110 (getppid), which the policy does not admit,"));
}

TEST_CASE("int 0x80 from a program of 64 bits: killed, and the outcome says what it was") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel takes no calls of i386");
    SYSGUARD_SKIP_SANITIZED();
    const auto call = [] { return support::i386_call(64 /* getppid */, {}); };
    static constexpr sg::Policy closed{sg::preset::compute, sg::allow<SYS_getppid>, sg::otherwise.kill()};
    const auto killed = sg::Sandbox{closed}.call(call);
    CHECK(has(killed.outcome().explain(), "32-bit (i386) system call 64 (getppid), which the policy does not admit,"));
    static constexpr sg::Policy admits{sg::preset::compute, sg::allow<SYS_getppid>, sg::admit<sg::Abi::i386>,
                                       sg::otherwise.kill()};
    CHECK(*sg::Sandbox{admits}.call(call) > 0);
}

TEST_CASE("what is above the 32 bits of a register does not get a value past a rule") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel takes no calls of i386");
    constexpr std::uint64_t disguised = 1ULL << 32 | 10;
    // A filter that compares 64 bits of a size, as it may for native calls, is got past: the kernel maps 10 bytes.
    const sock_filter compares_64_bits[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 192 /* mmap2 */},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 28},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 24},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 10},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const auto map = [](const sg::filter::ProgramView& program, std::uint64_t size) {
        return make_i386_calls(program, {{192, {0, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, ~0ULL, 0}}})[0].result;
    };
    CHECK(map(naive(compares_64_bits), 10) == -EXFULL);
    const long mapped = map(naive(compares_64_bits), disguised);
    CHECK((mapped > 0 || mapped < -4095));

    constexpr sg::Policy policy{Rule<SYS_mmap>{arg::len == 10}.deny(EXFULL), sg::admit<sg::Abi::i386>,
                                sg::otherwise.allow()};
    CHECK(map(policy.program(), 10) == -EXFULL);
    CHECK(map(policy.program(), disguised) == -EXFULL);
    CHECK(map(policy.program(), 0xffffffff00000000 | 10) == -EXFULL);
}

TEST_CASE("socketcall does not get around a rule for socket") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel takes no calls of i386");
    const auto tries = [](const sg::filter::ProgramView& program, int domain) {
        Low low;
        const std::uint32_t block[] = {static_cast<std::uint32_t>(domain), SOCK_RAW, 0};
        return make_i386_calls(program, {{359, {static_cast<std::uint64_t>(domain), SOCK_RAW, 0}},
                                         {102, {0xabc00000001, low.put(block, sizeof block)}},
                                         {102, {21, low.put(block, sizeof block)}}});
    };
    const sock_filter forgets_socketcall[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                              {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 359 /* socket */},
                                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL},
                                              {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const auto passed = tries(naive(forgets_socketcall), AF_NETLINK);
    CHECK(passed[0].result == -EXFULL);
    CHECK(passed[1].result >= 0);

    constexpr sg::Policy denies{Rule<SYS_socket>{}.deny(EXFULL), sg::admit<sg::Abi::i386>, sg::otherwise.allow()};
    const auto denied = tries(denies.program(), AF_NETLINK);
    CHECK(denied[0].result == -EXFULL);
    CHECK(denied[1].result == -EXFULL);
    CHECK(denied[2].result == -ENOSYS);

    // A condition on what only memory holds: nobody can tell, so that all of them are refused.
    constexpr sg::Policy decides{Rule<SYS_socket>{arg::domain == AF_NETLINK}.deny(EXFULL), sg::foreign.deny(EBADSLT),
                                 sg::admit<sg::Abi::i386>, sg::otherwise.allow()};
    const auto decided = tries(decides.program(), AF_NETLINK);
    CHECK(decided[0].result == -EXFULL);
    CHECK(decided[1].result == -EBADSLT);
    CHECK(tries(decides.program(), AF_NETLINK + 1)[1].result == -EBADSLT);

    constexpr sg::Policy allows{sg::allow<SYS_socket, SYS_exit_group>, sg::admit<sg::Abi::i386>,
                                sg::otherwise.deny(EXFULL)};
    CHECK(tries(allows.program(), AF_NETLINK)[1].result >= 0);
}

TEST_CASE("ipc does not get around rules for what is behind it") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel takes no calls of i386");
    // shmget(IPC_PRIVATE, 16, 0) without IPC_CREAT makes none: -ENOENT, or with a key of its own that exists nowhere.
    const std::vector<support::Probe> probes{{395, {0x53670001, 16, 0}},
                                             {117, {23, 0x53670001, 16, 0}},
                                             {117, {0xffff00070017, 0x53670001, 16, 0}},
                                             {117, {23, 0x53670001, 17, 0}},
                                             {117, {5, 0x53670001, 17, 0}}};
    const sock_filter forgets_ipc[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                       {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 395 /* shmget */},
                                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL},
                                       {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    const auto passed = make_i386_calls(naive(forgets_ipc), probes);
    if (passed[1].result == -ENOSYS) SYSGUARD_SKIP("this kernel has no System V IPC");
    CHECK(passed[0].result == -EXFULL);
    CHECK(passed[1].result == -ENOENT);
    CHECK(passed[2].result == -ENOENT);

    constexpr sg::Policy policy{Rule<SYS_shmget>{arg::size == 16}.deny(EXFULL), sg::admit<sg::Abi::i386>,
                                sg::otherwise.allow()};
    const auto answers = make_i386_calls(policy.program(), probes);
    CHECK(answers[0].result == -EXFULL);
    CHECK(answers[1].result == -EXFULL);
    CHECK(answers[2].result == -EXFULL);
    CHECK(answers[3].result == -ENOENT);
    CHECK(answers[4].result == -ENOSYS);
}

TEST_CASE("half a register of an old call is not the whole of it: chown with ids of 16 bits") {
    if (!support::has_i386()) SYSGUARD_SKIP("this kernel takes no calls of i386");
    const auto set_user = [](const sg::filter::ProgramView& program, int number, std::uint64_t id) {
        return make_i386_calls(program, {{number, {id}}})[0].result;
    };
    const auto self = static_cast<std::uint64_t>(::getuid() & 0xffff);
    const sock_filter compares_32_bits[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                                            {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 23 /* setuid */},
                                            {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
                                            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(self)},
                                            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EXFULL},
                                            {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    CHECK(set_user(naive(compares_32_bits), 23, self) == -EXFULL);
    CHECK(set_user(naive(compares_32_bits), 23, 0x10000 | self) != -EXFULL);

    const sg::Policy policy{Rule<SYS_setuid>{arg::uid == ::getuid()}.deny(EXFULL), sg::foreign.deny(EBADSLT),
                            sg::admit<sg::Abi::i386>, sg::otherwise.allow()};
    CHECK(set_user(policy.program(), 23, 0x10000 | self) == -EBADSLT);
    CHECK(set_user(policy.program(), 213 /* setuid32 */, ::getuid()) == -EXFULL);
}

TEST_CASE("numbers of 64 bits in two registers, signed ones, and those that are in memory") {
    SYSGUARD_SKIP_WITHOUT_I386();
    static constexpr sg::Policy policy{
        sg::preset::static_runtime,
        sg::admit<sg::Abi::i386>,
        sg::foreign.deny(EBADSLT),
        Rule<SYS_pread64>{arg::offset == 0x500000007}.deny(EXFULL),
        Rule<SYS_truncate>{arg::length < 0}.deny(EBADRQC),
        Rule<SYS_select>{arg::nfds > 0}.deny(EXFULL),
        Rule<SYS_fcntl>{arg::cmd == F_SETLK}.deny(EXFULL),
        Rule<SYS_umount2>{arg::flags == 0}.deny(EXFULL),
        sg::otherwise.deny(EPERM),
    };
    const sg::Sandbox box{policy};
    CHECK(results(box, "180 0 room 1 7 5 then 180 0 room 1 5 7") == Values{-EXFULL, -EPERM});
    CHECK(results(box, "92 path:/x -1 then 92 path:/x 1 then 193 path:/x 0 -1 then 193 path:/x -1 0") ==
          Values{-EBADRQC, -EPERM, -EBADRQC, -EPERM});
    CHECK(results(box, "142 1 0 0 0 0 then 142 0 0 0 0 0 then 82 block:0,0,0,0,0") ==
          Values{-EXFULL, -EPERM, -EBADSLT});
    CHECK(results(box, "55 0 6 room then 221 0 6 room then 221 0 13 room then 221 0 7 room") ==
          Values{-EXFULL, -EXFULL, -EBADSLT, -EPERM});
    CHECK(results(box, "22 path:/nowhere then 52 path:/nowhere 1") == Values{-EXFULL, -EPERM});
    CHECK(results(box, "90 block:0,4096,3,0x22,-1,0") ==
          Values{-EBADSLT});  // mmap of old: static_runtime asks for prot
}

TEST_CASE("rules that the host decides hold where both ABIs have the same in memory") {
    SYSGUARD_SKIP_WITHOUT_I386();
    const support::Scratch scratch;
    std::ofstream{scratch / "file"} << "text";
    const sg::Policy policy{
        sg::preset::static_runtime,
        sg::admit<sg::Abi::i386>,
        Rule<SYS_open>{arg::path.under(scratch.path())}.allow(),
        Rule<SYS_open>{}.deny(EACCES),
        Rule<SYS_mkdir>{}.handle([](const Call<SYS_mkdir>& call) {
            return call.abi() == sg::Abi::i386 && call[arg::mode] == 0711 ? call.perform() : call.deny(EXFULL);
        }),
        Rule<SYS_getpriority>{}.fake(77),
        Rule<SYS_chdir>{}.kill(),
        sg::otherwise.deny(EPERM),
    };
    const sg::Sandbox box{policy};
    const std::string file = "path:" + (scratch / "file");
    const std::string made = "path:" + (scratch / "made");
    const Values opened = results(box, "5 " + file + " 0 then 3 3 room 4 then 5 path:/etc/passwd 0");
    CHECK(opened == Values{3, 4, -EACCES});
    CHECK(results(box, "39 " + made + " 0711 then 39 " + made + "2 0700") == Values{-EXFULL, -EXFULL});
    CHECK(results(box, "39 " + made + " 0x1c9 then 39 " + made + " 0x1c9") == Values{0, -EEXIST});
    struct stat status {};
    CHECK(::stat((scratch / "made").c_str(), &status) == 0);
    CHECK(results(box, "96 0 0") == Values{77});
    const Outcome killed = run(box, "12 " + made);
    CHECK(has(killed.explain(), "32-bit (i386) system call chdir(path=\"" + (scratch / "made") + "\")"));
}

TEST_CASE("what a handler would see otherwise than natively is refused, and the outcome says so") {
    SYSGUARD_SKIP_WITHOUT_I386();
    static constexpr auto never = [](const sg::AnyCall& call) { return call.deny(EXFULL); };
    static constexpr sg::Policy kills{sg::preset::static_runtime, sg::admit<sg::Abi::i386>,
                                      Rule<SYS_stat>{}.handle(never), sg::otherwise.deny(EPERM)};
    const Outcome outcome = run(sg::Sandbox{kills}, "195 path:/etc room");
    REQUIRE(outcome.violation() != nullptr);
    CHECK(outcome.violation()->number == 195);
    CHECK(has(outcome.explain(), "32-bit (i386) system call stat64 as stat(path="));
    CHECK(has(outcome.explain(), ", to which the policy's rules for it cannot be applied, at"));
    static constexpr sg::Policy denies{sg::preset::static_runtime, sg::admit<sg::Abi::i386>, sg::foreign.deny(ENOSYS),
                                       Rule<SYS_stat>{arg::path.under("/etc")}.deny(EACCES), sg::otherwise.deny(EPERM)};
    CHECK(results(sg::Sandbox{denies}, "195 path:/etc room then 106 path:/etc room") == Values{-ENOSYS, -ENOSYS});
}

TEST_CASE("a worker of 32 bits may start processes where its policy lets it") {
    SYSGUARD_SKIP_WITHOUT_I386();
    static constexpr sg::Policy policy{sg::preset::static_runtime, sg::preset::processes, sg::admit<sg::Abi::i386>,
                                       sg::otherwise.deny(EPERM)};
    const Outcome outcome = run(sg::Sandbox{policy}, "2 then 7 -1 room 0 then 120 0x10000000 0 0 0 0");
    CHECK(outcome);
    CHECK(has(outcome.output(), "-1\n"));  // CLONE_NEWUSER
}

TEST_CASE("ports that Landlock holds and calls of 32 bits do not go together") {
    static constexpr sg::Policy policy{sg::preset::static_runtime, sg::admit<sg::Abi::i386>, sg::otherwise.kill()};
    try {
        const sg::Sandbox box{policy, {.network = sg::Network::tcp({})}};
        CHECK(false);
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == ENOTSUP);
        CAPTURE(std::string{error.what()});
        if (!has(error.what(), "Landlock")) CHECK(has(error.what(), "admits 32-bit calls"));
    }
}

TEST_CASE("i386 is admitted once") {
    CHECK_THROWS_AS((sg::Policy{sg::admit<sg::Abi::i386>, sg::admit<sg::Abi::i386>, sg::otherwise.kill()}), sg::Error);
}

#endif
