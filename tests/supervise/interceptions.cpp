#include <sysguard/supervise/interceptions.hpp>

#include <doctest/doctest.h>

#include <system_error>

#include <sys/syscall.h>

namespace sg = sysguard;

namespace {

using sg::supervise::Interceptions;
using Standing = Interceptions::Standing;

constexpr std::errc ok{};
constexpr auto invalid = std::errc::invalid_argument;
constexpr auto not_permitted = std::errc::operation_not_permitted;
constexpr auto busy = std::errc::device_or_resource_busy;

constexpr Standing root{.is_root = true, .is_alive = true, .is_own = false};
constexpr Standing owner{.is_root = false, .is_alive = true, .is_own = true};
constexpr Standing stranger{.is_root = false, .is_alive = true, .is_own = false};
constexpr Standing of_nobody{.is_root = true, .is_alive = false, .is_own = false};
constexpr int number_of_no_call = 1023;

/// Books in which getpid is intercepted.
Interceptions with_getpid() {
    Interceptions books;
    REQUIRE(books.intercept(SYS_getpid, true) == ok);
    return books;
}

}  // namespace

TEST_CASE("a call is intercepted once, and released once") {
    Interceptions books;
    CHECK(books.release(SYS_getpid, true) == invalid);
    CHECK(books.intercept(SYS_getpid, true) == ok);
    CHECK(books.is_intercepted(SYS_getpid));
    CHECK_FALSE(books.is_intercepted(SYS_getppid));
    CHECK(books.intercept(SYS_getpid, true) == busy);
    CHECK(books.release(SYS_getpid, true) == ok);
    CHECK(books.release(SYS_getpid, true) == invalid);
    CHECK(books.intercept(SYS_getpid, true) == ok);
}

TEST_CASE("arguments are checked before permission, permission before state, state before being busy") {
    Interceptions books;
    CHECK(books.intercept(number_of_no_call, false) == invalid);
    CHECK(books.intercept(-1, false) == invalid);
    CHECK(books.release(number_of_no_call, false) == invalid);
    CHECK(books.intercept(SYS_getpid, false) == not_permitted);
    CHECK(books.release(SYS_getpid, false) == not_permitted);  // not intercepted either
    CHECK(books.monitor(number_of_no_call, 7, stranger) == invalid);
    CHECK(books.monitor(SYS_getpid, -7, stranger) == invalid);
    CHECK(books.monitor(SYS_getpid, 7, {.is_root = false, .is_alive = false, .is_own = false}) == invalid);
    CHECK(books.monitor(SYS_getpid, 7, stranger) == not_permitted);  // not intercepted either
    CHECK(books.unmonitor(SYS_getpid, 7, stranger) == not_permitted);
    CHECK(books.monitor(SYS_getpid, 7, owner) == invalid);
    CHECK(books.unmonitor(SYS_getpid, 7, owner) == invalid);
    REQUIRE(books.intercept(SYS_getpid, true) == ok);
    CHECK(books.intercept(SYS_getpid, false) == not_permitted);  // busy, too
    REQUIRE(books.monitor(SYS_getpid, 7, owner) == ok);
    CHECK(books.monitor(SYS_getpid, 7, stranger) == not_permitted);  // busy, too
    CHECK(books.monitor(SYS_getpid, 7, owner) == busy);
    CHECK(books.monitor(SYS_getpid, 7, of_nobody) == invalid);
}

TEST_CASE("only root monitors every process; others monitor their own") {
    Interceptions books = with_getpid();
    CHECK(books.monitor(SYS_getpid, 0, owner) == not_permitted);
    CHECK(books.unmonitor(SYS_getpid, 0, owner) == not_permitted);
    CHECK(books.monitor(SYS_getpid, 7, stranger) == not_permitted);
    CHECK(books.monitor(SYS_getpid, 7, owner) == ok);
    CHECK(books.monitor(SYS_getpid, 8, root) == ok);
    CHECK(books.monitor(SYS_getpid, 0, root) == ok);
    CHECK(books.unmonitor(SYS_getpid, 9, stranger) == not_permitted);
}

TEST_CASE("a process is told of while it is monitored for the call") {
    Interceptions books = with_getpid();
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
    CHECK_FALSE(books.is_watched(7));
    REQUIRE(books.monitor(SYS_getpid, 7, root) == ok);
    CHECK(books.is_told(SYS_getpid, 7));
    CHECK(books.is_watched(7));
    CHECK_FALSE(books.is_told(SYS_getpid, 8));
    CHECK_FALSE(books.is_told(SYS_getppid, 7));
    CHECK_FALSE(books.is_everybody_watched());
    CHECK(books.monitor(SYS_getpid, 7, root) == busy);
    CHECK(books.unmonitor(SYS_getpid, 7, root) == ok);
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
    CHECK(books.unmonitor(SYS_getpid, 7, root) == invalid);
}

TEST_CASE("after every process, one that is not monitored any more leaves all others") {
    Interceptions books = with_getpid();
    REQUIRE(books.monitor(SYS_getpid, 0, root) == ok);
    CHECK(books.is_everybody_watched());
    CHECK(books.monitor(SYS_getpid, 7, root) == busy);
    CHECK(books.monitor(SYS_getpid, 0, root) == busy);
    CHECK(books.unmonitor(SYS_getpid, 7, root) == ok);
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
    CHECK(books.is_told(SYS_getpid, 8));
    CHECK(books.unmonitor(SYS_getpid, 7, root) == invalid);
    CHECK(books.monitor(SYS_getpid, 7, root) == ok);
    CHECK(books.is_told(SYS_getpid, 7));
    REQUIRE(books.unmonitor(SYS_getpid, 7, root) == ok);
    CHECK(books.monitor(SYS_getpid, 0, root) == ok);  // the exception ends
    CHECK(books.is_told(SYS_getpid, 7));
    CHECK(books.unmonitor(SYS_getpid, 0, root) == ok);
    CHECK_FALSE(books.is_told(SYS_getpid, 8));
    CHECK(books.unmonitor(SYS_getpid, 0, root) == invalid);
}

TEST_CASE("every process takes in those that were monitored before, and ends them with it") {
    Interceptions books = with_getpid();
    REQUIRE(books.monitor(SYS_getpid, 7, root) == ok);
    REQUIRE(books.monitor(SYS_getpid, 0, root) == ok);
    CHECK(books.is_told(SYS_getpid, 7));
    REQUIRE(books.unmonitor(SYS_getpid, 0, root) == ok);
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
    REQUIRE(books.monitor(SYS_getpid, 7, root) == ok);
    CHECK(books.unmonitor(SYS_getpid, 0, root) == ok);  // some are monitored: none is any more
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
}

TEST_CASE("a release clears the list of its call only") {
    Interceptions books = with_getpid();
    REQUIRE(books.intercept(SYS_getppid, true) == ok);
    REQUIRE(books.monitor(SYS_getpid, 7, root) == ok);
    REQUIRE(books.monitor(SYS_getppid, 7, root) == ok);
    REQUIRE(books.release(SYS_getpid, true) == ok);
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
    CHECK(books.is_told(SYS_getppid, 7));
    REQUIRE(books.intercept(SYS_getpid, true) == ok);
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
    books.clear();
    CHECK_FALSE(books.is_intercepted(SYS_getppid));
    CHECK_FALSE(books.is_watched(7));
}

TEST_CASE("a process that has ended leaves every list, and the next of its number begins anew") {
    Interceptions books = with_getpid();
    REQUIRE(books.intercept(SYS_getppid, true) == ok);
    REQUIRE(books.monitor(SYS_getpid, 7, root) == ok);
    REQUIRE(books.monitor(SYS_getppid, 0, root) == ok);
    REQUIRE(books.unmonitor(SYS_getppid, 7, root) == ok);
    books.forget(7);
    CHECK_FALSE(books.is_told(SYS_getpid, 7));
    CHECK(books.is_told(SYS_getppid, 7));
}
