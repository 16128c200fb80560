#include <sysguard/sandbox.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/reach.hpp"
#include "support/same_results.hpp"

/// All calls with a path that the host performs, end to end.
namespace sg = sysguard;
using support::Log;
using support::same;

namespace {

/// A call with a path of some kind, and everything else in order.
void make(Log& log, const sg::abi::Syscall& call, const char* path, long flags) {
    using sg::abi::Type;
    alignas(8) static char rooms[sg::abi::max_arguments][4096];
    long values[sg::abi::max_arguments]{};
    bool is_first = true;
    int length = -1;
    for (int i = 0; i < call.argument_count(); ++i) {
        const sg::abi::Argument& argument = call.arguments[i];
        char* const room = rooms[i];
        values[i] = reinterpret_cast<long>(room);
        std::memset(room, 0, sizeof rooms[i]);
        switch (argument.type) {
            case Type::path:
                values[i] = reinterpret_cast<long>(is_first ? path : "other");
                is_first = false;
                break;
            case Type::string: std::strcpy(room, argument.name == sg::abi::ArgName::name ? "user.x" : "target"); break;
            case Type::dirfd: values[i] = AT_FDCWD; break;
            case Type::open_flags: values[i] = flags == 0 ? O_RDWR | O_CREAT | O_NONBLOCK : flags; break;
            case Type::at_flags: values[i] = flags; break;
            case Type::open_how: {
                const open_how how{O_RDONLY | O_NONBLOCK, 0, flags != 0 ? std::uint64_t{RESOLVE_BENEATH} : 0};
                std::memcpy(room, &how, sizeof how);
                values[i + 1] = sizeof how;
                length = i + 1;
                break;
            }
            case Type::xattr_args: {
                const std::uint64_t args[] = {reinterpret_cast<std::uint64_t>(room + 64), 8};
                std::memcpy(room, args, sizeof args);
                values[i + 1] = sizeof args;
                length = i + 1;
                break;
            }
            case Type::bytes:
                values[i + 1] = 64;
                length = i + 1;
                break;
            default:
                if (i == length || !sg::abi::is_pointer(argument.type)) values[i] = i == length ? values[i] : 0;
        }
        if (i == length)
            values[i] = call.arguments[i - 1].type == Type::bytes      ? 64
                        : call.arguments[i - 1].type == Type::open_how ? 24
                                                                       : 16;
        if (argument.name == sg::abi::ArgName::mode)
            values[i] = call.name.substr(0, 5) == "mknod" ? S_IFREG | 0640 : 0750;
        if (argument.name == sg::abi::ArgName::owner || argument.name == sg::abi::ArgName::group) values[i] = -1;
        if (argument.name == sg::abi::ArgName::length) values[i] = 3;
    }
    const long result = ::syscall(call.number(), values[0], values[1], values[2], values[3], values[4], values[5]);
    log.note(std::string{call.name} + " " +
                 (path == nullptr                      ? "null"
                  : path == reinterpret_cast<char*>(8) ? "bad"
                                                       : std::string{path}.substr(0, 30)) +
                 " " + std::to_string(flags),
             result);
    if (result >= 0 && call.returns == sg::abi::Return::fd) ::close(static_cast<int>(result));
}

}  // namespace

TEST_CASE("every call with a path, on every kind of path, comes to the same") {
    SYSGUARD_SKIP_WITHOUT_MEMORY();
    same([](Log& log) {
        const std::string long_name(256, 'n');
        const std::string long_path(5000, 'n');
        for (const int number : support::performable.list) {
            const sg::abi::Syscall& call = *sg::abi::find(number);
            bool has_path = false;
            bool has_flags = false;
            for (const sg::abi::Argument& argument : call.arguments) {
                has_path = has_path || argument.type == sg::abi::Type::path;
                has_flags = has_flags || argument.type == sg::abi::Type::at_flags ||
                            argument.type == sg::abi::Type::open_flags || argument.type == sg::abi::Type::open_how;
            }
            if (!has_path) continue;
            for (const char* path : {static_cast<const char*>(nullptr),
                                     reinterpret_cast<const char*>(8),
                                     "",
                                     "file",
                                     "dir",
                                     "dir/",
                                     "to_file",
                                     "to_dir",
                                     "to_dir/inner",
                                     "dangling",
                                     "loop",
                                     "missing",
                                     "missing/x",
                                     "file/x",
                                     "file/",
                                     "dir/../file",
                                     "/proc/self/cwd/file",
                                     ".",
                                     long_name.c_str(),
                                     long_path.c_str()}) {
                make(log, call, path, 0);
                if (has_flags)
                    for (const int flags : {int{AT_SYMLINK_NOFOLLOW}, int{AT_EMPTY_PATH}, int{AT_SYMLINK_FOLLOW}})
                        make(log, call, path, flags);
                for (const char* name : {"other", "missing", "fresh"}) static_cast<void>(::remove(name));
            }
        }
    });
}
