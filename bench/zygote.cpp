// How many functions a second are started in forks of a zygote and reaped, by an empty host, a large one and one with
// many threads; and the memory of services that wait for requests.

#include "comparison.hpp"
#include "starting.hpp"

#include <sysguard/zygote.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace sg = sysguard;

namespace {

using bench::expect;

constexpr sg::Policy reporting{sg::preset::static_runtime, sg::otherwise.kill()};
constexpr sg::Policy silent{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};

/// Made before main, where there is one thread and little memory.
sg::Zygote zygote;

void call(const sg::Sandbox& box) {
    const sg::Result<int> answer = zygote.call(
        box, [](int x) { return x + 1; }, 41);
    expect(answer && *answer == 42, "the function failed");
}

/// Starts a second, from as many threads at once as there are processors, for each processor.
double rate(const sg::Sandbox& box, int calls) {
    const unsigned processors = std::thread::hardware_concurrency();
    const double time = bench::Comparison::time([&] {
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < processors; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < calls; ++i) call(box);
            });
        for (std::thread& thread : threads) thread.join();
    });
    return calls / time * 1e6;
}

void function(benchmark::State& state) {
    const bench::Resident resident{static_cast<std::size_t>(state.range(0)) << 20};
    const bench::IdleThreads threads{static_cast<std::size_t>(state.range(1)) - 1};
    const sg::Sandbox with_reports{reporting};
    const sg::Sandbox without{silent};
    std::vector<double> times[2];
    for ([[maybe_unused]] auto iteration : state) {
        times[0].push_back(rate(with_reports, 100));
        times[1].push_back(rate(without, 100));
    }
    const char* const names[] = {"calls/s/core", "calls/s/core, kill_now"};
    for (int i = 0; i < 2; ++i) {
        std::sort(times[i].begin(), times[i].end());
        state.counters[names[i]] = times[i][times[i].size() / 2];
    }
}

/// A figure of /proc/<pid>/smaps_rollup in KiB.
long rollup(pid_t pid, const char* name) {
    const std::string path = "/proc/" + std::to_string(pid) + "/smaps_rollup";
    std::FILE* const file = std::fopen(path.c_str(), "re");
    expect(file != nullptr, "no smaps_rollup");
    char line[256];
    long figure = 0;
    while (std::fgets(line, sizeof line, file) != nullptr)
        if (std::string{line}.rfind(name, 0) == 0) figure = std::strtol(line + std::string{name}.size(), nullptr, 10);
    std::fclose(file);
    return figure;
}

void idle(benchmark::State& state) {
    const sg::Sandbox box{reporting};
    constexpr int count = 100;
    for ([[maybe_unused]] auto iteration : state) {
        const long before = rollup(::getpid(), "Rss:");
        std::vector<std::unique_ptr<sg::Service<int(int)>>> services;
        long of_workers = 0;
        for (int i = 0; i < count; ++i) {
            services.push_back(std::make_unique<sg::Service<int(int)>>(zygote, box, [](int x) { return x + 1; }));
            const sg::Result<int> answer = services.back()->call(1);
            expect(answer && *answer == 2, "the request failed");
        }
        state.counters["host's KiB per worker"] = static_cast<double>(rollup(::getpid(), "Rss:") - before) / count;
        for (const auto& service : services) of_workers += rollup(service->pid(), "Pss:");
        state.counters["worker's own KiB (PSS)"] = static_cast<double>(of_workers) / count;
    }
}

BENCHMARK(function)
    ->ArgNames({"MiB resident", "threads"})
    ->Args({0, 1})
    ->Args({2048, 1})
    ->Args({4096, 1})
    ->Args({0, 64})
    ->Args({4096, 64})
    ->Iterations(9)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(idle)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
