// expect: no pointers, and nothing that could hold one
#include <sysguard/sandbox.hpp>

#include <system_error>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

int main() {
    const sg::Sandbox box{sg::Policy{Rule<SYS_read>{arg::fd == 0}.allow(), sg::otherwise.kill()}};
    struct Answer {
#ifdef SYSGUARD_CONTROL
        int code;
#else
        std::error_code code;
#endif
        int count;
    };
    return static_cast<bool>(box.call([] { return Answer{}; }));
}
