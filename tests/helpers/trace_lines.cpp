// Runs a program and writes each of its calls as strace(1) would, for the comparison with it: no more of an engine than
// that takes.
//
//     trace_lines OUTPUT PROGRAM [ARGUMENT]...
#include <sysguard/supervise/render/rendering.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace abi = sysguard::abi;
namespace render = sysguard::supervise::render;
using sysguard::supervise::TracedCall;

namespace {

struct Thread {
    TracedCall call;
    render::RenderedCall text;
    bool is_inside = false;
    bool is_new = true;
};

std::FILE* output = nullptr;

void seen(pid_t pid, Thread& thread) {
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return;
    render::ThreadSource source{pid};
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        thread.call = TracedCall{};
        thread.call.thread = pid;
        thread.call.number = static_cast<int>(info.entry.nr);
        if (info.arch == abi::audit_architecture(abi::Abi::i386)) thread.call.abi = abi::Abi::i386;
        for (unsigned i = 0; i < abi::max_arguments; ++i) thread.call.arguments[i] = info.entry.args[i];
        thread.call.stack_pointer = info.stack_pointer;
        thread.call.instruction_pointer = info.instruction_pointer;
        thread.text.enter(thread.call, source);
        thread.is_inside = true;
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread.is_inside) {
        thread.call.result = info.exit.rval;
        thread.call.is_error = info.exit.is_error != 0;
        thread.text.leave(thread.call, source);
        std::fprintf(output, "%d %s\n", pid, thread.text.line().c_str());
        thread.is_inside = false;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    output = std::fopen(argv[1], "we");
    if (output == nullptr) return 2;
    const pid_t first = ::fork();
    if (first == 0) {
        ::raise(SIGSTOP);
        ::execvp(argv[2], argv + 2);
        ::_exit(127);
    }
    ::waitpid(first, nullptr, WUNTRACED);
    constexpr long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                             PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (::ptrace(PTRACE_SEIZE, first, 0, options) != 0) {
        std::perror("PTRACE_SEIZE");
        ::kill(first, SIGKILL);
        return 2;
    }
    ::kill(first, SIGCONT);
    std::map<pid_t, std::unique_ptr<Thread>> threads;
    int code = 0;
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, __WALL);
        if (pid < 0) break;
        std::unique_ptr<Thread>& entry = threads[pid];
        if (entry == nullptr) entry = std::make_unique<Thread>();
        Thread& thread = *entry;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread.is_inside) std::fprintf(output, "%d %s\n", pid, thread.text.line().c_str());
            if (pid == first) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            threads.erase(pid);
            continue;
        }
        long signal = 0;
        const int stop = WSTOPSIG(status);
        const int event = status >> 16;
        if (stop == (SIGTRAP | 0x80)) {
            seen(pid, thread);
        } else if (event == PTRACE_EVENT_STOP) {
            if (stop == SIGSTOP || stop == SIGTSTP || stop == SIGTTIN || stop == SIGTTOU) {
                ::ptrace(thread.is_new ? PTRACE_SYSCALL : PTRACE_LISTEN, pid, 0, 0);
                thread.is_new = false;
                continue;
            }
        } else if (event == 0) {
            signal = stop;
        }
        thread.is_new = false;
        ::ptrace(PTRACE_SYSCALL, pid, 0, signal);
    }
    std::fclose(output);
    return code;
}
