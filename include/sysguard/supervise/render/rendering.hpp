#pragma once

#include "../../abi/errno_names.hpp"
#include "../../abi/errno_texts.hpp"
#include "../../abi/table.hpp"
#include "../traced_call.hpp"
#include "detail/compat.hpp"
#include "detail/plan.hpp"
#include "detail/plans.hpp"
#include "detail/walk.hpp"
#include "options.hpp"
#include "sink.hpp"
#include "source.hpp"
#include "text_sink.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <csignal>

namespace sysguard::supervise::render {

/// The walk over one call: what it is given is told when it is entered, because another thread may change it before it
/// returns, and what it answers when it has returned. One for each pending call; it holds no memory of its own.
class Rendering {
public:
    /// Tells a sink of all that is known at a call's entry. What the call will write is not told yet. Throws
    /// std::bad_alloc.
    void enter(const TracedCall& call, Source& source, Sink& sink, const Options& options) {
        plan_ = detail::Plan{};
        make_plan(plan_, call, source, name_);
        for (std::uint64_t& saved : saved_) saved = 0;
        detail::Walk walk{call, source, sink, options, saved_};
        prepare(walk);
        for (walk.place = 0; walk.place < plan_.count; ++walk.place) {
            const detail::Item& item = plan_.items[walk.place];
            if (item.keep != nullptr) item.keep(walk, item);
            if (item.when == detail::When::entry || item.when == detail::When::both) show(walk, item, item.form);
        }
    }

    /// Tells of the rest, when the call has returned; `call` is the one that was entered, with its result.
    void leave(const TracedCall& call, Source& source, Sink& sink, const Options& options) {
        TracedCall returned = call;
        returned.phase = TracedCall::Phase::returned;
        detail::Walk walk{returned, source, sink, options, saved_};
        prepare(walk);
        for (walk.place = 0; walk.place < plan_.count; ++walk.place) {
            const detail::Item& item = plan_.items[walk.place];
            if (item.when == detail::When::exit) show(walk, item, returned.is_error ? detail::form_address : item.form);
            if (item.when == detail::When::both || item.when == detail::When::always) show(walk, item, item.form);
        }
        if (returned.is_error || plan_.details == nullptr) return;
        detail::Item result;
        result.value = static_cast<std::uint64_t>(returned.result);
        walk.sink.result();
        plan_.details(walk, result);
    }

    /// Tells of a call that has not returned, or never does, where what it would have written is.
    void abandon(const TracedCall& call, Source& source, Sink& sink, const Options& options) {
        detail::Walk walk{call, source, sink, options, saved_};
        prepare(walk);
        for (walk.place = 0; walk.place < plan_.count; ++walk.place) {
            const detail::Item& item = plan_.items[walk.place];
            if (item.when == detail::When::exit || item.when == detail::When::always)
                show(walk, item, detail::form_address);
        }
    }

    /// What the call is called, in its own ABI.
    std::string_view name() const noexcept { return name_; }
    /// How many arguments are shown, and how many of the first of them were when it was entered.
    unsigned count() const noexcept { return plan_.count; }
    unsigned entered() const noexcept {
        unsigned shown = 0;
        while (shown < plan_.count && plan_.items[shown].when != detail::When::exit &&
               plan_.items[shown].when != detail::When::always)
            ++shown;
        return shown;
    }
    const detail::Plan& plan() const noexcept { return plan_; }

private:
    static void make_plan(detail::Plan& plan, const TracedCall& call, Source& source, std::string& name) {
        for (unsigned i = 0; i < abi::max_arguments; ++i) plan.arguments[i] = call.arguments[i];
        plan.stack_pointer = call.stack_pointer;
        const abi::Syscall* const native =
            call.abi == abi::native_abi && !call.is_x32 ? abi::find(call.number) : nullptr;
        if (native != nullptr) {
            name = native->name;
            return detail::plan_native(plan, *native);
        }
        std::string_view known;
        if (call.abi == abi::Abi::i386 && detail::plan_i386(plan, call, source, known)) {
            name = known;
            return;
        }
        const std::uint32_t number = static_cast<std::uint32_t>(call.number) | (call.is_x32 ? abi::x32_bit : 0);
        if (known.empty() && call.abi != abi::native_abi) known = abi::name_of(call.abi, call.number);
        name = known.empty() ? detail::Piece{}.add("syscall_").hex(number).view() : known;
        constexpr std::string_view names[] = {"arg0", "arg1", "arg2", "arg3", "arg4", "arg5"};
        plan.count = 0;
        for (unsigned i = 0; i < abi::max_arguments; ++i) plan.add(names[i], detail::form_hex, call.arguments[i]);
    }

    void prepare(detail::Walk& walk) const noexcept {
        walk.arguments = plan_.arguments;
        walk.word = plan_.word;
        walk.time_word = plan_.time_word;
    }

    static void show(detail::Walk& walk, const detail::Item& item, detail::Form form) {
        walk.sink.argument(walk.place, item.name, item.is_named);
        form(walk, item);
    }

    detail::Plan plan_;
    std::string name_;
    std::uint64_t saved_[detail::most_items + 1]{};
};

/// What a call has answered, as strace(1) writes it: "3</etc/passwd>", "-1 ENOENT (No such file or directory)". Where a
/// call never returns, "?".
inline std::string result_text(const Rendering& rendering, const TracedCall& call, Source& source,
                               const Options& options) {
    detail::Piece piece;
    if (call.phase != TracedCall::Phase::returned) return "?";
    if (call.is_error) {
        const auto error = static_cast<int>(-call.result);
        if (const abi::RestartCode* const code = abi::find_restart_code(error)) {
            piece.add("? ").add(code->name).add(" (").add(code->text).add(')');
            return std::string{piece.view()};
        }
        const std::string_view name = abi::errno_name(error);
        piece.add("-1 ");
        if (name.empty())
            piece.add("(errno ").number(error).add(')');
        else
            piece.add(name).add(" (").add(abi::errno_text(error)).add(')');
        return std::string{piece.view()};
    }
    switch (rendering.plan().result) {
        case detail::Plan::Result::number: piece.number(call.result); break;
        case detail::Plan::Result::hex: {
            const auto bits = static_cast<std::uint64_t>(call.result);
            piece.hex(rendering.plan().word == 4 ? bits & 0xffffffff : bits);
            break;
        }
        case detail::Plan::Result::octal: piece.octal(static_cast<std::uint64_t>(call.result)); break;
        case detail::Plan::Result::descriptor: {
            std::uint64_t saved[detail::most_items + 1]{};
            TextSink sink;
            detail::Walk walk{call, source, sink, options, saved};
            detail::show_descriptor(walk, detail::low_int(static_cast<std::uint64_t>(call.result)));
            return std::string{sink.details()};
        }
    }
    return std::string{piece.view()};
}

/// What is told of a signal, as PTRACE_GETSIGINFO gives it: "{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=5, ...}".
inline std::string signal_text(const siginfo_t& info) {
    struct Nothing final : Source {
        std::size_t read(std::uint64_t, void*, std::size_t) noexcept override { return 0; }
    } nothing;
    static_assert(sizeof info == detail::siginfo_bytes);
    unsigned char bytes[detail::siginfo_bytes];
    __builtin_memcpy(bytes, &info, sizeof bytes);
    const TracedCall none;
    TextSink sink;
    Options options;
    options.descriptor_paths = false;
    detail::Walk walk{none, nothing, sink, options, nullptr};
    detail::show_signal_info(walk, bytes);
    return std::string{sink.details()};
}

/// A call that is written as strace(1) does. One for each pending call.
class RenderedCall {
public:
    explicit RenderedCall(const Options& options = {}) noexcept : options_{options} {}

    void enter(const TracedCall& call, Source& source) {
        text_.clear();
        result_.clear();
        rendering_.enter(call, source, text_, options_);
    }

    void leave(const TracedCall& call, Source& source) {
        rendering_.leave(call, source, text_, options_);
        TracedCall returned = call;
        returned.phase = TracedCall::Phase::returned;
        result_ = result_text(rendering_, returned, source, options_);
        if (!text_.details().empty()) (result_ += ' ') += text_.details();
    }

    void abandon(const TracedCall& call, Source& source) { rendering_.abandon(call, source, text_, options_); }

    /// "read(3, ": what was known when it was entered.
    std::string entered() const {
        std::string line{rendering_.name()};
        line += '(';
        const unsigned count = rendering_.entered();
        add_arguments(line, 0, count);
        if (count < rendering_.count() && count > 0 && rendering_.name() != "clone") line += ", ";
        return line;
    }
    /// "abc", 3): what follows that.
    std::string resumed() const {
        std::string line;
        const unsigned count = rendering_.entered();
        if (count < rendering_.count() && count > 0 && rendering_.name() == "clone") line += ", ";
        add_arguments(line, count, rendering_.count());
        return line += ')';
    }
    /// read(3, "abc", 3)
    std::string call() const { return entered() + resumed(); }
    /// What it has answered: "3", "-1 EBADF (Bad file descriptor)".
    const std::string& result() const noexcept { return result_; }

    /// The whole line. Results stand below each other from the column on, where that has room.
    std::string line(unsigned column = 39) const {
        std::string text = call();
        if (text.size() < column) text.append(column - text.size(), ' ');
        return (text += " = ") += result_.empty() ? std::string{"?"} : result_;
    }

private:
    void add_arguments(std::string& line, unsigned first, unsigned last) const {
        for (unsigned i = first; i < last; ++i) {
            if (i > first) line += ", ";
            line += text_.text(i);
        }
    }

    Options options_;
    Rendering rendering_;
    TextSink text_;
    std::string result_;
};

}  // namespace sysguard::supervise::render
