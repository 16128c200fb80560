#include <sysguard/filter/install.hpp>
#include <sysguard/policy.hpp>
#include <sysguard/process/landlock.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include <fcntl.h>

#include "support/forked.hpp"
#include "support/skip.hpp"

using namespace sysguard;
using process::Landlock;
using process::LandlockSupport;
using process::MissingLayers;

namespace {

bool has(const std::string& text, const char* words) {
    return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("what each version of Landlock offers") {
    const auto offers = [](long version, Layer layer) {
        return static_cast<bool>(LandlockSupport{version}.offer(layer));
    };
    CHECK_FALSE(offers(2, Layer::file_access));
    CHECK(offers(3, Layer::file_access));
    CHECK_FALSE(offers(3, Layer::tcp_ports));
    CHECK(offers(4, Layer::tcp_ports));
    CHECK_FALSE(offers(4, Layer::device_control));
    CHECK(offers(5, Layer::device_control));
    CHECK_FALSE(offers(5, Layer::scopes));
    CHECK(offers(6, Layer::scopes));
    for (const Layer layer : {Layer::file_access, Layer::tcp_ports, Layer::device_control, Layer::scopes})
        CHECK(offers(99, layer));
    const process::Offer old = LandlockSupport{2}.offer(Layer::file_access);
    CHECK(old.error == EOPNOTSUPP);
    CHECK(has(old.why_not, "version 2 of Landlock, and this needs 3"));
    CHECK(has(old.why_not, "truncated"));
    CHECK(has(LandlockSupport{4}.offer(Layer::device_control).why_not, "Layer::device_control"));
}

TEST_CASE("why there is no Landlock") {
    const auto why = [](int error) { return LandlockSupport{-error}.offer(Layer::file_access); };
    CHECK(LandlockSupport{-ENOSYS}.version() == 0);
    CHECK(why(ENOSYS).error == ENOSYS);
    CHECK(has(why(ENOSYS).why_not, "CONFIG_SECURITY_LANDLOCK"));
    CHECK(has(why(EOPNOTSUPP).why_not, "lsm="));
    CHECK(has(why(EPERM).why_not, "EPERM: a filter"));
}

TEST_CASE("rights of versions") {
    using namespace process::detail::landlock;
    CHECK(all_files(3) == 0x7fff);
    CHECK(all_files(4) == 0x7fff);
    CHECK(all_files(5) == 0xffff);
    CHECK(all_files(7) == 0xffff);
    CHECK(rights(FileAccess::write) == (write_file | remove_dir | remove_file | make_dir | make_reg | make_sock |
                                        make_fifo | make_sym | refer | process::detail::landlock::truncate));
    CHECK(rights(63) == 0xffff);
}

TEST_CASE("nothing asked for, no ruleset") {
    MissingLayers missing;
    const Landlock landlock{Options{}, missing};
    CHECK(landlock.ruleset() == -1);
    CHECK_FALSE(landlock.holds_files());
    CHECK_FALSE(landlock.holds_ports());
    CHECK(Landlock{Options{.network = Network::isolated}, missing}.ruleset() == -1);
}

TEST_CASE("a ruleset is close-on-exec and no standard stream") {
    if (!LandlockSupport{}.offer(Layer::scopes)) SYSGUARD_SKIP("this kernel has no Landlock, or an old one");
    MissingLayers missing;
    const Landlock landlock{Options{.files = {read_only("/"), read_write("/dev/null"), execute("/proc/self/exe")},
                                    .network = Network::tcp({.connect = {1}, .bind = {0}}),
                                    .scopes = {.abstract_sockets = true, .signals = true}},
                            missing};
    CHECK(landlock.holds_files());
    CHECK(landlock.holds_ports());
    CHECK(landlock.ruleset() > 2);
    CHECK(::fcntl(landlock.ruleset(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("a path that is not there, or would be cut, is the host's error") {
    if (!LandlockSupport{}.offer(Layer::device_control)) SYSGUARD_SKIP("this kernel has no Landlock, or an old one");
    const auto error = [](const char* text, std::size_t size) {
        MissingLayers missing;
        try {
            const Landlock landlock{Options{.files = {read_only("/"), read_only({text, size})}}, missing};
        } catch (const Error& thrown) {
            return std::to_string(thrown.code().value()) + " " + thrown.step();
        }
        return std::string{};
    };
    CHECK(error("/none/such", 10) == std::to_string(ENOENT) + " allow access to /none/such");
    CHECK(has(error("/dev/null/x", 11), "allow access to /dev/null/x"));
    CHECK(has(error("", 0), std::to_string(ENOENT).c_str()));
    CHECK(has(error("/usr\0", 5), "zero byte"));
}

TEST_CASE("under a filter that refuses Landlock, it is an error, or is noted") {
    constexpr static Policy hides{Rule<sys::landlock_create_ruleset>{}.deny(EPERM), foreign.kill_now(),
                                  otherwise.allow()};
    const std::string said = support::in_fork([] {
        filter::install(hides.program());
        MissingLayers missing;
        Options options{.files = {read_only("/")}, .scopes = {.signals = true}};
        options.optional = {Layer::file_access};
        try {
            const Landlock landlock{options, missing};
            return std::string{"no error"};
        } catch (const Error& error) {
            if (!has(error.step(), "scopes") || !has(error.step(), "landlock_restrict_self")) return error.step();
        }
        options.optional = Layers::all();
        const Landlock landlock{options, missing};
        if (landlock.ruleset() != -1 || landlock.holds_files()) return std::string{"there is a ruleset"};
        if (!missing.reason(Layer::device_control).empty()) return std::string{"more is missing than was asked for"};
        return missing.reason(Layer::scopes) == missing.reason(Layer::file_access) ? missing.reason(Layer::scopes) : "";
    });
    CHECK(has(said, "landlock_create_ruleset fails with EPERM"));
}
