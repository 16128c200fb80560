#include <sysguard/abi/errno_names.hpp>
#include <sysguard/abi/errno_texts.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <string_view>

namespace abi = sysguard::abi;

TEST_CASE("errors are in words what the C library says") {
    static_assert(abi::errno_text(ENOENT) == "No such file or directory");
    for (int error = 1; error < static_cast<int>(std::size(abi::errno_names)); ++error) {
        if (abi::errno_name(error).empty()) {
            CHECK(abi::errno_text(error).empty());
            continue;
        }
#if defined(__GLIBC__)
        CHECK(abi::errno_text(error) == std::string_view{::strerror(error)});
#else
        CHECK_FALSE(abi::errno_text(error).empty());
#endif
    }
}

TEST_CASE("numbers that are no errors have no words") {
    static_assert(abi::errno_text(0).empty());
    static_assert(abi::errno_text(-1).empty());
    static_assert(abi::errno_text(4095).empty());
}

TEST_CASE("what the kernel tells itself to do again has a name of its own") {
    static_assert(abi::find_restart_code(512)->name == "ERESTARTSYS");
    static_assert(abi::find_restart_code(516)->text == "Interrupted by signal");
    static_assert(abi::find_restart_code(515) == nullptr);
    static_assert(abi::errno_name(512).empty());
}
