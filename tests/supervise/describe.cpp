#include <sysguard/policy.hpp>
#include <sysguard/supervise/describe.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/listening.hpp"

namespace sg = sysguard;
using sg::supervise::Pending;
using support::Supervised;

namespace {

constexpr sg::Policy policy{sg::Rule<SYS_openat>{}.kill(), sg::otherwise.allow()};

}  // namespace

TEST_CASE("a call, and the file that it was made from") {
    Supervised process{policy.program(), [] { return ::open("/etc/passwd", O_RDONLY) == 0 ? 0 : 1; }};
    Pending call;
    process.receive(call);
    const sg::supervise::Description description = sg::supervise::describe(call);
    CHECK(description.text.rfind("openat(dirfd=-100, path=\"/etc/passwd\", flags=0", 0) == 0);
    const bool has_place = description.mapping.find("/") == 0 && description.mapping.find("+0x") != std::string::npos;
    CHECK(has_place);
    process.listener.answer(call.id, 0, 0);
    CHECK(process.exit_code() == 0);
}

TEST_CASE("of one whose process is gone, what was in its registers") {
    Supervised process{policy.program(), [] { return ::open("/etc/passwd", O_RDONLY) == 0 ? 0 : 1; }};
    Pending call;
    process.receive(call);
    ::kill(process.pid, SIGKILL);
    CHECK(process.exit_code() == -SIGKILL);
    const sg::supervise::Description description = sg::supervise::describe(call);
    CHECK(description.text.rfind("openat(dirfd=-100, path=0x", 0) == 0);
    CHECK(description.mapping.empty());
}
