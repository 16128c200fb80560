#include <sysguard/process/task.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using sysguard::process::Descriptor;
using sysguard::process::raw_call;

namespace {

/// What a task and the test tell each other.
struct Board {
    int fd = -1;
    long closed = -1;
    long umask = -1;
    std::uint64_t blocked = 0;
    bool sleeps = false;
};

SYSGUARD_BARE void change_what_is_its_own(void* argument) {
    Board& board = *static_cast<Board*>(argument);
    board.closed = raw_call(SYS_close, board.fd);
    board.umask = raw_call(SYS_umask, 0);
    raw_call(SYS_chdir, "/");
    raw_call(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &board.blocked, sizeof board.blocked);
}

SYSGUARD_BARE void sleep_for_ever(void* argument) {
    Board& board = *static_cast<Board*>(argument);
    __atomic_store_n(&board.sleeps, true, __ATOMIC_SEQ_CST);
    for (;;) raw_call(SYS_ppoll, nullptr, 0, nullptr, nullptr, 0);
}

SYSGUARD_BARE void close_a_range(void* argument) {
    Board& board = *static_cast<Board*>(argument);
    board.closed = sysguard::process::close_descriptors(3, ~0U);
    board.umask = raw_call(SYS_fcntl, board.fd, F_GETFD);
}

struct Task {
    Task(void (*entry)(void*), Board& board) : stack(64 * 1024) {
        int pidfd = -1;
        id = sysguard::process::start_task(entry, &board, stack.data(), stack.size(), pidfd);
        end.reset(pidfd);
    }
    bool has_ended() const {
        pollfd source{end.get(), POLLIN, 0};
        return ::poll(&source, 1, 60000) == 1;
    }

    std::vector<char> stack;
    long id = -1;
    Descriptor end{};
};

bool has_no_children() {
    return ::waitpid(-1, nullptr, WNOHANG | __WALL) == -1 && errno == ECHILD;
}

}  // namespace

TEST_CASE("a task shares memory and nothing else, and gets no signal") {
    const mode_t mask = ::umask(027);
    char before[4096];
    REQUIRE(::getcwd(before, sizeof before) != nullptr);
    Board board;
    const Descriptor file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    board.fd = file.get();
    const Task task{change_what_is_its_own, board};
    REQUIRE(task.id > 0);
    CHECK(task.has_ended());
    sysguard::process::reap_task(task.id);
    CHECK(board.closed == 0);
    CHECK(board.umask == 027);
    for (const int signal : {SIGINT, SIGTERM, SIGSEGV, SIGUSR1, SIGCHLD})
        CHECK((board.blocked >> (signal - 1) & 1) == 1);

    CHECK(::fcntl(file.get(), F_GETFD) == FD_CLOEXEC);
    CHECK(::umask(mask) == 027);
    char after[4096];
    REQUIRE(::getcwd(after, sizeof after) != nullptr);
    CHECK(std::string_view{before} == after);
    CHECK(has_no_children());
}

TEST_CASE("the mask of the thread that starts one is left as it was") {
    sigset_t before;
    ::sigemptyset(&before);
    ::sigaddset(&before, SIGUSR2);
    sigset_t saved;
    ::pthread_sigmask(SIG_SETMASK, &before, &saved);
    Board board;
    const Task task{change_what_is_its_own, board};
    sysguard::process::reap_task(task.id);
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, &saved, &after);
    CHECK(::sigismember(&after, SIGUSR2) == 1);
    CHECK(::sigismember(&after, SIGUSR1) == 0);
}

TEST_CASE("a task that waits can be killed, by a handle that is never somebody else's") {
    Board board;
    const Task task{sleep_for_ever, board};
    REQUIRE(task.id > 0);
    while (!__atomic_load_n(&board.sleeps, __ATOMIC_SEQ_CST)) ::usleep(500);
    pollfd source{task.end.get(), POLLIN, 0};
    CHECK(::poll(&source, 1, 0) == 0);
    CHECK(::syscall(SYS_pidfd_send_signal, task.end.get(), SIGKILL, nullptr, 0) == 0);
    sysguard::process::reap_task(task.id);
    CHECK(task.has_ended());
    CHECK(::syscall(SYS_pidfd_send_signal, task.end.get(), 0, nullptr, 0) == -1);
    CHECK(errno == ESRCH);
}

TEST_CASE("descriptors of its own are closed, and the host's stay open") {
    Board board;
    const Descriptor file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    board.fd = file.get();
    const Task task{close_a_range, board};
    sysguard::process::reap_task(task.id);
    CHECK(board.closed == 0);
    CHECK(board.umask == -EBADF);
    CHECK(::fcntl(file.get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("a host without room for its handle is told, and no task is left") {
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    ::close(next);
    const rlimit tight{static_cast<rlim_t>(next), before.rlim_max};
    Board board;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
    const Task task{sleep_for_ever, board};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(task.id == -EMFILE);
    CHECK(task.end.get() < 0);
    CHECK(has_no_children());
}

TEST_CASE("its handle never takes the number of a standard stream that the host has closed") {
    const Descriptor input{::fcntl(0, F_DUPFD_CLOEXEC, 3)};
    ::close(0);
    Board board;
    const Task task{change_what_is_its_own, board};
    sysguard::process::reap_task(task.id);
    CHECK(task.end.get() > 2);
    CHECK(::fcntl(0, F_GETFD) == -1);
    ::dup2(input.get(), 0);
}
