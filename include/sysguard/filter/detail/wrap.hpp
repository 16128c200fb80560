#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sysguard::filter::detail {

/// Where the word that begins at `from` ends: at a space outside of quotes.
inline std::size_t end_of_word(std::string_view text, std::size_t from) noexcept {
    bool quoted = false;
    for (; from < text.size(); ++from) {
        if (text[from] == '\\')
            ++from;
        else if (text[from] == '"')
            quoted = !quoted;
        else if (text[from] == ' ' && !quoted)
            return from;
    }
    return text.size();
}

/// Appends one paragraph in lines of at most `width` characters, if its words let it: the first after `indent` spaces,
/// the others after `hanging`. What is quoted is not broken; flags joined by '|' that are longer than a line are,
/// behind a '|'.
inline void wrap(std::string& out, std::string_view text, std::size_t indent, std::size_t hanging,
                 std::size_t width = 100) {
    std::string line(indent, ' ');
    bool empty = true;
    const auto put = [&](std::string_view word, bool spaced) {
        const bool space = spaced && !empty;
        if (!empty && line.size() + (space ? 1U : 0U) + word.size() > width) {
            out += line + '\n';
            line.assign(hanging, ' ');
        } else if (space) {
            line += ' ';
        }
        line += word;
        empty = false;
    };
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = end_of_word(text, from);
        std::string_view word = text.substr(from, end - from);
        bool spaced = true;
        if (hanging + word.size() > width && word.find('"') == word.npos)
            for (std::size_t bar = word.find('|'); bar != word.npos; bar = word.find('|')) {
                put(word.substr(0, bar + 1), spaced);
                word.remove_prefix(bar + 1);
                spaced = false;
            }
        put(word, spaced);
        from = end + 1;
    }
    out += line + '\n';
}

}  // namespace sysguard::filter::detail
