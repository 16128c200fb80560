#include <sysguard/supervise/stack/stack_trace.hpp>

#include <doctest/doctest.h>

#include <string>

using sysguard::StackFrame;
using sysguard::StackTrace;

TEST_CASE("a frame reads as strace -k and gdb write it") {
    StackFrame frame;
    frame.address = 0x7f00000f79b7;
    CHECK(frame.text() == "?() [0x7f00000f79b7]");
    frame.module = "/usr/lib/libc.so.6";
    frame.offset = 0xf79b7;
    CHECK(frame.text() == "/usr/lib/libc.so.6() [0xf79b7]");
    frame.symbol = "write";
    frame.symbol_offset = 0x10;
    CHECK(frame.text() == "/usr/lib/libc.so.6(write+0x10) [0xf79b7]");
    frame.symbol_offset = 0;
    CHECK(frame.text() == "/usr/lib/libc.so.6(write+0) [0xf79b7]");
}

TEST_CASE("a trace tells what is sure from what is likely, and what is missing") {
    StackTrace trace;
    CHECK(trace.text().empty());
    trace.frames.resize(2);
    trace.frames[0].address = 1;
    trace.frames[1].address = 2;
    trace.frames[1].found = StackFrame::Found::scanned;
    trace.shortfall = "it runs";
    CHECK(trace.text() == " > ?() [0x1]\n ? ?() [0x2]\n (it runs)\n");
}
