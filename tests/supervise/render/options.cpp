#include <sysguard/supervise/render/options.hpp>

#include "made.hpp"

#include <doctest/doctest.h>

#include <string>

using rendered::answered;
namespace render = sysguard::supervise::render;

TEST_CASE("how much of a string is shown, and of an array") {
    const std::string text(5000, 'a');
    render::Options options = rendered::bare();
    CHECK(options.most_bytes == 32);
    options.most_bytes = 3;
    CHECK(answered(SYS_write, {1, text.c_str(), 5000}, 5000, options) == "write(1, \"aaa\"..., 5000) = 5000");
    const unsigned groups[] = {1, 2, 3, 4};
    CHECK(answered(SYS_setgroups, {4, groups}, 0, options) == "setgroups(4, [1, 2, 3, ...]) = 0");
    options.most_bytes = 0;
    CHECK(answered(SYS_write, {1, text.c_str(), 5000}, 5000, options) == "write(1, \"\"..., 5000) = 5000");
}

TEST_CASE("no more than a bound, whatever is asked for") {
    const std::string text(5000, 'a');
    render::Options options = rendered::bare();
    options.most_bytes = ~0U;
    CHECK(answered(SYS_write, {1, text.c_str(), 5000}, 5000, options) ==
          "write(1, \"" + std::string(render::Options::most_room, 'a') + "\"..., 5000) = 5000");
}
