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

#include "support/compat.hpp"
#include "support/scratch.hpp"
#include "support/supervised.hpp"

#if defined(__x86_64__)

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;
using support::has;
using support::make_calls, support::make_i386_calls;

namespace {

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

#endif
