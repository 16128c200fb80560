// What it costs to start a worker and wait for its end, against posix_spawn and fork of the same, with an empty host
// and with one that has 2 GiB resident.

#include "comparison.hpp"
#include "starting.hpp"

#include <sysguard/sandbox.hpp>

#include <benchmark/benchmark.h>

#include <cstddef>

#include <sys/wait.h>
#include <unistd.h>

namespace sg = sysguard;

namespace {

using bench::expect;
using bench::Resident;

constexpr sg::Policy reporting{sg::preset::static_runtime, sg::otherwise.kill()};
constexpr sg::Policy silent{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};

void fork_directly() {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    int status = 0;
    expect(pid > 0 && ::waitpid(pid, &status, 0) == pid && status == 0, "fork failed");
}

void run(const sg::Sandbox& box) {
    const sg::Outcome outcome = box.run({BENCH_NOOP});
    if (!outcome) expect(false, outcome.explain().c_str());
}

void program(benchmark::State& state) {
    const Resident resident{static_cast<std::size_t>(state.range(0)) << 20};
    const sg::Sandbox with_reports{reporting};
    const sg::Sandbox without{silent};
    bench::Comparison{}
        .add("posix_spawn", [] { return bench::Comparison::time([] { bench::spawn_directly({BENCH_NOOP}); }); })
        .add("run", [&] { return bench::Comparison::time([&] { run(with_reports); }); })
        .add("run, kill_now", [&] { return bench::Comparison::time([&] { run(without); }); })
        .run(state);
}

void function(benchmark::State& state) {
    const Resident resident{static_cast<std::size_t>(state.range(0)) << 20};
    const sg::Sandbox box{reporting};
    bench::Comparison{}
        .add("fork", [] { return bench::Comparison::time(fork_directly); })
        .add("call",
             [&] {
                 return bench::Comparison::time([&] {
                     const sg::Result<int> answer = box.call([](int x) { return x + 1; }, 41);
                     expect(answer && *answer == 42, "the function failed");
                 });
             })
        .run(state);
}

BENCHMARK(program)->ArgName("MiB resident")->Arg(0)->Arg(2048)->Iterations(250)->Unit(benchmark::kMillisecond);
BENCHMARK(function)->ArgName("MiB resident")->Arg(0)->Arg(2048)->Iterations(50)->Unit(benchmark::kMillisecond);

}  // namespace
