#pragma once

#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/performed.hpp"
#include "support/scratch.hpp"

/// The same function without a host, with one that performs its calls, and with one that decides on every path first.
namespace support {

namespace sg = sysguard;

using Lines = std::vector<std::string>;

/// What a worker's calls come to.
class Log {
public:
    long note(const std::string& what, long result) {
        const int error = errno;
        lines.push_back(what + " = " + (result < 0 ? ::strerrorname_np(error) : std::to_string(result)));
        return result;
    }
    void say(const std::string& what) { lines.push_back(what); }

    Lines lines;
};

inline void populate(const Scratch& scratch) {
    const auto file = [&](const char* name, const char* text, mode_t mode) {
        const int fd = ::open((scratch / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(::write(fd, text, std::strlen(text)) >= 0);
        REQUIRE(::fchmod(fd, mode) == 0);
        ::close(fd);
    };
    file("file", "text", 0644);
    file("private", "secret", 0600);
    REQUIRE(::mkdir((scratch / "dir").c_str(), 0755) == 0);
    REQUIRE(::chmod((scratch / "dir").c_str(), 0777) == 0);
    file("dir/inner", "inner", 0644);
    for (const auto& [target, name] : {std::pair{"file", "to_file"}, std::pair{"dir", "to_dir"},
                                       std::pair{"missing", "dangling"}, std::pair{"loop", "loop"}})
        REQUIRE(::symlink(target, (scratch / name).c_str()) == 0);
}

template <class Function>
Lines results(const sg::Sandbox& box, const Function& function) {
    const Scratch scratch;
    populate(scratch);
    const auto called = box.call([&] {
        Log log;
        log.note("chdir", ::chdir(scratch.path().c_str()));
        function(log);
        return log.lines;
    });
    CAPTURE(called.explain());
    REQUIRE(called);
    return *called;
}

template <class Function>
void same(const Function& function, const sg::Options& options = {}) {
    const Lines expected = results(sg::Sandbox{support::native, options}, function);
    CHECK(expected.size() > 1);
    int policy = 0;
    for (const sg::Sandbox& box : {sg::Sandbox{support::performed, options}, sg::Sandbox{support::decided, options}}) {
        const Lines got = results(box, function);
        CAPTURE(policy++);
        REQUIRE(got.size() == expected.size());
        for (std::size_t i = 0; i < got.size(); ++i) {
            CAPTURE(i);
            CHECK(got[i] == expected[i]);
        }
    }
}

}  // namespace support
