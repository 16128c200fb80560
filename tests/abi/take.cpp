#include <sysguard/abi/take.hpp>

#include <doctest/doctest.h>

#include <string>

TEST_CASE("what is taken is there no more") {
    int number = 7;
    int* pointer = &number;
    CHECK(sysguard::abi::take(pointer) == &number);
    CHECK(pointer == nullptr);
    std::string text = "text";
    CHECK(sysguard::abi::take(text) == "text");
    CHECK(text.empty());
    static_assert([] {
        bool flag = true;
        return sysguard::abi::take(flag) && !flag;
    }());
}
