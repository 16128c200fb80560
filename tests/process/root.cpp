#include <sysguard/process/root.hpp>

#include <doctest/doctest.h>

using namespace sysguard;

TEST_CASE("a root is the host's unless something is said of it") {
    CHECK_FALSE(Root{}.is_private());
    const Root root{bind_mount("/usr"), tmpfs("/tmp", 4096, 01777)};
    CHECK(root.is_private());
    CHECK(root.mounts().size() == 2);
}

TEST_CASE("what is bound can be read and executed, unless it is said otherwise") {
    const Mount plain = bind_mount("/usr");
    CHECK(plain.kind() == Mount::Kind::bind);
    CHECK(plain.source() == "/usr");
    CHECK(plain.target() == "/usr");
    CHECK_FALSE(plain.is_writable());
    CHECK(plain.executes());
    const Mount other = bind_mount("/srv/job", "/job").writable().without_execution();
    CHECK(other.target() == "/job");
    CHECK(other.is_writable());
    CHECK_FALSE(other.executes());
}

TEST_CASE("other parts of a root") {
    CHECK(tmpfs("/tmp", 4096).is_writable());
    CHECK(tmpfs("/tmp", 4096).size == 4096);
    CHECK(tmpfs("/tmp", 4096, 01777).mode == 01777);
    CHECK(procfs().target() == "/proc");
    CHECK_FALSE(procfs().is_writable());
    CHECK(devices().target() == "/dev");
    CHECK(symbolic_link("usr/lib", "/lib").source() == "usr/lib");
    CHECK(symbolic_link("usr/lib", "/lib").target() == "/lib");
    CHECK(directory("/var", 0700).mode == 0700);
}
