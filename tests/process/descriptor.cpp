#include <sysguard/process/descriptor.hpp>

#include <doctest/doctest.h>

#include <utility>

#include <fcntl.h>

using sysguard::process::Descriptor;

namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}
int open_null() {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace

TEST_CASE("a descriptor is closed when its owner goes") {
    const int fd = open_null();
    {
        const Descriptor owner{fd};
        CHECK(owner);
        CHECK(owner.get() == fd);
        CHECK(is_open(fd));
    }
    CHECK_FALSE(is_open(fd));
}

TEST_CASE("ownership moves") {
    const int fd = open_null();
    Descriptor first{fd};
    Descriptor second{std::move(first)};
    CHECK(second.get() == fd);
    const int other = open_null();
    Descriptor third{other};
    third = std::move(second);
    CHECK(third.get() == fd);
    CHECK_FALSE(is_open(other));
    CHECK(third.release() == fd);
    CHECK_FALSE(third);
    CHECK(is_open(fd));
    third.reset(fd);
    third.reset();
    CHECK_FALSE(is_open(fd));
}

TEST_CASE("none is none") {
    const Descriptor none;
    CHECK_FALSE(none);
    CHECK(none.get() == -1);
}
