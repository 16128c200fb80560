#include <sysguard/process/block.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <utility>

using sysguard::process::Block;

namespace {

template <class T>
std::string text(const Block<T>& block) {
    std::string all;
    for (const T& each : block) all += std::to_string(each) + " ";
    return all;
}

}  // namespace

TEST_CASE("nothing") {
    const Block<int> none;
    CHECK(none.size() == 0);
    CHECK(none.begin() == none.end());
    const Block<int> of_size_zero{std::size_t{0}};
    CHECK(of_size_zero.size() == 0);
}

TEST_CASE("a block begins with what {} makes") {
    CHECK(text(Block<int>{std::size_t{3}}) == "0 0 0 ");
}

TEST_CASE("copies are copies") {
    const int values[] = {4, 5, 6};
    Block<int> original{values, 3};
    Block<int> copy{original};
    copy[1] = 7;
    CHECK(text(original) == "4 5 6 ");
    CHECK(text(copy) == "4 7 6 ");
    original = copy;
    copy[0] = 1;
    CHECK(text(original) == "4 7 6 ");
}

TEST_CASE("a block moves, and what is left is empty") {
    const int values[] = {4, 5, 6};
    Block<int> original{values, 3};
    const int* const data = original.data();
    Block<int> moved{std::move(original)};
    CHECK(moved.data() == data);
    CHECK(original.size() == 0);
    original = std::move(moved);
    CHECK(original.data() == data);
    CHECK(text(original) == "4 5 6 ");
}
