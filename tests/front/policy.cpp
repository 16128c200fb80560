#include <sysguard/policy.hpp>
#include <sysguard/process/confinement.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Action;
using sg::Rule;

namespace {

constexpr sg::Policy policy{
    sg::preset::cpp_runtime,
    sg::allow<SYS_getrandom, SYS_clock_nanosleep>,
    Rule<SYS_socket>{arg::domain == AF_INET && arg::type != SOCK_RAW}.allow(),
    Rule<SYS_fchmodat>{(arg::mode & 07002) != 0}.deny(EPERM),
    sg::otherwise.kill(),
};
static_assert(policy.decide<SYS_socket>(AF_INET, SOCK_STREAM, 0) == Action::allow);
static_assert(policy.decide<SYS_ptrace>(0, 0, 0, 0) == Action::kill);

/// Of a type that nothing else here has.
constexpr sg::Policy global{sg::allow<SYS_read, SYS_write, SYS_close, SYS_dup, SYS_pipe2>, sg::otherwise.kill()};

}  // namespace

TEST_CASE("decide takes what the call takes") {
    static_assert(policy.decide<SYS_socket>(AF_INET, SOCK_RAW, 0) == Action::kill);
    static_assert(policy.decide<SYS_fchmodat>(0, nullptr, 0002) == sg::Decision{Action::deny, EPERM});
    static_assert(policy.decide<SYS_fchmodat>(-100, "path", 0644) == Action::kill);
    static_assert(policy.decide<SYS_getpid>() == Action::allow);
    static_assert(policy.decide<SYS_read>(-1, nullptr, ~0ULL) == Action::allow);
    const std::uint64_t registers[6] = {AF_INET, SOCK_DGRAM};
    CHECK(policy.decide(SYS_socket, registers) == Action::allow);
}

TEST_CASE("a raw socket is one, whatever flags come with it") {
    static_assert(policy.decide<SYS_socket>(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 0) == Action::kill);
    static_assert(policy.decide<SYS_socket>(AF_INET, SOCK_RAW | SOCK_NONBLOCK, 0) == Action::kill);
    CHECK(policy.decide<SYS_socket>(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) == Action::allow);
}

TEST_CASE("the same types with values that are known at run time") {
    const char* const argument = std::getenv("PATH") != nullptr ? "443" : "80";
    const int port = std::atoi(argument);
    const sg::Policy built{Rule<SYS_socket>{arg::protocol == port}.allow(), sg::otherwise.deny(EACCES)};
    CHECK(built.decide<SYS_socket>(1, 2, port) == Action::allow);
    CHECK(built.decide<SYS_socket>(1, 2, port + 1) == sg::Decision{Action::deny, EACCES});
    CHECK(built.program().size > 0);
}

TEST_CASE("a mistake in a policy that is built at run time is an exception with the call's name") {
    volatile int port = 443;
    const int hidden = port;
    try {
        const sg::Policy built{Rule<SYS_connect>{arg::fd <= hidden}.allow(),
                               Rule<SYS_connect>{arg::fd == hidden}.deny(EACCES), sg::otherwise.kill()};
        FAIL("built");
    } catch (const sg::Error& error) {
        CHECK(error.step().find("connect") != std::string::npos);
        CHECK(error.step().find("never be reached") != std::string::npos);
    }
}

TEST_CASE("otherwise and foreign") {
    constexpr sg::Policy deny{sg::foreign.deny(ENOSYS), sg::otherwise.deny(EACCES)};
    static_assert(deny.view().otherwise == sg::Decision{Action::deny, EACCES});
    static_assert(deny.view().foreign == sg::Decision{Action::deny, ENOSYS});
    static_assert(sg::Policy{sg::otherwise.allow()}.view().otherwise == Action::allow);
    static_assert(sg::Policy{sg::otherwise.log()}.view().otherwise == Action::log);
    static_assert(sg::Policy{sg::otherwise.kill_now()}.view().otherwise == Action::kill_now);
    CHECK_THROWS_AS((void)sg::otherwise.deny(0), sg::Error);
    CHECK_THROWS_AS((void)sg::foreign.deny(5000), sg::Error);
}

TEST_CASE("a rule against the end of a worker, which would change nothing, is refused where a sandbox is made") {
    const auto mistake = [](const auto& of_workers) {
        try {
            const sg::process::Confinement confinement{of_workers.view(), of_workers.program(), {}};
            return std::string{};
        } catch (const sg::Error& error) {
            CHECK(error.code().value() == EINVAL);
            return error.step();
        }
    };
    const auto refused = [&](const auto& rule) {
        return mistake(sg::Policy{rule, sg::otherwise.allow()}).find("may always end itself") != std::string::npos;
    };
    CHECK(refused(Rule<SYS_exit_group>{}.deny(EPERM)));
    CHECK(refused(Rule<SYS_exit>{}.kill()));
    CHECK(refused(Rule<SYS_exit>{arg::status == 1}.kill_now()));
    CHECK(refused(Rule<sg::family::exit>{}.fake(0)));
    CHECK_FALSE(refused(sg::allow<sg::family::exit>));
    CHECK_FALSE(refused(Rule<SYS_exit_group>{}.log()));
    CHECK(mistake(policy) == "");
    CHECK(mistake(global) == "");
    CHECK(mistake(sg::Policy{sg::otherwise.deny(EPERM)}) == "");
}

TEST_CASE("a constant policy is a constant: it lies in read-only memory") {
    static constexpr sg::Rules group{sg::allow<SYS_read, SYS_write>, sg::allow<SYS_close>};
    static constexpr sg::Policy constant{sg::allow<SYS_read, SYS_write, SYS_close, SYS_dup>, sg::otherwise.kill()};
    static sg::Policy variable{sg::allow<SYS_read>, sg::otherwise.kill()};
    const auto is_writable = [](const void* at) {  // as /proc/self/maps says
        std::ifstream maps{"/proc/self/maps"};
        for (std::string line; std::getline(maps, line);) {
            std::uintptr_t begin = 0;
            std::uintptr_t end = 0;
            char access[5] = {};
            REQUIRE(std::sscanf(line.c_str(), "%zx-%zx %4s", &begin, &end, access) == 3);
            const auto address = reinterpret_cast<std::uintptr_t>(at);
            if (begin <= address && address < end) return access[1] == 'w';
        }
        FAIL("mapped nowhere");
        return true;
    };
    CHECK(is_writable(variable.program().code));
    CHECK_FALSE(is_writable(constant.program().code));
    CHECK_FALSE(is_writable(constant.view().rules));
    CHECK_FALSE(is_writable(global.program().code));
    CHECK_FALSE(is_writable(group.begin()));
    CHECK_FALSE(is_writable(sg::preset::compute.begin()));
}
