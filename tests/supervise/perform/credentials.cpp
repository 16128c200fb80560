#include <sysguard/process/namespace_support.hpp>
#include <sysguard/supervise/perform/credentials.hpp>

#include "performing.hpp"
#include "support/reach.hpp"
#include "support/skip.hpp"

#include <linux/capability.h>
#include <sys/fsuid.h>

using namespace performing;

namespace {

/// The lines of a /proc/<pid>/status that say what a task may do.
std::string rights(const std::string& path) {
    char text[16384];
    REQUIRE(sg::supervise::detail::read_text(AT_FDCWD, path.c_str(), text, sizeof text) > 0);
    std::string lines;
    for (const char* key : {"Umask:", "Uid:", "Gid:", "Groups:", "CapPrm:", "CapEff:"}) {
        const char* const line = sg::supervise::detail::find_line(text, key);
        if (line != nullptr) lines += key + std::string(line, std::strchr(line, '\n')) + "\n";
    }
    return lines;
}

struct Became {
    long result = 0;
    bool has_own_users = false;
    int dumpable = 0;
    std::string rights;
};

Became become(const perform::Caller& caller) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        bool has_own_users = false;
        const long result = perform::assume(caller, has_own_users);
        const std::string text = std::to_string(result) + " " + std::to_string(has_own_users) + " " +
                                 std::to_string(::prctl(PR_GET_DUMPABLE)) + "\n" + rights("/proc/thread-self/status");
        ::_exit(::write(ends[1], text.data(), text.size()) < 0);
    }
    ::close(ends[1]);
    std::string text(4096, 0);
    const ssize_t size = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    REQUIRE(size > 0);
    text.resize(static_cast<std::size_t>(size));
    const std::size_t line = text.find('\n');
    const std::size_t flag = text.find(' ') + 1;
    return {std::stol(text), text[flag] == '1', text[flag + 2] - '0', text.substr(line + 1)};
}

void drop_capability(int capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    ::syscall(SYS_capget, &header, data);
    data[capability / 32].effective &= ~(1U << (capability % 32));
    ::syscall(SYS_capset, &header, data);
}

void check_same(const Worker& worker) {
    const Became became = become(worker.caller());
    CHECK(became.result == 0);
    CHECK(became.rights == rights("/proc/" + std::to_string(worker.pid()) + "/status"));
}

}  // namespace

TEST_CASE("a worker like the host is assumed without a change but the umask") {
    const Worker worker{[] { ::umask(0123); }};
    check_same(worker);
    CHECK(become(worker.caller()).dumpable == 1);
}

TEST_CASE("every kind of other user") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    check_same(Worker{become_nobody});
    check_same(Worker{[] {
        const gid_t groups[] = {7, 5, 100000};
        if (::setgroups(3, groups) != 0 || ::setresgid(1, 2, 3) != 0 || ::setresuid(4, 5, 6) != 0) ::_exit(1);
    }});
    check_same(Worker{[] {
        if (::setresgid(1, 0, 3) != 0 || ::setresuid(4, 0, 6) != 0) ::_exit(1);
    }});
    check_same(Worker{[] {
        ::setfsgid(77);
        ::setfsuid(77);
    }});
    check_same(Worker{[] {
        ::prctl(PR_SET_KEEPCAPS, 1);
        if (::setresuid(9, 9, 9) != 0) ::_exit(1);
    }});
    check_same(Worker{[] { drop_capability(CAP_DAC_OVERRIDE); }});
}

TEST_CASE("whoever became another is closed to it") {
    SYSGUARD_SKIP_WITHOUT_OTHER_USERS();
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    CHECK(become(Worker{become_nobody}.caller()).dumpable == 0);
    CHECK(become(Worker{[] { drop_capability(CAP_DAC_OVERRIDE); }}.caller()).dumpable == 0);
}

TEST_CASE("who cannot become the worker says so") {
    const Worker other{become_nobody};
    const pid_t child = ::fork();
    if (child == 0) {
        // An ordinary host, and a worker with other ids.
        if (::getuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setresuid(1234, 1234, 1234) != 0)) ::_exit(2);
        const Worker like{};
        bool has_own_users = false;
        ::_exit(::getuid() == 1234 ? perform::assume(other.caller(), has_own_users) >= 0
                                   : perform::assume(like.caller(), has_own_users) != 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE(
    "of a worker in another user namespace the ids are assumed, and no capabilities, which are that namespace's") {
    SYSGUARD_SKIP_WITHOUT(sysguard::process::NamespaceSupport{}.offer(CLONE_NEWUSER));
    const Worker worker{[] {
        if (::unshare(CLONE_NEWUSER) != 0) ::_exit(0);
    }};
    const Became became = become(worker.caller());
    CHECK(became.result == 0);
    CHECK(became.has_own_users);
    CHECK(became.rights.find("CapEff:\t0000000000000000") != std::string::npos);
    CHECK_FALSE(become(Worker{}.caller()).has_own_users);
}

TEST_CASE("a worker that is not there is not assumed") {
    CHECK(become({999'999'999, 999'999'999, 1}).result == -ENOENT);
}
