#include <sysguard/process/files.hpp>
#include <sysguard/process/options.hpp>

#include <doctest/doctest.h>

using namespace sysguard;

TEST_CASE("files are not restricted unless it is said") {
    CHECK_FALSE(Files{}.is_restricted());
    CHECK_FALSE(Options{.files = {}}.files.is_restricted());
    CHECK(Files::none().is_restricted());
    CHECK(Options{.files = Files::none()}.files.is_restricted());
    CHECK(Options{.files = Files::none()}.files.allowed().size() == 0);
}

TEST_CASE("a list of what is allowed") {
    const Options options{.files = {read_only("/usr"), read_write("/srv/job").with_devices()}};
    CHECK(options.files.is_restricted());
    REQUIRE(options.files.allowed().size() == 2);
    const FileAccess& first = options.files.allowed()[0];
    CHECK(first.path() == "/usr");
    CHECK(first.rights() == (FileAccess::read | FileAccess::list | FileAccess::run));
    CHECK(options.files.allowed()[1].rights() ==
          (FileAccess::read | FileAccess::list | FileAccess::write | FileAccess::make_devices));
    CHECK(Options{.files = {read_only("/usr")}}.files.allowed().size() == 1);
}

TEST_CASE("what each kind of access may") {
    CHECK(execute("/bin/true").rights() == (FileAccess::read | FileAccess::run));
    CHECK((read_write("/").rights() & (FileAccess::run | FileAccess::make_devices)) == 0);
    const FileAccess plain = execute("/dev");
    CHECK(plain.with_device_control().with_devices().rights() ==
          (plain.rights() | FileAccess::control_devices | FileAccess::make_devices));
    CHECK(plain.with_devices().path() == "/dev");
}

TEST_CASE("a list that grows") {
    Files files;
    files.add(read_only("/a"));
    files.add(read_write("/b"));
    CHECK(files.is_restricted());
    REQUIRE(files.allowed().size() == 2);
    CHECK(files.allowed()[0].path() == "/a");
    CHECK(files.allowed()[1].path() == "/b");
}
