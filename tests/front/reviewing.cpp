#include <sysguard/explain.hpp>
#include <sysguard/lint.hpp>
#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace sg = sysguard;
namespace arg = sysguard::arg;
using sg::Call, sg::Rule;

namespace {

#include "support/reviewed_policy.inc"

/// A file of this project, by its path.
[[maybe_unused]] std::string file(const std::string& path) {
    const std::string here = __FILE__;
    std::ifstream in{here.substr(0, here.rfind("tests/front/")) + path};
    REQUIRE(in);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// The blocks of code of a page, without their fences.
[[maybe_unused]] std::vector<std::string> blocks(const std::string& page) {
    std::vector<std::string> found;
    std::istringstream in{page};
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line.rfind("```", 0) == 0) {
            inside = !inside;
            if (inside) found.emplace_back();
        } else if (inside) {
            found.back() += line + '\n';
        }
    }
    return found;
}

}  // namespace

#if defined(__x86_64__)
TEST_CASE("docs/reviewing.md shows what the code says") {
    const std::vector<std::string> shown = blocks(file("docs/reviewing.md"));
    REQUIRE(shown.size() == 4);
    CHECK(shown[0] == file("tests/support/reviewed_policy.inc"));
    CHECK(shown[1] == policy.explain());
    CHECK(shown[2] == sg::lint(policy).explain());
    const std::string disassembled = policy.disassemble();
    std::istringstream in{shown[3] + "...\n"};
    std::string part;
    for (std::string line; std::getline(in, line);) {
        if (line != "...") {
            part += line + '\n';
            continue;
        }
        CHECK_MESSAGE(disassembled.find(part) != std::string::npos, part, "is not in\n", disassembled);
        part.clear();
    }
}
#endif

TEST_CASE("with the rules that lint offers for the page's holes, nothing is found") {
    constexpr sg::Policy closed{
        Rule<sg::sys::openat2>{}.deny(ENOSYS),
        Rule<sg::sys::sendmsg>{}.deny(EPERM),
        Rule<SYS_openat>{(arg::flags & O_ACCMODE) == O_RDONLY && arg::path.under("/srv/pictures")}.allow(),
        Rule<SYS_openat>{(arg::flags & O_ACCMODE) != O_RDONLY}.deny(EROFS),
        Rule<SYS_socket>{arg::domain == AF_UNIX && arg::type == SOCK_STREAM}.allow(),
        Rule<SYS_connect>{arg::addr.unix_path() == "/run/fonts"}.allow(),
        sg::allow<sg::family::stat>,
        sg::preset::static_runtime,
        sg::preset::threads,
        sg::otherwise.deny(EPERM),
    };
    CHECK(sg::lint(closed).empty());
    CHECK_FALSE(sg::lint(policy).empty());
}
