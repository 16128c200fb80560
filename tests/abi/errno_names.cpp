#include <sysguard/abi/errno_names.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace abi = sysguard::abi;

TEST_CASE("names are libc's") {
    for (int error = 1; error < 200; ++error) {
        const char* const known = ::strerrorname_np(error);
        if (known == nullptr) {
            CHECK(abi::errno_name(error).empty());
        } else {
            CHECK(abi::errno_name(error) == std::string_view{known});
        }
    }
}

TEST_CASE("what is no error has no name") {
    for (const int error : {0, -1, 4095, 4096, -2147483647 - 1, 2147483647}) CHECK(abi::errno_name(error).empty());
}
