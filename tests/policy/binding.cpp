#include <sysguard/abi/error.hpp>
#include <sysguard/policy/binding.hpp>
#include <sysguard/policy/rule.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace arg = sysguard::arg;
namespace policy = sysguard::policy;
using sysguard::Error;
using sysguard::Rule;

namespace {

/// The value of a variable, hidden from constant evaluation: what a mistake in a constant makes a compile error makes
/// an exception here.
template <class T>
T runtime(T value) {
    volatile T hidden = value;
    return hidden;
}

template <class F>
std::string message(F&& function) {
    try {
        function();
    } catch (const Error& error) {
        CHECK(error.code().value() == EINVAL);
        return error.step();
    }
    return "";
}

bool mentions(const std::string& text, const char* words) {
    return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a value that does not fit is named with its call, its argument and the type") {
    const std::string text = message([] { (void)Rule<SYS_socket>{arg::domain == runtime(0x100000002)}; });
    CHECK(mentions(text, "socket"));
    CHECK(mentions(text, "domain"));
    CHECK(mentions(text, "AF_*"));
}

TEST_CASE("the ends of what fits a signed 32-bit argument") {
    CHECK_NOTHROW((void)Rule<SYS_kill>{arg::pid == runtime(2147483647L)});
    CHECK_NOTHROW((void)Rule<SYS_kill>{arg::pid == runtime(-2147483648L)});
    CHECK_THROWS_AS((void)Rule<SYS_kill>{arg::pid == runtime(2147483648L)}, Error);
    CHECK_THROWS_AS((void)Rule<SYS_kill>{arg::pid == runtime(-2147483649L)}, Error);
    CHECK_THROWS_AS((void)Rule<SYS_kill>{arg::pid < runtime(2147483648L)}, Error);
    CHECK_THROWS_AS((void)Rule<SYS_kill>{arg::pid.in(1, runtime(2147483648L))}, Error);
    CHECK_THROWS_AS((void)Rule<SYS_kill>{arg::pid.between(0L, runtime(2147483648L))}, Error);
}

TEST_CASE("the ends of what fits an unsigned argument") {
    CHECK_NOTHROW((void)Rule<SYS_eventfd2>{arg::initval == runtime(4294967295UL)});
    CHECK_THROWS_AS((void)Rule<SYS_eventfd2>{arg::initval == runtime(4294967296UL)}, Error);
    CHECK_THROWS_AS((void)Rule<SYS_eventfd2>{arg::initval == runtime(-1)}, Error);
    CHECK_NOTHROW((void)Rule<SYS_read>{arg::count == runtime(~0UL)});
    CHECK_THROWS_AS((void)Rule<SYS_read>{arg::count == runtime(-1)}, Error);
    CHECK_NOTHROW((void)Rule<SYS_lseek>{arg::offset == runtime(INT64_MIN)});
    CHECK_THROWS_AS((void)Rule<SYS_lseek>{arg::offset == runtime(1UL << 63)}, Error);
}

TEST_CASE("-1 is the pattern of a user id, and no bound") {
    CHECK_NOTHROW((void)Rule<SYS_setuid>{arg::uid == runtime(-1)});
    CHECK_NOTHROW((void)Rule<SYS_setuid>{arg::uid == runtime(0xffffffffU)});
    CHECK_THROWS_AS((void)Rule<SYS_setuid>{arg::uid >= runtime(-1)}, Error);
    CHECK_THROWS_AS((void)Rule<SYS_setuid>{arg::uid == runtime(-2147483649L)}, Error);
}

TEST_CASE("only what the kernel reads of a mode or of a socket's type is a value of it") {
    CHECK_NOTHROW((void)Rule<SYS_fchmod>{arg::mode == runtime(07777)});
    CHECK_THROWS_AS((void)Rule<SYS_fchmod>{arg::mode == runtime(0100644)}, Error);
    CHECK_THROWS_AS((void)Rule<SYS_mkdirat>{arg::mode == runtime(04755)}, Error);
    CHECK_NOTHROW((void)Rule<SYS_mknodat>{arg::mode == runtime(0100644)});
    CHECK_THROWS_AS((void)Rule<SYS_socket>{arg::type == runtime(SOCK_STREAM | SOCK_CLOEXEC)}, Error);
    CHECK_NOTHROW((void)Rule<SYS_socket>{(arg::type & runtime<int>(SOCK_CLOEXEC)) != 0});
}

TEST_CASE("masks that look at nothing, and values outside their mask") {
    CHECK(mentions(message([] { (void)Rule<SYS_fchmod>{arg::mode & runtime(0170000)}; }), "mask covers no bit"));
    CHECK(mentions(message([] { (void)Rule<SYS_read>{(arg::count & runtime(0)) == 0}; }), "mask covers no bit"));
    CHECK(mentions(message([] { (void)Rule<SYS_openat>{(arg::flags & 3) == runtime(4)}; }), "outside the mask"));
    CHECK(mentions(message([] { (void)Rule<SYS_openat>{(arg::flags & runtime(1L << 40)) != 0}; }), "does not fit"));
}

TEST_CASE("a flag that the kernel does not read is no value, and a mask may look at it") {
    CHECK(mentions(message([] { (void)Rule<SYS_openat>{arg::flags == runtime(8)}; }), "does not fit"));
    CHECK(mentions(message([] { (void)Rule<SYS_openat>{arg::flags.in(1, runtime(8))}; }), "does not fit"));
    CHECK(mentions(message([] { (void)Rule<SYS_openat>{arg::flags <= runtime(8)}; }), "does not fit"));
    CHECK(mentions(message([] { (void)Rule<SYS_openat>{arg::flags == runtime(-1)}; }), "does not fit"));
    CHECK_NOTHROW((void)Rule<SYS_openat>{(arg::flags & 8) == runtime(8)});
    CHECK_NOTHROW((void)Rule<SYS_dup3>{arg::flags == runtime(8)});
}

TEST_CASE("a size of huge pages is part of a value beside MAP_HUGETLB only") {
    constexpr long size = 30L << 26;
    CHECK_NOTHROW((void)Rule<SYS_mmap>{arg::flags == runtime(MAP_PRIVATE | MAP_HUGETLB | size)});
    CHECK(mentions(message([] { (void)Rule<SYS_mmap>{arg::flags == runtime(MAP_PRIVATE | size)}; }), "HUGETLB"));
    CHECK(mentions(message([] { (void)Rule<SYS_mmap>{arg::flags.in(2, runtime(2 | MAP_HUGETLB))}; }), "joined by ||"));
    CHECK_NOTHROW((void)Rule<SYS_mmap>{arg::flags.in(2, runtime(1))});
    CHECK_NOTHROW((void)Rule<SYS_mmap>{arg::flags.in(1 | MAP_HUGETLB, runtime(2 | MAP_HUGETLB | size))});
    constexpr int sixteen_gigabytes = static_cast<int>(34U << 26);  // negative, as an int
    CHECK_NOTHROW((void)Rule<SYS_mmap>{arg::flags == runtime(MAP_PRIVATE | MAP_HUGETLB | sixteen_gigabytes)});
}

TEST_CASE("a mask of 32 bits that may be a complement is none for an argument of 64") {
    const auto refused = [](const auto& make) { return mentions(message(make), "upper 32"); };
    CHECK(refused([] { (void)Rule<SYS_mmap>{(arg::flags & runtime(~7U)) == 0}; }));
    CHECK(refused([] { (void)Rule<SYS_read>{arg::count & runtime(0x80000000U)}; }));
    CHECK(refused([] { (void)Rule<SYS_fcntl>{arg::arg.as<unsigned long>() & runtime(~7U)}; }));
    CHECK_NOTHROW((void)Rule<SYS_mmap>{(arg::flags & runtime(~7)) == 0});
    CHECK_NOTHROW((void)Rule<SYS_mmap>{(arg::flags & runtime(~7UL)) == 0});
    CHECK_NOTHROW((void)Rule<SYS_read>{arg::count & runtime(0x80000000UL)});
    CHECK_NOTHROW((void)Rule<SYS_read>{arg::count & runtime(0x7fffffffU)});
    CHECK_NOTHROW((void)Rule<SYS_openat>{(arg::flags & runtime(~7U)) == 0});
    CHECK_NOTHROW((void)Rule<SYS_fcntl>{arg::arg.as<unsigned>() & runtime(~7U)});
}

TEST_CASE("bounds in the wrong order") {
    CHECK(mentions(message([] { (void)Rule<SYS_read>{arg::fd.between(runtime(5), 3)}; }), "low above high"));
    CHECK(mentions(message([] { (void)Rule<SYS_read>{arg::fd.between(runtime(1), -1)}; }), "low above high"));
    CHECK_NOTHROW((void)Rule<SYS_read>{arg::fd.between(runtime(-1), 1)});
}

TEST_CASE("a set is sorted, each value once") {
    static constexpr auto rules = Rule<SYS_read>{arg::fd.in(9, 3, -1, 3, 5, 9, 4)}.allow();
    constexpr const policy::BoundNode* set = rules.nodes();
    static_assert(set->count == 5);
    static_assert(policy::member_value(set, 0) == 3 && policy::member_value(set, 1) == 4);
    static_assert(policy::member_value(set, 2) == 5 && policy::member_value(set, 3) == 9);
    CHECK(policy::member_value(set, 4) == 0xffffffff);
}

TEST_CASE("a signed range over zero is what lies outside one unsigned range") {
    constexpr auto rules = Rule<SYS_read>{arg::fd.between(-2, 3)}.allow();
    static_assert(rules.nodes()->outside);
    static_assert(rules.nodes()->low == 4 && rules.nodes()->high == 0xfffffffd);
    constexpr auto all = Rule<SYS_read>{arg::fd.between(INT32_MIN, INT32_MAX)}.allow();
    static_assert(!all.nodes()->outside && all.nodes()->low == 0 && all.nodes()->high == 0xffffffff);
    constexpr auto most = Rule<SYS_read>{arg::fd.between(INT32_MIN + 1, INT32_MAX)}.allow();
    CHECK(most.nodes()->outside);
    CHECK(most.nodes()->low == 0x80000000);
    CHECK(most.nodes()->high == 0x80000000);
}
