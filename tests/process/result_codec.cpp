#include <sysguard/process/result_codec.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

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

template <class T>
std::optional<T> read(const std::vector<unsigned char>& bytes) {
    return read_result<T>(bytes.data(), bytes.size());
}

}  // namespace

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

TEST_CASE("values come back as they went") {
    CHECK(round_trip(42) == 42);
    CHECK(round_trip(true) == true);
    CHECK(round_trip(Plain{1, 2.5}) == Plain{1, 2.5});
    CHECK(round_trip(std::string{"a\0b", 3}) == std::string{"a\0b", 3});
    CHECK(round_trip(std::string{}) == std::string{});
    CHECK(round_trip(std::vector<Plain>{{1, 2}, {3, 4}}) == std::vector<Plain>{{1, 2}, {3, 4}});
    CHECK(round_trip(std::vector<std::string>{"", "x", "yy"}) == std::vector<std::string>{"", "x", "yy"});
    CHECK(round_trip(std::vector<std::string>{}) == std::vector<std::string>{});
}

TEST_CASE("bytes that are no such value are nothing") {
    CHECK_FALSE(read<int>({1, 2, 3}));
    CHECK_FALSE(read<int>({1, 2, 3, 4, 5}));
    CHECK_FALSE(read<int>({}));
    CHECK_FALSE(read<bool>({2}));
    CHECK(read<bool>({1}) == true);
    CHECK_FALSE(read<std::vector<int>>({1, 2, 3, 4, 5}));
    CHECK_FALSE(read<std::vector<std::string>>({1, 0, 0}));
    CHECK_FALSE(read<std::vector<std::string>>({1, 0, 0, 0, 0, 0, 0, 0}));
    CHECK_FALSE(read<std::vector<std::string>>({255, 255, 255, 255, 255, 255, 255, 255, 0}));
    CHECK(read<std::vector<std::string>>({1, 0, 0, 0, 0, 0, 0, 0, 'x'}) == std::vector<std::string>{"x"});
}

TEST_CASE("no bytes, however hostile, are read past their end") {
    std::mt19937_64 random{20261120};
    for (int round = 0; round < 20000; ++round) {
        std::vector<unsigned char> bytes(random() % 64);
        for (unsigned char& byte : bytes)
            byte = static_cast<unsigned char>(random() % 3 == 0 ? random() : random() % 3);
        const auto strings = read<std::vector<std::string>>(bytes);
        std::size_t total = 0;
        if (strings)
            for (const std::string& string : *strings) total += string.size() + 8;
        if (strings) CHECK(total == bytes.size());
    }
}

TEST_CASE("what does not fit is not written") {
    ResultArea area{8};
    process::ResultWriter writer{area};
    CHECK_FALSE(writer.write(std::string(area.capacity() + 1, 'x')));
    CHECK(writer.write(std::string(area.capacity(), 'x')));
    CHECK_FALSE(writer.bytes("x", 1));
    CHECK(writer.bytes("", 0));
}
