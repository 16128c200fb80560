#include <sysguard/supervise/stack/code.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

using sysguard::abi::Abi;
using sysguard::supervise::call_before;
using sysguard::supervise::CallInstruction;
using sysguard::supervise::most_call_bytes;

namespace {

/// The instruction that ends at 0x1000, with what cannot be a call before it.
CallInstruction before(Abi abi, std::vector<unsigned char> code) {
    code.insert(code.begin(), most_call_bytes, 0x90);
    return call_before(abi, code.data() + code.size(), 0x1000);
}

}  // namespace

TEST_CASE("calls of x86_64, each form of them, and where the direct one leads") {
    const CallInstruction direct = before(Abi::x86_64, {0xe8, 0xfb, 0xff, 0xff, 0xff});
    CHECK(direct.is_one);
    CHECK(direct.is_direct);
    CHECK(direct.target == 0xffb);
    const std::vector<std::vector<unsigned char>> indirect{
        {0xff, 0xd0},                                // call *%rax
        {0x41, 0xff, 0xd4},                          // call *%r12
        {0xff, 0x10},                                // call *(%rax)
        {0xff, 0x50, 0x08},                          // call *8(%rax)
        {0xff, 0x90, 0x00, 0x01, 0x00, 0x00},        // call *0x100(%rax)
        {0xff, 0x15, 0x00, 0x01, 0x00, 0x00},        // call *0x100(%rip)
        {0xff, 0x14, 0xd8},                          // call *(%rax,%rbx,8)
        {0xff, 0x54, 0xd8, 0x08},                    // call *8(%rax,%rbx,8)
        {0xff, 0x94, 0xd8, 0x00, 0x01, 0x00, 0x00},  // call *0x100(%rax,%rbx,8)
        {0xff, 0x14, 0xc5, 0x00, 0x01, 0x00, 0x00},  // call *0x100(,%rax,8)
    };
    for (const auto& code : indirect) {
        CAPTURE(code.size());
        CHECK(before(Abi::x86_64, code).is_one);
        CHECK_FALSE(before(Abi::x86_64, code).is_direct);
        CHECK(before(Abi::i386, code).is_one);
    }
}

TEST_CASE("what is no call is none") {
    const std::vector<std::vector<unsigned char>> others{
        {0xff, 0xe0},                    // jmp *%rax
        {0xff, 0x30},                    // push (%rax)
        {0xe9, 0x00, 0x00, 0x00, 0x00},  // jmp
        {0x0f, 0x05},                    // syscall
        {0xc3},
        {0xff, 0x15, 0x00, 0x01, 0x00},  // cut
    };
    for (const auto& code : others) {
        CAPTURE(code.size());
        CHECK_FALSE(before(Abi::x86_64, code).is_one);
    }
}

TEST_CASE("on 32 bits a target stays below 4 GiB") {
    const CallInstruction call = before(Abi::i386, {0xe8, 0x00, 0x00, 0x00, 0xf0});
    CHECK(call.target == 0xf0001000);
}

TEST_CASE("calls of aarch64 and riscv64") {
    const CallInstruction direct = before(Abi::aarch64, {0xff, 0xff, 0xff, 0x97});  // bl .-4
    CHECK(direct.is_one);
    CHECK(direct.target == 0xff8);
    CHECK(before(Abi::aarch64, {0x00, 0x00, 0x3f, 0xd6}).is_one);        // blr x0
    CHECK(before(Abi::aarch64, {0x1f, 0x08, 0x3f, 0xd6}).is_one);        // blraaz x0
    CHECK_FALSE(before(Abi::aarch64, {0x00, 0x00, 0x1f, 0xd6}).is_one);  // br x0
    CHECK_FALSE(before(Abi::aarch64, {0xff, 0xff, 0xff, 0x17}).is_one);  // b
    CHECK_FALSE(before(Abi::aarch64, {0x01, 0x00, 0x00, 0xd4}).is_one);  // svc
    CHECK(before(Abi::riscv64, {0xef, 0x00, 0x00, 0x00}).is_one);        // jal ra
    CHECK(before(Abi::riscv64, {0xe7, 0x80, 0x07, 0x00}).is_one);        // jalr a5
    CHECK(before(Abi::riscv64, {0x01, 0x00, 0x82, 0x97}).is_one);        // c.jalr a5
    CHECK_FALSE(before(Abi::riscv64, {0x67, 0x80, 0x00, 0x00}).is_one);  // ret
    CHECK_FALSE(before(Abi::riscv64, {0x01, 0x00, 0x82, 0x80}).is_one);  // c.ret
    CHECK_FALSE(before(Abi::riscv64, {0x73, 0x00, 0x00, 0x00}).is_one);  // ecall
}

TEST_CASE("a real return address lies behind a call, in code of this compiler") {
    std::uint64_t address = 0;
    const auto look = [&address]() __attribute__((noinline)) {
        address = reinterpret_cast<std::uint64_t>(__builtin_return_address(0));
    };
    look();
    CHECK(call_before(sysguard::abi::native_abi, reinterpret_cast<const unsigned char*>(address), address).is_one);
}
