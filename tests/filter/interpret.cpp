#include <sysguard/abi/architecture.hpp>
#include <sysguard/filter/disassemble.hpp>
#include <sysguard/filter/interpret.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/filter.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/environment.hpp"
#include "support/kernel_judge.hpp"
#include "support/random_program.hpp"

namespace abi = sysguard::abi;
namespace filter = sysguard::filter;

namespace {

using support::Code;

constexpr std::uint16_t load_argument = BPF_LD | BPF_W | BPF_ABS;

using support::view;

std::uint32_t run(const Code& code, const seccomp_data& data = {}) {
    const filter::Verdict verdict = filter::interpret(view(code), data);
    CHECK(verdict.valid);
    return verdict.value;
}

/// The accumulator after `code`.
std::uint32_t result(Code code) {
    code.push_back({BPF_RET | BPF_A, 0, 0, 0});
    return run(code);
}

constexpr sock_filter load(std::uint32_t k) {
    return {BPF_LD | BPF_IMM, 0, 0, k};
}
constexpr sock_filter load_x(std::uint32_t k) {
    return {BPF_LDX | BPF_IMM, 0, 0, k};
}
constexpr sock_filter ret(std::uint32_t k) {
    return {BPF_RET | BPF_K, 0, 0, k};
}

}  // namespace

TEST_CASE("arithmetic") {
    const auto alu = [](unsigned operation, std::uint32_t a, std::uint32_t b) {
        const std::uint32_t by_constant =
            result({load(a), {static_cast<std::uint16_t>(BPF_ALU | operation | BPF_K), 0, 0, b}});
        const std::uint32_t by_x =
            result({load(a), load_x(b), {static_cast<std::uint16_t>(BPF_ALU | operation | BPF_X), 0, 0, 0}});
        CHECK(by_constant == by_x);
        return by_constant;
    };
    CHECK(alu(BPF_ADD, 0xffffffff, 2) == 1);
    CHECK(alu(BPF_SUB, 1, 2) == 0xffffffff);
    CHECK(alu(BPF_MUL, 0x10000, 0x10001) == 0x10000);
    CHECK(alu(BPF_DIV, 7, 2) == 3);
    CHECK(alu(BPF_AND, 0xff0, 0x1f8) == 0x1f0);
    CHECK(alu(BPF_OR, 0xf0, 0x0f) == 0xff);
    CHECK(alu(BPF_XOR, 0xff, 0x0f) == 0xf0);
    CHECK(alu(BPF_LSH, 1, 31) == 0x80000000);
    CHECK(alu(BPF_RSH, 0x80000000, 31) == 1);
    CHECK(result({load(5), {BPF_ALU | BPF_NEG, 0, 0, 0}}) == 0xfffffffb);
}

TEST_CASE("a division by zero ends the program with 0") {
    CHECK(run({load(5), load_x(0), {BPF_ALU | BPF_DIV | BPF_X, 0, 0, 0}, ret(7)}) == 0);
}

TEST_CASE("jumps") {
    const auto jumps = [](unsigned operation, std::uint32_t a, std::uint32_t b) {
        return run({load(a), {static_cast<std::uint16_t>(BPF_JMP | operation | BPF_K), 1, 0, b}, ret(0), ret(1)}) == 1;
    };
    CHECK(jumps(BPF_JEQ, 5, 5));
    CHECK_FALSE(jumps(BPF_JEQ, 5, 6));
    CHECK(jumps(BPF_JGE, 0x80000000, 0x7fffffff));
    CHECK(jumps(BPF_JGE, 5, 5));
    CHECK_FALSE(jumps(BPF_JGT, 5, 5));
    CHECK(jumps(BPF_JGT, 0xffffffff, 0));
    CHECK(jumps(BPF_JSET, 6, 2));
    CHECK_FALSE(jumps(BPF_JSET, 6, 1));
    CHECK(run({{BPF_JMP | BPF_JA, 0, 0, 1}, ret(0), ret(1)}) == 1);
    CHECK(run({load(9), load_x(9), {BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0}, ret(3), ret(4)}) == 3);
}

TEST_CASE("memory and registers") {
    CHECK(result({load(5), {BPF_ST, 0, 0, 15}, load(0), {BPF_LD | BPF_MEM, 0, 0, 15}}) == 5);
    CHECK(result({load_x(6), {BPF_STX, 0, 0, 3}, {BPF_LD | BPF_MEM, 0, 0, 3}}) == 6);
    CHECK(result({load(7), {BPF_ST, 0, 0, 0}, {BPF_LDX | BPF_MEM, 0, 0, 0}, load(0), {BPF_MISC | BPF_TXA, 0, 0, 0}}) ==
          7);
    CHECK(result({load(8), {BPF_MISC | BPF_TAX, 0, 0, 0}, load(0), {BPF_MISC | BPF_TXA, 0, 0, 0}}) == 8);
    CHECK(result({{BPF_LD | BPF_W | BPF_LEN, 0, 0, 0}}) == sizeof(seccomp_data));
    CHECK(result({{BPF_LDX | BPF_W | BPF_LEN, 0, 0, 0}, {BPF_MISC | BPF_TXA, 0, 0, 0}}) == sizeof(seccomp_data));
}

TEST_CASE("every word of a call") {
    seccomp_data data{};
    data.nr = 0x01020304;
    data.arch = 0x05060708;
    data.instruction_pointer = 0x1112131415161718;
    for (unsigned i = 0; i < 6; ++i) data.args[i] = (0x2122232400000000ULL | i) << 1;
    const auto word = [&](std::uint32_t offset) {
        return run({{load_argument, 0, 0, offset}, {BPF_RET | BPF_A, 0, 0, 0}}, data);
    };
    CHECK(word(0) == 0x01020304);
    CHECK(word(4) == 0x05060708);
    CHECK(word(8) == 0x15161718);
    CHECK(word(12) == 0x11121314);
    for (std::uint32_t i = 0; i < 6; ++i) {
        CHECK(word(16 + 8 * i) == static_cast<std::uint32_t>(data.args[i]));
        CHECK(word(20 + 8 * i) == static_cast<std::uint32_t>(data.args[i] >> 32));
    }
}

TEST_CASE("instructions are counted, and loads of more than the number are seen") {
    const Code code{{load_argument, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 5}, {load_argument, 0, 0, 16}, ret(1)};
    seccomp_data data{};
    CHECK(filter::interpret(view(code), data).instructions == 3);
    CHECK(filter::interpret(view(code), data).only_number);
    data.nr = 5;
    CHECK(filter::interpret(view(code), data).instructions == 4);
    CHECK_FALSE(filter::interpret(view(code), data).only_number);
}

TEST_CASE("what is no program is not run") {
    CHECK_FALSE(filter::interpret({nullptr, 0}, {}).valid);
    CHECK_FALSE(filter::interpret(view({load(1)}), {}).valid);
    CHECK_FALSE(filter::interpret(view({{BPF_JMP | BPF_JA, 0, 0, 0}}), {}).valid);
    CHECK_FALSE(filter::interpret(view({{BPF_JMP | BPF_JA, 0, 0, 0xffffffff}, ret(0)}), {}).valid);
    CHECK_FALSE(filter::interpret(view({{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0}, ret(0)}), {}).valid);
    CHECK_FALSE(filter::interpret(view({{BPF_LD | BPF_MEM, 0, 0, 0}, ret(0)}), {}).valid);
    CHECK_FALSE(filter::interpret(view(Code(filter::max_instructions + 1, ret(0))), {}).valid);
    CHECK(filter::interpret(view(Code(filter::max_instructions, ret(0))), {}).valid);
}

TEST_CASE("live: what the kernel takes as a filter, and what it does not") {
    // Every opcode, with constants around every bound, in a program that would do no harm if it were taken.
    static constexpr std::uint32_t constants[] = {0,  1,  3,  4,  15,         16,         31,
                                                  32, 60, 63, 64, 0x7fff0000, 0x80000000, 0xffffffff};
    constexpr std::size_t codes = 0x200;
    struct Taken {
        bool by_kernel[codes][std::size(constants)][2];
    };
    auto* const taken =
        static_cast<Taken*>(::mmap(nullptr, sizeof(Taken), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const auto program = [&](std::size_t code, std::size_t constant, std::uint8_t jump) {
        return Code{load(SECCOMP_RET_ALLOW), load_x(1),
                    {BPF_ST, 0, 0, 0},       {BPF_STX, 0, 0, 3},
                    {BPF_STX, 0, 0, 15},     {static_cast<std::uint16_t>(code), jump, 0, constants[constant]},
                    ret(SECCOMP_RET_ALLOW)};
    };
    constexpr std::size_t codes_in_one_child = 16;  // a process takes only so many filters
    for (std::size_t first = 0; first < codes; first += codes_in_one_child) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            for (std::size_t code = first; code < first + codes_in_one_child; ++code)
                for (std::size_t constant = 0; constant < std::size(constants); ++constant)
                    for (std::uint8_t jump = 0; jump < 2; ++jump) {
                        // A return of something else than "allow" would be the end of this process.
                        if (code == (BPF_RET | BPF_K) && constants[constant] != SECCOMP_RET_ALLOW) continue;
                        Code instructions = program(code, constant, jump);
                        const sock_fprog filter{static_cast<unsigned short>(instructions.size()), instructions.data()};
                        taken->by_kernel[code][constant][jump] =
                            ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
                    }
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        REQUIRE(status == 0);
    }
    int accepted = 0;
    for (std::size_t code = 0; code < codes; ++code)
        for (std::size_t constant = 0; constant < std::size(constants); ++constant)
            for (std::uint8_t jump = 0; jump < 2; ++jump) {
                if (code == (BPF_RET | BPF_K) && constants[constant] != SECCOMP_RET_ALLOW) continue;
                const Code instructions = program(code, constant, jump);
                CAPTURE(code);
                CAPTURE(constants[constant]);
                CAPTURE(static_cast<int>(jump));
                CHECK(filter::is_valid(view(instructions)) == taken->by_kernel[code][constant][jump]);
                accepted += taken->by_kernel[code][constant][jump];
            }
    CHECK(accepted > 400);
    ::munmap(taken, sizeof(Taken));
}

TEST_CASE("live: how long a program may be") {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, filter::max_instructions, filter::max_instructions + 1}) {
        const Code code(size, ret(SECCOMP_RET_ALLOW));
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            const sock_fprog program{static_cast<unsigned short>(size), const_cast<sock_filter*>(code.data())};
            ::_exit(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 1 : 0);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        CAPTURE(size);
        REQUIRE(WIFEXITED(status));
        CHECK((WEXITSTATUS(status) == 1) == filter::is_valid(view(code)));
    }
}

TEST_CASE("live: random programs come to what the kernel comes to") {
    const support::KernelJudge kernel;
    const std::uint64_t seed = support::first_seed();
    const std::uint64_t rounds = support::rounds(1500);
    std::size_t probes = 0;
    std::size_t divisions_by_zero = 0;
    std::size_t disagreements = 0;
    for (std::uint64_t round = 0; round < rounds && disagreements == 0; ++round) {
        support::RandomProgram random{support::Choices{seed + round}};
        const Code code = random.make();
        REQUIRE(filter::is_valid(view(code)));
        const Code whole = support::KernelJudge::only_here(code);
        std::vector<seccomp_data> inputs;
        std::vector<seccomp_data> deadly;
        for (int i = 0; i < 40; ++i) {
            const seccomp_data input = random.input(abi::audit_architecture(abi::native_abi));
            if (!support::KernelJudge::decides(input)) continue;
            (filter::interpret(view(code), input).value == 0 ? deadly : inputs).push_back(input);
        }
        const std::vector<long> answers = kernel.answers(whole, inputs);
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const std::uint32_t value = filter::interpret(view(code), inputs[i]).value;
            const bool same = static_cast<long>(value & SECCOMP_RET_DATA) == -answers[i];
            if (!same)
                MESSAGE("seed " << seed + round << ", " << support::text(inputs[i]) << ": " << support::hex(value)
                                << ", and live " << answers[i] << ":\n"
                                << filter::disassemble(view(code)));
            disagreements += !same;
            ++probes;
        }
        if (deadly.empty()) continue;
        ++divisions_by_zero;
        CAPTURE(seed + round);
        CHECK(kernel.signal_of(whole, deadly[0]) == SIGSYS);
    }
    MESSAGE(rounds << " programs from seed " << seed << "; calls on which interpreter and live kernel agree: "
                   << probes - disagreements << "; " << divisions_by_zero << " programs divide by zero");
    CHECK(disagreements == 0);
    CHECK(probes > rounds * 20);
    CHECK(divisions_by_zero > rounds / 100);
}

TEST_CASE("live: the kernel takes of random programs what counts as valid, and nothing else") {
    struct Taken {
        bool by_kernel[64];
    };
    const support::Shared<Taken> taken;
    const std::uint64_t seed = support::first_seed();
    const std::uint64_t rounds = support::rounds(400);
    std::size_t valid = 0;
    std::size_t disagreements = 0;
    for (std::uint64_t round = 0; round < rounds && disagreements == 0; ++round) {
        support::RandomProgram random{support::Choices{seed + round}};
        std::vector<Code> programs(std::size(taken->by_kernel));
        for (Code& code : programs) code = support::KernelJudge::only_here(random.make_doubtful());
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            for (std::size_t i = 0; i < programs.size(); ++i) {
                const sock_fprog filter{static_cast<unsigned short>(programs[i].size()), programs[i].data()};
                taken->by_kernel[i] = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
            }
            ::_exit(0);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        REQUIRE(status == 0);
        for (std::size_t i = 0; i < programs.size(); ++i) {
            const bool says = filter::is_valid(view(programs[i]));
            if (says != taken->by_kernel[i])
                MESSAGE("seed " << seed + round << ", the kernel says " << taken->by_kernel[i] << ":\n"
                                << filter::disassemble(view(programs[i])));
            disagreements += says != taken->by_kernel[i];
            valid += says;
        }
    }
    const std::size_t programs = rounds * std::size(taken->by_kernel);
    MESSAGE(programs << " programs from seed " << seed << ", " << valid << " of them valid");
    CHECK(disagreements == 0);
    CHECK(valid > programs / 20);
    CHECK(valid < programs / 2);
}
