// expect: value_of_a_call_that_the_host_never_answers
#include <sysguard/sandbox.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
using sg::Rule;

#ifdef SYSGUARD_CONTROL
constexpr sg::Policy policy{Rule<SYS_close>{}.fake(0), Rule<SYS_dup>{}.fake(7), sg::otherwise.kill()};
#else
constexpr sg::Policy policy{Rule<SYS_close>{}.fake(7), Rule<SYS_dup>{}.fake(7), sg::otherwise.kill()};
#endif
