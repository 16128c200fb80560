#include <sysguard/abi/arguments.hpp>
#include <sysguard/abi/table.hpp>

#include <doctest/doctest.h>

#include <iterator>
#include <set>
#include <string>

namespace abi = sysguard::abi;

TEST_CASE("argument names are sorted, each once") {
    for (std::size_t i = 2; i < std::size(abi::argument_names); ++i)
        CHECK(std::string{abi::argument_names[i - 1]} < abi::argument_names[i]);
}

TEST_CASE("every argument name is some call's") {
    std::set<abi::ArgName> used;
    for (const abi::Syscall& call : abi::syscalls)
        for (int i = 0; i < call.argument_count(); ++i) used.insert(call.arguments[i].name);
    CHECK(used.size() == std::size(abi::argument_names) - 1);
}

TEST_CASE("the name of an argument") {
    CHECK(std::string{abi::name(abi::ArgName::addrlen)} == "addrlen");
    CHECK(std::string{abi::name(abi::ArgName::none)}.empty());
}
