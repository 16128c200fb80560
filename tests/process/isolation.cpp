#include <sysguard/process/isolation.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <functional>
#include <string>

#include <linux/sched.h>
#include <unistd.h>

#include "support/namespaces.hpp"

using namespace sysguard;
using process::Isolation;
using process::MissingLayers;

namespace {

/// The error that isolation fails with; 0 for none. `said` is its text.
int error_of(const Options& options, std::string& said) {
    MissingLayers missing;
    try {
        const Isolation isolation{options, missing};
    } catch (const Error& error) {
        said = error.step();
        return error.code().value();
    }
    return 0;
}

bool has(const std::string& text, const char* words) {
    return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("without anything asked for there is nothing") {
    MissingLayers missing;
    const Isolation isolation{Options{}, missing};
    CHECK(isolation.world() == nullptr);
    CHECK(isolation.init() == -1);
    CHECK_FALSE(isolation.has_pids());
}

TEST_CASE("what is asked for, with a user namespace where that is needed") {
    SYSGUARD_NEED_NAMESPACES();
    MissingLayers missing;
    Options options;
    options.namespaces.host_name = "name";
    options.network = Network::loopback;
    const Isolation isolation{options, missing};
    REQUIRE(isolation.world() != nullptr);
    const std::uint64_t flags = isolation.world()->flags;
    CHECK((flags & CLONE_NEWUTS) != 0);
    CHECK((flags & CLONE_NEWNET) != 0);
    CHECK((flags & (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWCGROUP)) == 0);
    CHECK(((flags & CLONE_NEWUSER) != 0) == !process::NamespaceSupport::may_do_without_users());
    CHECK(isolation.world()->brings_up_loopback);
    CHECK(std::string{isolation.world()->host_name.text} == "name");
}

TEST_CASE("what makes no sense is an error that says what to do") {
    SYSGUARD_NEED_ROOT();
    std::string said;
    Options options;
    options.root = {bind_mount("/usr")};
    options.files = {read_only("/usr")};
    CHECK(error_of(options, said) == EINVAL);
    CHECK(has(said, "not both"));

    options = {};
    options.root = {procfs()};
    CHECK(error_of(options, said) == EINVAL);
    CHECK(has(said, "pid namespace"));

    options.root = {bind_mount("/there/is/no/such/thing")};
    CHECK(error_of(options, said) == ENOENT);
    CHECK(has(said, "/there/is/no/such/thing"));

    for (const char* const place : {"", "/", "relative", "/a/../b", "/a/.", "/.."}) {
        CAPTURE(place);
        options.root = {bind_mount("/usr", place)};
        CHECK(error_of(options, said) == EINVAL);
    }
    options.root = {bind_mount("/usr", std::string{"/a\0b", 4})};
    CHECK(error_of(options, said) == EINVAL);
    options.root = {tmpfs("/tmp", 0)};
    CHECK(error_of(options, said) == EINVAL);
    CHECK(has(said, "no size"));

    options = {};
    options.namespaces.host_name = std::string(65, 'x');
    CHECK(error_of(options, said) == EINVAL);

    options = {};
    options.namespaces.user = true;
    options.namespaces.users = {{0, ::geteuid() + 1, 5}};
    CHECK(error_of(options, said) == (process::NamespaceSupport::may_map_any_ids() ? 0 : EPERM));
}
