#pragma once

#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/attempts.hpp"
#include "support/namespaces.hpp"
#include "support/supervised.hpp"
#include "support/workers.hpp"

/// Attempts to get out. Each is made without a sandbox first, where it succeeds, and then in workers, each of which one
/// thing alone holds.
namespace support {

/// What is to hold an attempt.
enum Held : unsigned {
    by_sandbox = 1,  ///< what every worker has: its descriptors, its session, its credentials; all calls are allowed
    by_rules = 2,    ///< the policy, and what every worker has
    by_files = 4,    ///< Landlock's access to files, all calls being allowed
    by_scopes = 8,   ///< Landlock's scopes
    by_spaces = 16,  ///< all namespaces, with the host's files
    by_root = 32,    ///< all namespaces, and a private root
};

/// Of an attempt that nobody can make on this machine, or not as this user.
inline constexpr int not_here = 1'000'000;

/// Of one that something went wrong with before it was made.
inline constexpr int not_made = 2'000'000;

/// Another process of the host's, with a word in its memory where workers have it, too.
class Victim {
public:
    Victim() : pid_{::fork()} {
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent_) ::_exit(0);
        for (;;) ::pause();
    }
    Victim(const Victim&) = delete;
    Victim& operator=(const Victim&) = delete;
    ~Victim() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    pid_t pid() const { return pid_; }
    static inline long word = 1;

private:
    pid_t parent_ = ::getpid();
    pid_t pid_ = -1;
};

/// What an attempt begins with: `in` is the worker's own, `seen` is for reading, `out` the host's alone, with a secret
/// in a file.
class Scene {
public:
    Scene() {
        if (::getpgrp() <= 1) REQUIRE(::setpgid(0, 0) == 0);  // a group that can be named, in a namespace too
        REQUIRE(::mkdir(seen().c_str(), 0755) == 0);
        const sysguard::process::Descriptor file{::open((seen() + "/file").c_str(), O_WRONLY | O_CREAT, 0644)};
        REQUIRE(::write(file.get(), "text", 4) == 4);
        before_.reset(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;
    ~Scene() { CHECK(::fchdir(before_.get()) == 0); }

    std::string in() const { return tree_.in(); }
    std::string out() const { return tree_.out(); }
    std::string seen() const {
        const std::string in = tree_.in();
        return in.substr(0, in.rfind('/')) + "/seen";
    }
    std::string secret() const { return tree_.out() + "/file"; }
    pid_t host() const { return host_; }
    pid_t victim() const { return victim_.pid(); }

    /// A descriptor that workers get under the same number.
    int given() const { return given_.get(); }
    void give(int fd) {
        given_.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 100));
        ::close(fd);
        REQUIRE(given_);
    }

    sysguard::Launch launch() const {
        sysguard::Launch launch;
        if (given_) launch.descriptors.push_back({given_.get(), given_.get()});
        return launch;
    }

private:
    Tree tree_;
    sysguard::process::Descriptor before_, given_;
    pid_t host_ = ::getpid();
    Victim victim_;
};

inline constexpr sysguard::Policy plain_rules{sysguard::preset::static_runtime, sysguard::preset::processes,
                                              sysguard::otherwise.deny(EPERM)};

inline sysguard::Options options_of(Held held, const Scene& scene) {
    sysguard::Options options;
    if (held == by_files)
        options.files = {sysguard::read_only("/usr"), sysguard::read_only("/proc"), sysguard::read_write("/dev/null"),
                         sysguard::read_only(scene.seen()), sysguard::read_write(scene.in())};
    if (held == by_scopes) options.scopes = {.abstract_sockets = true, .signals = true};
    if (held == by_spaces || held == by_root) {
        options.namespaces = all_namespaces();
        options.network = sysguard::Network::isolated;
    }
    if (held == by_root)
        options.root = {sysguard::bind_mount("/usr"),
                        sysguard::symbolic_link("usr/bin", "/bin"),
                        sysguard::symbolic_link("usr/lib", "/lib"),
                        sysguard::symbolic_link("usr/lib64", "/lib64"),
                        sysguard::procfs(),
                        sysguard::devices(),
                        sysguard::tmpfs("/tmp", 1 << 20, 01777),
                        sysguard::bind_mount(scene.seen()),
                        sysguard::bind_mount(scene.in()).writable()};
    options.limits.wall = std::chrono::seconds{60};
    return options;
}

inline const char* name(Held held) {
    switch (held) {
        case by_sandbox: return "what every worker has";
        case by_rules: return "rules alone";
        case by_files: return "access to files alone";
        case by_scopes: return "scopes alone";
        case by_spaces: return "namespaces alone";
        case by_root: return "a private root alone";
    }
    return "?";
}

/// Whatever this machine lacks for it is said.
inline std::optional<sysguard::Sandbox> box_of(Held held, const Scene& scene) {
    try {
        if (held == by_rules) return sysguard::Sandbox{plain_rules, options_of(held, scene)};
        return sysguard::Sandbox{anything, options_of(held, scene)};
    } catch (const sysguard::Error& error) {
        std::printf("%s cannot be tried here: %s\n", name(held), error.what());
        return std::nullopt;
    }
}

/// What comes of an attempt in a fork of the host's that nothing holds.
template <class F>
int without_sandbox(F&& act) {
    const Shared<int> result;
    *result = not_made;
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::alarm(60);
        *result = act();
        ::_exit(0);
    }
    int status = -1;
    ::waitpid(pid, &status, 0);
    return *result;
}

/// Makes an attempt with and without what is to hold it, each time in a new scene. `prepare` makes the host's part.
template <class Prepare>
void show(unsigned held, int (*act)(const Scene&), Prepare&& prepare) {
    {
        Scene scene;
        prepare(scene);
        const int result = without_sandbox([&] { return act(scene); });
        if (result == not_here) SYSGUARD_SKIP("this cannot be tried here as this user, without a sandbox either");
        if (result == EPERM || result == ENOSYS || result == EACCES)
            SYSGUARD_SKIP("this machine refuses it to this user without a sandbox, too");
        CHECK(result == 0);
    }
    int tried = 0;
    for (const Held each : {by_sandbox, by_rules, by_files, by_scopes, by_spaces, by_root}) {
        if ((held & each) == 0) continue;
        Scene scene;
        prepare(scene);
        const std::string holding = name(each);
        CAPTURE(holding);
        const auto box = box_of(each, scene);
        if (!box) continue;
        const auto result = box->call(scene.launch(), [&] { return act(scene); });
        CAPTURE(result.explain());
        ++tried;
        REQUIRE(result);
        CHECK(*result != 0);
        CHECK(*result != not_made);
    }
    if (tried == 0) SYSGUARD_SKIP("nothing that would hold it is offered here");
}

inline bool is_root() {
    return ::geteuid() == 0;
}

/// Enters a user namespace, and others, with all capabilities in them, and as root as far as that may be: who lacks
/// CAP_SETFCAP maps no root (user_namespaces(7)). Returns an errno.
inline int enter_namespaces(int more) {
    const std::string user = "0 " + std::to_string(::geteuid()) + " 1\n";
    const std::string group = "0 " + std::to_string(::getegid()) + " 1\n";
    if (::unshare(CLONE_NEWUSER | more) != 0) return errno;
    for (const auto& [path, text] : {std::pair<const char*, std::string>{"/proc/self/setgroups", "deny"},
                                     {"/proc/self/uid_map", user},
                                     {"/proc/self/gid_map", group}}) {
        const sysguard::process::Descriptor file{::open(path, O_WRONLY | O_CLOEXEC)};
        if (!file || ::write(file.get(), text.data(), text.size()) < 0) break;
    }
    return 0;
}

}  // namespace support

/// A test of one attempt: a function's body, which returns 0 where it succeeds, else an errno.
#define SYSGUARD_ESCAPE_NAMED(function, title, held, prepare) \
    static int function(const support::Scene& scene);         \
    TEST_CASE(title) {                                        \
        support::show(held, function, prepare);               \
    }                                                         \
    static int function([[maybe_unused]] const support::Scene& scene)
#define SYSGUARD_ESCAPE_JOINED(line, title, held, prepare) \
    SYSGUARD_ESCAPE_NAMED(escape_of_line_##line, title, held, prepare)
#define SYSGUARD_ESCAPE_AT(line, title, held, prepare) SYSGUARD_ESCAPE_JOINED(line, title, held, prepare)
#define SYSGUARD_ESCAPE(title, held) SYSGUARD_ESCAPE_AT(__LINE__, title, held, [](support::Scene&) {})
#define SYSGUARD_ESCAPE_WITH(title, held, prepare) SYSGUARD_ESCAPE_AT(__LINE__, title, held, prepare)
