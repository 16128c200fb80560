#include <sysguard/supervise/stack/module_file.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/scratch.hpp"
#include "support/skip.hpp"

using namespace sysguard::supervise;

namespace {

void code_of_this_file() {}

std::uint64_t own_code() {
    return reinterpret_cast<std::uint64_t>(&code_of_this_file);
}

/// A page of a new file, executable; its descriptor is closed.
std::uint64_t map_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    REQUIRE(fd >= 0);
    REQUIRE(::ftruncate(fd, 4096) == 0);
    void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    ::close(fd);
    REQUIRE(page != MAP_FAILED);
    return reinterpret_cast<std::uint64_t>(page);
}

/// Whether the file of the executable mapping at an address is opened.
bool opens(std::uint64_t address) {
    const Mappings mappings{::getpid(), 0};
    const Mappings::Range* const range = mappings.find(address);
    REQUIRE(range != nullptr);
    return static_cast<bool>(open_module(mappings, *range));
}

void unmap(std::uint64_t address) {
    ::munmap(reinterpret_cast<void*>(address), 4096);
}

/// Without Linux 5.12, or where the tests lie on a file system of another machine, no file is opened.
#define SKIP_WITHOUT_FILES() \
    if (!opens(own_code())) SYSGUARD_SKIP("the files of mappings are not found here")

}  // namespace

TEST_CASE("a mapping's own file is opened, for reading") {
    SKIP_WITHOUT_FILES();
    const Mappings mappings{::getpid(), 0};
    const auto file = open_module(mappings, *mappings.find(own_code()));
    char text[4] = {};
    CHECK(::pread(file.get(), text, 4, 0) == 4);
    CHECK(std::string(text, 4) ==
          "\x7f"
          "ELF");
    CHECK((::fcntl(file.get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK((::fcntl(file.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a file that has been replaced, by a file, a link to it, a FIFO or a directory, is none") {
    SKIP_WITHOUT_FILES();
    const support::Scratch scratch;
    const std::string path = scratch / "library.so";
    const std::uint64_t page = map_file(path);
    if (!opens(page)) SYSGUARD_SKIP("the files of mappings are not found in /tmp");
    REQUIRE(::rename(path.c_str(), (scratch / "moved").c_str()) == 0);
    CHECK(opens(page));  // the kernel knows its new name
    REQUIRE(::rename((scratch / "moved").c_str(), path.c_str()) == 0);
    const Mappings before{::getpid(), 0};
    const Mappings::Range* const range = before.find(page);
    const auto replace = [&](auto&& make) {
        ::remove(path.c_str());
        make();
        CHECK_FALSE(static_cast<bool>(open_module(before, *range)));
    };
    REQUIRE(::link(path.c_str(), (scratch / "kept").c_str()) == 0);
    replace([&] { CHECK(::close(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0700)) == 0); });
    replace([&] { CHECK(::symlink((scratch / "kept").c_str(), path.c_str()) == 0); });
    replace([&] { CHECK(::mkfifo(path.c_str(), 0700) == 0); });
    replace([&] { CHECK(::mkdir(path.c_str(), 0700) == 0); });
    replace([] {});
    unmap(page);
}

TEST_CASE("a removed file, memory and what the kernel maps have none") {
    SKIP_WITHOUT_FILES();
    const support::Scratch scratch;
    const std::string path = scratch / "library.so";
    const std::uint64_t page = map_file(path);
    REQUIRE(::unlink(path.c_str()) == 0);
    CHECK_FALSE(opens(page));
    // A worker may give another file the name that the kernel shows now.
    CHECK(::close(::open((path + " (deleted)").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0700)) == 0);
    CHECK_FALSE(opens(page));
    unmap(page);
    void* const memory = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_FALSE(opens(reinterpret_cast<std::uint64_t>(memory)));
    ::munmap(memory, 4096);
    const int fd = ::memfd_create("library.so", MFD_CLOEXEC);
    REQUIRE(::ftruncate(fd, 4096) == 0);
    void* const nameless = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK_FALSE(opens(reinterpret_cast<std::uint64_t>(nameless)));
    ::munmap(nameless, 4096);
    ::close(fd);
}

TEST_CASE("a name with a line feed is one name") {
    SKIP_WITHOUT_FILES();
    CHECK(detail::path_of("/a\\012b") == "/a\nb");
    CHECK(detail::path_of("/a\\01") == "/a\\01");
    CHECK(detail::path_of("[vdso]").empty());
    CHECK(detail::path_of("").empty());
    const support::Scratch scratch;
    const std::uint64_t plain = map_file(scratch / "plain");
    const std::uint64_t page = map_file(scratch / "a\nb");
    CHECK(opens(page) == opens(plain));
    unmap(plain);
    unmap(page);
}

TEST_CASE("mounts are known by their lines, and which file systems are this machine's own") {
    detail::Mount mount;
    CHECK(detail::parse_mount("27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw", mount));
    CHECK(mount.id == 27);
    CHECK(mount.device_major == 254);
    CHECK(mount.device_minor == 1);
    CHECK(std::string{mount.type} == "ext4");
    CHECK(detail::parse_mount("28 1 0:50 / /mnt/a rw - fuse.sshfs a:/ rw", mount));
    CHECK(std::string{mount.type} == "fuse.sshfs");
    for (const char* const line : {"", "27", "27 1 254:0 / / rw", "x 1 254:0 / / rw - ext4 a b", "27 1 254 / / - a"})
        CHECK_FALSE(detail::parse_mount(line, mount));
    CHECK(detail::is_local("ext4"));
    CHECK(detail::is_local("overlay"));
    for (const char* const type :
         {"fuse", "fuseblk", "fuse.sshfs", "nfs", "nfs4", "cifs", "9p", "virtiofs", "proc", ""})
        CHECK_FALSE(detail::is_local(type));
    CHECK_FALSE(detail::find_mount(-1, mount));
    CHECK(detail::mount_of(-1) == -1);
}
