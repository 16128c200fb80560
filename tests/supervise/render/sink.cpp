#include <sysguard/supervise/render/sink.hpp>
#include <sysguard/supervise/render/text_sink.hpp>

#include <doctest/doctest.h>

namespace render = sysguard::supervise::render;
using render::Kind;
using render::Shape;

TEST_CASE("two sinks are told the same") {
    render::TextSink one;
    render::TextSink other;
    render::BothSinks both{one, other};
    both.argument(0, "buf", false);
    both.begin(Shape::structure);
    both.field("a", true);
    both.value(Kind::number, 5, "5");
    both.note("five");
    both.becomes();
    both.value(Kind::number, 6, "6");
    both.field("b", true);
    both.string("x", true, render::Quoting::plain);
    both.element();
    both.value(Kind::text, 0, "y");
    both.more();
    both.end();
    both.result();
    both.value(Kind::text, 0, "told");
    CHECK(one.text(0) == "{a=5 /* five */ => 6, b=\"x\", y, ...}");
    CHECK(one.text(0) == other.text(0));
    CHECK(one.details() == "told");
    CHECK(other.details() == "told");
}
