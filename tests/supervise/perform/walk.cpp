#include <sysguard/process/namespace_support.hpp>
#include <sysguard/supervise/perform/walk.hpp>

#include "performing.hpp"
#include "support/reach.hpp"
#include "support/skip.hpp"

using namespace performing;
using perform::Last;
using perform::Place;

namespace {

/// What a walk comes to in this process: where it led, or the negative errno.
struct Walked {
    long result = 0;
    std::string text;
};

Walked walk(const perform::Caller& caller, const std::string& tree, const std::string& path, Last last = Last::follow,
            const std::string& root = "/") {
    const int root_fd = ::open(root.c_str(), O_PATH | O_CLOEXEC);
    const int tree_fd = ::open(tree.c_str(), O_PATH | O_CLOEXEC);
    Walked walked;
    {
        Place place;
        walked.result = perform::walk({root_fd, tree_fd, caller}, path.c_str(), last, place);
        char text[PATH_MAX];
        if (walked.result == 0 && perform::text_of(place, root_fd, text, sizeof text) >= 0) walked.text = text;
    }
    ::close(root_fd);
    ::close(tree_fd);
    return walked;
}

std::size_t open_descriptors() {
    namespace fs = std::filesystem;
    return static_cast<std::size_t>(std::distance(fs::directory_iterator{"/proc/self/fd"}, fs::directory_iterator{}));
}

}  // namespace

TEST_CASE("places, as text") {
    const Trees trees;
    const std::string tree = trees.performed();
    const perform::Caller self{::getpid(), ::getpid(), ::getsid(0)};
    CHECK(walk(self, tree, "file").text == tree + "/file");
    CHECK(walk(self, tree, "to_dir/./inner").text == tree + "/dir/inner");
    CHECK(walk(self, tree, "to_file", Last::keep).text == tree + "/to_file");
    CHECK(walk(self, tree, "to_file", Last::given).text == tree + "/to_file");
    CHECK(walk(self, tree, "dangling", Last::create).text == tree + "/missing");
    CHECK(walk(self, tree, "dangling").result == -ENOENT);
    CHECK(walk(self, tree, "missing/", Last::given).text == tree + "/missing");
    CHECK(walk(self, tree, "/").text == "/");
    CHECK(walk(self, tree, "dir/..").text == tree);
    CHECK(walk(self, tree, "../two/to_dir").text == tree + "/dir");
    CHECK(walk(self, tree, "").result == -ENOENT);
    CHECK(walk(self, tree, "/inner", Last::follow, tree + "/dir").text == "/inner");
    CHECK(walk(self, tree, "/..", Last::follow, tree + "/dir").text == "/");
    CHECK(walk(self, tree, "file", Last::follow, tree + "/dir").text == "(unreachable)" + tree + "/file");
}

TEST_CASE("all that a walk opens is closed") {
    const Trees trees;
    const perform::Caller self{::getpid(), ::getpid(), ::getsid(0)};
    const std::size_t before = open_descriptors();
    for (const std::string& path : paths())
        for (const Last last : {Last::follow, Last::keep, Last::create, Last::given})
            if (path.size() < PATH_MAX) walk(self, trees.performed(), replaced(path, "@", trees.performed()), last);
    CHECK(open_descriptors() == before);
}

TEST_CASE("/proc/self is the worker, whoever walks") {
    const Trees trees;
    const std::string tree = trees.performed();
    const Worker worker{[&] { settle(tree); }};
    const std::string process = "/proc/" + std::to_string(worker.pid());
    CHECK(walk(worker.caller(), "/", "/proc/self").text == process);
    CHECK(walk(worker.caller(), "/", "/proc/thread-self").text == process + "/task/" + std::to_string(worker.pid()));
    CHECK(walk(worker.caller(), "/", "/proc/self/cwd/file").text == tree + "/file");
    CHECK(walk(worker.caller(), "/", "/dev/fd/20").text == tree + "/file");
    CHECK(walk(worker.caller(), "/", "/proc/mounts").text == process + "/mounts");
}

TEST_CASE("of others' processes only what everybody may read") {
    const Trees trees;
    const Worker worker{[&] { settle(trees.performed()); }};
    const Worker other{[&] { settle(trees.performed()); }};
    const std::string own = "/proc/" + std::to_string(worker.pid());
    for (const pid_t foreign : {::getpid(), other.pid(), pid_t{1}}) {
        const std::string process = "/proc/" + std::to_string(foreign);
        const std::string thread = process + "/task/" + std::to_string(foreign);
        for (const std::string& directory : {process, thread}) {
            for (const char* name : {"stat", "statm", "status", "cmdline", "comm", "cgroup"})
                CHECK(walk(worker.caller(), "/", directory + "/" + name).text == directory + "/" + name);
            for (const char* name : {"mem", "environ", "maps", "fd", "fd/0", "cwd", "root", "root/etc/passwd", "exe",
                                     "ns/user", "fdinfo", "net", "auxv",
                                     "../"
                                     "self/task/../../1/mem",
                                     "nothing"})
                for (const Last last : {Last::follow, Last::keep, Last::given, Last::create}) {
                    const std::string path = directory + "/" + name;
                    CAPTURE(path);
                    if (path.find("..") == path.npos || last == Last::follow)
                        CHECK(walk(worker.caller(), "/", path, last).result == -EACCES);
                }
        }
        CHECK(walk(worker.caller(), "/", process).result == 0);
        CHECK(walk(worker.caller(), "/", process + "/task").result == 0);
        CHECK(walk(worker.caller(), process, "mem").result == -EACCES);
        CHECK(walk(worker.caller(), process, "stat").result == 0);
        CHECK(walk(worker.caller(), process + "/task", "../mem").result == -EACCES);
        CHECK(walk(worker.caller(), thread, "mem").result == -EACCES);
        CHECK(walk(worker.caller(), own, "../" + std::to_string(foreign) + "/environ").result == -EACCES);
    }
    if (::getuid() == 0) CHECK(walk(worker.caller(), "/proc/1/fd", "0").result == -EACCES);
    CHECK(walk(worker.caller(), "/", own + "/environ").result == 0);
    CHECK(walk(worker.caller(), "/", own + "/mem").result == 0);
    CHECK(walk(worker.caller(), "/", own + "/task/" + std::to_string(worker.pid()) + "/maps").result == 0);
}

TEST_CASE("processes of the worker's session are its own") {
    Worker worker;
    Worker other;
    perform::Caller as_other = worker.caller();
    const std::string variables = "/proc/" + std::to_string(other.pid()) + "/environ";
    CHECK(walk(as_other, "/", variables).result == -EACCES);
    as_other.session = other.pid();
    CHECK(walk(as_other, "/", variables).result == 0);
}

TEST_CASE("a procfs of another pid namespace numbers as it does") {
    if (::getuid() != 0) SYSGUARD_SKIP("needs root");
    SYSGUARD_SKIP_WITHOUT(sysguard::process::NamespaceSupport{}.offer(CLONE_NEWPID | CLONE_NEWNS));
    const Trees trees;
    const std::string tree = trees.performed();
    int pids[2];
    REQUIRE(::pipe(pids) == 0);
    const pid_t outer = ::fork();
    if (outer == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) ::_exit(1);
        ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        const pid_t inner = ::fork();
        if (inner == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::setsid();
            const bool is_ready = ::mount("proc", (tree + "/empty").c_str(), "proc", 0, nullptr) == 0;
            static_cast<void>(!::write(pids[1], &is_ready, 1));
            for (;;) ::pause();
        }
        static_cast<void>(!::write(pids[1], &inner, sizeof inner));
        ::waitpid(inner, nullptr, 0);
        ::_exit(0);
    }
    char message[sizeof(pid_t) + 1];
    std::size_t size = 0;
    while (size < sizeof message) {
        const ssize_t bytes = ::read(pids[0], message + size, 1);
        REQUIRE(bytes == 1);
        ++size;
    }
    pid_t inner = 0;
    const std::string children = "/proc/" + std::to_string(outer) + "/task/" + std::to_string(outer) + "/children";
    char text[64];
    if (sg::supervise::detail::read_text(AT_FDCWD, children.c_str(), text, sizeof text) > 0) inner = std::atoi(text);
    if (inner > 0) {
        const std::string procfs = "/proc/" + std::to_string(inner) + "/root" + tree + "/empty";
        const perform::Caller caller{inner, inner, inner};
        CHECK(walk(caller, procfs, "self").text == tree + "/empty/1");
        CHECK(walk(caller, procfs, "thread-self").text == tree + "/empty/1/task/1");
        CHECK(walk(caller, procfs, "self/environ").result == 0);
        CHECK(walk(perform::Caller{outer, outer, outer}, procfs, "1/environ").result == -EACCES);
        CHECK(walk(perform::Caller{outer, outer, outer}, procfs, "self").result == -ENOENT);
        ::kill(inner, SIGKILL);
    }
    ::kill(outer, SIGKILL);
    ::waitpid(outer, nullptr, 0);
    ::close(pids[0]);
    ::close(pids[1]);
    if (inner <= 0) SYSGUARD_SKIP("the kernel does not list children");
}
