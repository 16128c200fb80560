// expect: explain() and disassemble() are in a header of their own: #include <sysguard/explain.hpp>
#include <sysguard/policy.hpp>
#ifdef SYSGUARD_CONTROL
#include <sysguard/explain.hpp>
#endif

#include <string>

#include <sys/syscall.h>

namespace sg = sysguard;

constexpr sg::Policy policy{sg::allow<SYS_read>, sg::otherwise.kill()};

int main() {
    const std::string text = policy.explain();
    return text.empty() ? 1 : 0;
}
