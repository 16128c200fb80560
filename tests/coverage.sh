#!/bin/sh
# Which lines of the filter compiler, include/sysguard/filter, no test of tests/filter runs. Fails where there are any,
# and lists them. What the compiler only evaluates does not count. With g++ and its gcov; takes a minute or so.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/coverage}
compiler=${CXX:-g++}
rm -rf "$build"
mkdir -p "$build"

# Functions that nothing calls are compiled, too, so that they are seen.
find include/sysguard/filter -name '*.hpp' ! -path '*/detail/*' | sort |
    sed 's|include/\(.*\)|#include <\1>|' > "$build/headers.cpp"
# shellcheck disable=SC2016
printf '%s\n' "$build/headers.cpp" tests/main.cpp tests/filter/*.cpp | xargs -P "$(nproc)" -I SOURCE sh -c '
    name=$(basename "$0" .cpp)
    keep=
    if [ "$name" = headers ]; then keep=-fkeep-inline-functions; fi
    "$2" -std=c++20 -O0 --coverage $keep -Iinclude -Itests -c "$0" -o "$1/$name.o"' SOURCE "$build" "$compiler"
"$compiler" --coverage "$build"/*.o -o "$build/run" -lseccomp -pthread
# A tenth of the random rounds: every line is reached by far fewer.
SYSGUARD_TEST_ROUNDS=10 timeout -k 10 300 "$build/run" > "$build/log" || { tail -n 40 "$build/log"; exit 1; }

ln -s "$PWD/include" "$PWD/tests" "$build"
cd "$build"
"$(echo "$compiler" | sed 's/g++/gcov/')" -r -p ./*.gcda > gcov.log 2>&1
awk '
    {
        split($0, field, ":")
        count = field[1]
        line = field[2] + 0
        text = substr($0, length(field[1]) + length(field[2]) + 3)
        gsub(/[ *]/, "", count)
    }
    line == 0 && field[3] == "Source" {
        file = field[4]
        while (sub(/[^\/.]+\/\.\.\//, "", file)) continue
        ours = file ~ /^include\/sysguard\/filter\//
    }
    line == 0 || !ours { next }
    text ~ /^ *}$/ { consteval = 0 }
    text ~ /^ *}[;)]*$/ { next }  # what cleans up after an exception
    { place = file ":" line; texts[place] = text }
    count ~ /^[0-9]/ { reached[place] = 1 }
    count ~ /^[#=]/ { compiled[place] = 1 }
    text ~ /^ *consteval / { consteval = 1 }
    count == "-" && !consteval && text ~ /^ +(return|throw|for \(|while \(|switch \().*[;{]$/ { statement[place] = 1 }
    END {
        for (place in reached) ++all
        print all " lines are reached" > "reached"
        for (place in compiled) if (!(place in reached)) print place ":" texts[place]
        for (place in statement)
            if (!(place in reached) && !(place in compiled)) print place ":" texts[place] "  (never compiled)"
    }' ./*.gcov | sort -t: -k1,1 -k2,2n > unreached
cat reached
if [ -s unreached ]; then
    echo "Not reached by any test of tests/filter:"
    cat unreached
    exit 1
fi
