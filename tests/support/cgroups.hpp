#pragma once

#include <sysguard/cgroup.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

namespace support {

/// A subtree of cgroup v2 for a test: made by root where that is mounted, or below the cgroup of an ordinary user who
/// has that delegated. At the end nothing may be left in it.
class Subtree {
public:
    Subtree() {
        std::string above;
        std::ifstream mounts{"/proc/self/mountinfo"};
        for (std::string line; above.empty() && std::getline(mounts, line);)
            above = sysguard::process::detail::path_by_mount(line.c_str(), "/");
        if (::getuid() != 0) {
            const std::string own = sysguard::process::detail::own_cgroup_path();
            above = own.empty() ? own : std::filesystem::path{own}.parent_path().string();
        }
        if (above.empty()) return;
        std::string name = above + "/test_XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) return;
        ::chmod(name.c_str(), 0755);
        path_ = name;
        above_ = above;
    }
    Subtree(const Subtree&) = delete;
    Subtree& operator=(const Subtree&) = delete;
    ~Subtree() {
        if (path_.empty()) return;
        CHECK(left() == 0);
        CHECK(::rmdir(path_.c_str()) == 0);
    }

    explicit operator bool() const { return !path_.empty(); }
    const std::string& path() const { return path_; }
    sysguard::Cgroup option() const { return sysguard::Cgroup::in(path_); }

    /// How many cgroups are in it.
    int left() const {
        int count = 0;
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator{path_, ignored})
            count += entry.is_directory(ignored);
        return count;
    }

    /// Whether cgroups in it can have a controller.
    bool offers(const char* controller) const {
        std::ofstream{above_ + "/cgroup.subtree_control"} << "+" << controller;
        const int fd = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool has = sysguard::process::detail::FileText{fd, "cgroup.controllers"}.has(controller);
        ::close(fd);
        return has;
    }

private:
    std::string path_;
    std::string above_;
};

}  // namespace support

/// Makes `subtree`, or ends the test.
#define SYSGUARD_NEED_SUBTREE(subtree) \
    const support::Subtree subtree;    \
    if (!subtree) SYSGUARD_SKIP("there is no subtree of cgroup v2 that this user may write to")

#define SYSGUARD_NEED_CONTROLLER(subtree, controller) \
    if (!subtree.offers(controller)) SYSGUARD_SKIP("cgroup v2 does not offer the controller " controller " here")
