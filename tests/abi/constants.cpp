#include <sysguard/abi/constants.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "constant_headers.hpp"

namespace abi = sysguard::abi;
using abi::ConstantSet;

namespace {

struct Known {
    std::string_view name;
    std::uint64_t value;
};

template <class T>
std::uint64_t number_of(T value) {
    return static_cast<std::uint64_t>(value);
}
std::uint64_t number_of(void (*handler)(int)) {  // SIG_DFL and its like
    return reinterpret_cast<std::uint64_t>(handler);
}

/// What the headers here say of the names that abi/constants.def has.
const Known known[] = {
#define SYSGUARD_KNOWN(name) {#name, number_of(name)},
#include "known_constants.def"
#undef SYSGUARD_KNOWN
};

constexpr const abi::Syscall& call(std::string_view name) {
    return *abi::find(name);
}

constexpr ConstantSet set_of(std::string_view name, abi::ArgName argument) {
    const abi::Syscall& found = call(name);
    return abi::constants_of(found, found.arguments[found.position(argument)]);
}

}  // namespace

TEST_CASE("every constant has the value that the headers give it") {
    std::size_t compared = 0;
    for (const abi::Constant& constant : abi::constants)
        for (const Known& entry : known) {
            if (entry.name != constant.name) continue;
            if (constant.name == "O_LARGEFILE" || constant.name == "__O_TMPFILE" || constant.name.ends_with("LK64") ||
                constant.name.ends_with("LKW64"))
                continue;  // libcs' differ from Linux's
            CHECK_MESSAGE((entry.value & 0xffffffff) == (constant.value & 0xffffffff), constant.name);
            ++compared;
        }
    CHECK(compared > 2000);
}

TEST_CASE("fields lie where their names say") {
    for (unsigned set = 1; set < abi::constant_set_count; ++set) {
        const auto each = static_cast<ConstantSet>(set);
        if (abi::field_name(each).empty()) continue;
        for (const Known& entry : known)
            if (entry.name == abi::field_name(each))
                CHECK_MESSAGE((entry.value & 0xffffffff) == abi::field_of(each), entry.name);
    }
    static_assert(abi::field_of(ConstantSet::open) == 3);
    static_assert(abi::field_of(ConstantSet::fcntl) == ~0ULL);
    static_assert(abi::field_of(ConstantSet::protection) == 0);
    static_assert(abi::field_of(ConstantSet::none) == 0);
}

TEST_CASE("a set's constants are of its field or flags, and none is there twice") {
    for (const abi::Constant& a : abi::constants) {
        const std::uint64_t field = abi::field_of(a.set);
        CHECK_MESSAGE(((a.value & field) == a.value || (a.value & field) == 0), a.name);
        for (const abi::Constant* b = &a + 1; b != std::end(abi::constants) && b->set == a.set; ++b)
            CHECK_FALSE_MESSAGE((a.name == b->name || a.value == b->value), a.name);
    }
}

TEST_CASE("a set's constants are found together") {
    std::size_t all = 0;
    for (unsigned set = 0; set < abi::constant_set_count; ++set)
        for (const abi::Constant& constant : abi::constants_in(static_cast<ConstantSet>(set))) {
            CHECK(static_cast<unsigned>(constant.set) == set);
            ++all;
        }
    CHECK(all == std::size(abi::constants));
    static_assert(abi::constants_in(ConstantSet::none).begin() == abi::constants_in(ConstantSet::none).end());
    static_assert(abi::constants_in(ConstantSet::shutdown).begin()->name == "SHUT_RD");
}

TEST_CASE("what stands for values without a name") {
    static_assert(abi::unknown_text(ConstantSet::domain) == "AF_???");
    static_assert(abi::unknown_text(ConstantSet::file_system).empty());
    static_assert(abi::unknown_text(ConstantSet::none).empty());
}

TEST_CASE("every argument that the table names is one of its call") {
    for (const auto& entry : abi::detail::constants_of_arguments) {
        const abi::Syscall* const found = abi::find(entry.call);
        REQUIRE_MESSAGE(found != nullptr, entry.call);
        CHECK_MESSAGE(found->position(entry.argument) >= 0, entry.call);
    }
}

TEST_CASE("an argument's own constants come before its type's") {
    static_assert(set_of("openat", abi::ArgName::flags) == ConstantSet::open);
    static_assert(set_of("fcntl", abi::ArgName::cmd) == ConstantSet::fcntl);
    static_assert(set_of("unlinkat", abi::ArgName::flags) == ConstantSet::at_unlink);
    static_assert(set_of("linkat", abi::ArgName::flags) == ConstantSet::at);
    static_assert(set_of("kill", abi::ArgName::pid) == ConstantSet::none);
    static_assert(abi::constants_of(abi::Type::socket_domain) == ConstantSet::domain);
}

TEST_CASE("a constant is found by its value") {
    static_assert(abi::find_constant(ConstantSet::domain, 2)->name == "AF_INET");
    static_assert(abi::find_constant(ConstantSet::open, 0102)->name == "O_RDWR");
    static_assert(abi::find_constant(ConstantSet::at_dirfd, 0xffffff9c, 0xffffffff)->name == "AT_FDCWD");
    static_assert(abi::find_constant(ConstantSet::at_dirfd, 0xffffff9c) == nullptr);
    static_assert(abi::find_constant(ConstantSet::map, 0x20) == nullptr);
    static_assert(abi::find_constant(ConstantSet::access, 0)->name == "F_OK");
}
