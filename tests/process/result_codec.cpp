#include <sysguard/process/result_codec.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <typeindex>
#include <utility>
#include <variant>
#include <vector>

#include <sys/stat.h>

namespace process = sysguard::process;
using process::read_result;
using process::ResultArea;

namespace {

struct Plain {
    int a;
    double b;
    bool operator==(const Plain&) const = default;
};

template <class T>
std::optional<T> round_trip(const T& value) {
    ResultArea area{1 << 20};
    CHECK(process::ResultWriter{area}.write(value));
    return read_result<T>(area.data(), area.header().size);
}

struct Constant {
    const int value;
};

enum class Switch : bool { off, on };

/// Of everything something.
struct Mixed {
    char name[5];
    bool flags[2][2];
    std::optional<std::pair<bool, int>> maybe;
    std::variant<std::monostate, bool, Plain> one;
    std::tuple<short, Switch> two;
    std::array<std::optional<bool>, 2> list;
    volatile int moving;
    bool operator==(const Mixed& other) const {
        return std::memcmp(name, other.name, sizeof name) == 0 && std::memcmp(flags, other.flags, sizeof flags) == 0 &&
               maybe == other.maybe && one == other.one && two == other.two && list == other.list &&
               moving == other.moving;
    }
};

const Mixed mixed{
    "four", {{true, false}, {false, true}}, std::pair{true, 7}, Plain{3, 4.5}, {-2, Switch::on}, {true, {}}, 9};

struct Base {
    int a;
};
struct Empty {};
struct Derived : Base {
    int b;
};
struct DerivedFromEmpty : Empty {
    int b;
};
struct WithText {
    int a;
    const char* text;
};
struct WithReference {
    int a;
    int& reference;
};
struct WithUnion {
    union {
        int number;
        int* pointer;
    } either;
};
struct Deep {
    std::array<WithText, 2> all;
};
struct OfMany {
    int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t;
};
struct OfTooMany {
    OfMany inner;
    int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t;
};

/// What the concept cannot look into, and the host vouches for.
class Vouched {
public:
    explicit Vouched(int number) : bits_{static_cast<unsigned>(number) & 7} {}
    bool operator==(const Vouched&) const = default;

private:
    unsigned bits_ : 3;
};

template <class T>
std::optional<T> read(const std::vector<unsigned char>& bytes) {
    return read_result<T>(bytes.data(), bytes.size());
}

}  // namespace

template <>
inline constexpr bool process::holds_no_pointers<Vouched> = true;

TEST_CASE("what may be returned") {
    static_assert(process::Returnable<void> && process::Returnable<int> && process::Returnable<bool> &&
                  process::Returnable<Plain>);
    static_assert(process::Returnable<std::string> && process::Returnable<std::vector<int>>);
    static_assert(process::Returnable<std::vector<std::string>> && process::Returnable<std::vector<Plain>>);
    static_assert(!process::Returnable<const char*> && !process::Returnable<int*> &&
                  !process::Returnable<std::nullptr_t>);
    static_assert(!process::Returnable<int Plain::*> && !process::Returnable<std::vector<int*>>);
    static_assert(!process::Returnable<std::vector<bool>> && !process::Returnable<std::vector<std::vector<int>>>);
    static_assert(!process::Returnable<std::string_view> && !process::Returnable<std::span<int>> &&
                  !process::Returnable<std::reference_wrapper<int>> &&
                  !process::Returnable<std::array<const char*, 2>> &&
                  !process::Returnable<std::vector<std::string_view>>);
    static_assert(process::Returnable<std::array<int, 3>> && process::Returnable<std::chrono::milliseconds> &&
                  process::Returnable<Constant>);
    CHECK_FALSE(process::Returnable<std::optional<std::string>>);
}

TEST_CASE("nothing that may be returned can hold a pointer") {
    static_assert(!process::Returnable<std::error_code> && !process::Returnable<std::error_condition> &&
                  !process::Returnable<std::type_index> && !process::Returnable<std::vector<std::error_code>>);
    static_assert(!process::Returnable<std::array<std::string_view, 2>> &&
                  !process::Returnable<std::optional<std::string_view>> &&
                  !process::Returnable<std::array<std::array<int*, 1>, 1>> &&
                  !process::Returnable<std::variant<int*, int>> && !process::Returnable<std::pair<int, const char*>> &&
                  !process::Returnable<std::tuple<int, int*>> && !process::Returnable<std::optional<int Plain::*>>);
    static_assert(!process::Returnable<WithText> && !process::Returnable<WithReference> &&
                  !process::Returnable<WithUnion> && !process::Returnable<Deep> &&
                  !process::Returnable<std::vector<Deep>> && !process::Returnable<void (*)()>);
    static_assert(!process::Returnable<Derived> && !process::Returnable<DerivedFromEmpty> &&
                  !process::Returnable<OfTooMany>);
    static_assert(!process::Returnable<std::bitset<3>> && !process::Returnable<std::complex<double>>);
    static_assert(process::Returnable<Mixed> && process::Returnable<std::vector<Mixed>> &&
                  process::Returnable<OfMany> && process::Returnable<Empty> && process::Returnable<Vouched> &&
                  process::Returnable<std::vector<Vouched>> && process::Returnable<struct stat>);
    static_assert(process::Returnable<std::chrono::system_clock::time_point> &&
                  process::Returnable<std::pair<int, bool>> && process::Returnable<std::tuple<>> &&
                  process::Returnable<std::array<int, 0>> && process::Returnable<std::byte>);
    CHECK(round_trip(Vouched{5}) == Vouched{5});
}

TEST_CASE("values come back as they went") {
    CHECK(round_trip(42) == 42);
    CHECK(round_trip(true) == true);
    CHECK(round_trip(Plain{1, 2.5}) == Plain{1, 2.5});
    CHECK(round_trip(std::string{"a\0b", 3}) == std::string{"a\0b", 3});
    CHECK(round_trip(std::string{}) == std::string{});
    CHECK(round_trip(std::vector<Plain>{{1, 2}, {3, 4}}) == std::vector<Plain>{{1, 2}, {3, 4}});
    CHECK(round_trip(std::vector<std::string>{"", "x", "yy"}) == std::vector<std::string>{"", "x", "yy"});
    CHECK(round_trip(std::vector<std::string>{}) == std::vector<std::string>{});
    CHECK(round_trip(mixed) == mixed);
    CHECK(round_trip(std::vector<Mixed>{mixed, {}, mixed}) == std::vector<Mixed>{mixed, {}, mixed});
    CHECK(round_trip(std::chrono::milliseconds{7}) == std::chrono::milliseconds{7});
    CHECK(round_trip(Switch::on) == Switch::on);
    CHECK(round_trip(Constant{8})->value == 8);
    CHECK(round_trip(std::vector<Empty>(3))->size() == 3);
    using Twice = std::optional<std::optional<int>>;
    CHECK_FALSE(round_trip(Twice{}).value().has_value());
    CHECK_FALSE(round_trip(Twice{std::in_place}).value().value().has_value());
    CHECK(round_trip(Twice{4}).value().value() == 4);
    using Same = std::variant<int, int>;
    CHECK(round_trip(Same{std::in_place_index<1>, 6}) == Same{std::in_place_index<1>, 6});
}

TEST_CASE("bytes that are no such value are nothing") {
    CHECK_FALSE(read<int>({1, 2, 3}));
    CHECK_FALSE(read<int>({1, 2, 3, 4, 5}));
    CHECK_FALSE(read<int>({}));
    CHECK_FALSE(read<bool>({2}));
    CHECK(read<bool>({1}) == true);
    CHECK_FALSE(read<std::vector<int>>({1, 2, 3, 4, 5}));
    struct Flagged {
        char c;
        bool b;
    };
    CHECK(read<Flagged>({9, 1})->b);
    CHECK_FALSE(read<Flagged>({9, 2}));
    CHECK_FALSE(read<std::vector<Flagged>>({9, 1, 9, 255}));
    CHECK_FALSE(read<std::array<bool, 2>>({1, 2}));
    CHECK_FALSE(read<Switch>({2}));
    CHECK_FALSE(read<std::optional<bool>>({2, 1}));
    CHECK_FALSE(read<std::optional<bool>>({1, 2}));
    CHECK(read<std::optional<bool>>({1, 1}).value().value());
    CHECK_FALSE(read<std::optional<bool>>({0, 2}).value().has_value());
    using Either = std::variant<bool, unsigned char>;
    CHECK_FALSE(read<Either>({2, 0}));
    CHECK_FALSE(read<Either>({255, 0}));
    CHECK_FALSE(read<Either>({0, 2}));
    CHECK(read<Either>({1, 2}) == Either{static_cast<unsigned char>(2)});
}

TEST_CASE("bytes that are no strings are nothing") {
    constexpr std::size_t head = sizeof(std::string);
    std::vector<unsigned char> bytes(8 + head + 1);
    bytes[0] = 1;
    bytes[8] = 1;
    bytes[8 + head] = 'x';
    CHECK(read<std::vector<std::string>>(bytes) == std::vector<std::string>{"x"});
    bytes.pop_back();
    CHECK_FALSE(read<std::vector<std::string>>(bytes));  // cut off
    bytes.insert(bytes.end(), {'x', 'y'});
    CHECK_FALSE(read<std::vector<std::string>>(bytes));  // something behind
    bytes.pop_back();
    bytes[0] = 2;
    CHECK_FALSE(read<std::vector<std::string>>(bytes));  // fewer than it says
    bytes[7] = 255;
    CHECK_FALSE(read<std::vector<std::string>>(bytes));
    bytes[0] = 1;
    bytes[7] = 0;
    bytes[15] = 255;
    CHECK_FALSE(read<std::vector<std::string>>(bytes));
    CHECK_FALSE(read<std::vector<std::string>>({1, 0, 0}));
    CHECK_FALSE(read<std::vector<std::string>>({}));
}

TEST_CASE("a result takes no more room in the host than in the worker") {
    ResultArea area{1 << 20};
    CHECK_FALSE(process::ResultWriter{area}.write(std::vector<std::string>((1 << 20) / sizeof(std::string) + 1)));
    std::vector<unsigned char> bytes(1 << 20);
    const std::uint64_t count = (bytes.size() - 8) / 8;  // as many as eight bytes each would be
    std::memcpy(bytes.data(), &count, sizeof count);
    CHECK_FALSE(read<std::vector<std::string>>(bytes));
    using Roomy = std::optional<std::array<char, 1000>>;
    ResultArea small{1 << 20};
    CHECK_FALSE(process::ResultWriter{small}.write(std::vector<Roomy>((1 << 20) / sizeof(Roomy) + 1)));
    CHECK(read<std::vector<Roomy>>(std::vector<unsigned char>(10 * sizeof(Roomy)))->size() == 10);
}

TEST_CASE("no bytes, however hostile, are read past their end, and what they come to is what is written again") {
    std::mt19937_64 random{20261120};
    const auto fill = [&](std::vector<unsigned char>& bytes) {
        for (unsigned char& byte : bytes)
            byte = static_cast<unsigned char>(random() % 3 == 0 ? random() : random() % 3);
    };
    int good = 0;
    for (int round = 0; round < 20000; ++round) {
        std::vector<unsigned char> bytes(random() % 150);
        fill(bytes);
        if (bytes.size() > 8) std::memset(bytes.data() + 1, 0, 7);
        if (bytes.size() > 16) std::memset(bytes.data() + 9, 0, 7);
        const auto strings = read<std::vector<std::string>>(bytes);
        std::size_t total = 8;
        if (strings)
            for (const std::string& string : *strings) total += string.size() + sizeof string;
        if (strings) CHECK(total == bytes.size());

        bytes.resize(sizeof(Mixed));
        fill(bytes);
        const auto value = read<Mixed>(bytes);
        good += value.has_value();
        if (value && value->one.index() != 2) CHECK(round_trip(*value) == *value);  // a number is not always itself
    }
    CHECK(good > 0);
    CHECK(good < 20000);
}

TEST_CASE("what does not fit is not written") {
    ResultArea area{8};
    process::ResultWriter writer{area};
    CHECK_FALSE(writer.write(std::string(area.capacity() + 1, 'x')));
    CHECK(writer.write(std::string(area.capacity(), 'x')));
    CHECK_FALSE(writer.bytes("x", 1));
    CHECK(writer.bytes("", 0));
}
