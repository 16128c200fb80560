#include <sysguard/capabilities.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <string>

#include "support/workers.hpp"

namespace sg = sysguard;

namespace {

/// Options that need a layer, alone.
sg::Options with(sg::Layer layer) {
    sg::Options options;
    switch (layer) {
        case sg::Layer::file_access:
        case sg::Layer::device_control: options.files = {sg::read_only("/")}; break;
        case sg::Layer::tcp_ports: options.network = sg::Network::tcp({.connect = {80}, .bind = {}}); break;
        case sg::Layer::scopes: options.scopes = {.abstract_sockets = true, .signals = true}; break;
        case sg::Layer::user_namespace: options.namespaces.user = true; break;
        case sg::Layer::pid_namespace: options.namespaces.pid = true; break;
        case sg::Layer::mount_namespace: options.namespaces.mount = true; break;
        case sg::Layer::network_namespace: options.network = sg::Network::isolated; break;
        case sg::Layer::ipc_namespace: options.namespaces.ipc = true; break;
        case sg::Layer::uts_namespace: options.namespaces.uts = true; break;
        case sg::Layer::cgroup_namespace: options.namespaces.cgroup = true; break;
        case sg::Layer::time_namespace: options.namespaces.time = true; break;
        case sg::Layer::private_root: options.root = {sg::directory("/empty")}; break;
        case sg::Layer::cgroup: options.cgroup = sg::Cgroup::own(); break;
        case sg::Layer::memory_deny_write_execute: options.credentials.memory_deny_write_execute = true; break;
        case sg::Layer::overlay: break;
    }
    return options;
}

}  // namespace

TEST_CASE(
    "what is offered a sandbox can have, and what is not it refuses with the same reason, unless it is optional") {
    const sg::LayerOffers offers = sg::capabilities();
    INFO(offers.text());
    for (int i = 0; i < sg::layer_count; ++i) {
        const auto layer = static_cast<sg::Layer>(i);
        const std::string layer_name = sg::name(layer);
        CAPTURE(layer_name);
        CHECK(offers.has(layer) == offers.why_not(layer).empty());
        if (layer == sg::Layer::overlay) continue;
        sg::Options options = with(layer);
        // Where one is missing, so can be those that it stands on.
        try {
            const sg::Sandbox box{support::anything, options};
            CHECK(offers.has(layer));
        } catch (const sg::Error& error) {
            CHECK_FALSE(offers.has(layer));
            CHECK(support::has(error.step(), offers.why_not(layer)));
        }
        options.optional = sg::Layers::all();
        const sg::Outcome outcome = sg::Sandbox{support::anything, options}.call([] {}).outcome();
        CHECK(outcome.missing(layer) == offers.why_not(layer));
        CHECK(support::has(outcome.explain(), "It went without") != offers.has(layer));
    }
}

TEST_CASE("the text has a line for each layer") {
    const std::string text = sg::capabilities().text();
    for (int i = 0; i < sg::layer_count; ++i) CHECK(support::has(text, sg::name(static_cast<sg::Layer>(i))));
    CHECK(support::lines(text).size() == static_cast<std::size_t>(sg::layer_count));
}
