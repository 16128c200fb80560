// Shows the system calls of programs, as strace(1) does: those of a program that it starts, or of processes that run.
#include <sysguard/abi/signal_names.hpp>
#include <sysguard/supervise/render/rendering.hpp>
#include <sysguard/supervise/render/tree.hpp>
#include <sysguard/tracer.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <unistd.h>
#include <csignal>

#include "json.hpp"
#include "options.hpp"
#include "summary.hpp"

namespace sg = sysguard;
namespace render = sysguard::supervise::render;

namespace {

std::int64_t nanoseconds(const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// Writes what happens, a line each.
class Writer {
public:
    Writer(const trace::Options& options, std::FILE* file) : options_{options}, file_{file} {
        how_.descriptor_paths = options.shows_paths;
    }

    void operator()(const sg::Event& event) {
        using Kind = sg::Event::Kind;
        switch (event.kind) {
            case Kind::entered: return enter(event);
            case Kind::returned: return leave(event);
            case Kind::signalled: return say(event, "--- " + signal(event.signal) + " ---");
            case Kind::stopped: return say(event, "--- stopped by " + signal(event.signal) + " ---");
            case Kind::exited: return end(event, "+++ exited with " + std::to_string(event.status) + " +++");
            case Kind::killed: return end(event, "+++ killed by " + signal(event.signal) + " +++");
            case Kind::attached: return note("attached to", event);
            case Kind::started:
                if (event.origin != sg::Event::Origin::program) note("follows", event);
                return;
            case Kind::detached: return note("lets go", event);
            case Kind::lost: return note("has lost", event);
            default: return;
        }
    }

    /// What is left to say when all is over.
    void finish() const {
        if (options_.counts) summary_.print(file_);
    }

private:
    static constexpr std::size_t results = 39;  ///< the column that they stand in

    /// A call that has not returned yet.
    struct Pending {
        render::RenderedCall text{};
        render::Rendering walk{};
        render::TreeSink tree{};
        std::int64_t began = 0;
    };

    static std::string signal(int number) {
        const std::string_view name = sg::abi::signal_name(number);
        return name.empty() ? "signal " + std::to_string(number) : std::string{name};
    }

    void enter(const sg::Event& event) {
        std::unique_ptr<Pending>& pending = pending_[event.thread];
        if (!pending) pending = std::make_unique<Pending>();
        pending->began = nanoseconds(event.time);
        render::ThreadSource source{event.thread};
        if (options_.as_json) {
            pending->tree.clear();
            pending->walk.enter(event.call, source, pending->tree, how_);
            if (!options_.entries_only) return;
            pending->walk.abandon(event.call, source, pending->tree, how_);
            std::fprintf(file_, "%s\n", trace::json_of(event, pending->walk.name(), pending->tree).c_str());
            return;
        }
        pending->text = render::RenderedCall{how_};
        pending->text.enter(event.call, source);
        if (options_.counts) return;
        if (options_.entries_only) {
            pending->text.abandon(event.call, source);
            return say(event, pending->text.call());
        }
        interrupt();
        std::fprintf(file_, "%s%s", prefix(event).c_str(), pending->text.entered().c_str());
        open_ = event.thread;
        column_ = pending->text.entered().size();
    }

    void leave(const sg::Event& event) {
        const auto found = pending_.find(event.thread);
        if (found == pending_.end() || !found->second) return;
        Pending& pending = *found->second;
        render::ThreadSource source{event.thread};
        if (options_.as_json) {
            pending.walk.leave(event.call, source, pending.tree, how_);
            std::fprintf(file_, "%s\n", trace::json_of(event, pending.walk.name(), pending.tree).c_str());
            return;
        }
        pending.text.leave(event.call, source);
        if (options_.counts) {
            const std::string name{sg::abi::name_of(event.call.abi, event.call.number)};
            summary_.add(name.empty() ? "?" : name, nanoseconds(event.time) - pending.began, event.call.is_error);
            return;
        }
        std::string rest = pending.text.resumed();
        if (open_ != event.thread) {
            interrupt();
            const std::string name{sg::abi::name_of(event.call.abi, event.call.number)};
            const std::string begin = "<... " + name + " resumed>";
            std::fprintf(file_, "%s%s", prefix(event).c_str(), begin.c_str());
            column_ = begin.size();
        }
        if (column_ + rest.size() < results) rest.append(results - column_ - rest.size(), ' ');
        std::fprintf(file_, "%s = %s\n", rest.c_str(), pending.text.result().c_str());
        open_ = 0;
    }

    /// Leaves a line whose call has not returned.
    void interrupt() {
        if (open_ != 0) std::fputs(" <unfinished ...>\n", file_);
        open_ = 0;
    }

    void say(const sg::Event& event, const std::string& line) {
        if (options_.counts || options_.as_json) return;
        interrupt();
        std::fprintf(file_, "%s%s\n", prefix(event).c_str(), line.c_str());
    }

    void end(const sg::Event& event, const std::string& line) {
        if (open_ == event.thread) {
            std::fprintf(file_, ")%*s = ?\n", column_ < results ? static_cast<int>(results - column_ - 1) : 0, "");
            open_ = 0;
        }
        pending_.erase(event.thread);
        say(event, line);
    }

    void note(const char* what, const sg::Event& event) {
        if (!options_.counts && !options_.as_json)
            std::fprintf(stderr, "trace: %s thread %d of process %d\n", what, event.thread, event.process);
    }

    std::string prefix(const sg::Event& event) const {
        const bool is_one = !options_.follows && options_.processes.size() < 2;
        return is_one ? std::string{} : "[" + std::to_string(event.thread) + "] ";
    }

    const trace::Options& options_;
    std::FILE* file_;
    render::Options how_{};
    std::map<pid_t, std::unique_ptr<Pending>> pending_{};
    trace::Summary summary_{};
    pid_t open_ = 0;  ///< the thread whose line is not ended yet
    std::size_t column_ = 0;
};

/// Processes that ran before go on when a person ends this program.
class LetsGo {
public:
    LetsGo(sg::Tracer& tracer, bool is_wanted) {
        if (!is_wanted) return;
        sigset_t ends;
        ::sigemptyset(&ends);
        ::sigaddset(&ends, SIGINT);
        ::sigaddset(&ends, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
        waiter_ = std::thread{[ends, &tracer] {
            int signal = 0;
            ::sigwait(&ends, &signal);
            tracer.stop();
        }};
    }
    LetsGo(const LetsGo&) = delete;
    LetsGo& operator=(const LetsGo&) = delete;
    ~LetsGo() {
        if (!waiter_.joinable()) return;
        ::pthread_kill(waiter_.native_handle(), SIGTERM);
        waiter_.join();
    }

private:
    std::thread waiter_{};
};

int run(const trace::Options& options) {
    std::FILE* const file = options.file.empty() ? stderr : std::fopen(options.file.c_str(), "we");
    if (file == nullptr) throw std::runtime_error{"cannot write " + options.file};
    if (!options.processes.empty()) std::setvbuf(file, nullptr, _IOLBF, BUFSIZ);  // a person looks while it goes on
    sg::TraceOptions what;
    what.calls = options.calls;
    what.follow = options.follows ? sg::Follow::everything : sg::Follow::nothing;
    what.results = !options.entries_only;
    what.signals = !options.entries_only;
    sg::Tracer tracer{what};
    const LetsGo lets_go{tracer, !options.processes.empty()};
    for (const pid_t process : options.processes) tracer.attach(process);
    const pid_t program = options.command.empty() ? 0 : tracer.start(options.command).pid;
    int code = 0;
    Writer writer{options, file};
    tracer.run([&](const sg::Event& event) {
        writer(event);
        if (event.thread != program) return;
        if (event.kind == sg::Event::Kind::exited) code = event.status;
        if (event.kind == sg::Event::Kind::killed) code = 128 + event.signal;
    });
    writer.finish();
    if (file != stderr && std::fclose(file) != 0) throw std::runtime_error{"cannot write " + options.file};
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(trace::parse(argc, argv));
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "trace: %s\n", exception.what());
        return 125;
    }
}
