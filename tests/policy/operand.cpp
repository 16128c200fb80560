#include <sysguard/policy/operand.hpp>
#include <sysguard/policy/rule.hpp>

#include <doctest/doctest.h>

#include <cstdint>

#include <fcntl.h>
#include <sys/syscall.h>

namespace arg = sysguard::arg;
namespace policy = sysguard::policy;

namespace {

/// Whether a condition on the arguments of pread64 (fd, buf, count, offset) holds.
constexpr bool holds(const auto& condition, std::uint64_t fd, std::uint64_t count, std::uint64_t offset) {
    const auto rules = policy::Rule<SYS_pread64>{condition}.allow();
    const std::uint64_t arguments[6] = {fd, 0, count, offset, 0, 0};
    return policy::matches(rules.nodes() + rules.begin()->first_node, arguments);
}

constexpr bool fd_holds(const auto& condition, int fd) {
    return holds(condition, static_cast<std::uint64_t>(fd), 0, 0);
}

}  // namespace

TEST_CASE("comparisons of a signed argument") {
    static_assert(fd_holds(arg::fd == 3, 3) && !fd_holds(arg::fd == 3, 4));
    static_assert(!fd_holds(arg::fd != 3, 3) && fd_holds(arg::fd != 3, 4));
    static_assert(fd_holds(arg::fd < 0, -1) && !fd_holds(arg::fd < 0, 0));
    static_assert(fd_holds(arg::fd <= 0, 0) && !fd_holds(arg::fd <= 0, 1));
    static_assert(fd_holds(arg::fd > 2, 3) && !fd_holds(arg::fd > 2, 2) && !fd_holds(arg::fd > 2, -3));
    static_assert(fd_holds(arg::fd >= -1, -1) && fd_holds(arg::fd >= -1, 7) && !fd_holds(arg::fd >= -1, -2));
    static_assert(fd_holds(arg::fd.between(-2, 2), -2) && fd_holds(arg::fd.between(-2, 2), 2));
    static_assert(!fd_holds(arg::fd.between(-2, 2), 3) && !fd_holds(arg::fd.between(-2, 2), -3));
    static_assert(fd_holds(arg::fd.in(-1, 7, 5), 7) && fd_holds(arg::fd.in(-1, 7, 5), -1));
    static_assert(!fd_holds(arg::fd.in(-1, 7, 5), 6));
    CHECK(fd_holds(arg::fd == INT32_MIN, INT32_MIN));
}

TEST_CASE("the other way round") {
    static_assert(fd_holds(3 == arg::fd, 3) && !fd_holds(3 != arg::fd, 3));
    static_assert(fd_holds(2 < arg::fd, 3) && !fd_holds(3 < arg::fd, 3));
    static_assert(fd_holds(3 <= arg::fd, 3) && fd_holds(3 >= arg::fd, 3) && !fd_holds(3 > arg::fd, 3));
    CHECK(fd_holds(AT_FDCWD == arg::fd, AT_FDCWD));
}

TEST_CASE("a 32-bit argument is compared on its low half only") {
    constexpr std::uint64_t high = 0xdeadbeef00000000;
    static_assert(holds(arg::fd == 3, high | 3, 0, 0));
    static_assert(holds(arg::fd < 0, high | 0xffffffff, 0, 0));
    CHECK_FALSE(holds(arg::fd != 3, high | 3, 0, 0));
}

TEST_CASE("a 64-bit argument is compared on both halves") {
    static_assert(holds(arg::count == 5, 0, 5, 0) && !holds(arg::count == 5, 0, 0x100000005, 0));
    static_assert(holds(arg::count > 0xffffffff, 0, 0x100000000, 0) &&
                  !holds(arg::count > 0xffffffff, 0, 0xffffffff, 0));
    static_assert(holds(arg::count <= 4096, 0, 4096, 0) && !holds(arg::count <= 4096, 0, 1ULL << 40, 0));
    static_assert(holds(arg::count >= ~0ULL, 0, ~0ULL, 0));
    static_assert(holds(arg::offset < 0, 0, 0, ~0ULL) && !holds(arg::offset < 0, 0, 0, 1ULL << 62));
    static_assert(holds(arg::offset.between(-5, 5), 0, 0, static_cast<std::uint64_t>(-5)));
    CHECK_FALSE(holds(arg::offset.between(-5, 5), 0, 0, 6));
}

TEST_CASE("masks") {
    static_assert(holds((arg::count & 0xff00) == 0x1200, 0, 0xab12cd, 0));
    static_assert(!holds((arg::count & 0xff00) == 0x1200, 0, 0xab13cd, 0));
    static_assert(holds(arg::count & 6, 0, 4, 0) && !holds(arg::count & 6, 0, 9, 0));
    static_assert(holds(!(arg::count & 6), 0, 9, 0));
    static_assert(holds((arg::count & 1) && (arg::count & 4), 0, 5, 0));
    static_assert(!holds((arg::count & 1) && (arg::count & 4), 0, 4, 0));
    static_assert(holds((arg::count & 1) || arg::fd == 3, 3, 0, 0));
    static_assert(holds((arg::count & 0xf0) > 0x20, 0, 0x31, 0) && !holds((arg::count & 0xf0) > 0x20, 0, 0x2f, 0));
    static_assert(holds((arg::count & 0xf0).in(0x10, 0x30), 0, 0x3f, 0));
    static_assert(holds((arg::count & 0xf0).between(0x10, 0x30), 0, 0x2f, 0));
    CHECK(holds((arg::count & (1ULL << 40)) != 0, 0, 1ULL << 40, 0));
}

TEST_CASE("a complement is a mask of the argument's width") {
    static_assert(!holds((arg::count & ~0xf) == 0, 0, 1ULL << 40, 0));
    static_assert(!holds((arg::count & ~0xfULL) == 0, 0, 1ULL << 40, 0));
    static_assert(holds((arg::fd & ~0xf) == 0, 0xffffffff0000000f, 0, 0));
    static_assert(holds((arg::fd & ~0xfU) == 0, 0xffffffff0000000f, 0, 0));
    CHECK(holds((arg::fd & ~0xfULL) == 0, 0xffffffff0000000f, 0, 0));
}

TEST_CASE("as<T>() gives a width and a sign") {
    constexpr auto check = [](const auto& condition, std::uint64_t value) {
        const auto rules = policy::Rule<SYS_fcntl>{condition}.allow();
        const std::uint64_t arguments[6] = {0, 0, value, 0, 0, 0};
        return policy::matches(rules.nodes(), arguments);
    };
    static_assert(check(arg::arg.as<int>() == -1, 0x1ffffffff));
    static_assert(!check(arg::arg.as<long>() == -1, 0x1ffffffff));
    static_assert(check(arg::arg.as<unsigned>() < 5, 0x100000003) &&
                  !check(arg::arg.as<unsigned long>() < 5, 0x100000003));
    CHECK(check((arg::arg.as<int>() & O_APPEND) == O_APPEND, 0x100000000 | O_APPEND));
}

TEST_CASE("conditions of values that are known at run time") {
    volatile int limit = 7;
    const int most = limit;
    CHECK(holds(arg::fd <= most && arg::count.in(most, 2 * most), 7, 14, 0));
    CHECK_FALSE(holds(arg::fd <= most && arg::count.in(most, 2 * most), 7, 15, 0));
}
