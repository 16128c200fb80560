#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include <sys/stat.h>

namespace support {

/// A directory of a test's own, that all may search, and that goes with it.
class Scratch {
public:
    Scratch() {
        char name[] = "/tmp/sysguard_XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path_ = name;
        ::chmod(name, 0777);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
        for (std::filesystem::recursive_directory_iterator each{path_, ignored}, end; each != end;
             each.increment(ignored))
            if (each->is_directory(ignored) && !each->is_symlink(ignored))
                std::filesystem::permissions(each->path(), std::filesystem::perms::owner_all, ignored);
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

}  // namespace support
