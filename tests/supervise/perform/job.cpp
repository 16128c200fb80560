#include <sysguard/policy/performable.hpp>
#include <sysguard/supervise/perform/job.hpp>
#include <sysguard/supervise/perform/performers.hpp>

#include <doctest/doctest.h>

#include <type_traits>

#include <sys/syscall.h>

namespace abi = sysguard::abi;
namespace perform = sysguard::supervise::perform;

TEST_CASE("a job knows its call's arguments by name") {
    perform::Job job;
    job.call = abi::find(SYS_openat);
    CHECK(job.position(abi::ArgName::dirfd) == 0);
    CHECK(job.position(abi::ArgName::path) == 1);
    CHECK(job.position(abi::ArgName::mode) == 3);
    CHECK(job.position(abi::ArgName::addr) < 0);
}

TEST_CASE("what nobody has prepared reads nothing, has room for nothing and starts nowhere") {
    const perform::Job job;
    CHECK(job.call == nullptr);
    CHECK(job.root == -1);
    CHECK(job.cwd == -1);
    CHECK(job.extra == nullptr);
    CHECK_FALSE(job.has_full_table);
    for (int i = 0; i < abi::max_arguments; ++i) {
        CHECK(job.in[i].data == nullptr);
        CHECK(job.out[i].capacity == 0);
        CHECK(job.decided[i] == nullptr);
        CHECK(job.fds[i] < 0);
    }
}

TEST_CASE("every call that can be performed has somebody who does, and no other has") {
    CHECK(std::is_same_v<perform::Performer, long (*)(perform::Job&) noexcept>);
    for (int number = 0; number < abi::native_limit; ++number)
        CHECK((perform::performer(number) != nullptr) == sysguard::policy::is_performable(number));
}
