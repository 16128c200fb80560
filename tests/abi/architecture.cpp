#include <sysguard/abi/architecture.hpp>

#include <doctest/doctest.h>

#include <cstring>

#include <linux/audit.h>

namespace abi = sysguard::abi;

TEST_CASE("audit architectures are those of <linux/audit.h>") {
    CHECK(abi::audit_architecture(abi::Abi::x86_64) == AUDIT_ARCH_X86_64);
    CHECK(abi::audit_architecture(abi::Abi::i386) == AUDIT_ARCH_I386);
    CHECK(abi::audit_architecture(abi::Abi::aarch64) == AUDIT_ARCH_AARCH64);
    CHECK(abi::audit_architecture(abi::Abi::arm) == AUDIT_ARCH_ARM);
    CHECK(abi::audit_architecture(abi::Abi::riscv64) == AUDIT_ARCH_RISCV64);
}

TEST_CASE("each ABI has its name") {
    CHECK(std::strcmp(abi::name(abi::Abi::x86_64), "x86_64") == 0);
    CHECK(std::strcmp(abi::name(abi::Abi::i386), "i386") == 0);
    CHECK(std::strcmp(abi::name(abi::Abi::aarch64), "aarch64") == 0);
    CHECK(std::strcmp(abi::name(abi::Abi::arm), "arm") == 0);
    CHECK(std::strcmp(abi::name(abi::Abi::riscv64), "riscv64") == 0);
}

TEST_CASE("the native ABI is the compiler's") {
#if defined(__x86_64__)
    CHECK(abi::native_abi == abi::Abi::x86_64);
    CHECK(abi::compat_abi == abi::Abi::i386);
#else
    CHECK(abi::native_abi == abi::Abi::aarch64);
    CHECK(abi::compat_abi == abi::Abi::arm);
#endif
}

TEST_CASE("32-bit ABIs have a host, all others are their own") {
    CHECK(abi::host_of(abi::Abi::i386) == abi::Abi::x86_64);
    CHECK(abi::host_of(abi::Abi::arm) == abi::Abi::aarch64);
    for (const abi::Abi own : abi::all_abis)
        if (own != abi::Abi::i386 && own != abi::Abi::arm) CHECK(abi::host_of(own) == own);
    CHECK(abi::host_of(abi::compat_abi) == abi::native_abi);
}

TEST_CASE("all ABIs are listed, in the order of their numbers") {
    static_assert(sizeof abi::all_abis / sizeof abi::all_abis[0] == abi::abi_count);
    for (int i = 0; i < abi::abi_count; ++i) CHECK(static_cast<int>(abi::all_abis[i]) == i);
}
