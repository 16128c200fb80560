#include <sysguard/supervise/render/text_sink.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace render = sysguard::supervise::render;
using render::Kind;
using render::Quoting;
using render::Shape;
using render::TextSink;

namespace {

std::string escaped(std::string_view bytes, Quoting quoting = Quoting::plain, std::string_view besides = {}) {
    std::string text;
    render::add_escaped(text, bytes, quoting, besides);
    return text;
}

}  // namespace

TEST_CASE("escapes") {
    using namespace std::string_view_literals;
    CHECK(escaped("a b~") == "a b~");
    CHECK(escaped("\"\\") == "\\\"\\\\");
    CHECK(escaped("\t\n\v\f\r") == "\\t\\n\\v\\f\\r");
    CHECK(escaped("\0"sv) == "\\0");
    CHECK(escaped("\0001"sv) == "\\0001");
    CHECK(escaped("\a\33\177\377"sv) == "\\7\\33\\177\\377");
    CHECK(escaped("\0077"sv) == "\\0077");
    CHECK(escaped("\0078"sv) == "\\78");
    CHECK(escaped("\3779"sv) == "\\3779");
    CHECK(escaped("a<b>", Quoting::plain, "<>") == "a\\74b\\76");
    CHECK(escaped("a\0"sv, Quoting::hex) == "\\x61\\x00");
}

TEST_CASE("shapes, with what separates their parts") {
    TextSink sink;
    sink.argument(0, "a", false);
    sink.begin(Shape::array);
    sink.element();
    sink.begin(Shape::set);
    sink.element();
    sink.value(Kind::number, 1, "1");
    sink.element();
    sink.value(Kind::number, 2, "2");
    sink.end();
    sink.element();
    sink.begin(Shape::structure);
    sink.end();
    sink.more();
    sink.end();
    CHECK(sink.text(0) == "[[1 2], {}, ...]");
    sink.result();
    sink.begin(Shape::details);
    sink.field("in", true);
    sink.value(Kind::number, 1, "1");
    sink.field("left", true);
    sink.value(Kind::number, 2, "2");
    sink.end();
    CHECK(sink.details() == "(in 1, left 2)");
}

TEST_CASE("names in front of arguments, once") {
    TextSink sink;
    sink.argument(2, "flags", true);
    sink.value(Kind::number, 1, "1");
    sink.argument(2, "flags", true);
    sink.becomes();
    sink.value(Kind::number, 2, "2");
    CHECK(sink.text(2) == "flags=1 => 2");
    CHECK(sink.text(0).empty());
    CHECK(sink.text(77).empty());
    sink.clear();
    CHECK(sink.text(2).empty());
}

TEST_CASE("no more text than a bound, and no deeper than one") {
    TextSink sink;
    sink.argument(0, "a", false);
    for (int i = 0; i < 100; ++i) {
        sink.begin(Shape::array);
        sink.element();
    }
    for (int i = 0; i < 200; ++i) sink.end();
    const std::string much(4096, 'x');
    for (int i = 0; i < 100; ++i) sink.string(much, true, Quoting::hex);
    CHECK(sink.text(0).size() < TextSink::most_text + 4 * much.size() + 8);
}
