#include <sysguard/supervise/decode.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>

#include <sys/syscall.h>
#include <unistd.h>

namespace abi = sysguard::abi;
namespace supervise = sysguard::supervise;

namespace {

/// A call of this very process, which is not waiting: nothing of its memory counts.
supervise::Pending call(int number) {
    supervise::Pending pending;
    pending.line = supervise::LineShare{new supervise::Line};
    pending.line->most_read = 4096;
    pending.thread = ::getpid();
    pending.number = number;
    pending.architecture = abi::audit_architecture(abi::native_abi);
    pending.call = abi::find(number);
    return pending;
}

}  // namespace

TEST_CASE("texts in quotes") {
    CHECK(supervise::quoted("", 9) == "\"\"");
    CHECK(supervise::quoted("a\"b\\c", 9) == "\"a\\\"b\\\\c\"");
    CHECK(supervise::quoted(std::string("\0\x1b\x7f\xff", 4), 9) == "\"\\x00\\x1b\\x7f\\xff\"");
    CHECK(supervise::quoted("abcdef", 3) == "\"abc\"...");
}

TEST_CASE("what cannot be read is shown as an address, what is null as NULL") {
    supervise::Pending open = call(SYS_openat);
    open.arguments[0] = static_cast<std::uint64_t>(-100);
    open.arguments[1] = reinterpret_cast<std::uint64_t>("/etc/passwd");  // and the call is not pending
    CHECK(supervise::decode(open).find("openat(dirfd=-100, path=0x") == 0);
    supervise::Pending null = call(SYS_openat);
    CHECK(supervise::decode(null) == "openat(dirfd=0, path=NULL, flags=0, mode=0)");
    supervise::Pending foreign = call(SYS_openat);
    foreign.call = nullptr;
    foreign.architecture = 77;
    CHECK(supervise::decode(foreign) ==
          "system call " + std::to_string(SYS_openat) + " of an unknown ABI, which the policy does not admit,");
}

TEST_CASE("every call, with whatever arguments, has a text") {
    std::mt19937_64 random{20261120};
    for (int number = 0; number < abi::native_limit; ++number) {
        if (!abi::is_known(number)) continue;
        for (int round = 0; round < 4; ++round) {
            supervise::Pending pending = call(number);
            for (std::uint64_t& argument : pending.arguments) argument = random() >> random() % 64;
            CHECK(supervise::decode(pending).find(std::string{pending.call->name} + "(") == 0);
        }
    }
}
