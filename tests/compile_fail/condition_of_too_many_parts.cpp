// expect: condition_has_more_parts_than_one_rule_holds
#include <sysguard/policy.hpp>

#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
#ifdef SYSGUARD_CONTROL
    Rule<SYS_read>{arg::fd == 0 || arg::fd == 2 || arg::fd == 4 || arg::fd == 6 || arg::fd == 8 || arg::fd == 10 ||
                   arg::fd == 12 || arg::fd == 14 || arg::fd == 16 || arg::fd == 18 || arg::fd == 20 || arg::fd == 22 ||
                   arg::fd == 24 || arg::fd == 26 || arg::fd == 28 || arg::fd == 30 || arg::fd == 32 || arg::fd == 34 ||
                   arg::fd == 36 || arg::fd == 38}
        .allow(),
    sg::otherwise.kill(),
#else
    Rule<SYS_read>{arg::fd == 0 || arg::fd == 2 || arg::fd == 4 || arg::fd == 6 || arg::fd == 8 || arg::fd == 10 ||
                   arg::fd == 12 || arg::fd == 14 || arg::fd == 16 || arg::fd == 18 || arg::fd == 20 || arg::fd == 22 ||
                   arg::fd == 24 || arg::fd == 26 || arg::fd == 28 || arg::fd == 30 || arg::fd == 32 || arg::fd == 34 ||
                   arg::fd == 36 || arg::fd == 38 || arg::fd == 40 || arg::fd == 42 || arg::fd == 44 || arg::fd == 46 ||
                   arg::fd == 48 || arg::fd == 50 || arg::fd == 52 || arg::fd == 54 || arg::fd == 56 || arg::fd == 58 ||
                   arg::fd == 60 || arg::fd == 62 || arg::fd == 64 || arg::fd == 66 || arg::fd == 68 || arg::fd == 70 ||
                   arg::fd == 72 || arg::fd == 74 || arg::fd == 76 || arg::fd == 78}
        .allow(),
    sg::otherwise.kill(),
#endif
};

int main() {
    return static_cast<int>(policy.program().size);
}
