#include <sysguard/process/overlay.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/overlay.hpp"
#include "support/scratch.hpp"
#include "support/skip.hpp"

using namespace sysguard;
using support::Scratch;
using Change = Overlay::Change;
using Kind = Overlay::Kind;
using What = Overlay::What;

namespace {

void write(const std::string& path, const std::string& text) {
    std::ofstream{path} << text;
}

std::string read(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

struct stat status(const std::string& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) info.st_mode = 0;
    return info;
}

bool exists(const std::string& path) {
    return status(path).st_mode != 0;
}

/// A lower directory, something outside that nobody may reach, and an overlay.
struct Job {
    Job() {
        for (const char* name : {"lower", "outside", "scratch", "lower/dir", "lower/gone", "lower/replaced"})
            std::filesystem::create_directory(scratch / name);
        write(scratch / "outside/secret", "secret");
        write(scratch / "lower/file", "old");
        write(scratch / "lower/dir/inner", "old");
        write(scratch / "lower/gone/inner", "old");
        write(scratch / "lower/replaced/inner", "old");
    }

    std::string lower(const std::string& name) const { return scratch / ("lower/" + name); }
    std::string upper(const std::string& name) const { return overlay.upper() + "/" + name; }

    Scratch scratch{};
    Overlay overlay = make();

private:
    Overlay make() {
        for (const char* name : {"lower", "outside", "scratch", "lower/dir", "lower/gone", "lower/replaced"})
            std::filesystem::create_directory(scratch / name);
        return Overlay{scratch / "lower", {.where = scratch / "scratch"}};
    }
};

const Change* find(const std::vector<Change>& changes, const std::string& path) {
    for (const Change& change : changes)
        if (change.path == path) return &change;
    return nullptr;
}

bool has(const std::vector<Change>& changes, const std::string& path, What what, Kind kind) {
    const Change* const change = find(changes, path);
    return change != nullptr && change->what == what && change->kind == kind;
}

/// Of the clock that change times are taken from.
void pass_a_tick() {
    ::usleep(20'000);
}

int error_of(const auto& action) {
    try {
        action();
        return 0;
    } catch (const Error& error) {
        return error.code().value();
    }
}

}  // namespace

TEST_CASE("every kind of change that a worker makes is listed, and committed") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    job.overlay.discard();  // what was made before is older than the layer
    const int error = support::in_overlay(*job.overlay.layer(), [](const std::string& merged) {
        const auto at = [&](const char* name) { return merged + "/" + name; };
        write(at("new"), "new");
        write(at("file"), "changed");
        write(at("dir/added"), "added");
        std::filesystem::remove_all(at("gone"));
        std::filesystem::remove_all(at("replaced"));
        std::filesystem::create_directory(at("replaced"));
        write(at("replaced/other"), "other");
        std::filesystem::create_directories(at("a/b/c"));
        write(at("a/b/c/deep"), "deep");
        bool good = ::symlink("/etc/passwd", at("link").c_str()) == 0 && ::chmod(at("dir").c_str(), 0711) == 0;
        good = good && ::chmod(at("new").c_str(), 0640) == 0 && ::mkfifo(at("fifo").c_str(), 0600) == 0;
        good = good && ::setxattr(at("new").c_str(), "user.note", "hello", 5, 0) == 0;
        const timespec times[2] = {{1000, 1}, {2000, 2}};
        good = good && ::utimensat(AT_FDCWD, at("new").c_str(), times, 0) == 0;
        good = good && ::link(at("new").c_str(), at("hard").c_str()) == 0;
        return good ? 0 : 1;
    });
    if (error == support::no_overlay) SYSGUARD_SKIP("no overlay can be mounted here");
    REQUIRE(error == 0);
    CHECK(read(job.lower("file")) == "old");
    CHECK(exists(job.lower("gone/inner")));

    const std::vector<Change> changes = job.overlay.changes();
    CHECK(has(changes, "new", What::added, Kind::file));
    CHECK(has(changes, "hard", What::added, Kind::file));
    CHECK(has(changes, "file", What::changed, Kind::file));
    CHECK(has(changes, "dir/added", What::added, Kind::file));
    CHECK(has(changes, "dir", What::attributes, Kind::directory));
    CHECK(has(changes, "gone", What::removed, Kind::directory));
    CHECK(has(changes, "replaced/inner", What::removed, Kind::file));
    CHECK(has(changes, "replaced/other", What::added, Kind::file));
    CHECK(has(changes, "a", What::added, Kind::directory));
    CHECK(has(changes, "a/b/c/deep", What::added, Kind::file));
    CHECK(has(changes, "link", What::added, Kind::symbolic_link));
    CHECK(has(changes, "fifo", What::added, Kind::fifo));
    CHECK(find(changes, "new")->size == 3);
    CHECK(find(changes, "new")->mode == 0640);
    CHECK(find(changes, "dir/inner") == nullptr);

    const Overlay::Commit commit = job.overlay.commit();
    CAPTURE(commit.failure);
    CHECK(commit);
    CHECK(commit.refused.size() == 1);
    CHECK(commit.refused[0].path == "fifo");
    CHECK(read(job.lower("new")) == "new");
    CHECK(read(job.lower("hard")) == "new");
    CHECK(read(job.lower("file")) == "changed");
    CHECK(read(job.lower("dir/added")) == "added");
    CHECK(read(job.lower("dir/inner")) == "old");
    CHECK(read(job.lower("a/b/c/deep")) == "deep");
    CHECK(read(job.lower("replaced/other")) == "other");
    CHECK_FALSE(exists(job.lower("gone")));
    CHECK_FALSE(exists(job.lower("replaced/inner")));
    CHECK_FALSE(exists(job.lower("fifo")));
    CHECK(S_ISLNK(status(job.lower("link")).st_mode));
    CHECK((status(job.lower("dir")).st_mode & 07777) == 0711);
    const struct stat made = status(job.lower("new"));
    CHECK((made.st_mode & 07777) == 0640);
    CHECK(made.st_mtim.tv_sec == 2000);
    CHECK(made.st_mtim.tv_nsec == 2);
    CHECK(made.st_nlink == 1);
    char note[16] = {};
    CHECK(::getxattr(job.lower("new").c_str(), "user.note", note, sizeof note) == 5);
    CHECK(::getxattr(job.lower("replaced").c_str(), "user.overlay.opaque", note, sizeof note) == -1);
    CHECK(job.overlay.changes().empty());
    for (const auto& each : std::filesystem::directory_iterator{job.scratch / "lower"})
        CHECK(each.path().filename().string().rfind(".sysguard", 0) == std::string::npos);
}

TEST_CASE("all that was removed, and discarded") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    const int error = support::in_overlay(*job.overlay.layer(), [](const std::string& merged) {
        for (const auto& each : std::filesystem::directory_iterator{merged}) std::filesystem::remove_all(each.path());
        write(merged + "/more", "more");
        return std::filesystem::exists(merged + "/file") ? 1 : 0;
    });
    if (error == support::no_overlay) SYSGUARD_SKIP("no overlay can be mounted here");
    REQUIRE(error == 0);
    CHECK(job.overlay.changes().size() == 5);
    job.overlay.discard();
    CHECK(job.overlay.changes().empty());
    CHECK(read(job.lower("file")) == "old");
    const int again = support::in_overlay(*job.overlay.layer(), [](const std::string& merged) {
        return std::filesystem::exists(merged + "/file") && !std::filesystem::exists(merged + "/more") ? 0 : 1;
    });
    CHECK(again == 0);
}

TEST_CASE("while somebody uses the layer, nothing is done with it") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    CHECK(job.overlay.layer()->hold());
    CHECK(error_of([&] { (void)job.overlay.changes(); }) == EBUSY);
    CHECK(error_of([&] { (void)job.overlay.commit(); }) == EBUSY);
    CHECK(error_of([&] { job.overlay.discard(); }) == EBUSY);
    job.overlay.layer()->release();
    CHECK(job.overlay.changes().empty());
}

TEST_CASE("a symbolic link that leads out is committed as a link, and nothing goes through one") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    job.overlay.discard();
    std::filesystem::remove_all(job.lower("dir"));
    std::filesystem::create_directory(job.upper("dir"));
    write(job.upper("dir/file"), "attack");
    std::filesystem::create_symlink(job.scratch / "outside", job.upper("way"));
    SUBCASE("in the upper layer") {
        REQUIRE(job.overlay.commit());
        CHECK(S_ISLNK(status(job.lower("way")).st_mode));
    }
    SUBCASE("in the lower one, where the layer has a directory") {
        pass_a_tick();
        std::filesystem::create_symlink(job.scratch / "outside", job.lower("dir"));
        write(job.lower("dir/naive"), "attack");  // what would happen
        CHECK(exists(job.scratch / "outside/naive"));
        CHECK(error_of([&] { (void)job.overlay.commit(); }) == ESTALE);
        REQUIRE(job.overlay.commit({.over_newer = true}));
        CHECK(S_ISDIR(status(job.lower("dir")).st_mode));
    }
    CHECK(read(job.lower("dir/file")) == "attack");
    CHECK_FALSE(exists(job.scratch / "outside/file"));
    CHECK(read(job.scratch / "outside/secret") == "secret");
}

TEST_CASE("a directory that becomes a link while it is committed leads nowhere") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    const std::string outside = job.scratch / "outside";
    const std::string stage = job.scratch / "stage";
    const auto prepare = [&](const std::string& directory) {
        std::error_code ignored;
        std::filesystem::remove_all(stage);
        std::filesystem::create_directory(stage);
        write(stage + "/secret", "attack");
        ::rename(stage.c_str(), (directory + "flip").c_str());
        std::filesystem::create_symlink(outside, directory + "other", ignored);
    };
    std::atomic<bool> is_over{false};
    std::atomic<int> flips{0};
    std::thread flipper{[&] {
        while (!is_over)
            for (const std::string& directory : {job.upper(""), job.lower("")})
                flips += ::renameat2(AT_FDCWD, (directory + "flip").c_str(), AT_FDCWD, (directory + "other").c_str(),
                                     RENAME_EXCHANGE) == 0;
    }};
    for (int i = 0; i < 300 || (flips < 100 && i < 10'000); ++i) {
        prepare(job.upper(""));
        prepare(job.lower(""));
        try {
            (void)job.overlay.commit({.over_newer = true});
        } catch (const Error&) {
        }
    }
    is_over = true;
    flipper.join();
    CHECK(read(outside + "/secret") == "secret");
    CHECK(std::distance(std::filesystem::directory_iterator{outside}, {}) == 1);
    CHECK(flips > 0);
}

TEST_CASE("any names") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    const std::string names[] = {"new\nline", "\xff\xfe", "-rf", "a\x1b[31m", std::string(255, 'n'), "..."};
    for (const std::string& name : names) write(job.upper(name), name);
    const std::vector<Change> changes = job.overlay.changes();
    for (const std::string& name : names) CHECK(has(changes, name, What::added, Kind::file));
    REQUIRE(job.overlay.commit());
    for (const std::string& name : names) CHECK(read(job.lower(name)) == name);
}

TEST_CASE("directories deeper than any path are committed, up to a bound") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    const auto dig = [&](int depth) {
        process::Descriptor at{::dup(job.overlay.layer()->upper_fd())};
        const std::string name(200, 'd');
        for (int i = 0; i < depth; ++i) {
            ::mkdirat(at.get(), name.c_str(), 0700);
            at.reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        }
        process::Descriptor{::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
    };
    dig(100);  // 20 KiB of path
    CHECK(job.overlay.changes().size() == 101);
    REQUIRE(job.overlay.commit());
    CHECK(exists(job.lower(std::string(200, 'd'))));
    dig(1000);
    CHECK(error_of([&] { (void)job.overlay.commit(); }) == ENAMETOOLONG);
    job.overlay.discard();
    CHECK(job.overlay.changes().empty());
}

TEST_CASE("set-id bits are stripped unless asked for") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    write(job.upper("program"), "x");
    ::chmod(job.upper("program").c_str(), 06755);
    std::filesystem::create_directory(job.upper("shared"));
    ::chmod(job.upper("shared").c_str(), 03777);
    CHECK(find(job.overlay.changes(), "program")->mode == 06755);
    SUBCASE("stripped") {
        REQUIRE(job.overlay.commit());
        CHECK((status(job.lower("program")).st_mode & 07777) == 0755);
        CHECK((status(job.lower("shared")).st_mode & 07777) == 01777);
    }
    SUBCASE("kept") {
        REQUIRE(job.overlay.commit({.with_set_id = true}));
        CHECK((status(job.lower("program")).st_mode & 07777) == 06755);
    }
}

TEST_CASE("special files are refused unless asked for") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    REQUIRE(::mkfifo(job.upper("fifo").c_str(), 0640) == 0);
    REQUIRE(::mknod(job.upper("socket").c_str(), S_IFSOCK | 0600, 0) == 0);
    const bool with_device = ::mknod(job.upper("device").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0;
    CHECK(has(job.overlay.changes(), "fifo", What::added, Kind::fifo));
    CHECK(has(job.overlay.changes(), "socket", What::added, Kind::socket));
    SUBCASE("refused") {
        const Overlay::Commit commit = job.overlay.commit();
        CHECK(commit);
        CHECK(commit.committed.empty());
        CHECK(commit.refused.size() == (with_device ? 3U : 2U));
        CHECK_FALSE(exists(job.lower("fifo")));
        CHECK_FALSE(exists(job.lower("device")));
    }
    SUBCASE("asked for") {
        REQUIRE(job.overlay.commit({.with_special_files = true}));
        CHECK(S_ISFIFO(status(job.lower("fifo")).st_mode));
        CHECK((status(job.lower("fifo")).st_mode & 07777) == 0640);
        CHECK(S_ISSOCK(status(job.lower("socket")).st_mode));
        if (with_device) CHECK(status(job.lower("device")).st_rdev == makedev(1, 3));
    }
}

TEST_CASE("what is there that nobody may read is read all the same, by its owner") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    std::filesystem::create_directory(job.upper("locked"));
    write(job.upper("locked/file"), "text");
    ::chmod(job.upper("locked/file").c_str(), 0);
    ::chmod(job.upper("locked").c_str(), 0);
    ::chmod(job.overlay.upper().c_str(), 0);
    CHECK(has(job.overlay.changes(), "locked/file", What::added, Kind::file));
    CHECK((status(job.overlay.upper()).st_mode & 07777) == 0);
    REQUIRE(job.overlay.commit());
    CHECK((status(job.scratch / "lower").st_mode & 07777) == 0);
    ::chmod((job.scratch / "lower").c_str(), 0755);
    CHECK((status(job.lower("locked")).st_mode & 07777) == 0);
    ::chmod(job.lower("locked").c_str(), 0755);
    CHECK((status(job.lower("locked/file")).st_mode & 07777) == 0);
    ::chmod(job.lower("locked/file").c_str(), 0644);
    CHECK(read(job.lower("locked/file")) == "text");
}

TEST_CASE("more than the bounds is an error before anything is changed") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    for (int i = 0; i < 50; ++i) write(job.upper("file" + std::to_string(i)), std::string(8192, 'x'));
    const auto with = [](const Overlay::Bounds& bounds) { return Overlay::CommitOptions{.bounds = bounds}; };
    CHECK(error_of([&] { (void)job.overlay.commit(with({.most_entries = 49})); }) == EFBIG);
    CHECK(error_of([&] { (void)job.overlay.commit(with({.most_bytes = 100'000})); }) == EFBIG);
    CHECK(error_of([&] { (void)job.overlay.commit(with({.most_path_bytes = 1000})); }) == EFBIG);
    CHECK_FALSE(exists(job.lower("file0")));
    CHECK(job.overlay.commit(with({.most_entries = 50})));
}

TEST_CASE("a farm of hard links is bounded by what it would take as copies") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    write(job.upper("link"), std::string(1 << 20, 'x'));
    for (int i = 0; i < 200; ++i)
        REQUIRE(::link(job.upper("link").c_str(), job.upper("link" + std::to_string(i)).c_str()) == 0);
    CHECK(error_of([&] { (void)job.overlay.commit({.bounds = {.most_bytes = 100 << 20}}); }) == EFBIG);
    CHECK_FALSE(exists(job.lower("link")));
}

TEST_CASE("holes stay holes") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    {
        const process::Descriptor file{::open(job.upper("sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
        REQUIRE(::ftruncate(file.get(), off_t{1} << 36) == 0);
        REQUIRE(::pwrite(file.get(), "middle", 6, off_t{1} << 35) == 6);
    }
    REQUIRE(job.overlay.commit());
    const struct stat made = status(job.lower("sparse"));
    CHECK(made.st_size == off_t{1} << 36);
    CHECK(made.st_blocks < 1024);
    const process::Descriptor file{::open(job.lower("sparse").c_str(), O_RDONLY | O_CLOEXEC)};
    char text[7] = {};
    CHECK(::pread(file.get(), text, 6, off_t{1} << 35) == 6);
    CHECK(std::string{text} == "middle");
}

TEST_CASE("what the host has changed meanwhile is not overwritten unless that is wanted") {
    SYSGUARD_NEED_ATTRIBUTES();
    Job job;
    job.overlay.discard();
    write(job.upper("file"), "worker's");
    CHECK(job.overlay.changes().size() == 1);
    pass_a_tick();
    write(job.lower("file"), "host's");
    CHECK(error_of([&] { (void)job.overlay.commit(); }) == ESTALE);
    CHECK(read(job.lower("file")) == "host's");
    CHECK(job.overlay.commit({.over_newer = true}));
    CHECK(read(job.lower("file")) == "worker's");
}

TEST_CASE("a commit that fails in the middle says where, and can be made again") {
    if (::geteuid() == 0) SYSGUARD_SKIP("root may write everywhere");
    Job job;
    ::chmod(job.lower("dir").c_str(), 0555);
    job.overlay.discard();
    write(job.upper("a"), "a");
    std::filesystem::create_directory(job.upper("dir"));
    write(job.upper("dir/b"), "b");
    ::chmod(job.upper("dir").c_str(), 0555);
    write(job.upper("z"), "z");
    const Overlay::Commit commit = job.overlay.commit();
    CHECK_FALSE(commit);
    CHECK(commit.error == EACCES);
    CHECK(commit.failure.find("dir/b") != std::string::npos);
    CHECK(commit.committed.size() == 1);
    CHECK(read(job.lower("a")) == "a");
    CHECK_FALSE(exists(job.lower("z")));
    ::chmod(job.lower("dir").c_str(), 0755);
    CHECK(job.overlay.commit());
    CHECK(read(job.lower("dir/b")) == "b");
    CHECK(read(job.lower("z")) == "z");
}

TEST_CASE("no descriptor is left") {
    SYSGUARD_NEED_ATTRIBUTES();
    const auto count = [] { return std::distance(std::filesystem::directory_iterator{"/proc/self/fd"}, {}); };
    const auto before = count();
    {
        Job job;
        std::filesystem::create_directory(job.upper("x"));
        write(job.upper("x/y"), "y");
        (void)job.overlay.changes();
        CHECK(error_of([&] { (void)job.overlay.commit({.bounds = {.most_entries = 1}}); }) == EFBIG);
        (void)job.overlay.commit();
        job.overlay.discard();
    }
    CHECK(count() == before);
}
