#pragma once

#include "../policy/binding.hpp"
#include "../policy/text.hpp"

#include <cstddef>
#include <string_view>

namespace sysguard::supervise {

/// Whether a resolved path is a directory itself or lies below it.
constexpr bool is_under(std::string_view path, std::string_view directory) noexcept {
    while (directory.size() > 1 && directory.back() == '/') directory.remove_suffix(1);
    if (directory == "/") return !path.empty() && path[0] == '/';
    return path.substr(0, directory.size()) == directory && !directory.empty() &&
           (path.size() == directory.size() || path[directory.size()] == '/');
}

namespace detail {

/// Whether `c` is in the set that `pattern` begins with behind its bracket; `pattern` then begins behind the set.
constexpr bool take_set(std::string_view& pattern, char c) noexcept {
    std::size_t i = 0;
    const bool negated = pattern[0] == '!' || pattern[0] == '^';
    if (negated) ++i;
    bool found = false;
    for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
        const char low = pattern[i];
        char high = low;
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            high = pattern[i + 2];
            i += 2;
        }
        found = found || (low <= c && c <= high);
        ++i;
    }
    pattern.remove_prefix(i < pattern.size() ? i + 1 : i);
    return found != negated && c != '/';
}

}  // namespace detail

/// Whether a whole text matches a pattern of glob(7): `*` and `?` and sets stand for no slash, `**` for anything. Takes
/// time in proportion to the product of both lengths at most.
constexpr bool matches_glob(std::string_view text, std::string_view pattern) noexcept {
    struct Retry {
        bool possible = false;
        std::string_view text{};
        std::string_view pattern{};
    };
    Retry within;  // a part of a path
    Retry across;
    for (;;) {
        if (pattern.substr(0, 2) == "**") {
            pattern.remove_prefix(2);
            across = {true, text, pattern};
            within = {};
            continue;
        }
        if (!pattern.empty() && pattern[0] == '*') {
            pattern.remove_prefix(1);
            within = {true, text, pattern};
            continue;
        }
        bool fits = text.empty() && pattern.empty();
        if (fits) return true;
        if (!text.empty() && !pattern.empty()) {
            std::string_view rest = pattern.substr(1);
            if (pattern[0] == '?')
                fits = text[0] != '/';
            else if (pattern[0] == '[' && !rest.empty())
                fits = detail::take_set(rest, text[0]);
            else if (pattern[0] == '\\' && !rest.empty()) {
                fits = text[0] == rest[0];
                rest.remove_prefix(1);
            } else
                fits = text[0] == pattern[0];
            if (fits) {
                text.remove_prefix(1);
                pattern = rest;
                continue;
            }
        }
        if (within.possible && !within.text.empty() && within.text[0] != '/') {
            within.text.remove_prefix(1);
            text = within.text;
            pattern = within.pattern;
        } else if (across.possible && !across.text.empty()) {
            across.text.remove_prefix(1);
            within = {};
            text = across.text;
            pattern = across.pattern;
        } else {
            return false;
        }
    }
}

/// The text of a bound node, unpacked.
class NodeText {
public:
    constexpr explicit NodeText(const policy::BoundNode* node) noexcept : size_{node->count} {
        for (std::size_t i = 0; i < size_; ++i) {
            const policy::BoundNode& part = node[1 + i / policy::node_text];
            const std::size_t word = i % policy::node_text / 8;
            bytes_[i] = policy::byte_of(word == 0 ? part.low : word == 1 ? part.high : part.extra, i);
        }
    }

    constexpr operator std::string_view() const noexcept { return {bytes_, size_}; }

private:
    char bytes_[policy::most_text] = {};
    std::size_t size_;
};

/// Whether a text is what a node says.
constexpr bool matches_text(const policy::BoundNode* node, std::string_view text) noexcept {
    const NodeText wanted{node};
    switch (node->kind) {
        case policy::Node::Kind::equal: return text == wanted;
        case policy::Node::Kind::under: return is_under(text, wanted);
        case policy::Node::Kind::glob: return matches_glob(text, wanted);
        case policy::Node::Kind::prefix: return text.substr(0, node->count) == wanted;
        default: return false;
    }
}

}  // namespace sysguard::supervise
