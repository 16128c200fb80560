#pragma once

#include "../process/descriptor.hpp"
#include "ask.hpp"

#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

namespace sysguard {

namespace detail {

inline pthread_mutex_t terminal_mutex = PTHREAD_MUTEX_INITIALIZER;

}  // namespace detail

/// Asks a person at a terminal: shows the program, its process id and the call with its number and arguments, and takes
/// "y" or "yes" for a yes, and anything else, an end of input and a time that is over among it, for a no. One question
/// at a time in the whole host.
class TerminalAsker {
public:
    /// Asks at the controlling terminal; where there is none, every answer is a no.
    TerminalAsker() = default;

    /// Asks through these descriptors, which stay the caller's.
    TerminalAsker(int input, int output) noexcept : input_{input}, output_{output} {}

    Answer operator()(const Question& question) const {
        const std::optional<std::string> line = ask(question, "Allow? [y/N] ");
        return line && (*line == "y" || *line == "Y" || *line == "yes" || *line == "Yes") ? Answer::allow
                                                                                          : Answer::refuse;
    }

    /// Shows the call and `prompt`, and returns the line that is answered with, of at most 256 bytes; none where it did
    /// not come in time, or not whole.
    std::optional<std::string> ask(const Question& question, std::string_view prompt) const {
        const supervise::Locked alone{detail::terminal_mutex};
        if (question.time_left().count() == 0) return std::nullopt;
        process::Descriptor terminal;
        int input = input_;
        int output = output_;
        if (input < 0) {
            terminal.reset(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
            if (!terminal) return std::nullopt;
            input = output = terminal.get();
        }
        const AnyCall& call = question.call();
        write(output, question.program() + " (pid " + std::to_string(call.pid()) + ") calls " + call.text() +
                          " (system call " + std::to_string(call.number()) + ")\n  " + std::string{prompt});
        std::string line;
        if (read_line(input, question, line)) return line;
        write(output, "(no answer)\n");
        return std::nullopt;
    }

private:
    static void write(int fd, std::string_view text) noexcept {
        while (!text.empty()) {
            const ssize_t wrote = ::write(fd, text.data(), text.size());
            if (wrote < 0 && errno != EINTR) return;
            if (wrote > 0) text.remove_prefix(static_cast<std::size_t>(wrote));
        }
    }

    /// Returns whether a whole line came in time.
    static bool read_line(int fd, const Question& question, std::string& line) {
        constexpr std::size_t longest = 256;
        for (;;) {
            const auto left = question.time_left().count();
            if (left == 0) return false;
            constexpr long long step = 100;  // a call can go away while nobody answers
            pollfd source{fd, POLLIN, 0};
            const int ready = ::poll(&source, 1, static_cast<int>(left < step ? left : step));
            if (ready < 0 && errno != EINTR) return false;
            if (ready <= 0) continue;
            char c = 0;
            const ssize_t got = ::read(fd, &c, 1);
            if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) return false;
            if (got < 0) continue;
            if (c == '\n') return true;
            if (line.size() < longest) line += c;
        }
    }

    int input_ = -1;
    int output_ = -1;
};

}  // namespace sysguard
