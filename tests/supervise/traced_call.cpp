#include <sysguard/supervise/traced_call.hpp>

#include <doctest/doctest.h>

namespace sg = sysguard;

TEST_CASE("a call that nobody has filled in is none") {
    const sg::supervise::TracedCall call;
    CHECK(call.phase == sg::supervise::TracedCall::Phase::entered);
    CHECK(call.abi == sg::abi::native_abi);
    CHECK(sg::abi::name_of(call.abi, call.number).empty());
    CHECK_FALSE(call.is_error);
}
