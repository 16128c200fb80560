#!/bin/sh
# Traces as a person would, and looks at what is written.
set -eu
trace=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out="$work/out"

fail() {
    printf '%s\n' "$1"
    cat "$out"
    exit 1
}
has() { grep -qE "$1" "$out" || fail "nowhere is: $1"; }
has_not() { if grep -qE "$1" "$out"; then fail "there is: $1"; fi; }

for wrong in "-e nonsense /bin/true" "-p 1 /bin/true" "-p x" "-n -p 1" "-z" ""; do
    # shellcheck disable=SC2086
    if "$trace" $wrong 2> "$out"; then fail "takes: $wrong"; fi
    has '^trace: '
done

if ! "$trace" -o "$out" /bin/true 2> "$work/error" && grep -q 'ptrace(2)' "$work/error"; then
    echo "[skipped] this machine lets nobody trace: ptrace(2) is refused"
    exit 0
fi
has '^execve\("/bin/true", \["/bin/true"\], 0x[0-9a-f]+ /\* [0-9]+ vars \*/\) = 0$'
has '^exit_group\(0\) {27}= \?$'
has '^\+\+\+ exited with 0 \+\+\+$'

code=0
"$trace" -f -y -e trace=%file,exit_group -o "$out" /bin/sh -c 'cat < /nowhere; (exit 3)' 2> /dev/null || code=$?
[ "$code" -eq 3 ] || fail "ends with $code, not with what the program does"
has 'openat\(AT_FDCWD<[^>]*>, "/nowhere", O_RDONLY\) = -1 ENOENT \(No such file or directory\)$'
has_not 'mmap\('

"$trace" -c -f -o "$out" /bin/sh -c 'true; /bin/true'
has '^% time +seconds +usecs/call +calls +errors syscall$'
has ' execve$'
has ' total$'

"$trace" -j -e openat -o "$out" /bin/true
has '^\{"time":[0-9]+\.[0-9]{9},"pid":[0-9]+,"thread":[0-9]+,"call":"openat","arguments":\[\{"name":"dirfd",.*\],"result":3\}$'

"$trace" -n -e openat -o "$out" /bin/true
has 'openat\(AT_FDCWD, "/[^"]*", O_RDONLY\|O_CLOEXEC\)$'

if [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2> /dev/null || echo 0)" -gt 0 ] && [ "$(id -u)" -ne 0 ]; then exit 0; fi
: > "$out"
sh -c 'while [ -d "$0" ]; do umask 22; sleep 0.02; done' "$work" &
process=$!
"$trace" -e umask -p "$process" -o "$out" 2> /dev/null &
tracer=$!
for _ in $(seq 600); do
    if grep -q "^umask.* = " "$out"; then break; fi
    sleep 0.05
done
kill -TERM "$tracer"
wait "$tracer" || fail "does not end well"
has '^umask\(022\) += 0'
grep -q "^TracerPid:	0$" "/proc/$process/status" || fail "the process is still traced"
rm -rf "$work"
wait "$process" || fail "the process did not go on unharmed"
