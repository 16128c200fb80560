#include <sysguard/process/exchange.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <thread>

using sysguard::process::Exchange;
using sysguard::process::ResultArea;
using Wait = Exchange::Wait;

namespace {

constexpr auto lives = [] { return false; };

}  // namespace

TEST_CASE("requests and replies go to and fro, whoever waits first") {
    ResultArea area{Exchange::size(100, 200)};
    const Exchange exchange{area, 100};
    CHECK(exchange.most_request() == 100);
    CHECK(exchange.most_reply() >= 200);
    std::thread worker{[&] {
        std::uint32_t number = 0;
        for (int i = 0; i < 1000; ++i) {
            number = exchange.wait_for_request(number);
            exchange.reply()[0] = exchange.request()[0];
            exchange.publish_reply(number, 1, ResultArea::State::returned, 0);
        }
    }};
    std::uint32_t last = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::uint32_t number = Exchange::next(last);
        exchange.request()[0] = static_cast<unsigned char>(i);
        exchange.publish_request(number, 1, 0);
        CHECK(exchange.wait_for_reply(number, last, -1, lives) == Wait::replied);
        CHECK(exchange.reply()[0] == static_cast<unsigned char>(i));
        last = number;
    }
    worker.join();
}

TEST_CASE("a reply that does not come, one with a wrong number, and an end") {
    ResultArea area{Exchange::size(100, 200)};
    const Exchange exchange{area, 100};
    CHECK(exchange.wait_for_reply(1, 0, 1'000'000, lives) == Wait::out_of_time);
    CHECK(exchange.wait_for_reply(1, 0, 0, lives) == Wait::out_of_time);
    CHECK(exchange.wait_for_reply(1, 0, -1, [] { return true; }) == Wait::disturbed);
    CHECK(exchange.wait_for_reply(1, 0, 1'000'000, [] { return true; }) == Wait::disturbed);
    exchange.publish_reply(7, 0, ResultArea::State::returned, 0);
    CHECK(exchange.wait_for_reply(1, 0, -1, lives) == Wait::disturbed);
    CHECK(exchange.wait_for_reply(7, 6, -1, lives) == Wait::replied);
}

TEST_CASE("numbers go round, and are never those that mean something else") {
    CHECK(Exchange::next(0) == 1);
    CHECK(Exchange::next(1) == 2);
    CHECK(Exchange::next(Exchange::most_number) == 1);
    CHECK(Exchange::next(Exchange::most_number - 1) == Exchange::most_number);
}
