#include <sysguard/filter/interpret.hpp>
#include <sysguard/filter/select.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <vector>

#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "support/environment.hpp"

namespace sg = sysguard;
namespace abi = sysguard::abi;
using sg::CallSet;
using sg::filter::Selection;

namespace {

constexpr std::uint32_t value = SECCOMP_RET_TRACE | 7;

std::uint32_t judge(const std::vector<sock_filter>& program, abi::Abi of, std::uint32_t number,
                    std::uint64_t first = 0) {
    seccomp_data data{};
    data.nr = static_cast<int>(number);
    data.arch = abi::audit_architecture(of);
    data.args[0] = first;
    const sg::filter::Verdict verdict = sg::filter::interpret({program.data(), program.size()}, data);
    REQUIRE(verdict.valid);
    return verdict.value;
}

}  // namespace

TEST_CASE("a selecting filter returns its value for what is in its set, and lets all else run") {
    std::mt19937_64 random{support::first_seed()};
    for (int round = 0; round < 20; ++round) {
        CallSet set = round == 0 ? CallSet{} : round == 1 ? CallSet::all() : CallSet{};
        if (round > 1)
            for (int i = 0; i < round * 10; ++i) set.add(static_cast<int>(random() % 500));
        const auto program = sg::filter::select({set, value, false, false});
        for (std::uint32_t number = 0; number < 600; ++number) {
            CAPTURE(number);
            CHECK(judge(program, abi::native_abi, number) ==
                  (set.contains(static_cast<int>(number)) ? value : SECCOMP_RET_ALLOW));
            if (abi::native_abi != abi::Abi::x86_64) continue;
            bool is_chosen = false;  // whichever of socketcall and ipc it may be
            for (std::uint64_t part = 0; part < 25; ++part)
                is_chosen = is_chosen || set.contains(abi::Abi::i386, static_cast<int>(number), part);
            CHECK(judge(program, abi::Abi::i386, number) == (is_chosen ? value : SECCOMP_RET_ALLOW));
        }
        CHECK(judge(program, abi::native_abi, 0xffffffff) == SECCOMP_RET_ALLOW);  // what a tracer skips
        CHECK(judge(program, abi::native_abi, 5000) == (set.has_unknown() ? value : SECCOMP_RET_ALLOW));
        if (abi::native_abi == abi::Abi::x86_64) CHECK(judge(program, abi::native_abi, abi::x32_bit | 1) == value);
    }
}

TEST_CASE("a selecting filter finds the clones that a tracer would not be told of") {
    constexpr std::uint64_t untraced = 0x00800000;
    const auto program = sg::filter::select({{SYS_read}, value, true, false});
    CHECK(judge(program, abi::native_abi, SYS_clone, untraced | 17) == value);
    CHECK(judge(program, abi::native_abi, SYS_clone, 17) == SECCOMP_RET_ALLOW);
    CHECK(judge(program, abi::native_abi, SYS_clone, untraced << 32) == SECCOMP_RET_ALLOW);
    CHECK(judge(program, abi::native_abi, SYS_clone3) == value);
    CHECK(judge(program, abi::native_abi, SYS_read) == value);
    CHECK(judge(program, abi::native_abi, SYS_write) == SECCOMP_RET_ALLOW);
    const auto with_clone = sg::filter::select({{SYS_clone}, value, true, false});
    CHECK(judge(with_clone, abi::native_abi, SYS_clone, 17) == value);
    const auto without = sg::filter::select({{SYS_read}, value, false, false});
    CHECK(judge(without, abi::native_abi, SYS_clone, untraced) == SECCOMP_RET_ALLOW);
#if defined(__x86_64__)
    CHECK(judge(program, abi::Abi::i386, 120, untraced | 17) == value);
    CHECK(judge(program, abi::Abi::i386, 120, 17) == SECCOMP_RET_ALLOW);
    CHECK(judge(program, abi::Abi::i386, 435) == value);
#endif
}

TEST_CASE("a selecting filter can take all calls of foreign ABIs") {
    const auto program = sg::filter::select({{SYS_read}, value, false, true});
    CHECK(judge(program, abi::native_abi, SYS_write) == SECCOMP_RET_ALLOW);
    for (const abi::Abi other : abi::all_abis)
        if (other != abi::native_abi)
            for (std::uint32_t number = 0; number < 600; ++number) CHECK(judge(program, other, number) == value);
}
