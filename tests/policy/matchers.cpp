#include <sysguard/policy.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <sysguard/filter/interpret.hpp>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Action;
using sg::Rule;

namespace {

constexpr sg::Policy policy{
    Rule<SYS_openat>{arg::path.under("/usr") && arg::flags == 0}.allow(),
    Rule<SYS_openat>{!arg::path.glob("/tmp/*") && arg::flags == 1}.deny(EACCES),
    Rule<SYS_openat>{arg::path == "/etc/passwd" || arg::flags == 2}.deny(EPERM),
    Rule<SYS_connect>{arg::addr.in("10.0.0.0/8", 443) && arg::addrlen == 16}.allow(),
    Rule<SYS_connect>{arg::addr.family() != AF_INET}.deny(EAFNOSUPPORT),
    Rule<SYS_write>{arg::buf.size() > 4096}.deny(EFBIG),
    Rule<SYS_write>{}.allow(),
    sg::otherwise.kill(),
};

template <class F>
std::string thrown(F&& function) {
    try {
        (void)function();
    } catch (const sg::Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("the kernel decides what registers decide, the rest goes to the host") {
    static_assert(policy.decide<SYS_openat>(0, nullptr, 0, 0) == Action::handle);
    static_assert(policy.decide<SYS_openat>(0, nullptr, 1, 0) == Action::handle);
    static_assert(policy.decide<SYS_openat>(0, nullptr, 2, 0) == Action::handle);
    static_assert(policy.decide<SYS_openat>(0, nullptr, 3, 0) == Action::handle);  // the path may be the one
    static_assert(policy.decide<SYS_connect>(3, nullptr, 16) == Action::handle);
    static_assert(policy.decide<SYS_connect>(3, nullptr, 28) == Action::handle);
    constexpr sg::Policy split{Rule<SYS_openat>{arg::path.under("/usr") && arg::flags == 0}.allow(),
                               Rule<SYS_openat>{arg::flags == 0}.deny(EACCES), sg::otherwise.kill()};
    static_assert(split.decide<SYS_openat>(0, nullptr, 0, 0) == Action::handle);
    static_assert(split.decide<SYS_openat>(0, nullptr, 1, 0) == Action::kill);
    CHECK(split.decide<SYS_openat>(0, nullptr, 1 << 8, 0) == Action::kill);
}

TEST_CASE("how long a buffer is said to be is a register") {
    static_assert(policy.decide<SYS_write>(1, nullptr, 4096) == Action::allow);
    static_assert(policy.decide<SYS_write>(1, nullptr, 4097) == sg::Decision{Action::deny, EFBIG});
    CHECK(policy.decide<SYS_write>(1, nullptr, std::uint64_t{1} << 32) == sg::Decision{Action::deny, EFBIG});
}

TEST_CASE("the filter says what the rules say, with memory unknown") {
    const auto check = [](const auto& of, int number, const std::uint64_t(&arguments)[6]) {
        seccomp_data data{};
        data.nr = number;
        data.arch = sg::abi::audit_architecture(sg::abi::native_abi);
        for (int i = 0; i < 6; ++i) data.args[i] = arguments[i];
        CAPTURE(number);
        CAPTURE(arguments[2]);
        CHECK(sg::filter::interpret(of.program(), data).value ==
              sg::filter::return_value(of.decide(number, arguments)));
    };
    constexpr sg::Policy deep{
        Rule<SYS_openat>{!(arg::path == "/a" && arg::flags == 1) && arg::mode == 7}.deny(1),
        Rule<SYS_openat>{!(arg::path == "/a" || arg::flags == 2)}.deny(2),
        Rule<SYS_openat>{(arg::flags == 3 || !(arg::path == "/b")) && !(arg::mode == 5)}.deny(3),
        Rule<SYS_openat>{!!(arg::path.glob("*") && arg::flags == 0x40)}.deny(4),
        sg::otherwise.deny(5),
    };
    for (const std::uint64_t flags : {0U, 1U, 2U, 3U, 4U, 5U, 0x40U})
        for (std::uint64_t mode = 4; mode < 9; ++mode) {
            check(deep, SYS_openat, {0, 0, flags, mode, 0, 0});
            check(policy, SYS_openat, {0, 0, flags, mode, 0, 0});
            check(policy, SYS_connect, {0, 0, flags * 4, mode, 0, 0});
            check(policy, SYS_write, {0, 0, flags * 1000, mode, 0, 0});
        }
}

TEST_CASE("texts of run time are copied") {
    const auto make = [](std::string path) {
        return sg::Policy{Rule<SYS_openat>{arg::path.under(path)}.deny(EACCES), sg::otherwise.allow()};
    };
    CHECK(make("/usr/share").decide<SYS_openat>(0, nullptr, 0, 0) == Action::handle);
    CHECK(make("/" + std::string(719, 'x')).view().rules[0].node_count == 31);
    CHECK(thrown([&] { return make("/" + std::string(720, 'x')); }).find("more than 720 bytes") != std::string::npos);
}

TEST_CASE("what cannot be compared with is an error") {
    for (const char* path : {"", "usr", "/usr//share", "/usr/.", "/usr/../etc", "/..", "./x"}) {
        CAPTURE(std::string{path});
        CHECK(thrown([&] { return arg::path.under(std::string{path}); }).find("begins with a slash") !=
              std::string::npos);
    }
    for (const char* path : {"/", "/usr/", "/a", "/...", "/.x", "/x.."})
        CHECK(thrown([&] { return arg::path.under(std::string{path}); }) == "");
    for (const char* pattern : {"[", "a[", "a[b", "a[]", "a[!", "x\\"})
        CHECK(thrown([&] { return arg::path.glob(std::string{pattern}); }).find("pattern ends") != std::string::npos);
    for (const char* network : {"", "10", "10.0.0.0/33", "10.0.0.1/8", "::1/64", "localhost", "1.2.3.4.5"})
        CHECK(thrown([&] { return arg::addr.in(std::string{network}); }).find("takes an IP address") !=
              std::string::npos);
}

TEST_CASE("a rule on memory does not shadow one behind it") {
    CHECK(thrown([] {
              return sg::Policy{Rule<SYS_openat>{arg::path.under("/usr")}.allow(), Rule<SYS_openat>{}.deny(EACCES),
                                sg::otherwise.kill()};
          }) == "");
    CHECK(thrown([] {
              return sg::Policy{Rule<SYS_openat>{}.deny(EACCES), Rule<SYS_openat>{arg::path.under("/usr")}.allow(),
                                sg::otherwise.kill()};
          }).find("never be reached") != std::string::npos);
    CHECK(thrown([] {
              return sg::Policy{Rule<SYS_openat>{arg::path.under("/usr") && arg::flags == 1 && arg::flags == 2}.allow(),
                                sg::otherwise.kill()};
          }).find("never be true") != std::string::npos);
}

TEST_CASE("the names that have matchers are those that lead to something in a call") {
    constexpr bool leads[] = {
        false,
#define SYSGUARD_ARGUMENT(name) false,
#define SYSGUARD_LEADING_ARGUMENT(name) true,
#include <sysguard/abi/arguments.def>
#undef SYSGUARD_ARGUMENT
    };
    bool found[std::size(leads)]{};
    for (const sg::abi::Syscall& call : sg::abi::syscalls)
        for (const sg::abi::Argument& argument : call.arguments) switch (argument.type) {
                case sg::abi::Type::path:
                case sg::abi::Type::string:
                case sg::abi::Type::bytes:
                case sg::abi::Type::socket_address: found[static_cast<unsigned>(argument.name)] = true; break;
                default: break;
            }
    for (std::size_t i = 0; i < std::size(leads); ++i) {
        CAPTURE(std::string{sg::abi::argument_names[i]});
        CHECK(leads[i] == found[i]);
    }
}
