// Does honest work: says what kind of file it is given and what is in it.
#include "plugin.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace {

unsigned big_endian(const unsigned char* bytes) {
    return static_cast<unsigned>(bytes[0]) << 24 | static_cast<unsigned>(bytes[1]) << 16 |
           static_cast<unsigned>(bytes[2]) << 8 | bytes[3];
}

/// A PNG file begins with a signature and a header chunk (PNG specification, 5.2 and 11.2.2).
bool describe_png(const plugin_job& job) {
    static constexpr unsigned char signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (job.size < 29 || std::memcmp(job.data, signature, sizeof signature) != 0) return false;
    std::snprintf(job.result, job.result_size, "PNG image, %u x %u pixels, %u bits", big_endian(job.data + 16),
                  big_endian(job.data + 20), job.data[24]);
    return true;
}

void describe_text(const plugin_job& job) {
    const std::string_view text{reinterpret_cast<const char*>(job.data), job.size};
    std::map<std::string, int> counts;
    std::string word;
    int words = 0;
    const auto end_word = [&] {
        if (word.size() > 3) ++counts[word];
        words += !word.empty();
        word.clear();
    };
    for (const char c : text) {
        if (std::isalpha(static_cast<unsigned char>(c)) != 0)
            word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        else
            end_word();
    }
    end_word();
    const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto most = std::max_element(counts.begin(), counts.end(), by_count);
    std::snprintf(job.result, job.result_size, "text, %td lines, %d words; most often \"%s\"",
                  std::count(text.begin(), text.end(), '\n'), words, most == counts.end() ? "" : most->first.c_str());
}

}  // namespace

int plugin_run(plugin_job* job) {
    if (!describe_png(*job)) describe_text(*job);
    return 0;
}
