// expect: a policy can admit the calls of 32-bit programs
#include <sysguard/foreign.hpp>

namespace sg = sysguard;

constexpr sg::Policy policy {
#if !defined(SYSGUARD_CONTROL)
    sg::admit<sg::Abi::riscv64>,
#else
    sg::admit<sg::abi::compat_abi>,
#endif
        sg::otherwise.kill(),
};

int main() {
    return static_cast<int>(policy.program().size);
}
