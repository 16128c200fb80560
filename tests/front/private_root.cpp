#include <sysguard/process/overlay.hpp>
#include <sysguard/process/overlay_support.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/namespaces.hpp"
#include "support/reach.hpp"
#include "support/scratch.hpp"
#include "support/workers.hpp"

using namespace sysguard::literals;
using support::anything;
using support::Outcome;
using support::Scratch;
namespace sg = sysguard;

namespace {

constexpr sg::Policy asking{sg::Rule<SYS_ptrace>{}.kill(), sg::otherwise.allow()};

/// What a shell and its programs need, and `more`.
sg::Options with_root(std::vector<sg::Mount> more = {}) {
    std::vector<sg::Mount> mounts{sg::bind_mount("/usr")};
    for (const char* const path : {"/bin", "/lib", "/lib64", "/sbin"}) {
        std::error_code ignored;
        if (std::filesystem::is_symlink(path, ignored))
            mounts.push_back(sg::symbolic_link(std::filesystem::read_symlink(path), path));
        else if (std::filesystem::exists(path, ignored))
            mounts.push_back(sg::bind_mount(path));
    }
    for (sg::Mount& mount : more) mounts.push_back(std::move(mount));
    sg::Options options;
    for (sg::Mount& mount : mounts) options.root.add(std::move(mount));
    options.namespaces.pid = true;
    return options;
}

std::string shell(const sg::Sandbox& box, const std::string& text) {
    const Outcome outcome = box.run({"/bin/sh", "-c", text}, {.output = sg::Stdio::capture(),
                                                              .error = sg::Stdio::capture(),
                                                              .environment = {"PATH=/usr/bin:/bin"},
                                                              .directory = "/",
                                                              .umask = 022});
    INFO(outcome.explain() << outcome.error_output());
    CHECK(outcome);
    return outcome.output();
}

std::string content(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

TEST_CASE("a private root has what is written, and nothing else") {
    SYSGUARD_NEED_ROOT();
    const Scratch scratch;
    std::ofstream{scratch / "secret"} << "secret";
    const std::string command = "cat " + (scratch / "secret") + " 2>/dev/null || echo nothing";
    CHECK(shell(sg::Sandbox{anything}, command) == "secret");
    for (int i = 0; i < 2; ++i) {
        const sg::Options options = with_root({sg::procfs(), sg::devices(), sg::directory("/empty/place", 0700)});
        const sg::Sandbox box = i == 0 ? sg::Sandbox{anything, options} : sg::Sandbox{asking, options};
        CHECK(shell(box, command) == "nothing\n");
        CHECK(shell(box, "ls /empty") == "place\n");
        CHECK(shell(box, "stat -c %a /empty/place") == "700\n");
        CHECK(shell(box, "ls -d /etc /root /home /tmp 2>/dev/null; true").empty());
        CHECK(shell(box, "cd /; cd ..; pwd; ls -d usr") == "/\nusr\n");
        CHECK(shell(box, "ls /dev | tr '\\n' ' '") == "fd full null random stderr stdin stdout urandom zero ");
        CHECK(shell(box, "head -c 4 /dev/zero | od -An -tx1; echo x > /dev/null; echo out > /dev/stdout") ==
              " 00 00 00 00\nout\n");
        const std::string file = scratch / "secret";
        const auto reach = [&] { return ::access(file.c_str(), F_OK) == 0; };
        CHECK_FALSE(*box.call({.directory = "/"}, reach));
        CHECK(*sg::Sandbox{anything}.call(reach));
    }
}

TEST_CASE("nothing in it can be changed that is not writable") {
    SYSGUARD_NEED_ROOT();
    const Scratch scratch;
    std::ofstream{scratch / "file"} << "before";
    ::chmod((scratch / "file").c_str(), 0666);
    const sg::Sandbox closed{anything,
                             with_root({sg::bind_mount(scratch.path(), "/job"), sg::procfs(), sg::devices()})};
    const sg::Sandbox open{anything,
                           with_root({sg::bind_mount(scratch.path(), "/job").writable(), sg::procfs(), sg::devices()})};
    const std::string change = "(echo after > /job/file) 2>/dev/null || echo refused";
    CHECK(shell(closed, change) == "refused\n");
    CHECK(content(scratch / "file") == "before");
    CHECK(shell(open, change).empty());
    CHECK(content(scratch / "file") == "after\n");
    for (const char* const path : {"/x", "/usr/x", "/proc/sys/kernel/hostname"}) {
        CAPTURE(path);
        CHECK(shell(open, std::string{"(echo x > "} + path + ") 2>/dev/null || echo refused") == "refused\n");
    }
}

TEST_CASE("a tmpfs holds what it is given, and goes with the worker") {
    SYSGUARD_NEED_ROOT();
    const sg::Sandbox box{anything, with_root({sg::tmpfs("/tmp", 64_KiB, 01777), sg::devices()})};
    CHECK(shell(box, "stat -c %a /tmp; echo x > /tmp/y; cat /tmp/y") == "1777\nx\n");
    CHECK(shell(box, "ls /tmp").empty());
    CHECK(shell(box, "head -c 100000 /dev/zero > /tmp/z 2>/dev/null || echo full") == "full\n");
}

TEST_CASE("nothing is executed where that is not to be") {
    SYSGUARD_NEED_ROOT();
    const Scratch scratch;
    std::filesystem::copy_file(support::helper("noop"), scratch / "noop");
    ::chmod((scratch / "noop").c_str(), 0755);
    const sg::Options runs = with_root({sg::bind_mount(scratch.path(), "/job")});
    const sg::Options does_not = with_root({sg::bind_mount(scratch.path(), "/job").without_execution()});
    CHECK(sg::Sandbox{anything, runs}.run({"/job/noop"}));
    const Outcome outcome = sg::Sandbox{anything, does_not}.run({"/job/noop"});
    CHECK(outcome.kind() == Outcome::Kind::could_not_start);
    CHECK(outcome.error() == EACCES);
}

TEST_CASE("a single file can be bound, and a later part lie in an earlier one") {
    SYSGUARD_NEED_ROOT();
    const Scratch scratch;
    std::ofstream{scratch / "file"} << "bound";
    ::mkdir((scratch / "inner").c_str(), 0755);
    const sg::Sandbox box{
        anything, with_root({sg::bind_mount(scratch / "file", "/etc/deep/name"), sg::bind_mount(scratch.path(), "/job"),
                             sg::tmpfs("/job/inner", 64_KiB)})};
    CHECK(shell(box, "cat /etc/deep/name; cat /job/file") == "boundbound");
    CHECK(shell(box, "echo x > /job/inner/y; cat /job/inner/y") == "x\n");
    CHECK_FALSE(std::filesystem::exists(scratch / "inner/y"));
}

TEST_CASE("a place that cannot be made is named") {
    SYSGUARD_NEED_ROOT();
    const Scratch scratch;
    ::mkdir((scratch / "real").c_str(), 0755);
    REQUIRE(::symlink("/etc", (scratch / "link").c_str()) == 0);
    const sg::Options options =
        with_root({sg::bind_mount(scratch.path(), "/job"), sg::bind_mount("/usr", "/job/link/usr")});
    for (const Outcome& outcome :
         {sg::Sandbox{anything, options}.run({"/bin/true"}), sg::Sandbox{asking, options}.call([] {}).outcome()}) {
        CHECK(outcome.kind() == Outcome::Kind::could_not_start);
        CHECK(std::string{outcome.step()} == "make its private root");
        CHECK(support::has(outcome.explain(), "at /job/link/usr"));
    }
}

TEST_CASE("what a worker writes to an overlay stays in its layer until it is committed") {
    SYSGUARD_NEED_ROOT();
    const Scratch scratch;
    ::mkdir((scratch / "lower").c_str(), 0777);
    ::mkdir((scratch / "layers").c_str(), 0777);
    std::ofstream{scratch / "lower/kept"} << "kept";
    std::ofstream{scratch / "lower/gone"} << "gone";
    SYSGUARD_SKIP_WITHOUT(sg::process::offer_overlay(scratch / "lower", scratch / "layers"));
    sg::Overlay overlay{scratch / "lower", {.where = scratch / "layers"}};
    for (int i = 0; i < 2; ++i) {
        const sg::Options options = with_root({sg::mount_overlay(overlay, "/job")});
        const sg::Sandbox box = i == 0 ? sg::Sandbox{anything, options} : sg::Sandbox{asking, options};
        CHECK(shell(box, "echo new > /job/added; rm /job/gone; echo more >> /job/kept; cat /job/kept; ls /job") ==
              "keptmore\nadded\nkept\n");
        CHECK(content(scratch / "lower/kept") == "kept");
        CHECK(std::filesystem::exists(scratch / "lower/gone"));
        CHECK(overlay.changes().size() == 3);
        overlay.discard();
        CHECK(overlay.changes().empty());
    }
    const sg::Sandbox box{anything, with_root({sg::mount_overlay(overlay, "/job")})};
    CHECK(shell(box, "echo new > /job/added; rm /job/gone").empty());
    static_cast<void>(overlay.commit());
    CHECK(content(scratch / "lower/added") == "new\n");
    CHECK_FALSE(std::filesystem::exists(scratch / "lower/gone"));
}

TEST_CASE("an overlay that a worker has is not looked at, and one that is looked at no worker gets") {
    SYSGUARD_NEED_ROOT();
    const Scratch scratch;
    ::mkdir((scratch / "lower").c_str(), 0777);
    ::mkdir((scratch / "layers").c_str(), 0777);
    SYSGUARD_SKIP_WITHOUT(sg::process::offer_overlay(scratch / "lower", scratch / "layers"));
    sg::Overlay overlay{scratch / "lower", {.where = scratch / "layers"}};
    const sg::Sandbox box{anything, with_root({sg::mount_overlay(overlay, "/job")})};
    sg::Worker worker = box.spawn({"/bin/sh", "-c", "read x"}, {.input = sg::Stdio::pipe(), .directory = "/"});
    CHECK_THROWS_AS(static_cast<void>(overlay.changes()), sg::Error);
    worker.stop();
    CHECK(overlay.changes().empty());
    REQUIRE(overlay.layer()->hold_alone());
    CHECK_THROWS_AS(static_cast<void>(box.run({"/bin/true"})), sg::Error);
    overlay.layer()->release_alone();
    CHECK(box.run({"/bin/true"}, {.directory = "/"}));
}
