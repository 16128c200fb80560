#pragma once

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

/// What a person has said once and for all: for a program (its real path) and a call, "allow", "deny" or "ask".
/// A text file with a line each: allow connect /usr/bin/curl
class Answers {
public:
    using Key = std::pair<std::string, std::string>;  ///< program, call

    /// Reads a file; one that is not there is empty. Throws std::runtime_error where a line cannot be understood:
    /// a damaged file allows nothing.
    explicit Answers(std::string file) : file_{std::move(file)} {
        if (file_.empty()) return;
        std::ifstream lines{file_};
        int number = 0;
        for (std::string line; std::getline(lines, line);) {
            ++number;
            if (line.empty() || line[0] == '#') continue;
            std::istringstream words{line};
            std::string answer;
            std::string call;
            std::string program;
            words >> answer >> call >> std::ws;
            std::getline(words, program);
            if (!is_answer(answer) || call.empty() || program.empty())
                throw std::runtime_error{file_ + ", line " + std::to_string(number) +
                                         ": not 'allow|deny|ask CALL PROGRAM'"};
            answers_[{program, call}] = answer;
        }
    }

    static bool is_answer(const std::string& word) { return word == "allow" || word == "deny" || word == "ask"; }

    /// The answer for a call of a program; "*" stands for every call.
    std::optional<std::string> find(const std::string& program, const std::string& call) const {
        for (const std::string& name : {call, std::string{"*"}})
            if (const auto found = answers_.find({program, name}); found != answers_.end()) return found->second;
        return std::nullopt;
    }

    void set(const std::string& program, const std::string& call, const std::string& answer) {
        answers_[{program, call}] = answer;
        save();
    }

    /// Forgets the answer for a call, or, where that is empty, all of a program's. Returns how many there were.
    int remove(const std::string& program, const std::string& call) {
        int removed = 0;
        for (auto each = answers_.begin(); each != answers_.end();) {
            const bool meant = each->first.first == program && (call.empty() || each->first.second == call);
            removed += meant;
            each = meant ? answers_.erase(each) : std::next(each);
        }
        save();
        return removed;
    }

    void list() const {
        for (const auto& [key, answer] : answers_)
            std::printf("%s %s %s\n", answer.c_str(), key.second.c_str(), key.first.c_str());
    }

private:
    /// Whole or not at all: a new file takes the old one's place.
    void save() const {
        if (file_.empty()) return;
        const std::string next = file_ + ".new";
        {
            std::ofstream lines{next, std::ios::trunc};
            for (const auto& [key, answer] : answers_) lines << answer << ' ' << key.second << ' ' << key.first << '\n';
            lines.flush();
            if (!lines) throw std::runtime_error{"cannot write " + next};
        }
        if (std::rename(next.c_str(), file_.c_str()) != 0) throw std::runtime_error{"cannot write " + file_};
    }

    std::string file_;
    std::map<Key, std::string> answers_{};
};
