#include <sysguard/process/held_layer.hpp>

#include <doctest/doctest.h>

#include <utility>

using sysguard::process::HeldLayer;
using sysguard::process::HeldLayerShare;
using sysguard::process::LayerHold;

namespace {

struct Layer final : HeldLayer {
    Layer(int& count_of_holds, bool& is_there) : holds{count_of_holds}, exists{is_there} { exists = true; }
    ~Layer() override { exists = false; }
    bool hold() noexcept override { return is_free && ++holds > 0; }
    void release() noexcept override { --holds; }

    int& holds;
    bool& exists;
    bool is_free = true;
};

}  // namespace

TEST_CASE("a layer goes with its last share, and a hold is one") {
    int holds = 0;
    bool exists = false;
    LayerHold hold;
    {
        HeldLayerShare first{new Layer{holds, exists}};
        HeldLayerShare second{first};
        const HeldLayerShare third{std::move(first)};
        CHECK_FALSE(static_cast<bool>(first));
        second = HeldLayerShare{};
        CHECK(hold.take(third));
    }
    CHECK(exists);
    CHECK(holds == 1);
    hold.release();
    CHECK_FALSE(exists);
    CHECK(holds == 0);
    hold.release();
    CHECK(holds == 0);
}

TEST_CASE("a hold is moved, not doubled, and not had while somebody changes the layer") {
    int holds = 0;
    bool exists = false;
    auto* const layer = new Layer{holds, exists};
    const HeldLayerShare share{layer};
    {
        LayerHold one;
        REQUIRE(one.take(share));
        LayerHold other{std::move(one)};
        CHECK(holds == 1);
        LayerHold last;
        last = std::move(other);
        CHECK(holds == 1);
    }
    CHECK(holds == 0);
    layer->is_free = false;
    LayerHold none;
    CHECK_FALSE(none.take(share));
    CHECK(holds == 0);
}
