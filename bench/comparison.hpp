#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// Ends the benchmark where its subject did not do what was to be measured.
inline void expect(bool fine, const char* otherwise) {
    if (fine) return;
    std::fprintf(stderr, "%s\n", otherwise);
    std::abort();
}

/// Does several things by turns, so that each meets the same machine, and reports their medians: the first in
/// microseconds, every other as a multiple of it.
class Comparison {
public:
    template <class Work>
    Comparison& add(std::string name, Work work) {
        contenders_.push_back({std::move(name), {}});
        works_.push_back(work);
        return *this;
    }

    void run(benchmark::State& state) {
        for ([[maybe_unused]] auto iteration : state)
            for (std::size_t i = 0; i < works_.size(); ++i) contenders_[i].microseconds.push_back(works_[i]());
        const double floor = contenders_.front().median();
        state.counters[contenders_.front().name + " [us]"] = floor;
        for (std::size_t i = 1; i < contenders_.size(); ++i)
            state.counters["x " + contenders_[i].name] = contenders_[i].median() / floor;
    }

    /// The time that `work` takes, in microseconds.
    template <class Work>
    static double time(const Work& work) {
        const auto start = std::chrono::steady_clock::now();
        work();
        return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    }

private:
    struct Contender {
        std::string name;
        std::vector<double> microseconds;

        double median() {
            const auto middle = microseconds.begin() + static_cast<std::ptrdiff_t>(microseconds.size() / 2);
            std::nth_element(microseconds.begin(), middle, microseconds.end());
            return *middle;
        }
    };

    std::vector<Contender> contenders_;
    std::vector<std::function<double()>> works_;
};

}  // namespace bench
