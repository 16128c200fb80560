#include "made.hpp"

#include <sysguard/abi/table.hpp>
#include <sysguard/supervise/render/tree.hpp>

#include <doctest/doctest.h>

#include "support/hostile_source.hpp"

#include <cstdint>
#include <cstring>
#include <string>

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace abi = sysguard::abi;
namespace render = sysguard::supervise::render;
using sysguard::supervise::TracedCall;

TEST_CASE("every call, with whatever arguments and memory, has a text of bounded length") {
    support::HostileSource source{20261128};
    render::RenderedCall text;
    std::size_t longest = 0;
    for (int number = 0; number < abi::native_limit + 8; ++number)
        for (int round = 0; round < 24; ++round) {
            TracedCall call = source.call(number);
            text.enter(call, source);
            if (round % 8 == 7) {
                text.abandon(call, source);
                CHECK(text.call().find('(') != std::string::npos);
                continue;
            }
            source.answer(call);
            text.leave(call, source);
            const std::string line = text.line();
            longest = line.size() > longest ? line.size() : longest;
            REQUIRE(line.find(") ") != std::string::npos);
        }
    CHECK(longest > 200);
    CHECK(longest < support::most_line);
    CHECK(source.most_asked() <= support::most_read);
}

TEST_CASE("and a tree of bounded size") {
    support::HostileSource source{7};
    render::TreeSink tree;
    render::Rendering rendering;
    for (int number = 0; number < abi::native_limit; ++number)
        for (int round = 0; round < 4; ++round) {
            TracedCall call = source.call(number);
            tree.clear();
            rendering.enter(call, source, tree, {});
            source.answer(call);
            rendering.leave(call, source, tree, {});
            if (abi::is_known(number)) CHECK(tree.arguments().size() <= render::TreeSink::most_arguments);
        }
}

TEST_CASE("memory that changes between two looks does no harm") {
    support::HostileSource source{99};
    source.change_always();
    render::RenderedCall text;
    for (int number = 0; number < abi::native_limit; ++number)
        for (int round = 0; round < 8; ++round) {
            TracedCall call = source.call(number);
            text.enter(call, source);
            source.answer(call);
            text.leave(call, source);
            REQUIRE(text.line().size() < support::most_line);
        }
}

TEST_CASE("a count that is a lie is not believed") {
    const iovec vector[] = {{nullptr, ~0UL}};
    CHECK(rendered::refused(SYS_writev, {1, vector, 0x7fffffff}).find("0x7fffffff") == std::string::npos);
    CHECK(rendered::refused(SYS_writev, {1, vector, 0x7fffffff}).size() < 4096);
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(vector);
    message.msg_iovlen = 1;
    char control[64] = {};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const std::uint64_t huge = ~0ULL - 6;
    std::memcpy(control, &huge, sizeof huge);
    CHECK(rendered::refused(SYS_sendmsg, {1, &message, 0}).size() < 4096);
    CHECK(rendered::refused(SYS_ppoll, {vector, ~0U, nullptr, nullptr, 8}).size() < 65536);
}

TEST_CASE("structures that end where memory ends are read no further") {
    const long page = ::sysconf(_SC_PAGESIZE);
    auto* const pages = static_cast<char*>(::mmap(nullptr, static_cast<std::size_t>(2 * page), PROT_READ | PROT_WRITE,
                                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(pages != MAP_FAILED);
    REQUIRE(::munmap(pages + page, static_cast<std::size_t>(page)) == 0);
    char* const end = pages + page;
    std::memcpy(end - 3, "abc", 3);
    const std::string at = rendered::hex(end - 3);
    CHECK(rendered::refused(SYS_chdir, {end - 3}, EFAULT) == "chdir(" + at + ") = -1 EFAULT (Bad address)");
    CHECK(rendered::answered(SYS_write, {1, end - 3, 3}, 3) == "write(1, \"abc\", 3) = 3");
    CHECK(rendered::answered(SYS_write, {1, end - 3, 4}, -EFAULT) ==
          "write(1, " + at + ", 4) = -1 EFAULT (Bad address)");
    for (int number = 0; number < abi::native_limit; ++number)
        for (int before = 0; before < 200; before += 13) {
            const char* const pointer = end - before;
            CHECK_FALSE(rendered::refused(number, {pointer, pointer, pointer, pointer, pointer, pointer}).empty());
        }
    ::munmap(pages, static_cast<std::size_t>(page));
}
