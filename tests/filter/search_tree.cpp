#include <sysguard/filter/detail/search_tree.hpp>
#include <sysguard/filter/interpret.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace filter = sysguard::filter;
namespace detail = sysguard::filter::detail;
namespace policy = sysguard::policy;

namespace {

using Ranges = std::vector<detail::Range>;

/// What a search costs: as SearchPlan counts it.
struct Cost {
    std::uint64_t executed = 0;  ///< comparisons, each as often as it is looked for what lies behind it
    std::uint64_t written = 0;   ///< comparisons in the program

    std::uint64_t sum() const { return executed + detail::SearchPlan<0>::instruction_cost * written; }
};

/// The cheapest of all trees of JGE and JEQ that tell ranges apart, of which there are at most 16. JGT is JGE of the
/// next number, and a JEQ of a number among others of its range tells nothing. Found by trying every comparison in
/// every place, with what is left known by a bit for each range.
class Exhaustive {
public:
    /// `anywhere`: a JEQ may stand anywhere; else only where nothing but JEQs follows, of which there are at most as
    /// many as SearchPlan takes.
    Exhaustive(Ranges ranges, bool anywhere)
        : ranges_{std::move(ranges)}, anywhere_{anywhere}, known_(std::size_t{1} << ranges_.size(), 0) {}

    std::uint64_t best() { return best((1U << ranges_.size()) - 1); }
    std::uint64_t chain() const { return odd_ones((1U << ranges_.size()) - 1, detail::Chain::max_size); }

private:
    std::uint64_t best(unsigned left) {
        if (is_one(left)) return 0;
        std::uint64_t& known = known_[left];
        if (known != 0) return known;
        std::uint64_t least = anywhere_ ? ~0ULL : odd_ones(left, detail::Chain::max_size);
        for (std::size_t i = 0; i < ranges_.size(); ++i) {
            const unsigned below = left & ((1U << i) - 1);
            if (below != 0 && below != left && (left >> i & 1) != 0)
                least = std::min(least, test(left) + best(below) + best(left & ~below));
            if (anywhere_ && (left >> i & 1) != 0 && ranges_[i].is_single() && left != 1U << i)
                least = std::min(least, test(left) + best(left & ~(1U << i)));
        }
        return known = least;
    }

    /// Single numbers tested one after the other, in any order.
    std::uint64_t odd_ones(unsigned left, std::size_t most) const {
        if (is_one(left)) return 0;
        std::uint64_t least = none;
        for (std::size_t i = 0; most > 0 && i < ranges_.size(); ++i)
            if ((left >> i & 1) != 0 && ranges_[i].is_single())
                least = std::min(least, test(left) + odd_ones(left & ~(1U << i), most - 1));
        return std::min(least, none);
    }

    bool is_one(unsigned left) const {
        const detail::Leaf* leaf = nullptr;
        for (std::size_t i = 0; i < ranges_.size(); ++i) {
            if ((left >> i & 1) == 0) continue;
            if (leaf != nullptr && !(*leaf == ranges_[i].leaf)) return false;
            leaf = &ranges_[i].leaf;
        }
        return true;
    }

    std::uint64_t test(unsigned left) const {
        std::uint64_t cost = detail::SearchPlan<0>::instruction_cost;
        for (std::size_t i = 0; i < ranges_.size(); ++i)
            if ((left >> i & 1) != 0) cost += ranges_[i].weight;
        return cost;
    }

    static constexpr std::uint64_t none = 1ULL << 60;

    Ranges ranges_;
    bool anywhere_;
    std::vector<std::uint64_t> known_;
};

struct Returns {
    detail::Emitter<512>& out;
    detail::Label label(const detail::Leaf& leaf) { return out.ret(leaf.value); }
};

/// What ours costs, by running it for each range.
Cost ours(Ranges ranges, const policy::WeightList& weights = {}) {
    const Ranges whole = ranges;
    detail::Emitter<512> out;
    Returns returns{out};
    detail::SearchTree tree{out, returns, weights};
    out.fall_into(tree.write(ranges.data(), ranges.size()));
    out.emit(BPF_LD | BPF_W | BPF_ABS, 0);
    static filter::Program<512> program;
    out.finish(program);
    Cost cost;
    const filter::ProgramView code = program;
    for (const sock_filter& instruction : code) cost.written += BPF_CLASS(instruction.code) == BPF_JMP;
    for (const detail::Range& range : whole)
        for (const bool last : {false, true}) {
            seccomp_data data{};
            data.nr = static_cast<int>(last ? range.last : range.first);
            const filter::Verdict verdict = filter::interpret(code, data);
            REQUIRE(verdict.value == range.leaf.value);
            if (last) cost.executed += range.weight * (verdict.instructions - 2);
        }
    return cost;
}

Ranges random_ranges(std::mt19937_64& random, std::size_t size, std::uint64_t leaves, bool weighted) {
    Ranges ranges(size);
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < size; ++i) {
        detail::Range& range = ranges[i];
        const std::uint32_t length = random() % 2 == 0 ? 1 : 2 + static_cast<std::uint32_t>(random() % 30);
        range.first = next;
        range.last = next + length - 1;
        next += length;
        do range.leaf.value = static_cast<std::uint32_t>(random() % leaves) << 16;
        while (i > 0 && range.leaf == ranges[i - 1].leaf);
        range.weight = length * (range.leaf.value == 0 ? 16 : 1);
        if (weighted && random() % 3 == 0)
            range.weight += static_cast<std::uint32_t>(random() % 65536 >> random() % 16);
    }
    return ranges;
}

/// The cheapest of the trees whose JEQs come last, for any number of ranges.
std::uint64_t unlimited(const Ranges& ranges) {
    const std::size_t size = ranges.size();
    std::vector<std::vector<std::uint64_t>> cost(size + 1, std::vector<std::uint64_t>(size + 1, 0));
    for (std::size_t length = 2; length <= size; ++length)
        for (std::size_t begin = 0; begin + length <= size; ++begin) {
            const std::size_t end = begin + length;
            std::uint64_t test = detail::SearchPlan<0>::instruction_cost;
            for (std::size_t i = begin; i < end; ++i) test += ranges[i].weight;
            std::uint64_t& least = cost[begin][end];
            least = length > 2 * detail::Chain::max_size + 1
                        ? ~0ULL
                        : Exhaustive{Ranges(ranges.begin() + static_cast<std::ptrdiff_t>(begin),
                                            ranges.begin() + static_cast<std::ptrdiff_t>(end)),
                                     false}
                              .chain();
            for (std::size_t middle = begin + 1; middle < end; ++middle)
                least = std::min(least, test + cost[begin][middle] + cost[middle][end]);
        }
    return cost[0][size];
}

/// How our cost compares with others'.
struct Comparison {
    double sum = 0;
    double worst = 0;
    int equal = 0;
    int count = 0;

    void add(std::uint64_t mine, std::uint64_t other) {
        const double ratio = static_cast<double>(mine) / static_cast<double>(other);
        sum += ratio;
        worst = std::max(worst, ratio);
        equal += mine == other;
        ++count;
    }
    double mean() const { return sum / count; }
};

/// Lets SearchTree know that there are weights; of a number that is in no range.
const policy::Weight elsewhere{0x7fffffff, 0};
const policy::WeightList recorded{&elsewhere, 1};

}  // namespace

TEST_CASE("a search over up to 24 ranges is the cheapest of all whose tests for equality come last") {
    std::mt19937_64 random{1};
    for (int round = 0; round < 600; ++round) {
        const Ranges ranges = random_ranges(random, 2 + random() % 10, 2 + random() % 4, false);
        CHECK(ours(ranges).sum() == Exhaustive{ranges, false}.best());
    }
    for (int round = 0; round < 20; ++round) {
        const Ranges ranges = random_ranges(random, 12 + random() % 13, 2 + random() % 4, false);
        CHECK(ours(ranges).sum() == unlimited(ranges));
    }
}

TEST_CASE("it is close to the cheapest of all searches, and mostly that") {
    std::mt19937_64 random{2};
    Comparison comparison;
    for (int round = 0; round < 400; ++round) {
        const Ranges ranges = random_ranges(random, 2 + random() % 10, 2 + random() % 4, false);
        comparison.add(ours(ranges).sum(), Exhaustive{ranges, true}.best());
    }
    MESSAGE(comparison.equal << " of " << comparison.count << " are the cheapest of all; on average "
                             << comparison.mean() << " of its cost, at most " << comparison.worst);
    CHECK(comparison.equal * 10 > comparison.count * 8);
    CHECK(comparison.mean() < 1.01);
    CHECK(comparison.worst < 1.25);
}

TEST_CASE("with recorded weights it is next to always the cheapest of all searches") {
    std::mt19937_64 random{3};
    Comparison comparison;
    for (int round = 0; round < 400; ++round) {
        const Ranges ranges = random_ranges(random, 2 + random() % 10, 2 + random() % 4, true);
        comparison.add(ours(ranges, recorded).sum(), Exhaustive{ranges, true}.best());
    }
    MESSAGE(comparison.equal << " of " << comparison.count << " are the cheapest of all; on average "
                             << comparison.mean() << " of its cost, at most " << comparison.worst);
    CHECK(comparison.equal * 100 > comparison.count * 95);
    CHECK(comparison.mean() < 1.005);
    CHECK(comparison.worst < 1.25);
}

TEST_CASE("more than 24 ranges cost little more than planning for all of them at once would save") {
    for (const bool weighted : {false, true}) {
        std::mt19937_64 random{4};
        Comparison comparison;
        for (int round = 0; round < 30; ++round) {
            const Ranges ranges = random_ranges(random, 25 + random() % 50, 2 + random() % 4, weighted);
            comparison.add(ours(ranges, weighted ? recorded : policy::WeightList{}).sum(), unlimited(ranges));
        }
        MESSAGE(std::string{weighted ? "recorded: " : ""} << "on average " << comparison.mean()
                                                          << " of the cost, at most " << comparison.worst);
        CHECK(comparison.mean() < 1.05);
        CHECK(comparison.worst < 1.2);
    }
}

TEST_CASE("a number that outweighs all others is tested first, also where its range is a long one in the middle") {
    Ranges ranges = {{0, 9, 160, {1 << 16}}, {10, 29, 320 + 60000, {0}}, {30, 99, 70, {1 << 16}}};
    const policy::Weight hot{17, 60000};
    detail::Emitter<512> out;
    Returns returns{out};
    const detail::Label first = detail::SearchTree{out, returns, {&hot, 1}}.write(ranges.data(), ranges.size());
    CHECK(out.at(first).code == (BPF_JMP | BPF_JEQ | BPF_K));
    CHECK(out.at(first).k == 17);
    CHECK(out.at(first + 1 + out.at(first).jt).code == (BPF_RET | BPF_K));
    CHECK(out.at(first + 1 + out.at(first).jt).k == 0);
}
