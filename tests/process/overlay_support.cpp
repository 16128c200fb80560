#include <sysguard/process/overlay_support.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "support/overlay.hpp"
#include "support/scratch.hpp"

using namespace sysguard;
using process::offer_overlay;
using support::Scratch;

TEST_CASE("an overlay is offered where one can be mounted, and nothing is left of the trial") {
    SYSGUARD_NEED_ATTRIBUTES();
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "lower");
    std::filesystem::create_directory(scratch / "where");
    const process::OverlayLayer layer{scratch / "lower", scratch.path(), false};
    const bool is_there = support::in_overlay(layer, [](const std::string&) { return 0; }) == 0;
    const process::Offer offer = offer_overlay(scratch / "lower", scratch / "where");
    CAPTURE(offer.why_not);
    CHECK(static_cast<bool>(offer) == is_there);
    CHECK(offer.why_not.empty() == is_there);
    CHECK(std::filesystem::is_empty(scratch / "where"));
    CHECK(std::filesystem::is_empty(scratch / "lower"));
}

TEST_CASE("where not, it says why") {
    const Scratch scratch;
    std::filesystem::create_directory(scratch / "lower");
    const process::Offer none = offer_overlay(scratch / "lower", scratch / "nowhere");
    CHECK(none.error == ENOENT);
    CHECK(none.why_not.find("nowhere") != std::string::npos);
    CHECK(offer_overlay(scratch / "lower", "/proc").error != 0);
    using Step = process::detail::OverlayTrial::Step;
    for (const Step step : {Step::start, Step::map, Step::mount, Step::whiteout})
        for (const int error : {EPERM, ENOSPC, ENODEV, EINVAL})
            CHECK_FALSE(process::detail::why_no_overlay(step, error).empty());
}
