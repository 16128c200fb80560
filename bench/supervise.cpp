// What a call costs that a handler in the host decides, against the least that a program can do to answer one (a bare
// loop, written in C); how long it takes the host to find the handler; and how both grow with rules and workers.

#include "bare_loop.hpp"
#include "comparison.hpp"

#include <sysguard/sandbox.hpp>

#include <benchmark/benchmark.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace supervise = sysguard::supervise;

namespace {

using bench::BareLoop;
using bench::expect;

constexpr long before = 1000;  ///< calls that are not measured: processors and threads find their places
constexpr long measured = 4000;

const std::string long_path = "/" + std::string(126, 'x');  // with its end 128 bytes

/// Runs on one processor, and what it starts too, while it lives.
class Pinned {
public:
    explicit Pinned(bool really) {
        ::sched_getaffinity(0, sizeof before_, &before_);
        if (!really) return;
        cpu_set_t one;
        CPU_ZERO(&one);
        int first = 0;
        while (!CPU_ISSET(first, &before_)) ++first;
        CPU_SET(first, &one);
        expect(::sched_setaffinity(0, sizeof one, &one) == 0, "pinning failed");
    }
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;
    ~Pinned() { ::sched_setaffinity(0, sizeof before_, &before_); }

private:
    cpu_set_t before_{};
};

/// What a child tells its parent.
class Shared {
public:
    Shared()
        : value_{static_cast<double*>(
              ::mmap(nullptr, sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))} {
        expect(value_ != MAP_FAILED, "mmap failed");
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { ::munmap(value_, sizeof(double)); }
    double& operator*() const noexcept { return *value_; }

private:
    double* value_;
};

/// In a worker: the microseconds that one call takes.
template <class Make>
double microseconds(const Make& make) {
    for (long i = 0; i < before; ++i) make();
    return bench::Comparison::time([&] {
               for (long i = 0; i < measured; ++i) make();
           }) /
           measured;
}

void ask_for_group() {
    ::syscall(SYS_getpgid, 0);
}

void open_path() {
    expect(::syscall(SYS_openat, AT_FDCWD, long_path.c_str(), O_RDONLY) == -1 && errno == EACCES,
           "opening should be refused");
}

template <class Make, class Serve>
double in_bare_loop(int number, const Make& make, const Serve& serve,
                    BareLoop::Session session = BareLoop::Session::own) {
    const Shared result;
    BareLoop::run(
        number, before + measured, [&] { *result = microseconds(make); }, serve, session);
    return *result;
}

template <class Make>
double in_worker(const sg::Sandbox& box, const Make& make) {
    const sg::Result<double> result = box.call([&] { return microseconds(make); });
    if (!result) expect(false, result.outcome().explain().c_str());
    return *result;
}

/// A worker that does not leave its session ends for sure, which spares the host to look out for what is left of it.
constexpr auto stays = sg::Rules{sg::Rule<SYS_setsid>{}.deny(EPERM), sg::Rule<SYS_setpgid>{}.deny(EPERM)};

constexpr sg::Policy allowing{
    sg::Rule<SYS_getpgid>{}.handle([](const sg::Call<SYS_getpgid>& call) -> sg::Verdict { return call.proceed(); }),
    stays, sg::otherwise.allow()};

constexpr sg::Policy refusing{sg::Rule<SYS_openat>{}.handle([](const sg::Call<SYS_openat>& call) -> sg::Verdict {
                                  const std::string_view path = call[arg::path].text();
                                  return call.deny(path.size() == 127 && path.front() == '/' ? EACCES : EFAULT);
                              }),
                              stays, sg::otherwise.allow()};

void allowed_call(benchmark::State& state) {
    const Pinned pinned{state.range(0) != 0};
    const sg::Sandbox box{allowing};
    bench::Comparison{}
        .add("bare loop", [] { return in_bare_loop(SYS_getpgid, ask_for_group, BareLoop::proceed); })
        .add("handler (at most 1.15)", [&] { return in_worker(box, ask_for_group); })
        .add("bare loop, same session",
             [] { return in_bare_loop(SYS_getpgid, ask_for_group, BareLoop::proceed, BareLoop::Session::same); })
        .run(state);
}

void call_with_path(benchmark::State& state) {
    const Pinned pinned{state.range(0) != 0};
    const sg::Sandbox box{refusing};
    bench::Comparison{}
        .add("bare loop", [] { return in_bare_loop(SYS_openat, open_path, BareLoop::read_path_and_refuse); })
        .add("handler (at most 1.3)", [&] { return in_worker(box, open_path); })
        .run(state);
}

/// So many rules with handlers, of which the last is the one for the call. The others have conditions that do not hold.
class ManyRules {
public:
    ManyRules(std::size_t count, bool same_call) {
        constexpr sg::Rules one{sg::Rule<SYS_getpriority>{arg::which == 7}.handle(
            [](const sg::Call<SYS_getpriority>& call) -> sg::Verdict { return call.proceed(); })};
        for (int i = 0, number = 0; i < static_cast<int>(count); ++i) {
            sg::policy::RuleRecord rule = *one.begin();
            do number = (number + 1) % sg::abi::native_limit;
            while (!sg::abi::is_known(number));
            if (!same_call) rule.number = static_cast<std::int16_t>(number);
            rules_.push_back(rule);
        }
        rules_.back().node_count = 0;
        nodes_.assign(one.nodes(), one.nodes() + one.begin()->node_count);
    }

    sg::policy::View view() const { return {rules_.data(), rules_.size(), nodes_.data(), {sg::Action::kill}, {}}; }
    int number() const { return rules_.back().number; }

private:
    std::vector<sg::policy::RuleRecord> rules_{};
    std::vector<sg::policy::BoundNode> nodes_{};
};

/// From a call as the kernel tells of it to its handler and back. At most 20 ns with 100 rules for different calls.
void dispatch(benchmark::State& state, bool same_call) {
    const ManyRules rules{static_cast<std::size_t>(state.range(0)), same_call};
    const supervise::Rulebook book{rules.view()};
    const supervise::LineShare line{new supervise::Line};
    supervise::Pending call;
    seccomp_notif request{};
    request.data.nr = rules.number();
    request.data.arch = sg::abi::audit_architecture(sg::abi::native_abi);
    for ([[maybe_unused]] auto iteration : state) {
        benchmark::DoNotOptimize(request);
        call.begin(line, request);
        const sg::Verdict verdict = book.decide(call);
        expect(verdict.kind() == sg::Verdict::Kind::proceed, "the handler was not found");
    }
}

/// Calls of several workers that one supervisor serves: the time for each, of all of them together.
void workers(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    constexpr long calls = 40000;
    const std::string each = std::to_string(calls / static_cast<long>(count));
    const sg::Sandbox box{allowing};
    bench::Comparison{}
        .add("one call",
             [&] {
                 std::vector<sg::Worker> list;
                 for (std::size_t i = 0; i < count; ++i)
                     list.push_back(box.spawn({BENCH_CALLER, each}, {sg::Stdio::pipe(), sg::Stdio::pipe()}));
                 const double time = bench::Comparison::time([&] {
                     char byte = 0;
                     for (sg::Worker& worker : list) expect(worker.write("x"), "a worker does not listen");
                     for (sg::Worker& worker : list)
                         expect(::read(worker.output().get(), &byte, 1) == 1, "a worker failed");
                 });
                 for (sg::Worker& worker : list)
                     if (!worker.wait()) expect(false, worker.wait().explain().c_str());
                 return time / static_cast<double>(calls);
             })
        .run(state);
}

BENCHMARK(allowed_call)->ArgName("pinned")->Arg(0)->Arg(1)->Iterations(60)->Unit(benchmark::kMillisecond);
BENCHMARK(call_with_path)->ArgName("pinned")->Arg(0)->Arg(1)->Iterations(60)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(dispatch, rules_for_different_calls, false)->ArgName("rules")->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(dispatch, rules_for_one_call, true)->ArgName("rules")->Arg(1)->Arg(100)->Arg(1000);
BENCHMARK(workers)->ArgName("workers")->Arg(1)->Arg(10)->Arg(100)->Iterations(10)->Unit(benchmark::kMillisecond);

}  // namespace
