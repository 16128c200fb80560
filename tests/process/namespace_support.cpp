#include <sysguard/process/namespace_support.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include <linux/sched.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/forked.hpp"
#include "support/namespaces.hpp"

using sysguard::process::NamespaceSupport;
using sysguard::process::Offer;

TEST_CASE("what is offered can be made, and what is not says why") {
    for (const int flag : {CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP}) {
        CAPTURE(flag);
        const Offer offer = NamespaceSupport{}.offer(CLONE_NEWUSER | static_cast<unsigned>(flag));
        const pid_t pid = ::fork();
        if (pid == 0) ::_exit(::unshare(CLONE_NEWUSER | flag) == 0 ? 0 : errno);
        int status = -1;
        REQUIRE(::waitpid(pid, &status, 0) == pid);
        if (offer) {
            CHECK(status == 0);
        } else {
            CHECK(offer.error != 0);
            CHECK(offer.why_not.size() > 20);
        }
    }
}

TEST_CASE("a time namespace is offered where programs are started in it") {
    const Offer offer = NamespaceSupport{}.offer(CLONE_NEWUSER | sysguard::process::time_namespace);
    const std::string said = support::in_fork([]() -> std::string {
        if (::unshare(CLONE_NEWUSER | static_cast<int>(sysguard::process::time_namespace)) != 0)
            return "cannot unshare";
        const pid_t child = ::vfork();
        if (child == 0) ::_exit(0);
        if (child < 0) return "cannot start";
        ::waitpid(child, nullptr, 0);
        return "started";
    });
    CAPTURE(offer.why_not);
    CHECK(static_cast<bool>(offer) == (said == "started"));
    if (said == "cannot start") CHECK(offer.why_not.find("6.3") != std::string::npos);
}

TEST_CASE("no more namespaces than the sysctl allows is said so") {
    SYSGUARD_NEED_NAMESPACES(CLONE_NEWUSER);
    const std::string said = support::in_fork([]() -> std::string {
        if (::unshare(CLONE_NEWUSER) != 0) return "cannot unshare";
        std::FILE* const file = std::fopen("/proc/sys/user/max_user_namespaces", "we");  // of the new namespace
        if (file == nullptr) return "cannot limit";
        std::fputs("0", file);
        if (std::fclose(file) != 0) return "cannot limit";
        const Offer offer = NamespaceSupport{}.offer(CLONE_NEWUSER);
        return offer ? "offered" : offer.why_not;
    });
    if (said == "cannot limit") SYSGUARD_SKIP("this user cannot change the limit of a namespace of its own");
    CHECK(said.find("user.max_user_namespaces") != std::string::npos);
}

TEST_CASE("the host stays where it is") {
    char before[64] = {};
    char after[64] = {};
    REQUIRE(::readlink("/proc/self/ns/uts", before, sizeof before - 1) > 0);
    static_cast<void>(NamespaceSupport{}.offer(support::every_namespace | support::time_namespace));
    REQUIRE(::readlink("/proc/self/ns/uts", after, sizeof after - 1) > 0);
    CHECK(std::string{before} == after);
}
