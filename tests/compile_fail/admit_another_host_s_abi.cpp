// expect: a policy can admit the calls of 32-bit programs
#include <sysguard/foreign.hpp>

namespace sg = sysguard;

constexpr sg::Policy policy {
#if defined(SYSGUARD_CONTROL) == defined(__x86_64__)
    sg::admit<sg::Abi::i386>,
#else
    sg::admit<sg::Abi::arm>,
#endif
        sg::otherwise.kill(),
};

int main() {
    return static_cast<int>(policy.program().size);
}
