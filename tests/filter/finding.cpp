#include <sysguard/filter/finding.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <set>
#include <string>

#include <sys/syscall.h>

namespace sg = sysguard;
using sg::Finding;
using sg::Findings;
using sg::Severity;
using Kind = sg::Finding::Kind;

namespace {

constexpr Finding sibling{Kind::sibling, SYS_openat2, SYS_openat, ENOSYS, "opens files, too", nullptr};
constexpr Finding threads{Kind::needs_enosys, SYS_clone3, -1, ENOSYS, "a libc falls back to clone", nullptr};
constexpr Finding foreign{Kind::foreign_abi, -1, -1, 0, "32-bit calls are allowed", "sg::foreign.kill()"};
constexpr Finding memory{Kind::other_memory, SYS_process_vm_writev, -1, EPERM, "writes to others", nullptr};

constexpr Findings all() noexcept {
    Findings findings;
    for (const Finding& finding : {sibling, threads, foreign, memory}) findings.add(finding);
    return findings;
}

}  // namespace

TEST_CASE("a finding says what is wrong, and the rule that closes it") {
    CHECK(sibling.reason() == "openat2 does what the policy refuses to openat: it opens files, too");
    CHECK(sibling.rule() == "Rule<sg::sys::openat2>{}.deny(ENOSYS)");
    CHECK(foreign.reason() == "foreign: 32-bit calls are allowed");
    CHECK(foreign.rule() == "sg::foreign.kill()");
    CHECK(threads.reason() == "clone3: a libc falls back to clone");
    CHECK(threads.explain() ==
          "breakage, needs_enosys: clone3: a libc falls back to clone\n    Rule<sg::sys::clone3>{}.deny(ENOSYS),");
}

TEST_CASE("each kind has a name of its own, and so has how bad it is") {
    std::set<std::string> names;
    for (int kind = 0; kind <= static_cast<int>(Kind::needs_enosys); ++kind)
        names.insert(name(static_cast<Kind>(kind)));
    CHECK(names.size() == static_cast<std::size_t>(Kind::needs_enosys) + 1);
    CHECK(names.count("?") == 0);
    CHECK(std::string{name(Severity::hole)} == "hole");
    CHECK(sibling.severity() == Severity::hole);
    CHECK(memory.severity() == Severity::risk);
    CHECK(threads.severity() == Severity::breakage);
}

TEST_CASE("findings are looked for by kind, by call and by how bad they are, in constant expressions too") {
    constexpr Findings findings = all();
    static_assert(findings.size() == 4 && !findings.empty());
    static_assert(findings.contains(Kind::sibling) && !findings.contains(Kind::io_uring));
    static_assert(findings.contains(Kind::sibling, SYS_openat2) && !findings.contains(Kind::sibling, SYS_openat));
    static_assert(findings.contains(Severity::risk));
    CHECK(findings[2].kind == Kind::foreign_abi);
    CHECK(Findings{}.empty());
}

TEST_CASE("what a host knows and accepts is left out, and nothing else") {
    constexpr Findings findings = all();
    static_assert(findings.without(Kind::sibling).size() == 3);
    static_assert(findings.without(Kind::sibling, Kind::foreign_abi, Kind::io_uring).size() == 2);
    static_assert(findings.without_call(Kind::sibling, SYS_openat2).size() == 3);
    static_assert(findings.without_call(Kind::sibling, SYS_openat).size() == 4);
    static_assert(findings.without(Severity::hole).size() == 2);
    static_assert(!findings.without(Severity::hole).contains(Severity::hole));
    CHECK(findings.without(Kind::sibling)[0].kind == Kind::needs_enosys);
}

TEST_CASE("the text has a paragraph for each") {
    CHECK(Findings{}.explain() == "nothing found\n");
    CHECK(all().explain() ==
          sibling.explain() + "\n" + threads.explain() + "\n" + foreign.explain() + "\n" + memory.explain() + "\n");
}
