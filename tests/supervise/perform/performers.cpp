#include <sysguard/supervise/perform/performers.hpp>

#include <doctest/doctest.h>

#include <sysguard/abi/table.hpp>

namespace sg = sysguard;
using namespace sysguard::supervise::perform;

static_assert(performer(sg::sys::openat) == open_file);
static_assert(performer(sg::sys::openat2) == open_file_how);
static_assert(performer(sg::sys::renameat2) == rename_file);
static_assert(performer(sg::sys::getpid) == nullptr);
static_assert(performer(sg::sys::execve) == nullptr);
static_assert(performer(-1) == nullptr);

TEST_CASE("every call that can be performed is one of the table, once") {
    for (const Performed& entry : performed) {
        if (entry.number < 0) continue;
        CHECK(sg::abi::is_known(entry.number));
        CHECK((entry.performer != nullptr));
        CHECK((performer(entry.number) == entry.performer));
    }
}
