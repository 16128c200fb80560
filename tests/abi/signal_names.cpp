#include <sysguard/abi/signal_names.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstring>
#include <string>
#include <string_view>

namespace abi = sysguard::abi;

TEST_CASE("names are libc's") {
    for (int signal = 1; signal < 32; ++signal) {
        const char* const known = ::sigabbrev_np(signal);
        const std::string expected = known == nullptr ? "" : "SIG" + std::string{known};
        if (signal == SIGIO) continue;  // glibc calls it SIGPOLL, signal(7) has both
        CHECK(std::string{abi::signal_name(signal)} == expected);
    }
    CHECK(abi::signal_name(SIGKILL) == "SIGKILL");
    CHECK(abi::signal_name(SIGIO) == "SIGIO");
}

TEST_CASE("what is no standard signal has no name") {
    for (const int signal : {0, -9, 32, 33, SIGRTMIN, 64, 65, 2147483647}) CHECK(abi::signal_name(signal).empty());
}
