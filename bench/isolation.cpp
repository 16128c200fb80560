// What isolation adds to the start of a worker: start to exit of a static program that does nothing, against
// posix_spawn of the same and against bubblewrap, in hosts with and without memory and threads; and what workers that
// are idle cost the host.

#include "comparison.hpp"
#include "starting.hpp"

#include <sysguard/sandbox.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include <unistd.h>

namespace sg = sysguard;
using namespace sg::literals;
using namespace std::chrono_literals;

namespace {

using bench::expect;

constexpr sg::Policy reporting{sg::preset::static_runtime, sg::otherwise.kill()};
constexpr sg::Policy silent{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};

const std::string noop = BENCH_NOOP;
const std::string place = noop.substr(0, noop.rfind('/'));
constexpr const char* bubblewrap = "/usr/bin/bwrap";

sg::Options held() {
    return {.files = {sg::read_only("/usr"), sg::execute(place), sg::read_write("/tmp")},
            .limits = {.memory = 256_MiB, .cpu = 2s, .wall = 10s, .open_files = 64},
            .optional = {sg::Layer::device_control}};
}

sg::Options apart() {
    return {.network = sg::Network::isolated, .namespaces = sg::Namespaces::all()};
}

sg::Options apart_with_root() {
    sg::Options options = apart();
    options.root = {sg::tmpfs("/tmp", 1_MiB), sg::bind_mount(place), sg::procfs(), sg::devices()};
    return options;
}

double time_of(const sg::Sandbox& box) {
    return bench::Comparison::time([&] {
        const sg::Outcome outcome = box.run({noop});
        if (!outcome) expect(false, outcome.explain().c_str());
    });
}

/// A container or an older kernel may not offer what is to be measured.
template <void (*measure)(benchmark::State&)>
void where_offered(benchmark::State& state) {
    try {
        measure(state);
    } catch (const sg::Error& error) {
        state.SkipWithError(error.what());
    }
}

void start(benchmark::State& state) {
    const bench::Resident resident{static_cast<std::size_t>(state.range(0)) << 20};
    const bench::IdleThreads threads{static_cast<std::size_t>(state.range(1))};
    const sg::Sandbox held_silent{silent, held()};
    const sg::Sandbox held_reporting{reporting, held()};
    bench::Comparison comparison;
    comparison.add("posix_spawn", [] { return bench::Comparison::time([] { bench::spawn_directly({noop.c_str()}); }); })
        .add("Landlock and limits, kill_now", [&] { return time_of(held_silent); })
        .add("Landlock and limits", [&] { return time_of(held_reporting); })
        .run(state);
}

void start_in_namespaces(benchmark::State& state) {
    const bench::Resident resident{static_cast<std::size_t>(state.range(0)) << 20};
    const bench::IdleThreads threads{static_cast<std::size_t>(state.range(1))};
    const sg::Sandbox apart_silent{silent, apart()};
    const sg::Sandbox apart_reporting{reporting, apart()};
    const sg::Sandbox with_root{silent, apart_with_root()};
    bench::Comparison comparison;
    comparison.add("posix_spawn", [] { return bench::Comparison::time([] { bench::spawn_directly({noop.c_str()}); }); })
        .add("all namespaces, kill_now", [&] { return time_of(apart_silent); })
        .add("all namespaces", [&] { return time_of(apart_reporting); })
        .add("all and a private root, kill_now", [&] { return time_of(with_root); });
    if (::access(bubblewrap, X_OK) == 0)
        comparison.add("bwrap --unshare-all", [] {
            return bench::Comparison::time([] {
                bench::spawn_directly({bubblewrap, "--unshare-all", "--ro-bind", "/", "/", noop.c_str()});
            });
        });
    else
        state.SetLabel("without bwrap, which is not installed");
    comparison.run(state);
}

/// Kilobytes of the host's memory, counted in parts where it is shared, those of its page tables included.
double memory_of_host() {
    double sum = 0;
    for (const char* const path : {"/proc/self/smaps_rollup", "/proc/self/status"}) {
        std::FILE* const file = std::fopen(path, "r");
        expect(file != nullptr, "/proc is not there");
        char line[256];
        double value = 0;
        while (std::fgets(line, sizeof line, file) != nullptr)
            if (std::sscanf(line, "Pss: %lf", &value) == 1 || std::sscanf(line, "VmPTE: %lf", &value) == 1)
                sum += value;
        std::fclose(file);
    }
    return sum;
}

void idle_workers(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    constexpr sg::Policy starts_others{sg::preset::static_runtime, sg::allow<SYS_fork, SYS_clone, SYS_execve>,
                                       sg::otherwise.kill()};
    const sg::Sandbox quiet{silent, held()};
    const sg::Sandbox supervised{reporting, held()};
    const sg::Sandbox guarded{starts_others, held()};
    const struct {
        const char* name;
        const sg::Sandbox& box;
    } kinds[] = {{"KiB each, kill_now", quiet}, {"KiB each", supervised}, {"KiB each, may start processes", guarded}};
    for ([[maybe_unused]] auto iteration : state)
        for (const auto& kind : kinds) {
            std::vector<sg::Worker> workers;
            workers.push_back(kind.box.spawn({BENCH_CALLER, "0"}, {sg::Stdio::pipe(), sg::Stdio::pipe()}));
            workers.reserve(count + 1);
            const double before = memory_of_host();
            for (std::size_t i = 0; i < count; ++i)
                workers.push_back(kind.box.spawn({BENCH_CALLER, "0"}, {sg::Stdio::pipe(), sg::Stdio::pipe()}));
            state.counters[kind.name] = (memory_of_host() - before) / static_cast<double>(count);
            for (sg::Worker& worker : workers) {
                expect(worker.write("x"), "a worker does not listen");
                if (!worker.wait()) expect(false, worker.wait().explain().c_str());
            }
        }
}

/// 4 GiB, or what the machine can spare.
long much_memory() {
    const long spare = ::sysconf(_SC_AVPHYS_PAGES) / 256;
    return spare > 6144 ? 4096 : spare / 2;
}

void hosts(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"MiB resident", "idle threads"})->Unit(benchmark::kMillisecond)->Iterations(150);
    for (const long threads : {0L, 63L})
        for (const long memory : {0L, much_memory()}) benchmark->Args({memory, threads});
}

BENCHMARK(where_offered<start>)->Name("start")->Apply(hosts);
BENCHMARK(where_offered<start_in_namespaces>)->Name("start_in_namespaces")->Apply(hosts);
BENCHMARK(where_offered<idle_workers>)->Name("idle_workers")->ArgName("workers")->Arg(100)->Iterations(1);

}  // namespace
