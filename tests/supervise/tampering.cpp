#include <sysguard/supervise/tampering.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>

namespace sg = sysguard;
using sg::Tampering;
using sg::When;

TEST_CASE("a tampering says what is done") {
    static_assert(Tampering{}.is_nothing() && !Tampering{}.needs_return());
    static_assert(Tampering::refuse(EPERM).value() == -EPERM);
    static_assert(Tampering::refuse(EPERM).fate() == Tampering::Fate::refused);
    static_assert(Tampering::fake(-4096).value() == -4096);
    static_assert(Tampering::kill().fate() == Tampering::Fate::killed);
    constexpr Tampering changed = Tampering{}.change_argument(2, 9).change_result(-3);
    static_assert(changed.changes_argument(2) && !changed.changes_argument(1) && changed.argument(2) == 9);
    static_assert(changed.changes_result() && changed.result() == -3 && changed.needs_return());
    static_assert(Tampering{}.add_signal(9).signal() == 9 && !Tampering{}.add_signal(9).needs_return());
    using namespace std::chrono_literals;
    static_assert(Tampering{}.delay(1us).delay_before() == 1000);
    static_assert(!Tampering{}.delay(0us, 2us).is_nothing() && Tampering{}.delay(0us, 2us).needs_return());
    static_assert(Tampering{}.delay(-1us).is_nothing());
}

TEST_CASE("what cannot be done is refused") {
    for (const int error : {0, -1, 4096, 512, 513, 514, 516, 517}) CHECK_THROWS_AS(Tampering::refuse(error), sg::Error);
    CHECK_THROWS_AS(Tampering::fake(-1), sg::Error);
    CHECK_THROWS_AS(Tampering::fake(-4095), sg::Error);
    CHECK_THROWS_AS(Tampering{}.change_argument(6, 0), sg::Error);
    CHECK_THROWS_AS(Tampering{}.change_argument(-1, 0), sg::Error);
    CHECK_THROWS_AS(Tampering{}.add_signal(0), sg::Error);
    CHECK_THROWS_AS(Tampering{}.add_signal(65), sg::Error);
}

TEST_CASE("counts are read as strace reads them") {
    const auto is = [](const char* text, std::uint32_t first, std::uint32_t last, std::uint32_t step) {
        const When when = When::parse(text);
        return when.first == first && when.last == last && when.step == step;
    };
    CHECK(is("3", 3, 3, 1));
    CHECK(is("3+", 3, When::no_end, 1));
    CHECK(is("3+2", 3, When::no_end, 2));
    CHECK(is("3..9", 3, 9, 1));
    CHECK(is("3..9+2", 3, 9, 2));
    for (const char* wrong :
         {"", "0", "x", "3..", "3..2", "3+x", "3..9+0", "3 ", "+", "-1", "4294967295", "99999999999", "3++", "3..4..5"})
        CHECK_THROWS_AS(When::parse(wrong), sg::Error);
}

TEST_CASE("counts hold for the first, every so many after it, up to the last") {
    static_assert(When{}.holds(1) && When{}.holds(1000));
    constexpr When when{3, 9, 3};
    static_assert(!when.holds(2) && when.holds(3) && !when.holds(4) && when.holds(6) && when.holds(9) &&
                  !when.holds(12));
    static_assert(When{2, When::no_end, 0}.holds(2) && !When{2, When::no_end, 0}.holds(3));
}
