#pragma once

#include <sysguard/abi/call_class.hpp>
#include <sysguard/abi/call_set.hpp>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace trace {

/// What the command line says.
struct Options {
    sysguard::CallSet calls = sysguard::CallSet::all();
    bool follows = false;       ///< -f
    bool shows_paths = false;   ///< -y
    bool counts = false;        ///< -c
    bool as_json = false;       ///< -j
    bool entries_only = false;  ///< -n
    std::string file{};         ///< -o
    std::vector<pid_t> processes{};
    std::vector<std::string> command{};
};

inline constexpr const char* help =
    "usage: trace [-f] [-e [trace=]SET] [-y] [-c] [-n] [-j] [-o FILE] (-p PID... | PROGRAM ARGUMENT...)\n"
    "  -f        also threads and processes that it starts\n"
    "  -e SET    only these calls: names, and %file %desc %network %process %memory %signal %ipc %creds %clock,\n"
    "            with commas between; with ! before it, all but these\n"
    "  -y        what descriptors lead to\n"
    "  -c        instead of lines, how often each call was made, how long it took and how often it failed\n"
    "  -n        without results: by seccomp notification, several times cheaper; for programs that are started\n"
    "  -j        a line of JSON for each call\n"
    "  -o FILE   into a file, instead of the standard error\n"
    "  -p PID    a process that runs already\n";

/// The calls that strace(1) takes for `-e trace=`. Throws std::runtime_error.
inline sysguard::CallSet parse_calls(std::string_view text) {
    constexpr std::string_view key = "trace=";
    if (text.substr(0, key.size()) == key) text.remove_prefix(key.size());
    const bool all_but = !text.empty() && text[0] == '!';
    if (all_but) text.remove_prefix(1);
    sysguard::CallSet chosen;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(','));
        text.remove_prefix(word.size() < text.size() ? word.size() + 1 : word.size());
        const std::string_view bare = word.substr(!word.empty() && word[0] == '%' ? 1 : 0);
        sysguard::abi::CallClass found{};
        const sysguard::abi::Syscall* const call = sysguard::abi::find(word);
        if (word == "all") {
            chosen = sysguard::CallSet::all();
        } else if (call != nullptr) {
            chosen.add(call->number());
        } else if (sysguard::abi::find_call_class(bare, found)) {
            for (const sysguard::abi::Syscall& each : sysguard::abi::syscalls)
                if (sysguard::abi::is_in(each, found)) chosen.add(each.number());
        } else if (word != "none") {
            throw std::runtime_error{"-e: there is no system call and no class '" + std::string{word} + "'"};
        }
    }
    return all_but ? sysguard::CallSet::all().remove(chosen) : chosen;
}

/// Throws std::runtime_error for what cannot be meant.
inline Options parse(int argc, char** argv) {
    Options options;
    int i = 1;
    const auto value = [&](const char* name) -> std::string {
        if (i + 1 >= argc) throw std::runtime_error{std::string{name} + " needs a value\n" + help};
        return argv[++i];
    };
    for (; i < argc && argv[i][0] == '-'; ++i) {
        const std::string_view word = argv[i];
        if (word == "--") {
            ++i;
            break;
        }
        if (word == "-f") {
            options.follows = true;
        } else if (word == "-y") {
            options.shows_paths = true;
        } else if (word == "-c") {
            options.counts = true;
        } else if (word == "-j") {
            options.as_json = true;
        } else if (word == "-n") {
            options.entries_only = true;
        } else if (word == "-e") {
            options.calls = parse_calls(value("-e"));
        } else if (word == "-o") {
            options.file = value("-o");
        } else if (word == "-p") {
            const std::string text = value("-p");
            char* end = nullptr;
            const long process = std::strtol(text.c_str(), &end, 10);
            if (process <= 0 || *end != '\0') throw std::runtime_error{"-p: '" + text + "' is no process id"};
            options.processes.push_back(static_cast<pid_t>(process));
        } else {
            throw std::runtime_error{"there is no option " + std::string{word} + "\n" + help};
        }
    }
    options.command.assign(argv + i, argv + argc);
    if (options.command.empty() == options.processes.empty()) throw std::runtime_error{help};
    if (options.entries_only && (options.counts || !options.processes.empty()))
        throw std::runtime_error{"-n: a process that runs already, and what calls take, is seen with results only"};
    if (options.entries_only && !options.follows) options.follows = true;
    return options;
}

}  // namespace trace
