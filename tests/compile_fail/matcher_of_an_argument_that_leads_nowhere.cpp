// expect: this argument leads to something else
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_mmap>{arg::flags == 0}.allow(), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_mmap>{arg::flags.under("/usr")}.allow(), sg::otherwise.kill()};
#endif
