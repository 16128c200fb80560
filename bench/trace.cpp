// What it costs to trace `tar` of a source tree and `gcc hello.c`, against `strace -f -o /dev/null`: each call with its
// result, each call with its result and written as strace writes it, and entries alone, by notification.

#include "comparison.hpp"

#include <sysguard/supervise/render/rendering.hpp>
#include <sysguard/tracer.hpp>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sg = sysguard;
namespace render = sysguard::supervise::render;

namespace {

using bench::expect;
using Command = std::vector<std::string>;

/// Somewhere to write, removed at the end.
struct Scratch {
    Scratch() {
        expect(::mkdtemp(path.data()) != nullptr, "no scratch directory");
        std::FILE* const file = std::fopen((path + "/hello.c").c_str(), "w");
        expect(file != nullptr, "no hello.c");
        std::fputs("#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n", file);
        std::fclose(file);
    }
    ~Scratch() {
        for (const char* const name : {"/hello.c", "/hello", "/tree.tar"}) ::unlink((path + name).c_str());
        ::rmdir(path.c_str());
    }
    std::string path = "/tmp/sysguard_bench_XXXXXX";
};

Scratch& scratch() {
    static Scratch scratch;
    return scratch;
}

Command tar() {
    return {"/usr/bin/tar", "-cf", scratch().path + "/tree.tar", "-C", BENCH_TREE, "."};
}

Command gcc() {
    return {"/usr/bin/gcc", scratch().path + "/hello.c", "-o", scratch().path + "/hello"};
}

void run(Command command) {
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    int status = -1;
    expect(::posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), ::environ) == 0 &&
               ::waitpid(pid, &status, 0) == pid && status == 0,
           "the program failed");
}

void strace(const Command& command) {
    Command traced{"/usr/bin/strace", "-f", "-o", "/dev/null"};
    traced.insert(traced.end(), command.begin(), command.end());
    run(traced);
}

template <class F>
void trace(const sg::TraceOptions& options, const Command& command, F&& on_event) {
    sg::Tracer tracer{options};
    sg::Launch launch;
    for (char** variable = ::environ; *variable != nullptr; ++variable) launch.environment.emplace_back(*variable);
    const pid_t pid = tracer.start(command, launch).pid;
    int status = -1;
    tracer.run([&](const sg::Event& event) {
        if (event.kind == sg::Event::Kind::exited && event.thread == pid) status = event.status;
        on_event(event);
    });
    expect(status == 0, "the traced program failed");
}

void count(const sg::TraceOptions& options, const Command& command) {
    long calls = 0;
    trace(options, command, [&](const sg::Event& event) { calls += event.kind == sg::Event::Kind::entered; });
    expect(calls > 100, "no calls were seen");
}

/// Writes what strace writes to where strace writes it.
void decode(const sg::TraceOptions& options, const Command& command) {
    std::FILE* const out = std::fopen("/dev/null", "w");
    render::Options how;
    how.descriptor_paths = false;
    std::unordered_map<pid_t, render::RenderedCall> calls;
    trace(options, command, [&](const sg::Event& event) {
        render::ThreadSource source{event.thread};
        if (event.kind == sg::Event::Kind::entered) {
            render::RenderedCall& call = calls.try_emplace(event.thread, how).first->second;
            call.enter(event.call, source);
            if (!options.results) std::fprintf(out, "%d %s\n", event.thread, call.entered().c_str());
        } else if (event.kind == sg::Event::Kind::returned) {
            render::RenderedCall& call = calls.try_emplace(event.thread, how).first->second;
            call.leave(event.call, source);
            std::fprintf(out, "%d %s\n", event.thread, call.line().c_str());
        } else if (event.kind == sg::Event::Kind::exited || event.kind == sg::Event::Kind::killed) {
            calls.erase(event.thread);
        }
    });
    std::fclose(out);
}

template <class Subject>
void compare(benchmark::State& state, const Subject& subject) {
    if (::access("/usr/bin/strace", X_OK) != 0) {
        state.SkipWithError("strace is missing (Debian, Ubuntu: strace)");
        return;
    }
    const Command command = subject();
    sg::TraceOptions entries;
    entries.results = false;
    const auto timed = [](auto work) { return [work] { return bench::Comparison::time(work); }; };
    bench::Comparison{}
        .add("strace", timed([&] { strace(command); }))
        .add("untraced", timed([&] { run(command); }))
        .add("results", timed([&] { count({}, command); }))
        .add("results, decoded", timed([&] { decode({}, command); }))
        .add("entries", timed([&] { count(entries, command); }))
        .add("entries, decoded", timed([&] { decode(entries, command); }))
        .run(state);
}

void trace_tar(benchmark::State& state) {
    compare(state, tar);
}

void trace_gcc(benchmark::State& state) {
    compare(state, gcc);
}

BENCHMARK(trace_tar)->Iterations(15)->Unit(benchmark::kMillisecond);
BENCHMARK(trace_gcc)->Iterations(15)->Unit(benchmark::kMillisecond);

}  // namespace
