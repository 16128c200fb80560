#include <sysguard/supervise/perform/place.hpp>

#include "performing.hpp"

using namespace performing;

namespace {

std::string text(int fd, int root) {
    char buffer[PATH_MAX];
    const long length = perform::text_of(fd, root, buffer, sizeof buffer);
    return length < 0 ? std::to_string(length) : std::string(buffer, static_cast<std::size_t>(length));
}

}  // namespace

TEST_CASE("where a descriptor leads, from a root") {
    const Trees trees;
    const std::string tree = trees.performed();
    const int host = ::open("/", O_PATH);
    const int root = ::open(tree.c_str(), O_PATH);
    const int inner = ::open((tree + "/dir/inner").c_str(), O_RDONLY);
    const int beside = ::open(trees.native().c_str(), O_PATH);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    CHECK(text(inner, host) == tree + "/dir/inner");
    CHECK(text(inner, root) == "/dir/inner");
    CHECK(text(root, root) == "/");
    CHECK(text(host, host) == "/");
    CHECK(text(beside, root) == "(unreachable)" + trees.native());
    CHECK(text(ends[0], root).rfind("pipe:[", 0) == 0);
    CHECK(text(-1, root) == std::to_string(-ENOENT));
    char small[8];
    CHECK(perform::text_of(inner, host, small, sizeof small) == -ENAMETOOLONG);
    ::unlink((tree + "/dir/inner").c_str());
    CHECK(text(inner, root) == "/dir/inner (deleted)");
    for (const int fd : {host, root, inner, beside, ends[0], ends[1]}) ::close(fd);
}
