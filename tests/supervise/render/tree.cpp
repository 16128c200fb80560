#include <sysguard/supervise/render/rendering.hpp>
#include <sysguard/supervise/render/tree.hpp>

#include "made.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace render = sysguard::supervise::render;
using render::Kind;
using render::Node;
using render::Shape;
using sysguard::supervise::TracedCall;

namespace {

struct Walked {
    render::TreeSink tree;
    render::TextSink text;
};

void walk(Walked& walked, TracedCall call, std::int64_t result) {
    render::ThreadSource source{::getpid()};
    render::BothSinks both{walked.text, walked.tree};
    render::Rendering rendering;
    rendering.enter(call, source, both, rendered::bare());
    call.phase = TracedCall::Phase::returned;
    call.result = result;
    call.is_error = result < 0;
    rendering.leave(call, source, both, rendered::bare());
}

}  // namespace

TEST_CASE("text and tree come from the same walk") {
    Walked walked;
    char one[] = "one";
    const iovec vector[] = {{one, 3}};
    walk(walked, rendered::call_of(SYS_writev, {1, vector, 1}), 3);
    CHECK(walked.text.text(1) == "[{iov_base=\"one\", iov_len=3}]");
    const auto& arguments = walked.tree.arguments();
    REQUIRE(arguments.size() == 3);
    CHECK(arguments[0].name == "fd");
    CHECK(arguments[0].type == Node::Type::number);
    CHECK(arguments[0].number == 1);
    CHECK(arguments[1].name == "iov");
    CHECK(arguments[1].type == Node::Type::array);
    REQUIRE(arguments[1].parts.size() == 1);
    const Node& element = arguments[1].parts[0];
    CHECK(element.type == Node::Type::structure);
    REQUIRE(element.parts.size() == 2);
    CHECK(element.parts[0].name == "iov_base");
    CHECK(element.parts[0].type == Node::Type::string);
    CHECK(element.parts[0].text == "one");
    CHECK_FALSE(element.parts[0].has_more);
    CHECK(element.parts[1].number == 3);
}

TEST_CASE("flags are symbols with their number, addresses are addresses") {
    Walked walked;
    walk(walked, rendered::call_of(SYS_openat, {AT_FDCWD, reinterpret_cast<const void*>(8), O_RDWR | O_CLOEXEC}),
         -EFAULT);
    const auto& arguments = walked.tree.arguments();
    REQUIRE(arguments.size() == 3);
    CHECK(arguments[0].type == Node::Type::symbol);
    CHECK(arguments[1].type == Node::Type::address);
    CHECK(arguments[1].number == 8);
    CHECK(arguments[2].text == "O_RDWR|O_CLOEXEC");
    CHECK(arguments[2].number == (O_RDWR | O_CLOEXEC));
}

TEST_CASE("what a value becomes, and what explains it") {
    render::TreeSink sink;
    sink.argument(1, "len", false);
    sink.begin(Shape::array);
    sink.element();
    sink.value(Kind::number, 128, "128");
    sink.becomes();
    sink.value(Kind::number, 16, "16");
    sink.note("less");
    sink.more();
    sink.end();
    sink.note("whole");
    REQUIRE(sink.arguments().size() == 2);
    const Node& node = sink.arguments()[1];
    CHECK(node.note == "whole");
    CHECK(node.has_more);
    REQUIRE(node.parts.size() == 1);
    CHECK(node.parts[0].number == 128);
    REQUIRE(node.parts[0].becomes.size() == 1);
    CHECK(node.parts[0].becomes[0].number == 16);
    CHECK(node.parts[0].becomes[0].note == "less");
    sink.argument(1, "len", false);
    sink.value(Kind::number, 5, "5");
    REQUIRE(sink.arguments()[1].becomes.size() == 1);
    CHECK(sink.arguments()[1].becomes[0].number == 5);
    sink.clear();
    CHECK(sink.arguments().empty());
}

TEST_CASE("details of a result") {
    Walked walked;
    walk(walked, rendered::call_of(SYS_fcntl, {3, F_GETFL}), O_RDWR);
    REQUIRE(walked.tree.details().size() == 1);
    CHECK(walked.tree.details()[0].text == "flags O_RDWR");
    CHECK(walked.text.details() == "(flags O_RDWR)");
}

TEST_CASE("no more nodes than a bound") {
    render::TreeSink sink;
    sink.argument(0, "a", false);
    sink.begin(Shape::array);
    for (std::size_t i = 0; i < 2 * render::TreeSink::most_nodes; ++i) {
        sink.element();
        sink.begin(Shape::structure);
        sink.field("x", true);
        sink.value(Kind::number, i, "n");
        sink.end();
    }
    sink.end();
    CHECK(sink.arguments()[0].parts.size() <= render::TreeSink::most_nodes);
    CHECK(sink.arguments()[0].has_more);
    CHECK(sink.arguments()[0].parts[0].parts[0].number == 0);
    sink.argument(99, "no such place", false);
    sink.value(Kind::number, 1, "1");
    CHECK(sink.arguments().size() == 1);
}

TEST_CASE("types have names") {
    CHECK(std::string{render::name(Node::Type::structure)} == "structure");
    CHECK(std::string{render::name(Node::Type::string)} == "string");
}
