#include <sysguard/supervise/interception.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/skip.hpp"

namespace sg = sysguard;
using sg::supervise::Interception;

namespace {

constexpr std::errc ok{};

/// Traces nobody, and notes what it is asked.
struct Noting final : sg::supervise::ProcessTracer {
    std::vector<pid_t> attached{};
    std::vector<pid_t> detached{};
    int error = 0;
    int busy = 0;  ///< so often

    void attach(pid_t process) override {
        if (busy > 0) {
            --busy;
            throw sg::Error{EBUSY, "attach"};
        }
        if (error != 0) throw sg::Error{error, "attach"};
        attached.push_back(process);
    }
    void detach(pid_t process) override { detached.push_back(process); }
};

/// A process that waits for its end.
class Waiting {
public:
    Waiting() : pid_{::fork()} {
        if (pid_ != 0) return;
        for (;;) ::pause();
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const noexcept { return pid_; }

private:
    pid_t pid_;
};

#define NEED_ROOT() \
    if (::geteuid() != 0) SYSGUARD_SKIP("only root intercepts")

}  // namespace

TEST_CASE("a process is attached for its first call that is monitored, and let go after the last") {
    NEED_ROOT();
    const Waiting process;
    Noting tracer;
    Interception interception{tracer};
    REQUIRE(interception.intercept(SYS_read) == ok);
    REQUIRE(interception.intercept(SYS_write) == ok);
    CHECK(tracer.attached.empty());
    REQUIRE(interception.monitor(SYS_read, process.pid()) == ok);
    REQUIRE(interception.monitor(SYS_write, process.pid()) == ok);
    CHECK(tracer.attached == std::vector<pid_t>{process.pid()});
    CHECK(interception.tells(SYS_read, process.pid()));
    REQUIRE(interception.unmonitor(SYS_read, process.pid()) == ok);
    CHECK(tracer.detached.empty());
    REQUIRE(interception.release(SYS_write) == ok);
    CHECK(tracer.detached == std::vector<pid_t>{process.pid()});
    CHECK_FALSE(interception.tells(SYS_write, process.pid()));
}

TEST_CASE("what cannot be attached is not monitored") {
    NEED_ROOT();
    const Waiting process;
    Noting tracer;
    Interception interception{tracer};
    REQUIRE(interception.intercept(SYS_read) == ok);
    tracer.error = EPERM;
    CHECK(interception.monitor(SYS_read, process.pid()) == std::errc::operation_not_permitted);
    tracer.error = ESRCH;  // it has ended just now
    CHECK(interception.monitor(SYS_read, process.pid()) == std::errc::invalid_argument);
    tracer.error = ENOMEM;
    CHECK(interception.monitor(SYS_read, process.pid()) == std::errc::not_enough_memory);
    CHECK_FALSE(interception.tells(SYS_read, process.pid()));
    tracer.error = 0;
    CHECK(interception.monitor(SYS_read, process.pid()) == ok);
}

TEST_CASE("one that is being let go is attached when it has been") {
    NEED_ROOT();
    const Waiting process;
    Noting tracer;
    Interception interception{tracer};
    REQUIRE(interception.intercept(SYS_read) == ok);
    tracer.busy = 3;
    CHECK(interception.monitor(SYS_read, process.pid()) == ok);
    CHECK(tracer.attached.size() == 1);
}

TEST_CASE("a process that ends leaves the lists, and a child is traced only where it is monitored") {
    NEED_ROOT();
    const Waiting process;
    Noting tracer;
    Interception interception{tracer};
    REQUIRE(interception.intercept(SYS_read) == ok);
    REQUIRE(interception.monitor(SYS_read, process.pid()) == ok);
    CHECK_FALSE(interception.is_everybody_watched());
    CHECK_FALSE(interception.note_start(process.pid() + 1));
    CHECK(interception.note_start(process.pid()));
    interception.note_end(process.pid());
    CHECK_FALSE(interception.tells(SYS_read, process.pid()));
    CHECK(interception.monitor(SYS_read, process.pid()) == ok);  // of the same number: another one
    CHECK(tracer.attached.size() == 2);
    interception.note_detach(process.pid());
    CHECK(interception.unmonitor(SYS_read, process.pid()) == ok);
    CHECK(tracer.detached.empty());  // it has been let go
}
