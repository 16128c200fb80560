#pragma once

#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/helpers.hpp"
#include "support/shared.hpp"
#include "support/skip.hpp"
#include "support/sockets.hpp"
#include "support/workers.hpp"

namespace support {

inline int entries(const char* path) {
    int count = 0;
    DIR* const directory = ::opendir(path);
    while (::readdir(directory) != nullptr) ++count;
    ::closedir(directory);
    return count;
}

/// What a test leaves in the host: at its end, nothing.
class Leftovers {
public:
    Leftovers() = default;
    Leftovers(const Leftovers&) = delete;
    Leftovers& operator=(const Leftovers&) = delete;
    ~Leftovers() {
        CHECK(eventually([this] { return entries("/proc/self/task") == threads_; }));
        CHECK(entries("/proc/self/fd") == descriptors_);
        CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
        CHECK(errno == ECHILD);
    }

private:
    int descriptors_ = entries("/proc/self/fd");
    int threads_ = entries("/proc/self/task");
};

/// A directory of its own, with all that comes to be in it.
struct Workplace {
    Workplace() {
        char text[] = "/tmp/sysguard.XXXXXX";
        REQUIRE(::mkdtemp(text) != nullptr);
        path = text;
    }
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;
    ~Workplace() { std::filesystem::remove_all(path); }

    std::string file(const char* name, std::string_view content) const {
        const std::string at = path + "/" + name;
        const sysguard::process::Descriptor fd{::open(at.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)};
        REQUIRE(::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
        return at;
    }
    std::string fifo(const char* name) const {
        const std::string at = path + "/" + name;
        REQUIRE(::mkfifo(at.c_str(), 0644) == 0);
        return at;
    }
    std::string path;
};

/// A port of the loopback address that nobody listens at, for as long as this lives.
struct ClosedPort {
    ClosedPort() : fd{open_socket(AF_INET, SOCK_STREAM)} {
        REQUIRE(::bind(fd.get(), plain(&address), sizeof address) == 0);
        socklen_t size = sizeof address;
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    }
    sysguard::process::Descriptor fd;
    sockaddr_in address = loopback();
};

/// How many of this process's descriptors lead to something of that name.
inline int descriptors_of(const char* name) {
    int count = 0;
    char text[256];
    for (int fd = 0; fd < 1024; ++fd) {
        const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), text, sizeof text);
        count += size > 0 && has(std::string(text, static_cast<std::size_t>(size)), name);
    }
    return count;
}

/// How many have connected to a socket that listens.
inline int accepted(int listening) {
    ::fcntl(listening, F_SETFL, O_NONBLOCK);
    int count = 0;
    for (;; ++count) {
        const sysguard::process::Descriptor fd{::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC)};
        if (!fd) return count;
    }
}

struct Task {
    pid_t pid = 0;
    char state = 0;  ///< 'S': it waits
};

/// A process's children, whatever they are: workers, and tasks that perform calls.
inline std::vector<Task> children(pid_t of = ::getpid()) {
    std::vector<Task> found;
    DIR* const directory = ::opendir("/proc");
    while (const dirent* const entry = ::readdir(directory)) {
        const pid_t pid = std::atoi(entry->d_name);
        if (pid <= 0) continue;
        std::ifstream file{std::string{"/proc/"} + entry->d_name + "/stat"};
        std::string stat;
        std::getline(file, stat);
        const std::size_t behind_name = stat.rfind(')');
        char state = 0;
        pid_t parent = 0;
        if (behind_name == stat.npos || std::sscanf(stat.c_str() + behind_name + 1, " %c %d", &state, &parent) != 2)
            continue;
        if (parent == of) found.push_back({pid, state});
    }
    ::closedir(directory);
    return found;
}

/// Tasks that perform calls: the children that come after this was made.
class Performers {
public:
    int waiting() const {  ///< in the open of a FIFO, in a connect
        int count = 0;
        for (const Task& task : children()) count += task.state == 'S' && !is_other(task.pid);
        return count;
    }
    bool any() const {
        for (const Task& task : children())
            if (!is_other(task.pid)) return true;
        return false;
    }

private:
    bool is_other(pid_t pid) const {
        for (const Task& task : others_)
            if (task.pid == pid) return true;
        return false;
    }

    std::vector<Task> others_ = children();
};

/// Of a worker: reads a number that the host sets, until it is what is wanted.
inline void wait_for(const std::atomic<int>& stage, int wanted) {
    while (stage.load() < wanted) ::usleep(500);
}

/// What a worker and the host tell each other.
struct Stage {
    std::atomic<int> stage{0};
    std::atomic<int> worker{0};
    std::atomic<int> known{0};

    /// Of the worker: says who it is.
    void announce() {
        worker = ::getpid();
        wait_for(known, 1);
    }
};

/// What the host does while it waits for a worker: in a thread beside, once the worker has said who it is.
template <class F>
std::thread meanwhile(Stage& stage, F&& act) {
    return std::thread{[&stage, act] {
        CHECK(eventually([&] { return stage.worker != 0; }));
        const Performers performers;
        stage.known = 1;
        act(stage.worker.load(), performers);
    }};
}

}  // namespace support
