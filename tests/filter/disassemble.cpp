#include <sysguard/filter/disassemble.hpp>
#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
using sg::Rule;

namespace {

std::string disassemble(const std::vector<sock_filter>& code) {
    return filter::disassemble({code.data(), code.size()});
}

bool has(const std::string& text, const char* words) {
    return text.find(words) != std::string::npos;
}

}  // namespace

#if defined(__x86_64__)
TEST_CASE("a small policy, line by line") {
    constexpr sg::Policy policy{Rule<SYS_socket>{arg::domain == AF_INET && (arg::type & SOCK_CLOEXEC)}.allow(),
                                sg::otherwise.deny(EPERM)};
    CHECK(filter::disassemble(policy.program()) ==
          "   0  ld   architecture\n"
          "   1  jeq  x86_64 ? 2 : 16\n"
          "   2  ld   number\n"
          "   3  jge  337 ? 9 : 4\n"
          "   4  jeq  41 socket ? 5 : 11\n"
          "   5  ld   argument 0 low               ; domain of socket\n"
          "   6  jeq  0x2 ? 7 : 11                 ; AF_INET\n"
          "   7  ld   argument 1 low               ; type of socket\n"
          "   8  jset 0x80000 ? 15 : 11            ; SOCK_CLOEXEC\n"
          "   9  jge  424 pidfd_send_signal ? 10 : 13\n"
          "  10  jge  472 ? 12 : 11\n"
          "  11  ret  errno EPERM\n"
          "  12  jge  0x40000000 ? 14 : 13\n"
          "  13  ret  errno ENOSYS\n"
          "  14  jeq  0xffffffff ? 15 : 16\n"
          "  15  ret  allow\n"
          "  16  ret  ask the host\n");
}
#endif

TEST_CASE("arguments and constants by their names") {
    constexpr sg::Policy policy{
        Rule<SYS_kill>{arg::sig == SIGTERM}.allow(),
        Rule<SYS_fcntl>{arg::cmd == F_SETFL && (arg::arg.as<int>() & O_APPEND)}.allow(),
        Rule<SYS_openat>{(arg::flags & O_ACCMODE) == O_RDONLY}.allow(),
        Rule<SYS_mmap>{(arg::flags & (MAP_ANONYMOUS | MAP_FIXED)) == MAP_FIXED && arg::len <= 0x500000000}.allow(),
        Rule<SYS_ioctl>{(arg::request & 0xff) == 1}.allow(),
        Rule<sg::family::send>{(arg::flags & MSG_FASTOPEN) == 0}.allow(),
        Rule<sg::family::wait>{arg::options & WNOHANG}.allow(),
        Rule<SYS_mprotect>{arg::len == 9}.allow(),
        Rule<SYS_munmap>{arg::len == 9}.allow(),
        Rule<SYS_mlock>{arg::len == 9}.allow(),
        Rule<SYS_munlock>{arg::len == 9}.allow(),
        Rule<SYS_msync>{arg::len == 9}.allow(),
        sg::otherwise.deny(EPERM),
    };
    const std::string text = filter::disassemble(policy.program());
    CHECK(has(text, "; sig of kill\n"));
    CHECK(has(text, "; SIGTERM\n"));
    CHECK(has(text, "; cmd of fcntl\n"));
    CHECK(has(text, "; F_SETFL\n"));
    CHECK(has(text, "; arg of fcntl\n"));
    CHECK_FALSE(has(text, "O_APPEND"));
    CHECK(has(text, "; flags of openat\n"));
    CHECK(has(text, "; O_ACCMODE\n"));
    CHECK(has(text, "; MAP_FIXED\n"));
    CHECK(has(text, "; request of ioctl\n"));
    CHECK_FALSE(has(text, "F_GETFD"));
    CHECK(has(text, "; flags of sendmmsg, sendto\n"));
    CHECK(has(text, "; MSG_FASTOPEN\n"));
    CHECK(has(text, "; options of wait4\n"));
    CHECK(has(text, "; WNOHANG\n"));
    CHECK(has(text, "; len of mlock, mprotect, msync, munlock, ...\n"));
    CHECK(has(text, "argument 1 high"));
}

TEST_CASE("where calls do not agree, nothing is said") {
    const sock_filter load{BPF_LD | BPF_W | BPF_ABS, 0, 0, 16};
    const sock_filter load_last{BPF_LD | BPF_W | BPF_ABS, 0, 0, 56};
    const sock_filter end{BPF_RET | BPF_K, 0, 0, 0};
    const std::string text =
        disassemble({load, {BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2}, {BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 2}, load_last, end});
    CHECK_FALSE(has(text, "; domain of socket"));
    CHECK(has(text, ", ...\n"));
    CHECK_FALSE(has(text, "AF_INET"));
    CHECK(has(text, "argument 5 low"));
}

TEST_CASE("the calls that get to a load, whatever jump leads there") {
    const auto calls = [](unsigned operation, std::uint32_t k) {
        return disassemble({{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                            {static_cast<std::uint16_t>(BPF_JMP | BPF_K | operation), 0, 1, k},
                            {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
                            {BPF_RET | BPF_K, 0, 0, 0}});
    };
    constexpr auto number = static_cast<std::uint32_t>(SYS_socket);
    CHECK(has(calls(BPF_JEQ, number), "; domain of socket\n"));
    CHECK_FALSE(has(calls(BPF_JGT, number), "socket, "));
    CHECK(has(calls(BPF_JGE, number), "; "));
    CHECK_FALSE(has(calls(BPF_JGT, sysguard::abi::native_limit - 1U), "; "));
    CHECK_FALSE(has(calls(BPF_JSET, 0x8000), "; "));
    CHECK(has(calls(BPF_JSET, 0x1ff), "; "));
    CHECK_FALSE(has(disassemble({{BPF_MISC | BPF_TAX, 0, 0, 0}, {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16}}), "; "));
    CHECK(has(disassemble({{BPF_JMP | BPF_JA, 0, 0, 0}, {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16}}), "; "));
}

TEST_CASE("each return") {
    const auto returned = [](std::uint32_t value) { return disassemble({{BPF_RET | BPF_K, 0, 0, value}}); };
    CHECK(has(returned(SECCOMP_RET_ALLOW), "ret  allow"));
    CHECK(has(returned(SECCOMP_RET_LOG), "ret  log"));
    CHECK(has(returned(SECCOMP_RET_USER_NOTIF), "ret  ask the host"));
    CHECK(has(returned(SECCOMP_RET_KILL_PROCESS), "ret  kill process"));
    CHECK(has(returned(SECCOMP_RET_KILL_THREAD), "ret  kill thread"));
    CHECK(has(returned(SECCOMP_RET_TRAP | 3), "ret  trap 3"));
    CHECK(has(returned(SECCOMP_RET_TRACE | 4), "ret  trace 4"));
    CHECK(has(returned(SECCOMP_RET_ERRNO), "ret  result 0"));
    CHECK(has(returned(SECCOMP_RET_ERRNO | 13), "ret  errno EACCES"));
    CHECK(has(returned(SECCOMP_RET_ERRNO | 999), "ret  errno 999"));
    CHECK(has(returned(0x12340000), "ret  0x12340000"));
    CHECK(has(disassemble({{BPF_RET | BPF_A, 0, 0, 0}}), "ret  a"));
}

TEST_CASE("loads, stores, arithmetic and jumps") {
    CHECK(has(disassemble({{BPF_LD | BPF_W | BPF_ABS, 0, 0, 60}}), "ld   argument 5 high"));
    CHECK(has(disassemble({{BPF_LD | BPF_W | BPF_ABS, 0, 0, 8}}), "ld   instruction pointer low"));
    CHECK(has(disassemble({{BPF_LDX | BPF_MEM, 0, 0, 7}}), "ldx  memory 7"));
    CHECK(has(disassemble({{BPF_LD | BPF_IMM, 0, 0, 7}}), "ld   0x7"));
    CHECK(has(disassemble({{BPF_LD | BPF_W | BPF_LEN, 0, 0, 7}}), "ld   length"));
    CHECK(has(disassemble({{BPF_ST, 0, 0, 7}}), "st   memory 7"));
    CHECK(has(disassemble({{BPF_STX, 0, 0, 7}}), "stx  memory 7"));
    CHECK(has(disassemble({{BPF_ALU | BPF_AND | BPF_K, 0, 0, 15}}), "and  0xf"));
    CHECK(has(disassemble({{BPF_ALU | BPF_RSH | BPF_X, 0, 0, 0}}), "rsh  x"));
    CHECK(has(disassemble({{BPF_ALU | BPF_NEG, 0, 0, 0}}), "neg\n"));
    CHECK(has(disassemble({{BPF_JMP | BPF_JA, 0, 0, 4}}), "ja   5"));
    CHECK(has(disassemble({{BPF_MISC | BPF_TAX, 0, 0, 0}}), "tax"));
    CHECK(has(disassemble({{BPF_MISC | BPF_TXA, 0, 0, 0}}), "txa"));
}

TEST_CASE("a number is shown with a name only where it is surely a system call's") {
    const sock_filter compare{BPF_JMP | BPF_JEQ | BPF_K, 0, 0, SYS_read};
    const sock_filter load_number{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0};
    const sock_filter load_argument{BPF_LD | BPF_W | BPF_ABS, 0, 0, 16};
    CHECK(has(disassemble({load_number, compare, {BPF_RET, 0, 0, 0}}), "0 read"));
    CHECK_FALSE(has(disassemble({load_argument, compare, {BPF_RET, 0, 0, 0}}), "0 read"));
    const sock_filter skip{BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 77};
    CHECK_FALSE(has(disassemble({load_number, skip, load_argument, compare, {BPF_RET, 0, 0, 0}}), "0 read"));
}

TEST_CASE("whatever it is given, it says something of each instruction") {
    std::mt19937_64 random{20261120};
    for (int round = 0; round < 2000; ++round) {
        std::vector<sock_filter> code(1 + random() % 40);
        for (sock_filter& instruction : code) {
            const std::uint64_t bits = random();
            instruction = {static_cast<std::uint16_t>(bits), static_cast<std::uint8_t>(bits >> 16),
                           static_cast<std::uint8_t>(bits >> 24), static_cast<std::uint32_t>(bits >> 32)};
        }
        const std::string text = disassemble(code);
        CHECK(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) == code.size());
    }
    CHECK(disassemble({}).empty());
}
