#include <sysguard/supervise/trace_settings.hpp>

#include <doctest/doctest.h>

namespace sg = sysguard;

TEST_CASE("an engine traces all calls of everything that comes of it, with results, unless told otherwise") {
    const sg::supervise::TraceSettings settings;
    CHECK(settings.calls == sg::CallSet::all());
    CHECK(settings.follow == sg::Follow::everything);
    CHECK(settings.results);
    CHECK_FALSE(settings.signals);
    CHECK(settings.policy == nullptr);
    CHECK((settings.decider.function == nullptr));
}
