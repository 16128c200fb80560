#include <sysguard/filter/interpret.hpp>
#include <sysguard/filter/libseccomp_context.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace filter = sysguard::filter;

TEST_CASE("a context is exported as the filter that libseccomp would load, and as its pseudo code") {
    const filter::LibseccompContext context{SCMP_ACT_ERRNO(EPERM)};
    REQUIRE(::seccomp_rule_add_exact(context.get(), SCMP_ACT_ALLOW, SYS_getpid, 0) == 0);
    const std::vector<sock_filter> program = filter::program_of(context.get());
    const auto value = [&](int number) {
        return filter::interpret({program.data(), program.size()}, {number, ::seccomp_arch_native(), 0, {}}).value;
    };
    CHECK(value(SYS_getpid) == SECCOMP_RET_ALLOW);
    CHECK(value(SYS_getsid) == (SECCOMP_RET_ERRNO | EPERM));
    const std::string text = filter::pseudo_code_of(context.get());
    CHECK(text.find("# filter for syscall \"getpid\"") != std::string::npos);
    CHECK(text.find("action ERRNO(1);") != std::string::npos);
    CHECK(text.rfind("# pseudo filter code end\n#\n") == text.size() - 27);
}

TEST_CASE("it is owned once") {
    filter::LibseccompContext first{SCMP_ACT_ALLOW};
    filter::LibseccompContext second{SCMP_ACT_LOG};
    const scmp_filter_ctx inner = first.get();
    filter::LibseccompContext third{std::move(first)};
    CHECK(third.get() == inner);
    third = std::move(second);
    CHECK(second.get() == inner);
    ::seccomp_release(second.release());
    CHECK(second.get() == nullptr);
}

TEST_CASE("what libseccomp refuses is an error with its reason") {
    CHECK_THROWS_AS(filter::LibseccompContext{0x12345678}, sg::Error);
    try {
        (void)filter::program_of(nullptr);
        FAIL("exported");
    } catch (const sg::Error& error) {
        CHECK(error.code().value() == EINVAL);
        CHECK(error.step() == "export the libseccomp context as a filter");
    }
    CHECK_THROWS_AS((void)filter::pseudo_code_of(nullptr), sg::Error);
}
