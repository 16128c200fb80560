#include <sysguard/abi/architecture.hpp>

#include <doctest/doctest.h>

#include <cstring>

#include <linux/audit.h>

namespace abi = sysguard::abi;

TEST_CASE("audit architectures are those of <linux/audit.h>") {
    CHECK(abi::audit_architecture(abi::Abi::x86_64) == AUDIT_ARCH_X86_64);
    CHECK(abi::audit_architecture(abi::Abi::i386) == AUDIT_ARCH_I386);
    CHECK(abi::audit_architecture(abi::Abi::aarch64) == AUDIT_ARCH_AARCH64);
    CHECK(abi::audit_architecture(abi::Abi::riscv64) == AUDIT_ARCH_RISCV64);
}

TEST_CASE("each ABI has its name") {
    CHECK(std::strcmp(abi::name(abi::Abi::x86_64), "x86_64") == 0);
    CHECK(std::strcmp(abi::name(abi::Abi::i386), "i386") == 0);
    CHECK(std::strcmp(abi::name(abi::Abi::aarch64), "aarch64") == 0);
    CHECK(std::strcmp(abi::name(abi::Abi::riscv64), "riscv64") == 0);
}

TEST_CASE("the native ABI is the compiler's") {
#if defined(__x86_64__)
    CHECK(abi::native_abi == abi::Abi::x86_64);
#else
    CHECK(abi::native_abi == abi::Abi::aarch64);
#endif
}
