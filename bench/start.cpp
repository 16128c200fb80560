// What it costs to start a worker and wait for its end, against posix_spawn and fork of the same, with an empty host
// and with one that has 2 GiB resident.

#include "comparison.hpp"

#include <sysguard/sandbox.hpp>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sg = sysguard;

namespace {

using bench::expect;

constexpr sg::Policy reporting{sg::preset::static_runtime, sg::otherwise.kill()};
constexpr sg::Policy silent{sg::preset::static_runtime, sg::foreign.kill_now(), sg::otherwise.kill_now()};

/// Memory that is really there, while it lives.
class Resident {
public:
    explicit Resident(std::size_t size) : size_{size} {
        if (size == 0) return;
        memory_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED || ::madvise(memory_, size, MADV_NOHUGEPAGE) != 0) std::abort();
        for (std::size_t at = 0; at < size; at += 4096) static_cast<volatile char*>(memory_)[at] = 1;
    }
    Resident(const Resident&) = delete;
    Resident& operator=(const Resident&) = delete;
    ~Resident() {
        if (size_ != 0) ::munmap(memory_, size_);
    }

private:
    std::size_t size_;
    void* memory_ = nullptr;
};

void spawn_directly() {
    char path[] = BENCH_NOOP;
    char* const arguments[] = {path, nullptr};
    char* const environment[] = {nullptr};
    pid_t pid = 0;
    expect(::posix_spawn(&pid, path, nullptr, nullptr, arguments, environment) == 0, "posix_spawn failed");
    int status = 0;
    expect(::waitpid(pid, &status, 0) == pid && status == 0, "the program failed");
}

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
        .add("posix_spawn", [] { return bench::Comparison::time(spawn_directly); })
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

BENCHMARK(program)->ArgName("MiB resident")->Arg(0)->Arg(2048)->Iterations(500)->Unit(benchmark::kMillisecond);
BENCHMARK(function)->ArgName("MiB resident")->Arg(0)->Arg(2048)->Iterations(100)->Unit(benchmark::kMillisecond);

}  // namespace
