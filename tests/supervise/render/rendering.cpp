#include <sysguard/supervise/render/rendering.hpp>

#include "made.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>
#include <ctime>

using rendered::answered;
using rendered::call_of;
using rendered::hex;
using rendered::made;
using sysguard::supervise::TracedCall;
namespace render = sysguard::supervise::render;

TEST_CASE("results: numbers, addresses, errors in words, and what the kernel tells itself") {
    CHECK(answered(SYS_getpid, {}, 5) == "getpid() = 5");
    CHECK(answered(SYS_brk, {nullptr}, 0x5000) == "brk(NULL) = 0x5000");
    CHECK(answered(SYS_lseek, {3, 0, SEEK_CUR}, 1L << 40) == "lseek(3, 0, SEEK_CUR) = 1099511627776");
    CHECK(answered(SYS_fsync, {3}, -EBADF) == "fsync(3) = -1 EBADF (Bad file descriptor)");
    CHECK(answered(SYS_fsync, {3}, -512) == "fsync(3) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)");
    CHECK(answered(SYS_fsync, {3}, -513) == "fsync(3) = ? ERESTARTNOINTR (To be restarted)");
    CHECK(answered(SYS_fsync, {3}, -514) == "fsync(3) = ? ERESTARTNOHAND (To be restarted if no handler)");
    CHECK(answered(SYS_fsync, {3}, -516) == "fsync(3) = ? ERESTART_RESTARTBLOCK (Interrupted by signal)");
    CHECK(answered(SYS_fsync, {3}, -600) == "fsync(3) = -1 (errno 600)");
    CHECK(answered(SYS_getuid, {}, 1000) == "getuid() = 1000");
}

TEST_CASE("a call that the table does not have is written with all its registers") {
    CHECK(answered(9999, {1, 2L << 40, 0, -1, 4, 5}, -ENOSYS) ==
          "syscall_0x270f(0x1, 0x20000000000, 0, 0xffffffffffffffff, 0x4, 0x5) = -1 ENOSYS (Function not implemented)");
    TracedCall x32 = call_of(SYS_read, {1, 2, 3, 4, 5, 6});
    x32.is_x32 = true;
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{rendered::bare()};
    text.enter(x32, source);
    CHECK(text.call().find("syscall_0x") == 0);
}

TEST_CASE("arguments are what they were when the call was entered, whatever becomes of their memory") {
    char path[] = "/before";
    TracedCall call = call_of(SYS_openat, {AT_FDCWD, path, O_RDONLY});
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{rendered::bare()};
    text.enter(call, source);
    CHECK(text.entered() == "openat(AT_FDCWD, \"/before\", O_RDONLY");
    std::strcpy(path, "/after!");
    call.phase = TracedCall::Phase::returned;
    call.result = 3;
    text.leave(call, source);
    CHECK(text.resumed() == ")");
    CHECK(text.line(0) == "openat(AT_FDCWD, \"/before\", O_RDONLY) = 3");
}

TEST_CASE("what the kernel writes is told when the call has returned, what is behind it was read before") {
    char buffer[16] = "";
    TracedCall call = call_of(SYS_read, {0, buffer, 16});
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{rendered::bare()};
    text.enter(call, source);
    CHECK(text.entered() == "read(0, ");
    std::strcpy(buffer, "told");
    call.phase = TracedCall::Phase::returned;
    call.result = 4;
    text.leave(call, source);
    CHECK(text.resumed() == "\"told\", 16)");
    CHECK(text.result() == "4");
}

TEST_CASE("a call of which only the entry is seen shows addresses where the kernel would write") {
    char buffer[16] = "old";
    CHECK(rendered::entered(SYS_read, {0, buffer, 16}) == "read(0, " + hex(buffer) + ", 16)");
    timespec time{1, 2};
    CHECK(rendered::entered(SYS_clock_gettime, {0, &time}) == "clock_gettime(CLOCK_REALTIME, " + hex(&time) + ")");
    CHECK(rendered::entered(SYS_nanosleep, {&time, &time}) == "nanosleep({tv_sec=1, tv_nsec=2}, " + hex(&time) + ")");
}

TEST_CASE("one that never returns answers nothing") {
    const TracedCall call = call_of(SYS_exit_group, {3});
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{rendered::bare()};
    text.enter(call, source);
    CHECK(text.line() == "exit_group(3)                           = ?");
}

TEST_CASE("results stand below each other, as far as there is room") {
    TracedCall call = call_of(SYS_close, {3});
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{rendered::bare()};
    text.enter(call, source);
    call.phase = TracedCall::Phase::returned;
    text.leave(call, source);
    CHECK(text.line() == "close(3)                                = 0");
    CHECK(text.line(5) == "close(3) = 0");
}

TEST_CASE("one object serves call after call") {
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{rendered::bare()};
    for (int i = 0; i < 3; ++i) {
        TracedCall call = call_of(SYS_dup, {i});
        text.enter(call, source);
        call.phase = TracedCall::Phase::returned;
        call.result = i + 10;
        text.leave(call, source);
        CHECK(text.line(0) == "dup(" + std::to_string(i) + ") = " + std::to_string(i + 10));
    }
}

TEST_CASE("what is told of a signal") {
    siginfo_t info{};
    info.si_signo = SIGUSR1;
    info.si_pid = 5;
    CHECK(render::signal_text(info) == "{si_signo=SIGUSR1, si_code=SI_USER, si_pid=5, si_uid=0}");
    info = {};
    info.si_signo = SIGSEGV;
    info.si_code = SEGV_ACCERR;
    info.si_addr = reinterpret_cast<void*>(0x10);
    CHECK(render::signal_text(info) == "{si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=0x10}");
}

TEST_CASE("live: real calls of this process") {
    CHECK(made(SYS_close, {-1}) == "close(-1) = -1 EBADF (Bad file descriptor)");
    CHECK(made(SYS_getpid, {}) == "getpid() = " + std::to_string(::syscall(SYS_getpid)));
    timespec time{};
    const std::string text = made(SYS_clock_getres, {CLOCK_MONOTONIC, &time});
    CHECK(text == "clock_getres(CLOCK_MONOTONIC, {tv_sec=" + std::to_string(time.tv_sec) +
                      ", tv_nsec=" + std::to_string(time.tv_nsec) + "}) = 0");
}
