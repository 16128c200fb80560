// expect: bit-field
#include <sysguard/sandbox.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

struct Flags {
    unsigned one : 1;
    unsigned other : 2;
};

#ifdef SYSGUARD_CONTROL
template <>
inline constexpr bool sysguard::process::holds_no_pointers<Flags> = true;
#endif

int main() {
    const sg::Sandbox box{sg::Policy{Rule<SYS_read>{arg::fd == 0}.allow(), sg::otherwise.kill()}};
    return static_cast<bool>(box.call([] { return Flags{1, 2}; }));
}
