#include <sysguard/filter/compile.hpp>
#include <sysguard/filter/interpret.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/policy/binding.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// Of a random condition C++ itself says what it means: each argument is converted to the type that the kernel reads,
// and compared by C++'s own operators. Nothing here uses the table, or what `bind` makes of a condition.

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace filter = sysguard::filter;
namespace policy = sysguard::policy;

namespace {

using Registers = std::uint64_t[6];

/// A condition, as the library's nodes and as a function of the registers.
struct Meant {
    std::vector<policy::Node> nodes;
    std::function<bool(const std::uint64_t*)> holds;
};

template <std::size_t n, policy::Use... uses, class F>
Meant meant(const policy::Condition<n, uses...>& condition, F holds) {
    return {{condition.nodes, condition.nodes + condition.size()}, std::move(holds)};
}

class Dice {
public:
    explicit Dice(std::uint64_t seed) : random_{seed} {}

    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

    std::uint64_t number() {
        constexpr std::uint64_t edges[] = {0,          1,          5,           0x7f,       0xfff,
                                           0x7fffffff, 0x80000000, 0xffffffff,  1ULL << 32, 1ULL << 63,
                                           ~0ULL,      ~0ULL >> 1, ~0ULL << 31, ~0ULL << 32};
        const std::uint64_t edge = edges[below(std::size(edges))];
        switch (below(5)) {
            case 0: return random_();
            case 1: return edge ^ 1ULL << below(64);
            case 2: return below(8);
            default: return edge + below(5) - 2;
        }
    }

    /// A register that a condition may look at: one of its values, or something next to it.
    std::uint64_t near_values() {
        if (values.empty() || below(4) == 0) return number();
        std::uint64_t value = values[below(values.size())];
        if (below(3) == 0) value += below(3) - 1;
        if (below(3) == 0) value ^= 1ULL << below(64);
        if (below(4) == 0) value ^= random_() << 32;
        return value;
    }

    std::vector<std::uint64_t> values;  ///< of the conditions made so far

private:
    std::mt19937_64 random_;
};

/// `operand & mask` with the same mask in C++. `whole` reads what a mask may look at.
template <class Operand, class Whole>
Meant masked(Dice& dice, const Operand& operand, int position, Whole whole) {
    using T = decltype(whole(0));
    static_assert(std::is_unsigned_v<T>);
    T mask = 0;
    while (whole(mask) == 0) mask = static_cast<T>(dice.number() | (dice.below(2) == 0 ? dice.number() : 0));
    const bool complement = dice.below(4) == 0;
    const int few = static_cast<int>(dice.below(128));
    if (complement) mask = static_cast<T>(~few);
    const auto test = complement ? operand & ~few : operand & mask;
    const auto bits = [=](const std::uint64_t* registers) { return static_cast<T>(whole(registers[position]) & mask); };
    const auto value = [&] {
        const std::uint64_t bits_of_value = dice.number();
        dice.values.push_back(bits_of_value);
        return static_cast<T>(whole(bits_of_value) & mask);
    };
    const T a = value();
    const T b = value();
    const auto [low, high] = std::minmax(a, b);
    switch (dice.below(7)) {
        case 0: return meant(policy::condition(test), [=](const auto* r) { return bits(r) != 0; });
        case 1: return meant(test == a, [=](const auto* r) { return bits(r) == a; });
        case 2: return meant(test != a, [=](const auto* r) { return bits(r) != a; });
        case 3: return meant(test < a, [=](const auto* r) { return bits(r) < a; });
        case 4: return meant(test >= a, [=](const auto* r) { return bits(r) >= a; });
        case 5: return meant(test.in(a, b), [=](const auto* r) { return bits(r) == a || bits(r) == b; });
        default:
            return meant(test.between(low, high),
                         [low = low, high = high, bits](const auto* r) { return low <= bits(r) && bits(r) <= high; });
    }
}

/// A test of a number. `read` gives the value that the kernel reads of a register, of the type that it reads.
template <class Operand, class Read, class Whole>
Meant number(Dice& dice, const Operand& operand, int position, Read read, Whole whole) {
    if (dice.below(4) == 0) return masked(dice, operand, position, whole);
    const auto value = [&] {
        const std::uint64_t of = dice.number();
        dice.values.push_back(of);
        return read(of);
    };
    const auto a = value();
    const auto b = value();
    const auto c = value();
    const auto d = value();
    const auto [low, high] = std::minmax(a, b);
    const auto is = [=](const std::uint64_t* registers) { return read(registers[position]); };
    switch (dice.below(10)) {
        case 0: return meant(operand == a, [=](const auto* r) { return is(r) == a; });
        case 1: return meant(a == operand, [=](const auto* r) { return is(r) == a; });
        case 2: return meant(operand != a, [=](const auto* r) { return is(r) != a; });
        case 3: return meant(operand < a, [=](const auto* r) { return is(r) < a; });
        case 4: return meant(operand <= a, [=](const auto* r) { return is(r) <= a; });
        case 5: return meant(operand > a, [=](const auto* r) { return is(r) > a; });
        case 6: return meant(operand >= a, [=](const auto* r) { return is(r) >= a; });
        case 7: return meant(a < operand, [=](const auto* r) { return a < is(r); });
        case 8:
            return meant(operand.in(a, b, c, d),
                         [=](const auto* r) { return is(r) == a || is(r) == b || is(r) == c || is(r) == d; });
        default:
            return meant(operand.between(low, high),
                         [low = low, high = high, is](const auto* r) { return low <= is(r) && is(r) <= high; });
    }
}

/// A test of an argument that the kernel reads as a T.
template <class T, class Operand>
Meant number(Dice& dice, const Operand& operand, int position) {
    return number(
        dice, operand, position, [](std::uint64_t r) { return static_cast<T>(r); },
        [](std::uint64_t r) { return static_cast<std::make_unsigned_t<T>>(r); });
}

/// A test of a mode: what the kernel keeps of it is all that a mask may look at.
template <class Operand>
Meant mode(Dice& dice, const Operand& operand, int position, unsigned kept) {
    const auto read = [kept](std::uint64_t r) { return static_cast<unsigned>(r) & kept; };
    return number(dice, operand, position, read, read);
}

/// A test of a user's or group's id, for which -1 may be written.
template <class Operand>
Meant id(Dice& dice, const Operand& operand, int position) {
    if (dice.below(3) != 0) return number<unsigned>(dice, operand, position);
    const int value = -1 - static_cast<int>(dice.below(3));
    dice.values.push_back(static_cast<std::uint64_t>(value));
    return meant(operand == value,
                 [=](const auto* r) { return static_cast<int>(static_cast<unsigned>(r[position])) == value; });
}

/// A test of flags. `known(flags)` are those of some flags that the kernel acts on.
template <class Operand, class Known, class Whole>
Meant flags(Dice& dice, const Operand& operand, int position, Known known, Whole whole) {
    if (dice.below(3) == 0) return masked(dice, operand, position, whole);
    const auto value = [&] {
        const std::uint64_t of = dice.number() | dice.number();
        dice.values.push_back(of);
        return known(of);
    };
    const auto a = value();
    const auto b = value();
    const auto is = [=](const std::uint64_t* registers) { return known(registers[position]); };
    switch (dice.below(3)) {
        case 0: return meant(operand == a, [=](const auto* r) { return is(r) == a; });
        case 1: return meant(operand != a, [=](const auto* r) { return is(r) != a; });
        default:
            if (((a ^ b) & MAP_HUGETLB) != 0) return meant(operand.in(a), [=](const auto* r) { return is(r) == a; });
            return meant(operand.in(a, b), [=](const auto* r) { return is(r) == a || is(r) == b; });
    }
}

template <class Operand>
Meant open_flags(Dice& dice, const Operand& operand, int position) {
    constexpr unsigned all = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |
                             O_ASYNC | O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE;
    return flags(
        dice, operand, position, [](std::uint64_t r) { return static_cast<unsigned>(r) & all; },
        [](std::uint64_t r) { return static_cast<unsigned>(r); });
}

template <class Operand>
Meant map_flags(Dice& dice, const Operand& operand, int position) {
    constexpr unsigned long plain = 0xf | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE |
                                    MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_SYNC |
                                    MAP_FIXED_NOREPLACE
#if defined(__x86_64__)
                                    | MAP_32BIT | 0x80 /* MAP_ABOVE4G */
#endif
        ;
    constexpr unsigned long sizes = 0x3fUL << 26;
    return flags(
        dice, operand, position, [](std::uint64_t r) { return r & ((r & MAP_HUGETLB) != 0 ? plain | sizes : plain); },
        [](std::uint64_t r) { return r; });
}

/// Some test of one of the call's arguments.
Meant test(Dice& dice, int call) {
    const std::uint64_t which = dice.below(4);
    switch (call) {
        case SYS_lseek:
            if (which == 0) return number<int>(dice, arg::fd, 0);
            return number<long>(dice, arg::offset, 1);
        case SYS_read:
            if (which == 0) return number<int>(dice, arg::fd, 0);
            return number<unsigned long>(dice, arg::count, 2);
        case SYS_socket:
            if (which == 0) return number<int>(dice, arg::domain, 0);
            if (which == 1) return number<int>(dice, arg::protocol, 2);
            return number(
                dice, arg::type, 1, [](std::uint64_t r) { return static_cast<unsigned>(r) & 0xf; },
                [](std::uint64_t r) { return static_cast<unsigned>(r); });
        case SYS_fcntl:
            if (which == 0) return number<int>(dice, arg::arg.as<int>(), 2);
            if (which == 1) return number<unsigned>(dice, arg::arg.as<unsigned>(), 2);
            if (which == 2) return number<long>(dice, arg::arg.as<long>(), 2);
            return number<unsigned long>(dice, arg::arg.as<unsigned long>(), 2);
        case SYS_fchown:
            if (which == 0) return number<int>(dice, arg::fd, 0);
            return which == 1 ? id(dice, arg::owner, 1) : id(dice, arg::group, 2);
        case SYS_fchmod: return mode(dice, arg::mode, 1, 07777);
        case SYS_mkdirat: return mode(dice, arg::mode, 2, 01777);
        case SYS_openat:
            if (which == 0) return number<int>(dice, arg::dirfd, 0);
            return which == 1 ? mode(dice, arg::mode, 3, 07777) : open_flags(dice, arg::flags, 2);
        default:
            if (which == 0) return number<unsigned long>(dice, arg::len, 1);
            return which == 1 ? number<int>(dice, arg::fd, 4) : map_flags(dice, arg::flags, 3);
    }
}

/// Tests joined by && || !.
Meant condition(Dice& dice, int call, int depth) {
    if (depth == 0 || dice.below(3) == 0) return test(dice, call);
    Meant joined{std::vector<policy::Node>(1), nullptr};
    const std::uint64_t kind = dice.below(3);
    std::vector<std::function<bool(const std::uint64_t*)>> parts;
    for (std::uint64_t i = 0; i < (kind == 2 ? 1 : 2 + dice.below(2)); ++i) {
        Meant part = condition(dice, call, depth - 1);
        joined.nodes.insert(joined.nodes.end(), part.nodes.begin(), part.nodes.end());
        parts.push_back(std::move(part.holds));
    }
    joined.nodes[0].size = static_cast<std::uint16_t>(joined.nodes.size());
    joined.nodes[0].kind = kind == 0   ? policy::Node::Kind::all
                           : kind == 1 ? policy::Node::Kind::any
                                       : policy::Node::Kind::negate;
    joined.holds = [kind, parts](const std::uint64_t* r) {
        const auto holds = [r](const auto& part) { return part(r); };
        if (kind == 0) return std::all_of(parts.begin(), parts.end(), holds);
        return kind == 1 ? std::any_of(parts.begin(), parts.end(), holds) : !parts[0](r);
    };
    return joined;
}

}  // namespace

TEST_CASE("random conditions mean what they mean in C++: to the rules themselves and to the compiled program") {
    const char* const given = std::getenv("SYSGUARD_TEST_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    MESSAGE("SYSGUARD_TEST_SEED=" << seed);
    Dice dice{seed};
    constexpr int calls[] = {SYS_lseek,  SYS_read,    SYS_socket, SYS_fcntl, SYS_fchown,
                             SYS_fchmod, SYS_mkdirat, SYS_openat, SYS_mmap};
    static filter::Program<filter::max_instructions> program;
    std::size_t matched = 0;
    std::size_t probes = 0;
    for (int round = 0; round < 3000; ++round) {
        const int call = calls[dice.below(std::size(calls))];
        constexpr int rule_count = 3;
        Meant conditions[rule_count];
        sg::Rules<rule_count, rule_count * policy::max_condition_nodes> rules;
        dice.values.clear();
        for (int i = 0; i < rule_count; ++i) {
            do conditions[i] = condition(dice, call, 3);
            while (conditions[i].nodes.size() > policy::max_condition_nodes);
            policy::BoundNode bound[policy::max_condition_nodes]{};
            const std::vector<policy::Node>& nodes = conditions[i].nodes;
            policy::bind(nodes.data(), nodes.size(), *sg::abi::find(call), bound);
            rules.add(call, bound, nodes.size(), false, {sg::Action::deny, 1 + i});
        }
        const policy::View view{rules.begin(), rules.size(), rules.nodes(), {sg::Action::allow}, {sg::Action::kill}};
        const policy::RulesByCall<rule_count> by_call{view};
        program = {};
        filter::compile(view, by_call, program);
        for (int probe = 0; probe < 200; ++probe) {
            Registers registers;
            for (std::uint64_t& value : registers) value = dice.near_values();
            sg::Decision expected{sg::Action::allow};
            for (int i = rule_count; i-- > 0;)
                if (conditions[i].holds(registers)) expected = {sg::Action::deny, 1 + i};
            seccomp_data data{};
            data.nr = call;
            data.arch = sg::abi::audit_architecture(sg::abi::native_abi);
            std::copy(std::begin(registers), std::end(registers), data.args);
            matched += expected == sg::Action::deny;
            ++probes;
            const bool rules_agree = decide(view, call, registers) == expected;
            const bool program_agrees = filter::interpret(program, data).value == filter::return_value(expected);
            if (rules_agree && program_agrees) continue;
            CAPTURE(round);
            CAPTURE(std::string{sg::abi::find(call)->name});
            for (const std::uint64_t value : registers) CAPTURE(value);
            CHECK(rules_agree);
            REQUIRE(program_agrees);
        }
    }
    CHECK(matched > probes / 5);
    CHECK(matched < probes * 19 / 20);
}
