#include <sysguard/process/step.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace process = sysguard::process;

TEST_CASE("every step of a start has a name of its own") {
    std::set<std::string> names;
    constexpr int last = static_cast<int>(process::Step::execute);
    for (int step = 0; step <= last; ++step) names.insert(name(static_cast<process::Step>(step)));
    CHECK(names.size() == last + 1);
    CHECK(names.count("?") == 0);
    CHECK(name(static_cast<process::Step>(last + 1)) == std::string{"?"});
}
