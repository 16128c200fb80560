#include <sysguard/abi/ioctl_names.hpp>

#include <doctest/doctest.h>

#include <iterator>
#include <string_view>

#include <linux/fs.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

namespace abi = sysguard::abi;
using std::string_view;

TEST_CASE("requests are found by their number") {
    CHECK(string_view{abi::find_ioctl(TIOCGWINSZ)->name} == "TIOCGWINSZ");
    CHECK(string_view{abi::find_ioctl(TIOCSTI)->name} == "TIOCSTI");
    CHECK(string_view{abi::find_ioctl(FIONREAD)->name} == "FIONREAD");
    CHECK(string_view{abi::find_ioctl(FS_IOC_GETFLAGS)->name} == "FS_IOC_GETFLAGS");
    CHECK(string_view{abi::find_ioctl(BLKGETSIZE64)->name} == "BLKGETSIZE64");
    CHECK(string_view{abi::find_ioctl(SIOCGIFCONF)->name} == "SIOCGIFCONF");
    CHECK(abi::find_ioctl(0) == nullptr);
    CHECK(abi::find_ioctl(0xffffffff) == nullptr);
}

TEST_CASE("what several drivers use has several names, one behind the other") {
    const abi::IoctlName* const first = abi::find_ioctl(FICLONE);
    REQUIRE(first != nullptr);
    CHECK(string_view{first[0].name} == "BTRFS_IOC_CLONE");
    CHECK(string_view{first[1].name} == "FICLONE");
}

TEST_CASE("the table is sorted") {
    for (const abi::IoctlName* name = abi::ioctl_names + 1; name != abi::end_of_ioctls; ++name)
        CHECK(name[-1].request <= name->request);
    CHECK(std::size(abi::ioctl_names) > 3000);
}
