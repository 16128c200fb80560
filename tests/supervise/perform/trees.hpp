#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/// Files for calls to be tried on.
namespace performing {

/// A directory with two trees that are alike: in one the worker makes calls, in the other they are performed.
class Trees {
public:
    Trees() {
        char name[] = "/tmp/sysguard_perform_XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path_ = name;
        ::chmod(name, 0755);
        for (const char* tree : {"one", "two"}) build(path_ + "/" + tree);
    }
    Trees(const Trees&) = delete;
    Trees& operator=(const Trees&) = delete;
    ~Trees() {
        for (const char* tree : {"one", "two"}) remove(path_ + "/" + tree);
        ::rmdir(path_.c_str());
    }

    const std::string& path() const { return path_; }
    std::string native() const { return path_ + "/one"; }
    std::string performed() const { return path_ + "/two"; }

    static void write(const std::string& path, const char* text, mode_t mode = 0644) {
        const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        REQUIRE(fd >= 0);
        REQUIRE(::write(fd, text, std::strlen(text)) == static_cast<ssize_t>(std::strlen(text)));
        ::fchmod(fd, mode);
        ::close(fd);
    }

private:
    static void remove(const std::string& at) {
        for (const char* directory : {"", "/dir", "/empty", "/closed", "/sticky"})
            ::chmod((at + directory).c_str(), 0700);
        std::error_code ignored;
        std::filesystem::remove_all(at, ignored);
    }

    static void build(const std::string& at) {
        const auto link = [&](const std::string& target, const std::string& name) {
            REQUIRE(::symlink(target.c_str(), (at + "/" + name).c_str()) == 0);
        };
        const auto directory = [&](const std::string& name, mode_t mode) {
            REQUIRE(::mkdir((at + "/" + name).c_str(), 0755) == 0);
            REQUIRE(::chmod((at + "/" + name).c_str(), mode) == 0);
        };
        REQUIRE(::mkdir(at.c_str(), 0755) == 0);
        ::chmod(at.c_str(), 0777);
        write(at + "/file", "text");
        write(at + "/read_only", "text", 0444);
        directory("dir", 0777);
        write(at + "/dir/inner", "inner");
        directory("empty", 0777);
        directory("closed", 0700);
        write(at + "/closed/x", "x");
        if (::getuid() != 0) ::chmod((at + "/closed").c_str(), 0);
        directory("sticky", 01777);
        REQUIRE(::symlink("../file", (at + "/sticky/link").c_str()) == 0);
        REQUIRE(::mkfifo((at + "/fifo").c_str(), 0644) == 0);
        link("file", "to_file");
        link("dir", "to_dir");
        link("missing", "dangling");
        link("missing/", "dangling_slash");
        link("dir/", "to_dir_slash");
        link("file/", "to_file_slash");
        link("to_dir/inner", "deep");
        link("loop", "loop");
        link("pong", "ping");
        link("ping", "pong");
        link(at + "/file", "absolute");
        link("..", "up");
        link("/", "to_root");
        link("/proc/self/cwd/file", "through_proc");
        link("file", "chain0");
        for (int i = 1; i <= 41; ++i) link("chain" + std::to_string(i - 1), "chain" + std::to_string(i));
    }

    std::string path_;
};

/// Names, kinds, modes, owners, sizes, links: what a call may have changed.
inline std::string describe(const std::string& tree) {
    namespace fs = std::filesystem;
    std::vector<std::string> lines;
    for (fs::recursive_directory_iterator it{tree, fs::directory_options::skip_permission_denied}, end; it != end;
         ++it) {
        struct stat status;
        if (::lstat(it->path().c_str(), &status) != 0) continue;
        std::string line = it->path().string().substr(tree.size());
        for (const auto value :
             {std::uint64_t{status.st_mode}, std::uint64_t{status.st_uid}, std::uint64_t{status.st_gid},
              std::uint64_t{status.st_nlink}, S_ISDIR(status.st_mode) ? 0 : static_cast<std::uint64_t>(status.st_size),
              std::uint64_t{status.st_rdev}})
            line += " " + std::to_string(value);
        if (status.st_mtim.tv_sec < 1'000'000'000) line += " " + std::to_string(status.st_mtim.tv_sec);
        if (S_ISLNK(status.st_mode)) {
            std::string target = fs::read_symlink(it->path()).string();
            if (target.rfind(tree, 0) == 0) target = "TREE" + target.substr(tree.size());
            line += " " + target;
        }
        lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    std::string all;
    for (const std::string& line : lines) all += line + "\n";
    return all;
}

inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
    return text;
}

/// Descriptors that the worker has in both trees.
inline constexpr int file_fd = 20, directory_fd = 21, link_fd = 22, path_fd = 23, closed_fd = 24;

inline void settle(const std::string& tree) {
    const auto place = [](int fd, int at) {
        ::dup2(fd, at);
        ::close(fd);
    };
    if (::chdir(tree.c_str()) != 0) ::_exit(1);
    place(::open("file", O_RDWR), file_fd);
    place(::open("dir", O_RDONLY | O_DIRECTORY), directory_fd);
    place(::open("to_file", O_PATH | O_NOFOLLOW), link_fd);
    place(::open("file", O_PATH), path_fd);
    ::close(closed_fd);
}

}  // namespace performing
