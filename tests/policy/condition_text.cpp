#include <sysguard/policy/condition_text.hpp>
#include <sysguard/policy/rule.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "support/random_policy.hpp"
#include "support/read_condition.hpp"

namespace sg = sysguard;
namespace sys = sysguard::sys;
namespace arg = sysguard::arg;
namespace policy = sysguard::policy;
namespace abi = sysguard::abi;
using policy::Shown;

namespace {

std::string text_of(int number, const policy::Node* nodes, std::size_t count, Shown shown) {
    policy::BoundNode bound[policy::max_condition_nodes];
    policy::bind(nodes, count, *abi::find(number), bound);
    return policy::condition_text(*abi::find(number), bound, shown);
}

template <int number, class Condition>
std::string text(const Condition& given, Shown shown = Shown::all) {
    const auto condition = policy::condition(given);
    return text_of(number, condition.nodes, condition.size(), shown);
}

}  // namespace

TEST_CASE("values by their names") {
    CHECK(text<sys::socket>(arg::domain == AF_INET && arg::type != SOCK_RAW) ==
          "domain is AF_INET and type is not SOCK_RAW");
    CHECK(text<sys::socket>(arg::domain.in(AF_UNIX, AF_INET6) || arg::domain == 400) ==
          "domain is one of AF_UNIX, AF_INET6 or domain is 400");
    CHECK(text<sys::kill>(arg::sig == SIGKILL) == "sig is SIGKILL");
    CHECK(text<sys::kill>(arg::sig == 0) == "sig is 0");
    CHECK(text<sys::kill>(arg::sig == 40) == "sig is 40");
    CHECK(text<sys::kill>(arg::sig < 3) == "sig is below 3");
    CHECK(text<sys::fcntl>(!(arg::cmd.in(F_GETFD, F_SETFD))) == "cmd is none of F_GETFD, F_SETFD");
    CHECK(text<sys::openat>(arg::dirfd == AT_FDCWD) == "dirfd is AT_FDCWD");
    CHECK(text<sys::openat>(arg::flags == (O_WRONLY | O_CREAT | O_CLOEXEC)) == "flags is O_WRONLY|O_CREAT|O_CLOEXEC");
    CHECK(text<sys::openat>(arg::flags == O_CREAT) == "flags is O_RDONLY|O_CREAT");
    CHECK(text<sys::openat>(arg::mode == 0644) == "mode is 0644");
    CHECK(text<sys::mknodat>(arg::mode == (S_IFREG | 0644)) == "mode is S_IFREG|0644");
    CHECK(text<sys::mmap>(arg::flags == (MAP_PRIVATE | MAP_ANONYMOUS)) == "flags is MAP_PRIVATE|MAP_ANONYMOUS");
    CHECK(text<sys::mmap>(arg::prot == 0) == "prot is PROT_NONE");
    CHECK(text<sys::fchown>(arg::owner == -1) == "owner is -1");
    CHECK(text<sys::fchown>(arg::owner == 1000) == "owner is 1000");
    CHECK(text<sys::clone>(arg::flags == (CLONE_VM | CLONE_VFORK | SIGCHLD)) ==
          "flags is SIGCHLD|CLONE_VM|CLONE_VFORK");
    CHECK(text<sys::prctl>(arg::option == PR_SET_PDEATHSIG && arg::arg2.as<int>() == 9) ==
          "option is PR_SET_PDEATHSIG and arg2 (32 bits) is 9");
    CHECK(text<sys::prctl>(arg::arg2.as<unsigned long>() == 0x10) == "arg2 is 0x10");
}

TEST_CASE("bounds") {
    CHECK(text<sys::write>(arg::count <= 1 << 20) == "count is at most 1 MiB");
    CHECK(text<sys::write>(arg::count > 1000) == "count is above 1000");
    CHECK(text<sys::write>(arg::count.between(4096, 5000)) == "count is from 4 KiB to 5000");
    CHECK(text<sys::write>(!arg::count.between(4096, 5000)) == "count is outside of 4 KiB to 5000");
    CHECK(text<sys::kill>(arg::pid > 0) == "pid is above 0");
    CHECK(text<sys::kill>(arg::pid >= -1) == "pid is at least -1");
    CHECK(text<sys::kill>(arg::pid < -1) == "pid is below -1");
    CHECK(text<sys::kill>(arg::pid.between(-5, 5)) == "pid is from -5 to 5");
    CHECK(text<sys::kill>(!arg::pid.between(-5, 5)) == "pid is outside of -5 to 5");
    CHECK(text<sys::kill>((arg::pid & 0xffffffff) <= 0x80000005) == "pid is outside of -2147483642 to -1");
    CHECK(text<sys::lseek>(arg::offset >= -4096) == "offset is at least -4096");
    CHECK(text<sys::ftruncate>(arg::length.between(-1, 0x100000000)) == "length is from -1 to 4294967296");
    CHECK(text<sys::fchmod>(arg::mode < 01000) == "mode is below 01000");
    CHECK(text<sys::read>(arg::fd.in(0, 1, 2, 5, 7, 8)) == "fd is one of 0 to 2, 5, 7, 8");
}

TEST_CASE("what is always so is not said, and what never is, is") {
    CHECK(text<sys::kill>(arg::pid >= INT32_MIN).empty());
    CHECK(text<sys::kill>((arg::pid & 0xffffffff) <= 0xffffffff).empty());
    CHECK(text<sys::kill>(arg::pid < INT32_MIN) == "never");
    CHECK(text<sys::kill>(arg::pid >= INT32_MIN && arg::sig == 0) == "sig is 0");
    CHECK(text<sys::kill>(arg::pid < INT32_MIN || arg::sig == 0) == "sig is 0");
    CHECK(text<sys::kill>(arg::pid < INT32_MIN && arg::sig == 0) == "never");
    CHECK(text<sys::kill>(arg::pid >= INT32_MIN || arg::sig == 0).empty());
}

TEST_CASE("flags") {
    CHECK(text<sys::openat>((arg::flags & O_ACCMODE) == O_RDONLY) == "flags & O_ACCMODE is O_RDONLY");
    CHECK(text<sys::openat>((arg::flags & (O_ACCMODE | O_CREAT)) == O_CREAT) ==
          "flags & (O_WRONLY|O_RDWR|O_CREAT) is O_RDONLY|O_CREAT");
    CHECK(text<sys::openat>((arg::flags & (O_WRONLY | O_RDWR | O_CREAT)) == 0) ==
          "flags has none of O_WRONLY|O_RDWR|O_CREAT");
    CHECK(text<sys::openat>(arg::flags & O_CREAT) == "flags has O_CREAT");
    CHECK(text<sys::openat>((arg::flags & O_CREAT) == 0) == "flags lacks O_CREAT");
    CHECK(text<sys::openat>((arg::flags & O_CREAT) != O_CREAT) == "flags lacks O_CREAT");
    CHECK(text<sys::openat>((arg::flags & ~(O_CLOEXEC | O_DIRECTORY)) == 0) ==
          "flags has nothing but O_CLOEXEC|O_DIRECTORY");
    CHECK(text<sys::openat>((arg::flags & ~(O_CLOEXEC | O_DIRECTORY)) != 0) ==
          "flags has something besides O_CLOEXEC|O_DIRECTORY");
    CHECK(text<sys::openat>((arg::flags & O_TMPFILE) == O_TMPFILE) == "flags has all of __O_TMPFILE|O_DIRECTORY");
    CHECK(text<sys::openat>((arg::flags & O_TMPFILE) != O_TMPFILE) == "flags lacks some of __O_TMPFILE|O_DIRECTORY");
    CHECK(text<sys::mmap>(!(arg::prot & PROT_WRITE) || !(arg::prot & PROT_EXEC)) ==
          "prot lacks PROT_WRITE or prot lacks PROT_EXEC");
    CHECK(text<sys::mmap>(arg::prot & (PROT_WRITE | PROT_EXEC)) == "prot has any of PROT_WRITE|PROT_EXEC");
    CHECK(text<sys::mmap>((arg::flags & MAP_TYPE) == MAP_PRIVATE) == "flags & MAP_TYPE is MAP_PRIVATE");
    CHECK(text<sys::mmap>((arg::flags & (MAP_SHARED | 0x400000)) == 0) == "flags has none of MAP_SHARED|0x400000");
    CHECK(text<sys::fchmodat>((arg::mode & 07002) != 0) == "mode has any of 07002");
    CHECK(text<sys::mknodat>((arg::mode & S_IFMT) == S_IFREG) == "mode & S_IFMT is S_IFREG");
    CHECK(text<sys::socket>(arg::type & SOCK_CLOEXEC) == "type has SOCK_CLOEXEC");
    CHECK(text<sys::socket>((arg::type & 1) == 0) == "type & 1 is 0");
    CHECK(text<sys::clone>((arg::flags & CSIGNAL) == SIGCHLD) == "flags & CSIGNAL is SIGCHLD");
    CHECK(text<sys::clone>((arg::flags & ~(CLONE_VM | CSIGNAL)) == 0) == "flags has nothing but CSIGNAL|CLONE_VM");
    CHECK(text<sys::futex>((arg::op & 0x7f) == 1) == "op & 0x7f is 1");
    CHECK(text<sys::futex>((arg::op & 0xfffffe7f) == 9) == "op & FUTEX_CMD_MASK is FUTEX_WAIT_BITSET");
    CHECK(text<sys::ioctl>((arg::request & 0xff00) == 0x5400) == "request & 0xff00 is 0x5400");
    CHECK(text<sys::dup3>((arg::oldfd & 3) != 1) == "oldfd & 3 is not 1");
    CHECK(text<sys::ioctl>(arg::arg.as<int>() & 0x10) == "arg & 0x10 is not 0");
}

TEST_CASE("what is joined") {
    const auto one = arg::pid == 1;
    const auto two = arg::sig == SIGTERM;
    CHECK(text<sys::kill>(!(one && two)) == "pid is not 1 or sig is not SIGTERM");
    CHECK(text<sys::kill>(!(one || two)) == "pid is not 1 and sig is not SIGTERM");
    CHECK(text<sys::kill>(one && (two || arg::pid == 3)) == "pid is 1 and (sig is SIGTERM or pid is 3)");
    CHECK(text<sys::kill>((one || two) && !(two && one)) ==
          "(pid is 1 or sig is SIGTERM) and (sig is not SIGTERM or pid is not 1)");
    CHECK(text<sys::kill>((one && two) || arg::pid == 3) == "(pid is 1 and sig is SIGTERM) or pid is 3");
    CHECK(text<sys::kill>(one || !(arg::pid != 3 && arg::pid != 4)) == "pid is 1 or pid is 3 or pid is 4");
}

TEST_CASE("what lies in memory, and what the kernel makes of it") {
    CHECK(text<sys::openat>(arg::path.under("/usr")) == "path leads to \"/usr\" or below");
    CHECK(text<sys::openat>(arg::path != "/etc/passwd") == "path does not lead to \"/etc/passwd\"");
    CHECK(text<sys::openat>(arg::path.glob("/tmp/*")) == "path leads to what matches \"/tmp/*\"");
    CHECK(text<sys::setxattr>(arg::name == "user.x") == "name is \"user.x\"");
    CHECK(text<sys::setxattr>(arg::name != "user.x") == "name is not \"user.x\"");
    CHECK(text<sys::setxattr>(!arg::name.glob("user.*")) == "name does not match \"user.*\"");
    CHECK(text<sys::setxattr>(arg::name.glob("user.*")) == "name matches \"user.*\"");
    CHECK(text<sys::connect>(arg::addr.in("10.0.0.0/8", 443)) == "addr is in 10.0.0.0/8 and addr's port is 443");
    CHECK(text<sys::connect>(!arg::addr.in("fc00::/7")) == "addr is not in fc00::/7");
    CHECK(text<sys::connect>(arg::addr.is_loopback() || !arg::addr.is_private()) ==
          "addr is a loopback address or addr is in no private network");
    CHECK(text<sys::connect>(!arg::addr.is_loopback() && arg::addr.is_private()) ==
          "addr is no loopback address and addr is in a private network");
    CHECK(text<sys::connect>(arg::addr.family() == AF_UNIX && arg::addr.port() >= 1024) ==
          "addr's family is AF_UNIX and addr's port is at least 1024");
    CHECK(text<sys::connect>(arg::addr.unix_path() == "/run/x") == "addr's path leads to \"/run/x\"");
    CHECK(text<sys::connect>(arg::addr.abstract_name() == "x") == "addr's abstract name is \"x\"");
    CHECK(text<sys::write>(arg::buf.starts_with("GET ") && arg::buf.size() < 9) ==
          "buf begins with \"GET \" and count is below 9");
    CHECK(text<sys::write>(!arg::buf.starts_with("GET ")) == "buf does not begin with \"GET \"");

    const auto reads = (arg::flags & O_ACCMODE) == O_RDONLY;
    CHECK(text<sys::openat>(reads && arg::path.under("/usr"), Shown::registers) == "flags & O_ACCMODE is O_RDONLY");
    CHECK(text<sys::openat>(reads || arg::path.under("/usr"), Shown::registers).empty());
    CHECK(text<sys::openat>(reads && !(arg::path.under("/a") || arg::path.under("/b")), Shown::registers) ==
          "flags & O_ACCMODE is O_RDONLY");
    CHECK(text<sys::openat>(!(reads && arg::path.under("/usr")), Shown::registers).empty());
}

TEST_CASE("a text is on one line of ASCII, whatever it holds") {
    CHECK(text<sys::openat>(arg::path == "/a\n\x1b[1m\"b\\\xff") == "path leads to \"/a\\x0a\\x1b[1m\\\"b\\\\\\xff\"");
    CHECK(policy::quoted_text(std::string(3, '\0')) == "\"\\x00\\x00\\x00\"");
    CHECK(text<sys::openat>(arg::path.under("/" + std::string(600, 'x'))).size() > 600);
}

TEST_CASE("random conditions are said as they are evaluated") {
    const std::uint64_t seed = std::random_device{}();
    INFO("seed ", seed);
    support::RandomPolicy random{support::Choices{seed}};
    int held = 0;
    int compared = 0;
    for (int round = 0; round < 400; ++round) {
        const support::LoosePolicy& loose = random.make({{sg::Action::deny, 1}});
        for (const support::LoosePolicy::Rule& rule : loose.rules) {
            if (rule.nodes.empty()) continue;
            const abi::Syscall& call = *abi::find(rule.number);
            const std::string said = policy::condition_text(call, rule.nodes.data(), Shown::registers);
            INFO(call.name, ": ", said);
            const auto read = support::ReadCondition::read(call, said);
            for (int probe = 0; probe < 20; ++probe) {
                const seccomp_data data = random.input(rule.number);
                std::uint64_t arguments[6];
                std::copy(std::begin(data.args), std::end(data.args), arguments);
                const bool holds = policy::matches(rule.nodes.data(), arguments);
                REQUIRE(read(arguments) == holds);
                held += holds;
                ++compared;
            }
        }
    }
    CHECK(compared > 50'000);
    CHECK(held > compared / 20);
    CHECK(held < compared - compared / 20);
}
