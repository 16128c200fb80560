// expect: no pointers, and nothing that could hold one
#include <sysguard/sandbox.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

int main() {
    const sg::Sandbox box{sg::Policy{Rule<SYS_read>{arg::fd == 0}.allow(), sg::otherwise.kill()}};
#ifdef SYSGUARD_CONTROL
    return static_cast<bool>(box.call([] { return 1; }));
#else
    return static_cast<bool>(box.call([] { return "text"; }));
#endif
}
