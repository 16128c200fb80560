#include <sysguard/process/layer.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <set>
#include <string>

using namespace sysguard;
using process::MissingLayers;
using process::Offer;

TEST_CASE("layers are a set") {
    constexpr Layers some{Layer::file_access, Layer::memory_deny_write_execute};
    static_assert(some.has(Layer::file_access) && some.has(Layer::memory_deny_write_execute));
    static_assert(!some.has(Layer::tcp_ports) && !Layers{}.has(Layer::file_access));
    for (int i = 0; i < layer_count; ++i) CHECK(Layers::all().has(static_cast<Layer>(i)));
}

TEST_CASE("every layer has a name of its own") {
    std::set<std::string> names;
    for (int i = 0; i < layer_count; ++i) names.insert(name(static_cast<Layer>(i)));
    CHECK(names.size() == layer_count);
    CHECK(names.count("?") == 0);
}

TEST_CASE("a required layer that is missing is an error with the reason, an optional one is noted") {
    const Offer missing{ENOSYS, "this kernel has none"};
    MissingLayers layers;
    CHECK(layers.need(Layer::scopes, {}, {}));
    CHECK(layers.reason(Layer::scopes).empty());
    CHECK_FALSE(layers.need(Layer::scopes, missing, {Layer::scopes}));
    CHECK(layers.reason(Layer::scopes) == "this kernel has none");
    try {
        layers.need(Layer::tcp_ports, missing, {Layer::scopes});
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code().value() == ENOSYS);
        CHECK(error.step() == "set up the TCP ports (Landlock): this kernel has none");
    }
    CHECK(layers.reason(Layer::tcp_ports).empty());
}
