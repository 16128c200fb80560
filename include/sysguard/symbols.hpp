#pragma once

/// Stack traces by programs' tables for unwinding, with functions' names. Needs libdw of elfutils (Debian, Ubuntu:
/// libdw-dev; link dw and elf).
#include "detail/unwind/unwinder.hpp"
#include "sandbox.hpp"
#include "stacks.hpp"
#include "supervise/stack/module_file.hpp"
#include "zygote.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace sysguard {

/// How a `Symbolizer` works.
struct SymbolizerOptions {
    /// For one trace; whoever makes it that long gets a trace without symbols.
    TimeLimit time = std::chrono::seconds{5};

    /// Bytes beyond what it shares with the host, for one trace.
    std::uint64_t memory = 512_MiB;

    /// What its processes are forked from, instead of the host. Borrowed: it outlives the symbolizer.
    Zygote* zygote = nullptr;
};

/// Makes traces with libdw, each in a process of its own that is sandboxed: the programs that a worker runs, and what
/// they have mapped, are whatever it made of them, and libdw reads files of whatever form. That process may compute and
/// read the files that it was given, nothing else; where it fails, the trace is that of `stack_of`, and says so.
/// Immutable, thread-safe. A trace costs a fork of the host or of the zygote.
class Symbolizer {
public:
    /// Errors are those of `Sandbox`.
    explicit Symbolizer(const SymbolizerOptions& options = {})
        : box_{policy, box_options(options)}, zygote_{options.zygote} {}

    /// As sysguard::stack_of. Not to be waited for in a handler of a worker that may not be held up: it takes
    /// milliseconds. Throws std::bad_alloc, and `Error` as Sandbox::call does.
    StackTrace stack_of(const AnyCall& call) const { return trace(supervise::StackSnapshot::take(call)); }
    StackTrace stack_of(pid_t thread, const supervise::Registers& registers) const {
        return trace(supervise::StackSnapshot::take(thread, registers));
    }

    /// As sysguard::stacks_now.
    std::vector<StackTrace> stacks_now(pid_t process) const {
        std::vector<StackTrace> stacks;
        for (const pid_t thread : supervise::threads_of(process))
            stacks.push_back(trace(supervise::StackSnapshot::take_of_unheld(thread)));
        return stacks;
    }

    /// Of a snapshot. Only the files that it leads to are asked for, and of the worker's memory the code around words
    /// on its stack that lead to none.
    StackTrace trace(const supervise::StackSnapshot& snapshot) const {
        Work work = work_of(snapshot);
        Launch launch;
        launch.output = launch.error = Stdio::null();
        for (std::size_t i = 0; i < work.files.size(); ++i)
            launch.descriptors.push_back({work.files[i].get(), first_descriptor + static_cast<int>(i)});
        const auto result =
            zygote_ != nullptr
                ? zygote_->call(box_, launch, unwind, snapshot.registers, snapshot.stack.low, snapshot.stack.bytes,
                                snapshot.stack.is_there, work.returns, work.modules)
                : box_.call(launch, unwind, snapshot.registers, snapshot.stack.low, snapshot.stack.bytes,
                            snapshot.stack.is_there, work.returns, work.modules);
        if (result) return read(snapshot, *result);
        StackTrace trace = supervise::plain_trace(snapshot);
        if (!trace.shortfall.empty()) trace.shortfall += "; ";
        (trace.shortfall += "no symbols: ") += supervise::printable(result.outcome().explain());
        return trace;
    }

private:
    using Module = detail::unwind::Module;
    using Unwound = detail::unwind::Unwound;

    static constexpr int first_descriptor = 3;
    static constexpr std::size_t most_files = 64;

    static constexpr auto policy = Policy{
        preset::compute,
        allow<SYS_pread64, SYS_read, SYS_lseek, SYS_close, SYS_fstat>,
        Rule<SYS_newfstatat>{arg::flags & AT_EMPTY_PATH}.allow(),
        Rule<SYS_fcntl>{arg::cmd.in(F_GETFD, F_GETFL)}.allow(),
        otherwise.deny(EPERM),
    };

    static Options box_options(const SymbolizerOptions& options) {
        Options made;
        made.limits.memory = options.memory;
        made.limits.cpu = made.limits.wall = options.time;
        made.most_result = 8_MiB;
        return made;
    }

    /// Runs in the sandboxed process.
    static std::vector<Unwound> unwind(const supervise::Registers& registers, std::uint64_t low,
                                       const std::vector<unsigned char>& bytes,
                                       const std::vector<unsigned char>& is_there,
                                       const std::vector<std::uint64_t>& returns, const std::vector<Module>& modules) {
        const supervise::StackView stack{low, bytes, is_there};
        return detail::unwind::Unwinder{stack, returns, modules, registers.abi}.walk(registers);
    }

    struct Work {
        std::vector<Module> modules{};
        std::vector<process::Descriptor> files{};
        std::vector<std::uint64_t> returns{};  ///< that lead to no file
    };

    /// The mappings that the instruction pointer and words on the stack lead to, with their files.
    static Work work_of(const supervise::StackSnapshot& snapshot) {
        Work work;
        const supervise::ReturnAddresses is_return{snapshot};
        std::vector<std::pair<const supervise::Mappings::Range*, std::size_t>> seen;
        const auto visit = [&](std::uint64_t address, std::uint64_t word) {
            const supervise::Mappings::Range* const range = snapshot.mappings.find(address);
            if (range == nullptr) return;
            std::size_t at = 0;
            while (at < seen.size() && seen[at].first != range) ++at;
            if (at == seen.size() && at < most_files) {
                seen.push_back({range, work.modules.size()});
                work.modules.push_back(module_of(snapshot, *range, work));
            }
            if (at == seen.size()) return;
            const Module& module = work.modules[seen[at].second];
            if (module.fd < 0 && !module.is_vdso && word != 0 && is_return(word)) work.returns.push_back(word);
        };
        visit(snapshot.registers.instruction_pointer, 0);
        const supervise::StackView stack = snapshot.stack.view();
        const unsigned size = supervise::stack_abi(snapshot.registers.abi).word_size;
        for (std::uint64_t at = stack.low(); at < stack.high(); at += size) {
            std::uint64_t word = 0;
            if (stack.word(at, size, word) && word != 0) visit(word - 1, word);
        }
        std::sort(work.returns.begin(), work.returns.end());
        return work;
    }

    static Module module_of(const supervise::StackSnapshot& snapshot, const supervise::Mappings::Range& range,
                            Work& work) {
        Module module{range.low, range.high, range.offset, -1, snapshot.mappings.name_of(range) == "[vdso]"};
        process::Descriptor file = supervise::open_module(snapshot.mappings, range);
        if (!file) return module;
        module.fd = first_descriptor + static_cast<int>(work.files.size());
        work.files.push_back(std::move(file));
        return module;
    }

    static StackTrace read(const supervise::StackSnapshot& snapshot, const std::vector<Unwound>& frames) {
        StackTrace trace;
        trace.thread = snapshot.thread;
        trace.shortfall = snapshot.shortfall;
        for (const Unwound& each : frames) {
            if (trace.frames.size() == supervise::most_frames) break;
            if (each.found > StackFrame::Found::scanned) continue;
            const bool is_exact =
                each.found == StackFrame::Found::instruction_pointer || each.found == StackFrame::Found::signal_frame;
            StackFrame frame = supervise::frame_at(snapshot.mappings, each.address, each.found, !is_exact);
            const std::size_t size = ::strnlen(each.symbol, sizeof each.symbol);
            frame.symbol = supervise::printable({each.symbol, size}, supervise::most_symbol);
            frame.symbol_offset = each.symbol_offset;
            trace.frames.push_back(std::move(frame));
        }
        if (trace.shortfall.empty() && !frames.empty() && !frames.back().is_last)
            trace.shortfall = frames.size() >= supervise::most_frames ? "there are more frames than are looked for"
                                                                      : "what called this is not known";
        return trace;
    }

    Sandbox box_;
    Zygote* zygote_;
};

}  // namespace sysguard
