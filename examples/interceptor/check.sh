#!/bin/sh
# Gives the interceptor orders as a person would, while a shell that ran before makes calls, until its directory is gone.
set -eu
interceptor=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    printf '%s\n' "$1"
    cat "$work/said"
    exit 1
}

expect() { # a line that matches
    for _ in $(seq 600); do
        if grep -qE "$1" "$work/said"; then return; fi
        sleep 0.05
    done
    fail "the interceptor does not say: $1"
}

printf 'intercept nonsense\nintercept getpid\nwhat\n' | "$interceptor" > "$work/said"
grep -q '^Invalid argument$' "$work/said" || fail "a call that does not exist is not refused"
grep -q '^monitor CALL PID' "$work/said" || fail "an unknown order gets no help"
if [ "$(id -u)" -ne 0 ]; then
    grep -q '^Operation not permitted$' "$work/said" || fail "who is not root intercepts"
    echo "[skipped] only root intercepts"
    exit 0
fi

# Not a child of the interceptor's, as programs that run already are not.
(while [ -d "$work" ]; do
    umask 022
    sleep 0.02
done) &
process=$!
mkfifo "$work/orders"
"$interceptor" < "$work/orders" > "$work/said" &
exec 3> "$work/orders"
printf 'intercept umask\nmonitor umask %s\n' "$process" >&3
for _ in $(seq 600); do
    if [ "$(wc -l < "$work/said")" -ge 2 ]; then break; fi
    sleep 0.05
done
if grep -q '^Operation not permitted$' "$work/said"; then
    echo "[skipped] this machine lets nobody trace: ptrace(2) is refused"
    exec 3>&-
    exit 0
fi
expect "^$process: umask\\(0x12, "
printf 'intercept umask\nmonitor umask %s\nunmonitor umask %s\n' "$process" "$process" >&3
expect '^Device or resource busy$'
printf 'unmonitor umask %s\nrelease umask\ndropped\nquit\n' "$process" >&3
expect '^0$'
exec 3>&-
wait $!
grep -q "^TracerPid:	0$" "/proc/$process/status" || fail "the process is still traced"
rm -rf "$work"
wait "$process"
