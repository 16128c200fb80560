#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/escapes.hpp"

/// Attempts to become more than a worker is.
namespace sg = sysguard;
using namespace support;

namespace {

constexpr unsigned everywhere = by_sandbox | by_rules | by_files | by_spaces | by_root;

/// A copy of a program in the worker's own directory with set-id bits, which tells whom it runs as.
const auto with_set_id_program = [](Scene& scene) {
    const std::string program = scene.in() + "/program";
    std::error_code failed;
    std::filesystem::copy_file("/usr/bin/id", program, failed);
    REQUIRE_FALSE(failed);
    ::chown(program.c_str(), 65533, 65533);
    REQUIRE(::chmod(program.c_str(), 06755) == 0);
};

unsigned effective_user_of(const std::string& program) {
    int ends[2];
    if (::pipe(ends) != 0) return 0;
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], 1);
        ::execl(program.c_str(), "id", "-u", nullptr);
        ::_exit(127);
    }
    ::close(ends[1]);
    char text[32] = {};
    const ssize_t size = ::read(ends[0], text, sizeof text - 1);
    ::close(ends[0]);
    int status = 0;
    if (child > 0) ::waitpid(child, &status, 0);
    return size > 0 ? static_cast<unsigned>(std::atoi(text)) : 0;
}

}  // namespace

SYSGUARD_ESCAPE_WITH("become another user by a set-id program", everywhere, with_set_id_program) {
    if (!is_root()) return not_here;
    return effective_user_of(scene.in() + "/program") == 65533 ? 0 : ECANCELED;
}

SYSGUARD_ESCAPE("become root by a set-id program of the system", everywhere) {
    if (is_root() || ::access("/usr/bin/su", X_OK) != 0) return not_here;
    // What executes su with other ids than its own may read its memory no longer: it is not dumpable.
    const pid_t child = ::fork();
    if (child == 0) {
        const sg::process::Descriptor null{::open("/dev/null", O_RDWR)};
        for (int fd = 0; fd < 3; ++fd) ::dup2(null.get(), fd);
        ::execl("/usr/bin/su", "su", "-c", "true", nullptr);
        ::_exit(127);
    }
    unsigned owner = ::geteuid();
    for (int i = 0; i < 20'000; ++i) {
        struct stat status {};
        if (::stat(("/proc/" + std::to_string(child)).c_str(), &status) == 0) owner = status.st_uid;
        if (owner == 0 || ::waitpid(child, nullptr, WNOHANG) != 0) break;
        ::usleep(100);
    }
    ::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) > 0) {
    }
    return owner == 0 ? 0 : ECANCELED;
}

SYSGUARD_ESCAPE("become another user", everywhere) {
    return is_root() ? errno_of(::syscall(SYS_setresuid, 65533, 65533, 65533)) : not_here;
}

SYSGUARD_ESCAPE("join another group", everywhere) {
    return is_root() ? errno_of(::syscall(SYS_setresgid, 65533, 65533, 65533)) : not_here;
}

SYSGUARD_ESCAPE("take supplementary groups", everywhere) {
    const gid_t group = 65533;
    return is_root() ? errno_of(::syscall(SYS_setgroups, 1, &group)) : not_here;
}

SYSGUARD_ESCAPE("give a file to another user", everywhere) {
    return is_root() ? errno_of(::chown((scene.in() + "/file").c_str(), 65533, 65533)) : not_here;
}

SYSGUARD_ESCAPE("have a capability", everywhere) {
    if (!is_root()) return not_here;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2]{};
    if (::syscall(SYS_capget, &header, sets) != 0) return errno;
    const bool any = (sets[0].effective | sets[1].effective | sets[0].permitted | sets[1].permitted) != 0;
    return any ? 0 : ECANCELED;
}

SYSGUARD_ESCAPE("gain a capability by executing as root", everywhere) {
    if (!is_root()) return not_here;
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl("/bin/grep", "grep", "-qs", "CapEff:.*[1-9a-f]", "/proc/self/status", nullptr);
        ::_exit(127);
    }
    int status = -1;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return ECANCELED;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ECANCELED;
}

SYSGUARD_ESCAPE("raise a capability into the ambient set", everywhere) {
    if (!is_root()) return not_here;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2]{};
    if (::syscall(SYS_capget, &header, sets) != 0) return errno;
    sets[0].inheritable = sets[0].permitted | 1U << CAP_CHOWN;
    if (::syscall(SYS_capset, &header, sets) != 0) return errno;
    return errno_of(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
}

SYSGUARD_ESCAPE("be root again by other securebits", everywhere) {
    return is_root() ? errno_of(::prctl(PR_SET_SECUREBITS, 0, 0, 0, 0)) : not_here;
}

SYSGUARD_ESCAPE("set the host's clock", everywhere) {
    if (!is_root()) return not_here;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return errno_of(::clock_settime(CLOCK_REALTIME, &now));
}

SYSGUARD_ESCAPE("change the host's name", everywhere) {
    if (!is_root()) return not_here;
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    return errno_of(::sethostname(name, std::strlen(name)));
}

SYSGUARD_ESCAPE("see the host's name", by_spaces | by_root) {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    return std::string{name} == "sandbox" ? ECANCELED : 0;
}

SYSGUARD_ESCAPE("see the host's cgroup", by_spaces | by_root) {
    std::ifstream file{"/proc/self/cgroup"};
    bool is_deep = false;
    for (std::string line; std::getline(file, line);) is_deep = is_deep || line.substr(line.rfind(':') + 1) != "/";
    return is_deep ? 0 : ECANCELED;
}

SYSGUARD_ESCAPE("run before all others", everywhere) {
    return is_root() ? errno_of(::setpriority(PRIO_PROCESS, 0, -20)) : not_here;
}

SYSGUARD_ESCAPE("lift a limit of its own", everywhere) {
    if (!is_root()) return not_here;
    rlimit limit{};
    if (::getrlimit(RLIMIT_CORE, &limit) != 0) return errno;
    limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
    return errno_of(::setrlimit(RLIMIT_CORE, &limit));
}

namespace {

/// A key in the keyring that all of the host's user's processes have (user-keyring(7)).
class UserKey {
public:
    UserKey() = default;
    UserKey(const UserKey&) = delete;
    UserKey& operator=(const UserKey&) = delete;
    ~UserKey() { ::syscall(SYS_keyctl, KEYCTL_UNLINK, id, KEY_SPEC_USER_KEYRING); }
    long id = ::syscall(SYS_add_key, "user", "sysguard.escapes", "secret", 6, KEY_SPEC_USER_KEYRING);
};

TEST_CASE("a key of the host's user, in a namespace of users") {
    const UserKey key;
    const auto look = [&key](bool reads) {
        char secret[16];
        if (reads) return errno_of(::syscall(SYS_keyctl, KEYCTL_READ, key.id, secret, sizeof secret));
        return errno_of(::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", "sysguard.escapes", 0));
    };
    if (key.id < 0) SYSGUARD_SKIP("this machine refuses keys to this user");
    for (const bool reads : {false, true}) {
        CAPTURE(reads);
        CHECK(without_sandbox([&] { return look(reads); }) == 0);
        const Scene scene;
        sg::Options options = options_of(by_spaces, scene);
        try {
            const auto result = sg::Sandbox{anything, options}.call([&] { return look(reads); });
            CAPTURE(result.explain());
            REQUIRE(result);
            CHECK(*result != 0);
        } catch (const sg::Error&) {
            SYSGUARD_SKIP("namespaces are not offered here");
        }
    }
}

}  // namespace

namespace {

std::int32_t key_of_host = -1;

/// A key in a session keyring of the host's own (session-keyring(7)), which the process has for good then.
const auto with_key = [](Scene&) {
    if (key_of_host >= 0) return;
    constexpr int of_session = KEY_SPEC_SESSION_KEYRING;
    if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0) return;
    key_of_host = static_cast<std::int32_t>(::syscall(SYS_add_key, "user", "sysguard", "secret", 6, of_session));
};

}  // namespace

SYSGUARD_ESCAPE_WITH("find a key of the host's session", everywhere, with_key) {
    if (key_of_host < 0) return not_here;
    return errno_of(::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "sysguard", 0));
}

SYSGUARD_ESCAPE_WITH("read a key of the host's session", everywhere, with_key) {
    char secret[16];
    if (key_of_host < 0) return not_here;
    return errno_of(::syscall(SYS_keyctl, KEYCTL_READ, key_of_host, secret, sizeof secret));
}
