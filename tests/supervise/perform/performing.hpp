#pragma once

#include "paths.hpp"
#include "trees.hpp"
#include "worker.hpp"

#include <cctype>
#include <cstring>
#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

#include <grp.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

/// Calls that a worker makes, and that are performed for another: they come to the same.
namespace performing {

/// Gives up root, where the test has it.
inline void become_nobody() {
    if (::getuid() != 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
        ::_exit(1);
}

/// Makes a call natively in one tree, performs it in the other, and compares. "@" in strings is the tree.
class Pair {
public:
    template <class Setup>
    explicit Pair(Setup&& setup)
        : native_{[&] {
              settle(trees_.native());
              setup();
          }},
          performed_{[&] {
              settle(trees_.performed());
              setup();
          }} {}
    Pair() : Pair{[] {}} {}

    Trees& trees() { return trees_; }
    Worker& worker() { return performed_; }

    /// The result, that of both.
    long same(int number, std::initializer_list<Argument> arguments, const std::string& extra = {}) {
        const bool reads_link = abi::find(number)->name.substr(0, 8) == "readlink";
        const std::vector<Argument> own = in(arguments, trees_.performed());
        // What links on procfs say, and how long that is, depends on whose they are.
        const Answer expected =
            reads_link ? made(performed_, number, own) : made(native_, number, in(arguments, trees_.native()));
        const Answer got = performed_.perform(number, own, nullptr, extra);
        std::string call{abi::find(number)->name};
        for (const Argument& argument : arguments) {
            call += ' ';
            if (const std::string* text = std::get_if<std::string>(&argument)) call += text->substr(0, 60);
            if (const long* value = std::get_if<long>(&argument)) call += std::to_string(*value);
        }
        CAPTURE(call);
        CHECK(got.result == expected.result);
        CHECK(plain(got.place, trees_.performed(), performed_) == plain(expected.place, trees_.native(), native_));
        CHECK(got.fd_flags == expected.fd_flags);
        if (expected.result >= 0)
            for (int i = 0; i < 6; ++i)
                CHECK(shown(number, got.out[i], got.result) == shown(number, expected.out[i], expected.result));
        return expected.result;
    }

    void same_trees() { CHECK(describe(trees_.performed()) == describe(trees_.native())); }

private:
    /// A long chain of links is once in a while too long for the kernel: where it gives a walk without locks up and
    /// begins anew, it goes on counting links (nd->total_link_count in fs/namei.c).
    static Answer made(Worker& worker, int number, const std::vector<Argument>& arguments) {
        Answer answer = worker.make(number, arguments);
        for (int again = 0; again < 10 && answer.result == -ELOOP; ++again) answer = worker.make(number, arguments);
        return answer;
    }

    std::vector<Argument> in(std::initializer_list<Argument> arguments, const std::string& tree) const {
        std::vector<Argument> all(arguments);
        for (Argument& argument : all)
            if (std::string* text = std::get_if<std::string>(&argument)) *text = replaced(*text, "@", tree);
        return all;
    }

    /// Without what differs between the two: the tree, the number by which a file without a name is shown, and the
    /// worker's id where it is a word of its own.
    static std::string plain(std::string text, const std::string& tree, const Worker& worker) {
        text = replaced(text, tree, "TREE");
        if (const std::size_t at = text.find("/#"); at != std::string::npos)
            text.erase(at + 2, text.find_first_not_of("0123456789", at + 2) - at - 2);
        const std::string pid = std::to_string(worker.pid());
        const auto is_word = [&](std::size_t at) { return at < text.size() && std::isalnum(text[at]) != 0; };
        for (std::size_t at = text.find(pid); at != std::string::npos; at = text.find(pid, at + 1))
            if (!is_word(at - 1) && !is_word(at + pid.size())) text.replace(at, pid.size(), "PID");
        return text;
    }

    static std::string shown(int number, const std::string& out, long result) {
        const auto kind = [](unsigned mode, std::uint64_t size) {
            const bool varies = S_ISDIR(mode) || S_ISLNK(mode);
            return std::to_string(mode) + " " + (varies ? std::string{"any"} : std::to_string(size));
        };
        if (out.size() == sizeof(struct stat) && number != SYS_readlinkat) {
            struct stat status;
            std::memcpy(&status, out.data(), sizeof status);
            return kind(status.st_mode, static_cast<std::uint64_t>(status.st_size)) + " " +
                   std::to_string(status.st_uid) + " " + std::to_string(status.st_nlink) + " " +
                   std::to_string(status.st_rdev);
        }
        if (number == SYS_statx && out.size() == sizeof(struct statx)) {
            struct statx status;
            std::memcpy(&status, out.data(), sizeof status);
            return kind(status.stx_mode, status.stx_size) + " " + std::to_string(status.stx_uid);
        }
        if (out.size() == sizeof(struct statfs) && (number == SYS_fstatfs || number == SYS_statfs)) {
            struct statfs status;
            std::memcpy(&status, out.data(), sizeof status);
            return std::to_string(status.f_type) + " " + std::to_string(status.f_flags);
        }
        return out.substr(0, static_cast<std::size_t>(result));
    }

    Trees trees_;
    Worker native_;
    Worker performed_;
};

/// Runs a test for a worker that is as the test itself, and as root for one that is not.
template <class Test>
void for_each_user(Test&& test) {
    {
        Pair pair;
        test(pair);
    }
    if (::getuid() != 0) return;
    Pair pair{become_nobody};
    test(pair);
}

}  // namespace performing
