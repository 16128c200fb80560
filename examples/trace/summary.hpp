#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace trace {

/// How often each call was made, how often it failed, and how long it took, by the clock on the wall.
class Summary {
public:
    void add(const std::string& call, std::int64_t nanoseconds, bool is_error) {
        Row& row = rows_[call];
        ++row.calls;
        row.errors += is_error ? 1 : 0;
        row.time += nanoseconds;
    }

    void print(std::FILE* file) const {
        std::vector<std::pair<std::string, Row>> rows{rows_.begin(), rows_.end()};
        std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
            return a.second.time != b.second.time ? a.second.time > b.second.time : a.first < b.first;
        });
        Row all;
        for (const auto& [call, row] : rows) {
            all.calls += row.calls;
            all.errors += row.errors;
            all.time += row.time;
        }
        const char* const line = "------ ----------- ----------- --------- --------- ----------------\n";
        std::fprintf(file, "%% time     seconds  usecs/call     calls    errors syscall\n%s", line);
        for (const auto& [call, row] : rows) print(file, call, row, all);
        std::fputs(line, file);
        print(file, "total", all, all);
    }

private:
    struct Row {
        std::uint64_t calls = 0;
        std::uint64_t errors = 0;
        std::int64_t time = 0;
    };

    static void print(std::FILE* file, const std::string& call, const Row& row, const Row& all) {
        const double part = all.time > 0 ? 100.0 * static_cast<double>(row.time) / static_cast<double>(all.time) : 0;
        const std::int64_t each = row.calls > 0 ? row.time / static_cast<std::int64_t>(row.calls) / 1000 : 0;
        std::fprintf(file, "%6.2f %11.6f %11lld %9llu %9s %s\n", part, static_cast<double>(row.time) / 1e9,
                     static_cast<long long>(each), static_cast<unsigned long long>(row.calls),
                     row.errors > 0 ? std::to_string(row.errors).c_str() : "", call.c_str());
    }

    std::map<std::string, Row> rows_{};
};

}  // namespace trace
