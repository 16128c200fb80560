#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/performed.hpp"
#include "support/reach.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"

/// Programs that know nothing of the host, which carries out all that it can of what they ask of the kernel.
namespace sg = sysguard;
namespace fs = std::filesystem;
using support::Scratch;

namespace {

/// Where a program is, or an empty text.
std::string find_program(const std::string& name) {
    for (const char* directory : {"/usr/bin/", "/bin/", "/usr/local/bin/"})
        if (::access((directory + name).c_str(), X_OK) == 0) return directory + name;
    return {};
}

std::string contents(const fs::path& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

void write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    std::ofstream{path, std::ios::binary} << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

void set_time(const std::string& path, time_t seconds, long nanoseconds) {
    const timespec times[] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

/// What tar knows of files.
void grow(const std::string& tree) {
    std::uint32_t random = 1;
    for (const char* directory : {"", "/source", "/source/deep", "/source/deep/deeper", "/private", "/none"})
        REQUIRE(::mkdir((tree + directory).c_str(), 0755) == 0);
    for (int i = 0; i < 60; ++i) {
        std::string text;
        for (int line = 0; line < i * 7; ++line) text += std::to_string(random = random * 1664525 + 1013904223) + "\n";
        write(tree + "/source/file" + std::to_string(i) + ".txt", text, i % 2 == 0 ? 0644 : 0600);
    }
    std::string big(2'500'000, 0);
    for (char& byte : big) byte = static_cast<char>((random = random * 1664525 + 1013904223) >> 24);
    write(tree + "/source/deep/big", big, 0444);
    write(tree + "/source/deep/deeper/" + std::string(200, 'n'), "long");
    write(tree + "/source/empty", "");
    write(tree + "/source/run", "#!/bin/sh\n", 04755);
    write(tree + "/source/with space\nand line", "odd");
    write(tree + "/private/secret", "secret", 0);
    REQUIRE(::symlink("file3.txt", (tree + "/source/link").c_str()) == 0);
    REQUIRE(::symlink("nowhere/at/all", (tree + "/source/dangling").c_str()) == 0);
    REQUIRE(::symlink(("../" + std::string(150, 'l')).c_str(), (tree + "/source/far").c_str()) == 0);
    REQUIRE(::link((tree + "/source/file1.txt").c_str(), (tree + "/source/deep/hard").c_str()) == 0);
    REQUIRE(::mkfifo((tree + "/source/fifo").c_str(), 0640) == 0);
    if (::getuid() == 0) {
        REQUIRE(::lchown((tree + "/source/link").c_str(), 1234, 5678) == 0);
        REQUIRE(::chown((tree + "/source/file4.txt").c_str(), 1234, 5678) == 0);
    } else {
        REQUIRE(::chmod((tree + "/private/secret").c_str(), 0400) == 0);
    }
    set_time(tree + "/source/file2.txt", 981'173'106, 789'000'000);
    set_time(tree + "/source/link", 1'000'000'000, 0);
    REQUIRE(::chmod((tree + "/private").c_str(), 01700) == 0);
    set_time(tree + "/source/deep", 86400, 0);
    for (const char* directory : {"/private", "/none", "/source", ""}) set_time(tree + directory, 1'600'000'000, 0);
}

/// One line for each file, with all that a copy should have.
std::vector<std::string> describe(const std::string& tree) {
    std::vector<std::string> lines;
    const auto add = [&](const fs::path& path) {
        struct stat status;
        REQUIRE(::lstat(path.c_str(), &status) == 0);
        std::string line = path.string().substr(tree.size());
        for (const auto value :
             {std::uint64_t{status.st_mode}, std::uint64_t{status.st_uid}, std::uint64_t{status.st_gid},
              S_ISDIR(status.st_mode) ? std::uint64_t{0} : std::uint64_t{status.st_nlink},
              static_cast<std::uint64_t>(status.st_mtim.tv_sec), static_cast<std::uint64_t>(status.st_mtim.tv_nsec)})
            line += " " + std::to_string(value);
        if (S_ISLNK(status.st_mode)) line += " -> " + fs::read_symlink(path).string();
        if (S_ISREG(status.st_mode)) line += " " + contents(path);
        lines.push_back(line);
    };
    add(tree);
    for (const fs::directory_entry& each : fs::recursive_directory_iterator{tree}) add(each.path());
    std::sort(lines.begin(), lines.end());
    return lines;
}

/// tar there and back.
struct Copy {
    Copy(const sg::Sandbox& box, const std::string& tar, const Scratch& from) {
        const sg::Outcome packed =
            box.run({tar, "--sort=name", "-cf", scratch / "archive", "-C", from.path(), "tree"}, streams);
        CAPTURE(packed.explain());
        REQUIRE(packed);
        said = packed.output() + packed.error_output();
        archive = contents(scratch / "archive");
        REQUIRE(::mkdir((scratch / "copy").c_str(), 0755) == 0);
        const sg::Outcome unpacked =
            box.run({tar, "-xpvf", scratch / "archive", "-C", scratch / "copy", "--delay-directory-restore"}, streams);
        CAPTURE(unpacked.explain());
        CAPTURE(unpacked.error_output());
        CHECK(unpacked);
        said += unpacked.output() + unpacked.error_output();
        tree = describe(scratch / "copy/tree");
    }

    static inline const sg::Launch streams{.output = sg::Stdio::capture(), .error = sg::Stdio::capture()};
    Scratch scratch;
    std::string said;
    std::string archive;
    std::vector<std::string> tree;
};

/// A web server, and what a client gets from it, all of it under one policy.
std::string fetch(const sg::Sandbox& box, const std::string& python, const std::string& curl, const std::string& from) {
    sg::Worker server = box.spawn({python, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", from},
                                  {.output = sg::Stdio::pipe(),
                                   .error = sg::Stdio::capture(),
                                   .environment = {"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"}});
    std::string greeting;
    while (greeting.find('\n') == std::string::npos) {
        pollfd source{server.output().get(), POLLIN, 0};
        char text[256];
        if (::poll(&source, 1, 60'000) != 1) break;
        const ssize_t bytes = ::read(server.output().get(), text, sizeof text);
        if (bytes <= 0) break;
        greeting.append(text, static_cast<std::size_t>(bytes));
    }
    CAPTURE(greeting);
    const std::size_t port = greeting.find(" port ");
    if (port == std::string::npos) server.stop();
    REQUIRE(port != std::string::npos);
    const std::string address = "http://127.0.0.1:" + std::to_string(std::stoi(greeting.substr(port + 6)));
    std::string all;
    for (const char* path : {"/source/deep/big", "/source/file7.txt", "/source/empty", "/none/", "/missing"}) {
        const sg::Outcome got =
            box.run({curl, "-q", "-s", "--noproxy", "*", "-w", "\n%{http_code} %{size_download}\n", address + path},
                    {.output = sg::Stdio::capture(4 << 20), .error = sg::Stdio::inherit()});
        CAPTURE(got.explain());
        CHECK(got);
        all += got.output();
    }
    server.stop();
    return all;
}

const sg::Sandbox& natively() {
    static const sg::Sandbox box{support::native};
    return box;
}

}  // namespace

TEST_CASE("tar packs a tree and unpacks it, all performed by the host, as it does without a sandbox") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const std::string tar = find_program("tar");
    if (tar.empty()) SYSGUARD_SKIP("no tar here");
    const Scratch scratch;
    grow(scratch / "tree");
    const sg::Options options{.credentials = {.capabilities = sg::Capabilities::kept()}};  // for files of others
    const Copy expected{sg::Sandbox{support::native, options}, tar, scratch};
    CHECK(expected.tree.size() == describe(scratch / "tree").size());
    for (const sg::Sandbox& box : {sg::Sandbox{support::performed, options}, sg::Sandbox{support::decided, options}}) {
        const Copy copy{box, tar, scratch};
        CHECK(copy.archive == expected.archive);
        CHECK(copy.tree == expected.tree);
        CHECK(copy.said == expected.said);
    }
}

TEST_CASE("a client and a server over TCP, both performed by the host, as without a sandbox") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const std::string curl = find_program("curl");
    const std::string python = find_program("python3");
    if (curl.empty() || python.empty()) SYSGUARD_SKIP("no curl or no python3 here");
    const Scratch scratch;
    grow(scratch / "tree");
    const std::string expected = fetch(natively(), python, curl, scratch / "tree");
    CHECK(expected.size() > 2'500'000);
    CHECK(fetch(sg::Sandbox{support::performed}, python, curl, scratch / "tree") == expected);
    CHECK(fetch(sg::Sandbox{support::decided}, python, curl, scratch / "tree") == expected);
}

TEST_CASE("a shell with files of all kinds, performed by the host, as without a sandbox") {
    SYSGUARD_SKIP_WITHOUT_DESCRIPTORS();
    const char* const script =
        "cd \"$1\" && umask 027 && echo one > a && cat < a > b && echo two >> b && cat b && (echo sub; exit 3) > c || "
        "echo \"rc $?\"; for i in 1 2 3 4 5; do echo $i; done | sort -r | head -2 > d; cat d; mkdir -p x/y/z; "
        "ln -s ../a x/l; readlink x/l; mv a x/; cp -a x w; rmdir w/y/z; mv w/y v; ln b e; chmod 4711 e; cat < missing; "
        "test -x e && test ! -d e && echo tests; touch -d @5 d; find . | sort; rm -r x; ls -AF; "
        "find . -printf '%p %m %n %l\\n' | sort; read first < b; echo \"$first\"; sleep 0.01 & wait; kill -0 $$; exit "
        "7";
    const auto run = [&](const sg::Sandbox& box) {
        const Scratch scratch;
        const sg::Outcome outcome = box.run({"/bin/sh", "-c", script, "sh", scratch.path()},
                                            {.output = sg::Stdio::capture(),
                                             .error = sg::Stdio::capture(),
                                             .environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"}});
        return outcome.explain() + outcome.output() + outcome.error_output();
    };
    const std::string expected = run(natively());
    CHECK(expected.find("tests") != std::string::npos);
    CHECK(run(sg::Sandbox{support::performed}) == expected);
    CHECK(run(sg::Sandbox{support::decided}) == expected);
}
