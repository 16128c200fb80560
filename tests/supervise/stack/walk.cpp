#include <sysguard/supervise/stack/walk.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using sysguard::abi::Abi;
using namespace sysguard::supervise;
using Found = sysguard::StackFrame::Found;

namespace {

constexpr std::uint64_t low = 0x7ffd00000000;

/// A stack that a test writes.
struct Stack {
    explicit Stack(std::size_t pages = 1) : bytes(pages * 4096), is_there(pages, 1) {}

    void put(std::uint64_t address, std::uint64_t value, unsigned size = 8) {
        __builtin_memcpy(bytes.data() + (address - low), &value, size);
    }
    StackView view() const { return {low, bytes, is_there}; }

    std::vector<unsigned char> bytes;
    std::vector<unsigned char> is_there;
};

Registers at(std::uint64_t stack_pointer, Abi abi = Abi::x86_64) {
    Registers registers;
    registers.abi = abi;
    registers.set(stack_abi(abi).stack_pointer, stack_pointer);
    return registers;
}

Registers with_frame(std::uint64_t stack_pointer, std::uint64_t frame, Abi abi = Abi::x86_64) {
    Registers registers = at(stack_pointer, abi);
    registers.set(stack_abi(abi).frame_pointer, frame);
    return registers;
}

/// 0x400000 and its neighbours are code.
bool is_code(std::uint64_t address) {
    return address >= 0x400000 && address < 0x401000;
}

/// How many frames there are, whatever the stack holds.
int steps(Registers registers, const StackView& stack) {
    int count = 0;
    for (;; ++count) {
        Caller caller = caller_by_frame_pointer(registers, stack, is_code);
        if (!caller.is_found) caller = caller_by_scan(registers, stack, is_code);
        if (!caller.is_found) return count;
        CHECK(caller.registers.stack_pointer() > registers.stack_pointer());
        registers = caller.registers;
    }
}

}  // namespace

TEST_CASE("frame pointers lead from caller to caller") {
    Stack stack;
    stack.put(low + 0x100, low + 0x200);
    stack.put(low + 0x108, 0x400010);
    stack.put(low + 0x200, 0);
    stack.put(low + 0x208, 0x400020);
    const Caller first = caller_by_frame_pointer(with_frame(low + 0x40, low + 0x100), stack.view(), is_code);
    REQUIRE(first.is_found);
    CHECK(first.registers.instruction_pointer == 0x400010);
    CHECK(first.registers.stack_pointer() == low + 0x110);
    CHECK(first.registers.frame_pointer() == low + 0x200);
    CHECK(first.found == Found::frame_pointer);
    const Caller second = caller_by_frame_pointer(first.registers, stack.view(), is_code);
    REQUIRE(second.is_found);
    CHECK(second.registers.instruction_pointer == 0x400020);
    CHECK(second.registers.frame_pointer() == 0);  // the outermost
    CHECK_FALSE(caller_by_frame_pointer(second.registers, stack.view(), is_code).is_found);
}

TEST_CASE("a frame pointer that leads to itself, down, nowhere, or to the kernel ends the chain") {
    Stack stack;
    stack.put(low + 0x100, low + 0x100);
    stack.put(low + 0x108, 0x400010);
    const Caller loop = caller_by_frame_pointer(with_frame(low + 0x40, low + 0x100), stack.view(), is_code);
    REQUIRE(loop.is_found);
    CHECK_FALSE(loop.registers.has_frame_pointer());
    for (const std::uint64_t frame :
         {low + 0x38, low - 16, low + 4096, low + 4096 - 8, low + 0x101, std::uint64_t{0xffff800000000000},
          ~std::uint64_t{0}, ~std::uint64_t{7}, std::uint64_t{0}, std::uint64_t{8}}) {
        CAPTURE(frame);
        CHECK_FALSE(caller_by_frame_pointer(with_frame(low + 0x40, frame), stack.view(), is_code).is_found);
    }
    stack.put(low + 0x108, 0xffffffff81000000);  // a return address in the kernel
    CHECK_FALSE(caller_by_frame_pointer(with_frame(low + 0x40, low + 0x100), stack.view(), is_code).is_found);
    CHECK_FALSE(caller_by_frame_pointer(at(low + 0x40), stack.view(), is_code).is_found);
}

TEST_CASE("pages that are not there are not read") {
    Stack stack{3};
    stack.put(low + 4096 + 0x100, low + 8192 + 0x100);
    stack.put(low + 4096 + 0x108, 0x400010);
    CHECK(caller_by_frame_pointer(with_frame(low, low + 4096 + 0x100), stack.view(), is_code).is_found);
    CHECK(caller_by_scan(at(low), stack.view(), is_code).is_found);
    stack.is_there[1] = 0;
    CHECK_FALSE(caller_by_frame_pointer(with_frame(low, low + 4096 + 0x100), stack.view(), is_code).is_found);
    CHECK_FALSE(caller_by_scan(at(low), stack.view(), is_code).is_found);
    std::uint64_t word = 0;
    CHECK_FALSE(stack.view().word(low + 4096 - 4, 8, word));  // half of it
    CHECK(stack.view().word(low + 4096 - 4, 4, word));
}

TEST_CASE("a scan takes the first return address, and the chain of frame pointers that goes on from it") {
    Stack stack;
    stack.put(low + 0x50, 0x500000);  // no code
    stack.put(low + 0x78, low + 0x100);
    stack.put(low + 0x80, 0x400010);
    stack.put(low + 0x100, 0);
    stack.put(low + 0x108, 0x400020);
    const Caller caller = caller_by_scan(at(low + 0x40), stack.view(), is_code);
    REQUIRE(caller.is_found);
    CHECK(caller.found == Found::scanned);
    CHECK(caller.registers.instruction_pointer == 0x400010);
    CHECK(caller.registers.stack_pointer() == low + 0x88);
    CHECK(caller.registers.frame_pointer() == low + 0x100);
    stack.put(low + 0x108, 5);
    CHECK_FALSE(caller_by_scan(at(low + 0x40), stack.view(), is_code).registers.has_frame_pointer());
}

TEST_CASE("a scan ends, wherever it begins") {
    Stack stack{64};
    CHECK_FALSE(caller_by_scan(at(low), stack.view(), is_code).is_found);
    stack.put(low + most_scanned, 0x400010);
    CHECK_FALSE(caller_by_scan(at(low), stack.view(), is_code).is_found);
    CHECK(caller_by_scan(at(low + 8), stack.view(), is_code).is_found);
    for (const std::uint64_t pointer :
         {std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{15}, low - 8, low + 64 * 4096, low + 64 * 4096 - 1})
        CHECK_FALSE(caller_by_scan(at(pointer), stack.view(), is_code).is_found);
    CHECK_FALSE(caller_by_scan(at(low), StackView{}, is_code).is_found);
}

TEST_CASE("a stack of nothing but return addresses and frame pointers ends, too") {
    Stack stack;
    for (std::uint64_t at = low; at < low + 4096; at += 16) {
        stack.put(at, at + 16);
        stack.put(at + 8, 0x400010);
    }
    CHECK(steps(with_frame(low, low), stack.view()) == 256);
    for (std::uint64_t at = low; at < low + 4096; at += 8) stack.put(at, 0x400010);
    CHECK(steps(at(low), stack.view()) == 512);
    for (std::uint64_t at = low; at < low + 4096; at += 8) stack.put(at, low);
    CHECK(steps(with_frame(low, low), stack.view()) == 0);
}

TEST_CASE("random stacks: every step leads up") {
    std::uint64_t state = 0x9e3779b97f4a7c15;
    const auto random = [&state] {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    };
    for (int round = 0; round < 200; ++round) {
        Stack stack{2};
        for (std::uint64_t at = low; at < low + 8192; at += 8) {
            const std::uint64_t kinds[] = {random(), low + random() % 8200, 0x400000 + random() % 0x1100, 0};
            stack.put(at, kinds[random() % 4]);
        }
        stack.is_there[1] = round % 3 != 0;
        CHECK(steps(with_frame(low + random() % 8192, low + random() % 8192), stack.view()) <= 1024);
        caller_by_signal_frame(at(low + random() % 8192), stack.view());
    }
}

TEST_CASE("programs of 32 bits, and riscv64, whose frame pointer is behind the frame") {
    std::vector<unsigned char> bytes(4096);
    const std::vector<unsigned char> is_there{1};
    const auto put = [&](std::uint64_t at, std::uint32_t value) { __builtin_memcpy(bytes.data() + at, &value, 4); };
    constexpr std::uint64_t base = 0xffd00000;
    put(0x100, static_cast<std::uint32_t>(base + 0x200));
    put(0x104, 0x400010);
    const StackView view{base, bytes, is_there};
    const Caller caller = caller_by_frame_pointer(with_frame(base, base + 0x100, Abi::i386), view, is_code);
    REQUIRE(caller.is_found);
    CHECK(caller.registers.instruction_pointer == 0x400010);
    CHECK(caller.registers.stack_pointer() == base + 0x108);
    CHECK(caller.registers.frame_pointer() == base + 0x200);
    CHECK(caller_by_scan(at(base, Abi::i386), view, is_code).registers.instruction_pointer == 0x400010);

    Stack stack;
    stack.put(low + 0xf0, low + 0x200);
    stack.put(low + 0xf8, 0x400010);
    const Caller riscv = caller_by_frame_pointer(with_frame(low, low + 0x100, Abi::riscv64), stack.view(), is_code);
    REQUIRE(riscv.is_found);
    CHECK(riscv.registers.stack_pointer() == low + 0x100);
}

TEST_CASE("what the kernel saves for a signal's handler") {
    Stack stack;
    const std::uint64_t context = low + 0x100;
    for (int i = 0; i < 17; ++i) stack.put(context + 40 + 8 * static_cast<unsigned>(i), 100 + static_cast<unsigned>(i));
    stack.put(context + 40 + 8 * 15, low + 0x800);  // rsp
    stack.put(context + 40 + 8 * 16, 0x400033);     // rip
    const Caller caller = caller_by_signal_frame(at(context), stack.view());
    REQUIRE(caller.is_found);
    CHECK(caller.found == Found::signal_frame);
    CHECK(caller.registers.instruction_pointer == 0x400033);
    CHECK(caller.registers.stack_pointer() == low + 0x800);
    CHECK(caller.registers.frame_pointer() == 110);
    stack.put(context + 40 + 8 * 15, low);  // below itself
    CHECK_FALSE(caller_by_signal_frame(at(context), stack.view()).is_found);
    CHECK_FALSE(caller_by_signal_frame(at(context, Abi::aarch64), stack.view()).is_found);
    CHECK_FALSE(caller_by_signal_frame(at(low + 4000), stack.view()).is_found);
}
