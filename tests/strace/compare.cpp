// What is written of the calls of real programs, and of one that makes each call of the table, against strace(1)
// itself. Set SYSGUARD_SHOW_DIFFERENCES to see each line that is not the same.
#include <doctest/doctest.h>

#include "support/helpers.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using Lines = std::vector<std::string>;

bool is_there(const char* path) {
    return ::access(path, X_OK) == 0;
}

/// Runs a command in a directory, without output, in bounded time and with bounded files. Returns its exit code, or -1.
int run(const std::string& directory, const Lines& command) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        const rlimit most_file{1 << 26, 1 << 26};
        ::setrlimit(RLIMIT_FSIZE, &most_file);
        ::alarm(60);
        if (::chdir(directory.c_str()) != 0) ::_exit(127);
        if (std::freopen("/dev/null", "r+", stdout) == nullptr || ::dup2(1, 2) < 0 || ::dup2(1, 0) < 0) ::_exit(127);
        ::setenv("TZ", "UTC", 1);
        std::vector<char*> words;
        for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        ::execv(words[0], words.data());
        ::_exit(127);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
    return WEXITSTATUS(status);
}

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// What two runs of a program differ in: addresses, times, numbers of processes and of sockets, random bytes.
std::string same_for_all_runs(std::string line, const std::string& directory) {
    static const std::regex spaces{R"(\)\s+= )"};
    static const std::regex addresses{R"(0x[0-9a-f]{6,})"};
    static const std::regex inodes{R"(\[\d{4,}\])"};
    static const std::regex times{
        R"(\b(tv_u?n?sec|uptime|freeram|bufferram|sharedram|loads|procs|f_bfree|f_bavail|f_ffree|f_files|si_[us]time|tms_\w+|maxerror|esterror|u32|u64)=\[?-?\d+( /\*[^*]*\*/)?(, \d+, \d+\])?)"};
    static const std::regex random{R"(^getrandom\("[^"]*")"};
    static const std::regex ports{R"(sin_port=htons\(\d{5}\)|sa_data="[^"]*")"};
    static const std::regex results{
        R"(^(getp?pid|gettid|getpgrp|getsid|times|clone3?|set_tid_address|wait4|waitid|kill)(\(.*) = \d+$)"};
    static const std::regex temporary{R"(/tmp/cc\w{6})"};
    for (std::size_t at; (at = line.find(directory)) != std::string::npos;) line.replace(at, directory.size(), "DIR");
    line = std::regex_replace(line, spaces, ") = ");
    line = std::regex_replace(line, addresses, "0xA");
    line = std::regex_replace(line, inodes, "[N]");
    line = std::regex_replace(line, times, "$1=N");
    line = std::regex_replace(line, random, "getrandom(RANDOM");
    line = std::regex_replace(line, ports, "PORT");
    line = std::regex_replace(line, temporary, "/tmp/ccN");
    return std::regex_replace(line, results, "$1$2 = N");
}

/// The calls in a file, by process, in the order in which these were started: which of them comes first to a call is up
/// to the scheduler. Halves of interrupted calls are put together.
std::vector<Lines> read_calls(const std::string& path, const std::string& directory) {
    std::vector<Lines> processes;
    std::map<std::string, std::size_t> places;
    std::map<std::string, std::string> pending;
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        const std::size_t space = line.find(' ');
        if (space == std::string::npos) continue;
        const std::string pid = line.substr(0, space);
        const std::size_t begin = line.find_first_not_of(' ', space);
        if (begin == std::string::npos) continue;
        std::string text = line.substr(begin);
        const auto [place, is_new] = places.emplace(pid, processes.size());
        if (is_new) processes.emplace_back();
        Lines& calls = processes[place->second];
        if (text.compare(0, 3, "---") == 0) continue;
        if (text.compare(0, 3, "+++") == 0) {
            if (const auto left = pending.find(pid); left != pending.end()) {
                calls.push_back(same_for_all_runs(left->second + ") = ?", directory));
                pending.erase(left);
            }
            continue;
        }
        const std::string unfinished = " <unfinished ...>";
        if (ends_with(text, unfinished)) {
            pending[pid] = text.substr(0, text.size() - unfinished.size());
            continue;
        }
        const std::string resumed = " resumed>";
        const std::size_t at = text.find(resumed);
        if (text.compare(0, 4, "<...") == 0 && at != std::string::npos) {
            text = pending[pid] + text.substr(at + resumed.size());
            pending.erase(pid);
        }
        for (const auto& [number, unused] : places)
            text = std::regex_replace(text, std::regex{"\\b" + number + "\\b"}, "PID");
        calls.push_back(same_for_all_runs(text, directory));
    }
    std::map<long, Lines> by_number;
    for (const auto& [number, place] : places) by_number[std::stol(number)] = std::move(processes[place]);
    std::vector<Lines> ordered;
    for (auto& [number, calls] : by_number) ordered.push_back(std::move(calls));
    return ordered;
}

/// How many lines are the same, in the same order. Shows the others, where that is wanted.
std::size_t count_same(const Lines& theirs, const Lines& ours) {
    std::vector<std::vector<unsigned>> longest(theirs.size() + 1, std::vector<unsigned>(ours.size() + 1));
    for (std::size_t i = theirs.size(); i-- > 0;)
        for (std::size_t j = ours.size(); j-- > 0;)
            longest[i][j] =
                theirs[i] == ours[j] ? longest[i + 1][j + 1] + 1 : std::max(longest[i + 1][j], longest[i][j + 1]);
    if (std::getenv("SYSGUARD_SHOW_DIFFERENCES") != nullptr)
        for (std::size_t i = 0, j = 0; i < theirs.size() || j < ours.size();) {
            if (i < theirs.size() && j < ours.size() && theirs[i] == ours[j]) {
                ++i, ++j;
            } else if (j == ours.size() || (i < theirs.size() && longest[i + 1][j] >= longest[i][j + 1])) {
                std::printf("strace: %s\n", theirs[i++].c_str());
            } else {
                std::printf("ours:   %s\n", ours[j++].c_str());
            }
        }
    return longest[0][0];
}

struct Compared {
    std::size_t lines = 0;
    std::size_t same = 0;

    double part() const { return lines == 0 ? 0 : static_cast<double>(same) / static_cast<double>(lines); }
};

Compared compare(const support::Scratch& scratch, const Lines& program) {
    const std::string theirs = scratch / "strace.out";
    const std::string ours = scratch / "ours.out";
    Lines first{"/usr/bin/strace", "-f", "-y", "-o", theirs};
    Lines second{support::helper("trace_lines"), ours};
    first.insert(first.end(), program.begin(), program.end());
    second.insert(second.end(), program.begin(), program.end());
    Compared compared;
    if (run(scratch.path(), first) != 0 || run(scratch.path(), second) != 0) return compared;
    const std::vector<Lines> a = read_calls(theirs, scratch.path());
    const std::vector<Lines> b = read_calls(ours, scratch.path());
    for (std::size_t i = 0; i < a.size(); ++i) {
        Lines known;  // a call that strace does not know has no name there
        for (const std::string& line : a[i])
            if (line.compare(0, 10, "syscall_0x") != 0 || line.compare(0, 14, "syscall_0x270f") == 0)
                known.push_back(line);
        compared.lines += known.size();
        if (i < b.size()) compared.same += count_same(known, b[i]);
    }
    MESSAGE(program[0] << ": " << compared.same << " of " << compared.lines << " lines are the same");
    return compared;
}

#define SYSGUARD_NEEDS_STRACE(scratch)                                                                      \
    if (!is_there("/usr/bin/strace")) SYSGUARD_SKIP("strace is missing (Debian, Ubuntu: strace)");          \
    if (run(scratch.path(), {"/bin/sh", "-c", "/usr/bin/strace --version | grep -q 'version 6\\.1'"}) != 0) \
        SYSGUARD_SKIP("strace is not of version 6.1, with whose texts these are compared");                 \
    if (run(scratch.path(), {"/usr/bin/strace", "-o", "/dev/null", "/bin/true"}) != 0)                      \
    SYSGUARD_SKIP("ptrace is not allowed here")

}  // namespace

TEST_CASE("ls -l") {
    const support::Scratch scratch;
    SYSGUARD_NEEDS_STRACE(scratch);
    CHECK(compare(scratch, {"/bin/ls", "-l", "/etc"}).part() >= 0.95);
}

TEST_CASE("tar") {
    const support::Scratch scratch;
    SYSGUARD_NEEDS_STRACE(scratch);
    CHECK(compare(scratch, {"/bin/tar", "cf", "a.tar", "-C", "/usr/include", "linux/netfilter", "--ignore-failed-read"})
              .part() >= 0.95);
}

TEST_CASE("a shell with a pipeline") {
    const support::Scratch scratch;
    SYSGUARD_NEEDS_STRACE(scratch);
    CHECK(compare(scratch, {"/bin/sh", "-c", "ls / | sort | head -3; wait"}).part() >= 0.95);
}

TEST_CASE("python3 -c") {
    const support::Scratch scratch;
    SYSGUARD_NEEDS_STRACE(scratch);
    if (!is_there("/usr/bin/python3")) SYSGUARD_SKIP("python3 is missing");
    CHECK(compare(scratch, {"/usr/bin/python3", "-c", "print(sum(range(9)))"}).part() >= 0.95);
}

TEST_CASE("a compiler") {
    const support::Scratch scratch;
    SYSGUARD_NEEDS_STRACE(scratch);
    if (!is_there("/usr/bin/cc")) SYSGUARD_SKIP("cc is missing");
    std::ofstream{scratch / "hello.c"} << "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n";
    CHECK(compare(scratch, {"/usr/bin/cc", "hello.c", "-o", "hello"}).part() >= 0.95);
}

TEST_CASE("curl on loopback") {
    const support::Scratch scratch;
    SYSGUARD_NEEDS_STRACE(scratch);
    if (!is_there("/usr/bin/curl")) SYSGUARD_SKIP("curl is missing");
    CHECK(compare(scratch, {"/bin/sh", "-c", "/usr/bin/curl -s -m 5 http://127.0.0.1:9/ || true"}).part() >= 0.95);
}

TEST_CASE("each call of the table, with good and bad arguments") {
    const support::Scratch scratch;
    SYSGUARD_NEEDS_STRACE(scratch);
    const Compared compared = compare(scratch, {support::helper("each_call")});
    CHECK(compared.lines > 600);
    CHECK(compared.part() >= 0.95);
}
