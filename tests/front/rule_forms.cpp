// Every form of rule, live: each is a rule in a worker's policy, and what the kernel does with calls around the rule's
// edges is what `decide` says of them. All calls are harmless: their other arguments make them fail.

#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
namespace sys = sysguard::sys;
using sg::Rule;
using Kind = sg::Outcome::Kind;

namespace {

using Registers = std::array<std::uint64_t, 6>;

struct Probe {
    long number;
    Registers registers;
};

/// The values that one register takes, and those next to them, each also with bits above those that an int has.
struct Around {
    std::size_t position;
    std::vector<std::uint64_t> values;

    std::vector<std::uint64_t> all() const {
        std::vector<std::uint64_t> list{0, ~0ULL};
        for (const std::uint64_t value : values)
            for (const std::uint64_t near : {value - 1, value, value + 1})
                for (const std::uint64_t high : {0ULL, 1ULL << 32, 1ULL << 63}) list.push_back(near ^ high);
        return list;
    }
};

/// The calls with every combination of values, the other registers as given.
std::vector<Probe> probes(std::initializer_list<long> numbers, const Registers& others,
                          const std::vector<Around>& values) {
    std::vector<Probe> list;
    for (const long number : numbers) list.push_back({number, others});
    for (const Around& around : values) {
        std::vector<Probe> more;
        for (const Probe& probe : list)
            for (const std::uint64_t value : around.all()) {
                more.push_back(probe);
                more.back().registers[around.position] = value;
            }
        list = more;
    }
    return list;
}

/// A policy, whatever its type, and calls to ask it about.
struct Form {
    std::string text;
    sg::Sandbox box;
    std::function<sg::Decision(const Probe&)> decide;
    std::vector<Probe> calls;
};

template <class Policy>
Form form(std::string text, const Policy& policy, std::vector<Probe> calls) {
    const auto decide = [policy](const Probe& probe) {
        const auto& r = probe.registers;
        const std::uint64_t registers[] = {r[0], r[1], r[2], r[3], r[4], r[5]};
        return policy.decide(static_cast<int>(probe.number), registers);
    };
    return {std::move(text), sg::Sandbox{policy}, decide, std::move(calls)};
}

/// What the rule matches fails with an errno that these calls never have.
template <class BareRule>
Form form_of(std::string text, const BareRule& rule, std::vector<Probe> calls) {
    return form(std::move(text), sg::Policy{rule.deny(EXFULL), sg::otherwise.allow()}, std::move(calls));
}

constexpr std::uint64_t bad_fd = 0xffffffff;

std::vector<Form> forms() {
    // getpriority(which, who): both int; no such `who` or `which` fails.
    const auto priorities = [](std::vector<std::uint64_t> which, std::vector<std::uint64_t> who) {
        return probes({sys::getpriority}, {}, {{0, std::move(which)}, {1, std::move(who)}});
    };
    // lseek(fd, offset, whence): a signed number of 64 bits.
    const auto offsets = [](std::vector<std::uint64_t> values) {
        return probes({sys::lseek}, {bad_fd}, {{1, std::move(values)}});
    };
    // getrandom(buf, count, flags): an unsigned number of 64 bits; no such flags.
    const auto sizes = [](std::vector<std::uint64_t> values) {
        return probes({sys::getrandom}, {0, 0, 0xff}, {{1, std::move(values)}});
    };
    const auto modes = [](std::vector<std::uint64_t> values) {
        return probes({sys::fchmod}, {bad_fd}, {{1, std::move(values)}});
    };
    // prctl(option, arg2, ...): no such option.
    const auto words = [](std::vector<std::uint64_t> values) {
        return probes({sys::prctl}, {0x7ffffff0}, {{1, std::move(values)}});
    };
    constexpr auto min64 = std::numeric_limits<std::int64_t>::min();
    constexpr auto max64 = std::numeric_limits<std::int64_t>::max();
    constexpr std::uint64_t sign = 1ULL << 63;
    return {
        form_of("the call", Rule<sys::getpriority>{}, priorities({1}, {1})),

            form_of("int == positive", Rule<sys::getpriority>{arg::who == 7}, priorities({1}, {7})),
            form_of("int == negative", Rule<sys::getpriority>{arg::who == -7},
                    priorities({1}, {static_cast<std::uint64_t>(-7)})),
            form_of("int == 0", Rule<sys::getpriority>{arg::which == 0}, priorities({0}, {5})),
            form_of("int != ", Rule<sys::getpriority>{arg::who != 7}, priorities({1}, {7})),
            form_of("int <", Rule<sys::getpriority>{arg::who < 7}, priorities({1}, {0, 7, 0x80000000})),
            form_of("int <= negative", Rule<sys::getpriority>{arg::who <= -7},
                    priorities({1}, {static_cast<std::uint64_t>(-7), 0x80000000})),
            form_of("int >", Rule<sys::getpriority>{arg::who > -1}, priorities({1}, {0, 0x7fffffff, 0x80000000})),
            form_of("int >= lowest", Rule<sys::getpriority>{arg::who >= -2147483647},
                    priorities({1}, {0x80000000, 0x80000001})),
            form_of("value on the left", Rule<sys::getpriority>{7 < arg::who}, priorities({1}, {7})),

            form_of("64 bits, signed ==", Rule<sys::lseek>{arg::offset == (1LL << 32)}, offsets({1ULL << 32})),
            form_of("64 bits, signed !=", Rule<sys::lseek>{arg::offset != -1}, offsets({~0ULL, 0xffffffff})),
            form_of("64 bits, signed <", Rule<sys::lseek>{arg::offset < 0}, offsets({sign, 0, 1ULL << 32})),
            form_of("64 bits, signed <=", Rule<sys::lseek>{arg::offset <= (5LL << 32)},
                    offsets({5ULL << 32, (5ULL << 32) | 0xffffffff, sign})),
            form_of("64 bits, signed >", Rule<sys::lseek>{arg::offset > -(5LL << 32)},
                    offsets({static_cast<std::uint64_t>(-(5LL << 32)), sign})),
            form_of("64 bits, signed >=", Rule<sys::lseek>{arg::offset >= max64}, offsets({sign - 1, sign})),
            form_of("64 bits, signed, lowest", Rule<sys::lseek>{arg::offset == min64}, offsets({sign})),
            form_of("64 bits, unsigned <", Rule<sys::getrandom>{arg::count < (1ULL << 32)}, sizes({1ULL << 32, sign})),
            form_of("64 bits, unsigned >", Rule<sys::getrandom>{arg::count > 0x200000000},
                    sizes({0x200000000, 6, sign})),
            form_of("64 bits, unsigned >=", Rule<sys::getrandom>{arg::count >= 0xffffffffffffffff}, sizes({~0ULL})),

            form_of("mask", Rule<sys::fchmod>{arg::mode & 07000}, modes({01000, 02000, 04000, 0777, 0100000})),
            form_of("no bit of a mask", Rule<sys::fchmod>{!(arg::mode & 07002)}, modes({2, 01000, 0775})),
            form_of("mask ==", Rule<sys::fchmod>{(arg::mode & 0770) == 0640}, modes({0640, 0644, 0650})),
            form_of("mask !=", Rule<sys::fchmod>{(arg::mode & 07002) != 0}, modes({2, 04000, 0100000})),
            form_of("mask <=", Rule<sys::fchmod>{(arg::mode & 070) <= 040}, modes({040, 050, 07})),
            form_of("mask of 64 bits", Rule<sys::getrandom>{(arg::count & 0xff000000ff) == 0x1000000002},
                    sizes({0x1000000002, 0x2, 0x1000000000})),
            form_of("complement as a mask", Rule<sys::getpriority>{(arg::which & ~3) == 0},
                    priorities({3, 4, 0x80000000}, {5})),
            form_of("mask in a set", Rule<sys::fchmod>{(arg::mode & 0700).in(0100, 0500)}, modes({0100, 0300, 0500})),
            form_of("mask between", Rule<sys::fchmod>{(arg::mode & 0700).between(0200, 0500)},
                    modes({0200, 0500, 0600})),

            form_of("set of one", Rule<sys::getpriority>{arg::who.in(7)}, priorities({1}, {7})),
            form_of("set", Rule<sys::getpriority>{arg::who.in(-3, 1, 2, 3, 9, 100)},
                    priorities({1}, {1, 3, 9, 100, static_cast<std::uint64_t>(-3)})),
            form_of("set of 64 bits", Rule<sys::getrandom>{arg::count.in(1, 1ULL << 32, 3ULL << 40)},
                    sizes({1, 1ULL << 32, 3ULL << 40})),
            form_of("range", Rule<sys::getpriority>{arg::who.between(3, 9)}, priorities({1}, {3, 9})),
            form_of("range around 0", Rule<sys::getpriority>{arg::who.between(-3, 9)},
                    priorities({1}, {9, static_cast<std::uint64_t>(-3)})),
            form_of("range of 64 bits", Rule<sys::lseek>{arg::offset.between(-(1LL << 33), 1LL << 33)},
                    offsets({1ULL << 33, static_cast<std::uint64_t>(-(1LL << 33)), 0xffffffff})),

            form_of("and", Rule<sys::getpriority>{arg::which == 1 && arg::who == 7}, priorities({1}, {7})),
            form_of("or", Rule<sys::getpriority>{arg::which == 1 || arg::who == 7}, priorities({1}, {7})),
            form_of("not", Rule<sys::getpriority>{!(arg::which == 1 && arg::who < 7)}, priorities({1}, {7})),
            form_of("or in and", Rule<sys::getpriority>{(arg::which == 1 || arg::which == 5) && arg::who.in(7, 9)},
                    priorities({1, 5}, {7, 9})),
            form_of("and in or",
                    Rule<sys::getpriority>{(arg::which == 1 && arg::who == 7) || (arg::which == 5 && !(arg::who > 9))},
                    priorities({1, 5}, {7, 9})),
            form_of("twice the same argument", Rule<sys::getpriority>{arg::who > 3 && arg::who != 7 && arg::who < 12},
                    priorities({1}, {3, 7, 12})),

            form_of("a word as int", Rule<sys::prctl>{arg::arg2.as<int>() == -9},
                    words({static_cast<std::uint64_t>(-9), 0xfffffff7})),
            form_of("a word as unsigned long", Rule<sys::prctl>{arg::arg2.as<unsigned long>() >= (1UL << 40)},
                    words({1ULL << 40, sign})),
            form_of("a socket's type without its flags", Rule<sys::socket>{arg::type == SOCK_RAW},
                    probes({sys::socket}, {0x7ffffff0},
                           {{1, {SOCK_RAW, SOCK_RAW | SOCK_CLOEXEC, SOCK_RAW | SOCK_NONBLOCK}}})),

            form_of("a family", Rule<sg::family::chmod>{(arg::mode & 02) != 0},
                    probes({sys::fchmod}, {bad_fd}, {{1, {0777, 0775}}})),
            form_of("all of a family", Rule<sg::family::truncate>{arg::length > 4096},
#if defined(__x86_64__)
                    probes({sys::truncate, sys::ftruncate}, {bad_fd}, {{1, {4096, 1ULL << 32, sign}}})),
#else
                    probes({sys::ftruncate}, {bad_fd}, {{1, {4096, 1ULL << 32, sign}}})),
#endif

            form("the first match wins",
                 sg::Policy{Rule<sys::getpriority>{arg::who == 7}.deny(EXFULL),
                            Rule<sys::getpriority>{arg::who > 3}.fake(0),
                            Rule<sys::getpriority>{arg::which == 1}.deny(EBADRQC), sg::otherwise.allow()},
                 priorities({1}, {3, 7})),
            form("allow<> and otherwise", sg::Policy{sg::allow<SYS_getpid>, sg::otherwise.deny(EXFULL)},
                 probes({sys::getpid, sys::getppid, sys::getpriority}, {}, {})),
            form("a preset", sg::Policy{sg::preset::compute, sg::otherwise.deny(EXFULL)},
                 probes({sys::getpid, sys::sched_yield, sys::getppid, sys::getuid, sys::mprotect}, {1, 1},
                        {{2, {4, 3}}})),
            form("a preset behind a rule",
                 sg::Policy{Rule<sys::mprotect>{arg::len > 5}.deny(EXFULL), sg::preset::compute,
                            sg::otherwise.deny(EBADRQC)},
                 probes({sys::mprotect, sys::getppid}, {1}, {{1, {5}}, {2, {4}}})),
            form("logged", sg::Policy{Rule<sys::getpriority>{arg::who == 7}.log(), sg::otherwise.deny(EXFULL)},
                 priorities({1}, {7})),
    };
}

bool runs(const sg::Decision& decision) {
    return decision == sg::Action::allow || decision == sg::Action::log;
}

/// Whether the kernel did what was decided.
bool agrees(const sg::Decision& decision, long result) {
    if (runs(decision)) return result != -EXFULL && result != -EBADRQC;
    if (decision == sg::Action::deny) return result == -decision.value;
    return decision == sg::Action::fake && result == decision.value;
}

}  // namespace

TEST_CASE("every form of rule does in a worker what decide says") {
    for (const Form& form : forms()) {
        CAPTURE(form.text);
        const sg::Result<std::vector<long>> results = form.box.call([&form] {
            std::vector<long> list;
            list.reserve(form.calls.size());
            for (const Probe& probe : form.calls) {
                const Registers& r = probe.registers;
                const long result = ::syscall(probe.number, r[0], r[1], r[2], r[3], r[4], r[5]);
                list.push_back(result == -1 ? -errno : result);
            }
            return list;
        });
        CAPTURE(results.outcome().explain());
        REQUIRE(results);
        REQUIRE(results->size() == form.calls.size());
        std::size_t refused = 0;
        std::size_t differing = 0;
        for (std::size_t i = 0; i < form.calls.size(); ++i) {
            const sg::Decision decision = form.decide(form.calls[i]);
            refused += !runs(decision);
            differing += !agrees(decision, (*results)[i]);
        }
        CHECK(differing == 0);
        CHECK(refused > 0);
        if (form.text != "the call") CHECK(refused < form.calls.size());
    }
}

TEST_CASE("every ending does in a worker what decide says") {
    const auto call = [](const auto& policy) {
        return sg::Sandbox{policy}.call([] {
            errno = 0;
            const long result = ::syscall(sys::getpriority, 0, 7);
            return result == -1 ? -static_cast<long>(errno) : result;
        });
    };
    const auto value = [&](const auto& policy) {
        const sg::Result<long> result = call(policy);
        CAPTURE(result.outcome().explain());
        REQUIRE(result);
        return *result;
    };
    constexpr Rule<sys::getpriority> rule{arg::who == 7};
    static_assert(sg::Policy{rule.deny(4095), sg::otherwise.allow()}.decide<sys::getpriority>(0, 7) ==
                  sg::Decision{sg::Action::deny, 4095});

    CHECK(value(sg::Policy{rule.deny(EXFULL), sg::otherwise.allow()}) == -EXFULL);
    CHECK(value(sg::Policy{rule.deny(4095), sg::otherwise.allow()}) == -4095);
    CHECK(value(sg::Policy{rule.fake(0), sg::otherwise.allow()}) == 0);
    CHECK(value(sg::Policy{rule.fake(77), sg::otherwise.allow()}) == 77);
    CHECK(value(sg::Policy{rule.fake(1LL << 40), sg::otherwise.allow()}) == 1LL << 40);
    CHECK(value(sg::Policy{rule.allow(), sg::otherwise.deny(EXFULL)}) != -EXFULL);
    CHECK(value(sg::Policy{rule.log(), sg::otherwise.deny(EXFULL)}) != -EXFULL);
    CHECK(value(sg::Policy{rule.allow(), sg::otherwise.kill()}) != -EXFULL);

    const auto killed = call(sg::Policy{rule.kill(), sg::otherwise.allow()});
    REQUIRE(killed.outcome().kind() == Kind::violation);
    REQUIRE(killed.outcome().violation() != nullptr);
    CHECK(killed.outcome().explain().find("getpriority") != std::string::npos);

    const auto killed_now = call(sg::Policy{rule.kill_now(), sg::otherwise.allow()});
    CHECK(killed_now.outcome().kind() == Kind::violation);

    const auto otherwise_killed = call(sg::Policy{sg::preset::compute, sg::otherwise.kill()});
    CHECK(otherwise_killed.outcome().kind() == Kind::violation);
    const auto otherwise_killed_now = call(sg::Policy{sg::preset::compute, sg::otherwise.kill_now()});
    CHECK(otherwise_killed_now.outcome().kind() == Kind::violation);
}
