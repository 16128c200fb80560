#include <sysguard/supervise/stack/plain_trace.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "support/skip.hpp"

using namespace sysguard::supervise;
using sysguard::StackTrace;
using Found = sysguard::StackFrame::Found;

namespace {

/// Where it returns to.
[[gnu::noinline]] std::uint64_t return_address() {
    return reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
}

/// Of this process, with a stack that a test writes.
StackSnapshot snapshot_with(const std::vector<std::uint64_t>& words) {
    StackSnapshot snapshot;
    snapshot.thread = ::getpid();
    snapshot.mappings = Mappings{::getpid(), 0};
    snapshot.stack.low = 0x7ffd00000000;
    snapshot.stack.bytes.resize(4096);
    snapshot.stack.is_there = {1};
    __builtin_memcpy(snapshot.stack.bytes.data(), words.data(), words.size() * 8);
    snapshot.registers.set(stack_abi(snapshot.registers.abi).stack_pointer, snapshot.stack.low);
    snapshot.registers.instruction_pointer = return_address();
    return snapshot;
}

}  // namespace

TEST_CASE("words that are no return addresses are none: not behind a call, data, nothing, the kernel") {
    const std::uint64_t inside = return_address();
    static int data = 0;
    const StackSnapshot snapshot = snapshot_with({});
    const ReturnAddresses is_return{snapshot};
    CHECK(is_return(inside));
    for (const std::uint64_t word :
         {inside + 1, inside - 1, reinterpret_cast<std::uint64_t>(&data), std::uint64_t{0}, std::uint64_t{1},
          std::uint64_t{6}, std::uint64_t{7}, ~std::uint64_t{0}, std::uint64_t{0xffffffff81000000}}) {
        CAPTURE(word);
        CHECK_FALSE(is_return(word));
        CHECK_FALSE(is_return.is_signal(word));
    }
}

TEST_CASE("a trace says of each frame where it lies and how it was found") {
    const std::uint64_t inside = return_address();
    const StackTrace trace = plain_trace(snapshot_with({5, inside, 6, inside + 1, inside}));
    REQUIRE(trace.frames.size() == 3);
    CHECK(trace.frames[0].found == Found::instruction_pointer);
    CHECK(trace.frames[1].found == Found::scanned);
    CHECK(trace.frames[1].address == inside);
    CHECK(trace.frames[2].address == inside);
    CHECK(trace.frames[1].module.find("test.supervise.stack.plain_trace") != std::string::npos);
    CHECK(trace.frames[1].offset != 0);
    CHECK(trace.frames[1].symbol.empty());
}

TEST_CASE("code at the edges of its mapping, and that of nobody's file, is looked at within it") {
    auto* const code =
        static_cast<unsigned char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const unsigned char call[] = {0xff, 0xd0};  // call *%rax
    __builtin_memcpy(code, call, sizeof call);
    __builtin_memcpy(code + 4094, call, sizeof call);
    REQUIRE(::mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
    StackSnapshot snapshot = snapshot_with({});
    snapshot.mappings = Mappings{::getpid(), 0};
    snapshot.registers.abi = sysguard::abi::Abi::x86_64;
    const ReturnAddresses is_return{snapshot};
    const auto low = reinterpret_cast<std::uint64_t>(code);
    if (!PresentMemory{::getpid()}) SYSGUARD_SKIP("/proc/self/pagemap is not there");
    CHECK(is_return(low + 2));
    CHECK(is_return(low + 4096));
    CHECK_FALSE(is_return(low + 1));
    CHECK_FALSE(is_return(low));
    CHECK_FALSE(is_return.is_signal(low + 4090));
    ::munmap(code, 4096);
}

TEST_CASE("of nothing, nothing") {
    CHECK(plain_trace(StackSnapshot{}).frames.empty());
    StackSnapshot snapshot;
    snapshot.registers.instruction_pointer = 5;
    const StackTrace trace = plain_trace(snapshot);
    REQUIRE(trace.frames.size() == 1);
    CHECK(trace.frames[0].text() == "?() [0x5]");
}
