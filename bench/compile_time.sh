#!/bin/sh
# What including sysguard costs a translation unit, and what a constant policy of 30 rules adds, as ratios to six headers
# of the standard library in the same run: in instructions that the compiler executes, which nothing else on the machine
# changes (counted by valgrind); and in processor time, of which the least of several compilations by turns counts.
#
#     bench/compile_time.sh [COMPILER] [RUNS]
#
# Fails where a ratio of instructions is above its limit.
set -eu
compiler=${1:-g++}
runs=${2:-5}
include=$(cd "$(dirname "$0")/../include" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat > "$work/standard.cpp" <<'EOF'
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>
EOF

echo '#include <sysguard/sandbox.hpp>' > "$work/sandbox.cpp"

cat > "$work/policy.cpp" <<'EOF'
#include <sysguard/sandbox.hpp>

#include <cerrno>

#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Rule;

constexpr sg::Policy policy{
    sg::preset::cpp_runtime,
    sg::allow<SYS_getrandom, SYS_clock_nanosleep>,
    Rule<SYS_socket>{arg::domain == AF_INET && arg::type != SOCK_RAW}.allow(),
    Rule<SYS_socket>{arg::domain == AF_UNIX}.allow(),
    Rule<SYS_socketpair>{arg::domain == AF_UNIX}.allow(),
    Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM),
    Rule<SYS_fchmod>{(arg::mode & 07002) != 0}.deny(EPERM),
    Rule<SYS_setsockopt>{arg::level == SOL_SOCKET}.allow(),
    Rule<SYS_getsockopt>{arg::level.in(SOL_SOCKET, 6, 17)}.allow(),
    Rule<SYS_prctl>{arg::option.in(PR_SET_NAME, PR_GET_NAME)}.allow(),
    Rule<SYS_fcntl>{arg::cmd.in(F_GETFL, F_SETFL, F_GETFD, F_SETFD)}.allow(),
    Rule<SYS_kill>{arg::pid > 0 && arg::sig == 0}.allow(),
    Rule<SYS_kill>{arg::sig == 9}.deny(EPERM),
    Rule<SYS_tgkill>{arg::sig == 6}.allow(),
    Rule<SYS_sched_setscheduler>{arg::policy == 0}.allow(),
    Rule<SYS_setpriority>{arg::prio.between(0, 19)}.allow(),
    Rule<SYS_fallocate>{arg::len <= 1 << 20}.allow(),
    Rule<SYS_ftruncate>{arg::length <= 1 << 20}.allow(),
    Rule<SYS_shmget>{arg::size < 1 << 24}.allow(),
    Rule<SYS_sendto>{arg::addrlen == 0}.allow(),
    Rule<SYS_recvfrom>{(arg::flags & ~(MSG_PEEK | MSG_DONTWAIT)) == 0}.allow(),
    Rule<SYS_accept4>{(arg::flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == 0}.allow(),
    Rule<SYS_pipe2>{(arg::flags & ~(O_CLOEXEC | O_NONBLOCK)) == 0}.allow(),
    Rule<SYS_dup3>{arg::newfd > 2}.allow(),
    Rule<SYS_umask>{arg::mask == 077}.allow(),
    Rule<SYS_memfd_create>{arg::flags == 1}.allow(),
    Rule<SYS_getpriority>{arg::which == 0 || arg::who == 0}.allow(),
    Rule<SYS_flock>{!(arg::operation == 2) && arg::fd > 2}.allow(),
    Rule<SYS_personality>{arg::persona.in(0, 8, 0x20000, 0x20008, 0xffffffff)}.allow(),
    Rule<SYS_clone3>{}.deny(ENOSYS),
    Rule<SYS_mkdirat>{(arg::mode & 01000) == 0}.allow(),
    sg::otherwise.kill(),
};
static_assert(policy.decide<SYS_kill>(1, 0) == sg::Action::allow);
EOF

compile() { # the processor time of one compilation, in milliseconds
    { LC_ALL=C TIMEFORMAT='%U %S'; export TIMEFORMAT
      bash -c "time $compiler -std=c++20 -O0 -I'$include' -c '$work/$1.cpp' -o '$work/out.o'"; } 2>&1 |
        awk '{ printf "%d\n", ($1 + $2) * 1000 }'
}

for unit in standard sandbox policy; do compile $unit > /dev/null; done
for run in $(seq "$runs"); do
    for unit in standard sandbox policy; do compile $unit >> "$work/$unit.times"; done
done

instructions() { # of the compiler proper, the largest of its processes
    valgrind --trace-children=yes --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
        "$compiler" -std=c++20 -O0 -I"$include" -S "$work/$1.cpp" -o "$work/$1.s" 2>&1 |
        sed -n 's/.*I *refs: *//p' | tr -d , | sort -n | tail -n 1 > "$work/$1.count"
}
for unit in standard sandbox policy; do instructions $unit & done
wait

least() { sort -n "$work/$1.times" | head -n 1; }
standard=$(least standard)
sandbox=$(least sandbox)
policy=$(least policy)

"$compiler" --version | head -n 1
awk -v s="$standard" -v b="$sandbox" -v p="$policy" -v si="$(cat "$work/standard.count")" \
    -v bi="$(cat "$work/sandbox.count")" -v pi="$(cat "$work/policy.count")" 'BEGIN {
    printf "six headers of the standard library   %5d M instructions          %5d ms\n", si / 1e6, s
    printf "<sysguard/sandbox.hpp>                %5d M instructions  %.2f x  %5d ms  %.2f x (at most 1.5)\n",
        bi / 1e6, bi / si, b, b / s
    printf "a constant policy of 30 rules       + %5d M instructions  %.2f x  %5d ms  %.2f x of the include (at most 1.0)\n",
        (pi - bi) / 1e6, (pi - bi) / bi, p - b, (p - b) / b
    exit !(si > 0 && bi > si && pi > bi) || bi > 1.5 * si || pi - bi > bi
}'
