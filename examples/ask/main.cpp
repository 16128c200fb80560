// Runs a program, and asks before it makes calls that matter. All else runs untouched.
#include <sysguard/decide/terminal.hpp>
#include <sysguard/sandbox.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "answers.hpp"

namespace sg = sysguard;
using sg::Rule;

namespace {

struct Settings {
    std::set<std::string> calls{"socket", "connect"};
    std::string answers_file{};
    std::string log_file{};
    std::string otherwise = "ask";
    std::chrono::seconds time{30};
    std::vector<std::string> command{};
};

/// Decides, asks where it has to, remembers, and writes it all down. Questions come from several threads.
class Secretary {
public:
    explicit Secretary(const Settings& settings) : answers_{settings.answers_file}, otherwise_{settings.otherwise} {
        if (settings.log_file.empty()) return;
        log_ = std::fopen(settings.log_file.c_str(), "ae");
        if (log_ == nullptr) throw std::runtime_error{"cannot write " + settings.log_file};
    }

    sg::Answer operator()(const sg::Question& question) {
        const std::string program = question.program();
        const std::string call{question.call().name()};
        std::string answer = otherwise_;
        const char* by = "default";
        {
            const std::scoped_lock lock{mutex_};
            if (const auto saved = answers_.find(program, call)) {
                answer = *saved;
                by = "saved";
            }
        }
        const bool asks = answer == "ask";
        if (asks) {
            by = "person";
            const auto line = terminal_.ask(question, "Allow? [y = yes, a = always, n = no, d = never; no] ");
            answer = line == "y" || line == "a" ? "allow" : "deny";
            const std::scoped_lock lock{mutex_};
            if (line == "a" || line == "d") answers_.set(program, call, answer);
        }
        write_down(question, program, answer, by);
        return answer == "allow" ? sg::Answer::allow : sg::Answer::refuse;
    }

    void missed(const sg::Question& question) { write_down(question, question.program(), "deny", "time"); }

private:
    void write_down(const sg::Question& question, const std::string& program, const std::string& answer,
                    const char* by) {
        const std::scoped_lock lock{mutex_};
        if (log_ == nullptr) return;
        const std::time_t now = std::time(nullptr);
        char when[32];
        std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
        std::fprintf(log_, "%s pid=%d program=%s call=%s answer=%s by=%s\n", when, question.call().pid(),
                     program.c_str(), question.call().text().c_str(), answer.c_str(), by);
        std::fflush(log_);
    }

    std::mutex mutex_{};
    Answers answers_;
    std::string otherwise_;
    sg::TerminalAsker terminal_{STDIN_FILENO, STDERR_FILENO};
    std::FILE* log_ = nullptr;
};

/// Stands for the secretary in a rule.
struct Clerk {
    sg::Answer operator()(const sg::Question& question) const { return secretary(question); }
    void missed(const sg::Question& question) const { secretary.missed(question); }

    Secretary& secretary;
};

/// The calls that one may be asked about.
template <int... numbers>
class Askable {
public:
    static constexpr std::size_t count = sizeof...(numbers);

    static bool has(std::string_view name) { return ((sg::abi::find(numbers)->name == name) || ...); }

    static void print() { (std::printf(" %s", sg::abi::find(numbers)->name.data()), ...); }

    static auto rules(const Settings& settings, Secretary& secretary) {
        sg::Rules<count, 0, true> rules;
        (add<numbers>(rules, settings, secretary), ...);
        return rules;
    }

private:
    template <int number>
    static void add(auto& rules, const Settings& settings, Secretary& secretary) {
        if (settings.calls.count(std::string{sg::abi::find(number)->name}) == 0) return;
        rules.append(Rule<number>{}.ask(Clerk{secretary}, {.time = settings.time}));
    }
};

using Calls =
    Askable<SYS_socket, SYS_connect, SYS_bind, SYS_listen, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_openat,
            SYS_openat2, SYS_unlinkat, SYS_renameat2, SYS_mkdirat, SYS_fchmodat, SYS_fchownat, SYS_truncate,
            SYS_symlinkat, SYS_linkat, SYS_setuid, SYS_setgid, SYS_kill
#if defined(__x86_64__)
            ,
            SYS_open, SYS_unlink, SYS_rmdir, SYS_rename, SYS_mkdir, SYS_chmod, SYS_chown, SYS_symlink, SYS_link
#endif
            >;

int usage() {
    std::printf(
        "ask [--ask CALL]... [--default allow|deny|ask] [--answers FILE] [--log FILE] [--time SECONDS] PROGRAM "
        "[ARGUMENT]...\n"
        "    runs PROGRAM (a path), and asks before each socket, connect and CALL\n"
        "ask --answers FILE --list | --set PROGRAM CALL allow|deny|ask | --remove PROGRAM [CALL]\n"
        "    what has been answered for always; CALL may be '*'\n"
        "CALL is one of:");
    Calls::print();
    std::printf("\n");
    return 2;
}

int run(const Settings& settings) {
    Secretary secretary{settings};
    const sg::Policy policy{Calls::rules(settings, secretary), sg::otherwise.allow()};
    sg::Launch launch;
    for (char** variable = ::environ; *variable != nullptr; ++variable) launch.environment.emplace_back(*variable);
    launch.umask = ::umask(0);
    ::umask(launch.umask);
    launch.input = settings.otherwise == "ask" ? sg::Stdio::null() : sg::Stdio::inherit();
    const sg::Outcome outcome = sg::Sandbox{policy}.run(settings.command, launch);
    if (outcome.kind() == sg::Outcome::Kind::exited) return outcome.exit_code();
    std::fprintf(stderr, "%s\n", outcome.explain().c_str());
    return 125;
}

int manage(const Settings& settings, const std::vector<std::string>& words) {
    Answers answers{settings.answers_file};
    if (words[0] == "--list" && words.size() == 1)
        answers.list();
    else if (words[0] == "--set" && words.size() == 4 && Answers::is_answer(words[3]))
        answers.set(words[1], words[2], words[3]);
    else if (words[0] == "--remove" && (words.size() == 2 || words.size() == 3))
        std::printf("removed %d\n", answers.remove(words[1], words.size() == 3 ? words[2] : ""));
    else
        return usage();
    return 0;
}

int start(const std::vector<std::string>& words) {
    Settings settings;
    for (std::size_t i = 0; i < words.size(); i += 2) {
        const std::string& word = words[i];
        if (word == "--list" || word == "--set" || word == "--remove") {
            if (settings.answers_file.empty()) return usage();
            return manage(settings, {words.begin() + static_cast<std::ptrdiff_t>(i), words.end()});
        }
        if (word.empty() || word[0] != '-') {
            settings.command = {words.begin() + static_cast<std::ptrdiff_t>(i), words.end()};
            return run(settings);
        }
        if (i + 1 == words.size()) return usage();
        const std::string& value = words[i + 1];
        if (word == "--ask" && Calls::has(value))
            settings.calls.insert(value);
        else if (word == "--default" && Answers::is_answer(value))
            settings.otherwise = value;
        else if (word == "--answers")
            settings.answers_file = value;
        else if (word == "--log")
            settings.log_file = value;
        else if (word == "--time" && std::atoi(value.c_str()) > 0)
            settings.time = std::chrono::seconds{std::atoi(value.c_str())};
        else
            return usage();
    }
    return usage();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return start({argv + 1, argv + argc});
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "ask: %s\n", exception.what());
        return 125;
    }
}
