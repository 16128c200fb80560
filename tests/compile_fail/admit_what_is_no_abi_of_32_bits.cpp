// expect: a policy can admit the calls of 32-bit programs
#include <sysguard/foreign.hpp>

namespace sg = sysguard;

constexpr sg::Policy policy {
#if !defined(SYSGUARD_CONTROL)
    sg::admit<sg::Abi::riscv64>,
#elif defined(__x86_64__)
    sg::admit<sg::Abi::i386>,
#endif
        sg::otherwise.kill(),
};

int main() {
    return static_cast<int>(policy.program().size);
}
