#include <sysguard/abi/call_set.hpp>
#include <sysguard/policy/family.hpp>

#include <doctest/doctest.h>

#include <sys/syscall.h>

namespace sg = sysguard;
using sg::CallSet;
using sg::abi::Abi;

TEST_CASE("a set of calls has what was put in, and nothing else") {
    constexpr CallSet set{SYS_openat, SYS_read, -1, 100000};
    static_assert(set.contains(SYS_openat) && set.contains(SYS_read) && !set.contains(SYS_write));
    static_assert(!set.has_unknown() && !set.contains(-1) && !set.contains(100000));
    static_assert(CallSet{}.is_empty() && !set.is_empty());
    static_assert(CallSet{set}.remove(SYS_read) == CallSet{SYS_openat});
    static_assert(CallSet{SYS_write}.add(set).contains(SYS_openat));
    static_assert(CallSet{set}.remove(CallSet{SYS_openat, SYS_read}).is_empty());
    static_assert(CallSet::of(sg::family::open).contains(SYS_openat));
    static_assert(!CallSet::of(sg::family::open).contains(SYS_close));
}

TEST_CASE("all calls are those that the table does not know, too") {
    constexpr CallSet all = CallSet::all();
    static_assert(all.contains(SYS_read) && all.contains(100000) && all.has_unknown());
    constexpr CallSet most = CallSet{all}.remove(SYS_read);
    static_assert(!most.contains(SYS_read) && most.contains(SYS_write) && most.contains(100000));
    static_assert(!(most == all));
}

TEST_CASE("calls of foreign ABIs belong to a set with the native calls that do the same") {
    constexpr CallSet set{SYS_socket, SYS_newfstatat, SYS_openat};
    static_assert(set.contains(sg::abi::native_abi, SYS_openat, 0));
#if defined(__x86_64__)
    static_assert(set.contains(Abi::i386, 295, 0));          // openat
    static_assert(set.contains(Abi::i386, 300, 0));          // fstatat64
    static_assert(set.contains(Abi::i386, 102, 1));          // socketcall of socket
    static_assert(!set.contains(Abi::i386, 102, 2));         // and of bind
    static_assert(!set.contains(Abi::i386, 4, 0));           // write
    static_assert(set.contains(Abi::x86_64, 257, 0, true));  // openat of x32
    static_assert(set.contains(Abi::x86_64, 520, 0, true));  // one that only x32 has
    static_assert(!set.contains(Abi::x86_64, 1, 0, true));
    static_assert(!set.contains(Abi::i386, 5000, 0) && CallSet::all().contains(Abi::i386, 5000, 0));
#endif
    CHECK(set.contains(Abi::arm, 322, 0));  // openat
    CHECK_FALSE(set.contains(Abi::arm, 4, 0));
}
