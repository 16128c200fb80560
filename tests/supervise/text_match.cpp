#include <sysguard/policy/matchers.hpp>
#include <sysguard/supervise/text_match.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>

using sysguard::supervise::is_under;
using sysguard::supervise::matches_glob;

TEST_CASE("under") {
    static_assert(is_under("/usr", "/usr") && is_under("/usr/share", "/usr") && is_under("/usr/share", "/usr/"));
    static_assert(!is_under("/usrlocal", "/usr") && !is_under("/us", "/usr") && !is_under("", "/usr"));
    static_assert(is_under("/", "/") && is_under("/x", "/") && !is_under("", "/") && !is_under("x", "/"));
    CHECK_FALSE(is_under("(unreachable)/usr", "/usr"));
    CHECK_FALSE(is_under("/usr", ""));
}

TEST_CASE("patterns") {
    struct Case {
        const char* text;
        const char* pattern;
        bool matches;
    };
    const Case cases[] = {
        {"", "", true},
        {"a", "", false},
        {"", "*", true},
        {"", "**", true},
        {"", "?", false},
        {"abc", "abc", true},
        {"abc", "ab", false},
        {"ab", "abc", false},
        {"abc", "a*c", true},
        {"abc", "a?c", true},
        {"a/c", "a?c", false},
        {"a/c", "a*c", false},
        {"a/c", "a**c", true},
        {"/tmp/x/y.txt", "/tmp/*.txt", false},
        {"/tmp/x/y.txt", "/tmp/**.txt", true},
        {"/tmp/x/y.txt", "/tmp/**/y.txt", true},
        {"/tmp/y.txt", "/tmp/*.txt", true},
        {"/tmp/.txt", "/tmp/*.txt", true},
        {"/a/b/a/b/c", "/**/b/c", true},
        {"/a/b/a/b/c", "/a/*/a/*/c", true},
        {"/a/b/a/b/c", "/a/*/c", false},
        {"aaab", "*ab", true},
        {"aaab", "*aab*", true},
        {"b", "[abc]", true},
        {"d", "[abc]", false},
        {"d", "[!abc]", true},
        {"d", "[^abc]", true},
        {"b", "[!abc]", false},
        {"m", "[a-z]", true},
        {"M", "[a-z]", false},
        {"-", "[a-]", true},
        {"]", "[]]", true},
        {"a", "[]a]", true},
        {"x", "[!]]", true},
        {"/", "[!a]", false},
        {"/", "[/]", false},
        {"*", "\\*", true},
        {"x", "\\*", false},
        {"a\\b", "a\\\\b", true},
        {"[a]", "\\[a]", true},
        {"x.c", "*.[ch]", true},
        {"x.d", "*.[ch]", false},
        {"\xff", "?", true},
    };
    for (const Case& each : cases) {
        CAPTURE(std::string{each.text});
        CAPTURE(std::string{each.pattern});
        CHECK(matches_glob(each.text, each.pattern) == each.matches);
    }
}

TEST_CASE("a hostile text does not take long") {
    const std::string text(4000, 'a');
    std::string pattern;
    for (int i = 0; i < 100; ++i) pattern += "*a";
    const auto start = std::chrono::steady_clock::now();
    CHECK_FALSE(matches_glob(text + "/", pattern + "b"));
    CHECK_FALSE(matches_glob(text, "**" + pattern + "**b"));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{20});
}

TEST_CASE("a node says what its text says") {
    namespace arg = sysguard::arg;
    const auto condition = arg::path.under("/a/path/of/more/than/twentyfour/bytes");
    sysguard::policy::BoundNode bound[32];
    sysguard::policy::bind(condition.nodes, condition.size(), *sysguard::abi::find("openat"), bound);
    using sysguard::supervise::matches_text;
    CHECK(std::string_view{sysguard::supervise::NodeText{bound}} == "/a/path/of/more/than/twentyfour/bytes");
    CHECK(matches_text(bound, "/a/path/of/more/than/twentyfour/bytes/x"));
    CHECK_FALSE(matches_text(bound, "/a/path/of/more/than/twentyfour/byte"));
}
