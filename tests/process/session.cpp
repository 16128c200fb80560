#include <sysguard/process/session.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "support/helpers.hpp"

using sysguard::process::kill_session;

namespace {

/// A session of processes: the leader, and others in it, some in groups of their own. Their ids.
struct Session {
    explicit Session(int size, bool leader_stays = true) {
        pids = static_cast<volatile pid_t*>(
            ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        leader = ::fork();
        if (leader == 0) {
            ::setsid();
            for (int i = 0; i < size; ++i)
                if (::fork() == 0) {
                    if (i % 2 == 1) ::setpgid(0, 0);
                    ::prctl(PR_SET_NAME, i % 3 == 0 ? "odd) R 1 1" : "member");  // names may try to look like fields
                    pids[i] = ::getpid();
                    for (;;) ::pause();
                }
            while (leader_stays) ::pause();
            ::_exit(0);
        }
        support::eventually([&] {
            for (int i = 0; i < size; ++i)
                if (pids[i] == 0) return false;
            return true;
        });
        for (int i = 0; i < size; ++i) members.emplace_back(pids[i]);
    }
    ~Session() {
        ::waitpid(leader, nullptr, 0);
        ::munmap(const_cast<pid_t*>(pids), 4096);
    }

    volatile pid_t* pids;
    pid_t leader;
    std::vector<pid_t> members;
};

}  // namespace

TEST_CASE("every process of a session is killed, in whatever group it is") {
    const Session session{9};
    for (const pid_t pid : session.members) CHECK(support::lives(pid));
    kill_session(session.leader, true);
    for (const pid_t pid : session.members) CHECK_FALSE(support::lives(pid));
    CHECK_FALSE(support::lives(session.leader));
}

TEST_CASE("a session whose leader has ended is killed too") {
    const Session session{4, false};
    CHECK(support::eventually([&] { return !support::lives(session.leader); }));
    for (const pid_t pid : session.members) CHECK(support::lives(pid));
    kill_session(session.leader, true);
    for (const pid_t pid : session.members) CHECK_FALSE(support::lives(pid));
}

TEST_CASE("other sessions are left alone") {
    const Session other{2};
    {
        const Session session{2};
        kill_session(session.leader, true);
    }
    for (const pid_t pid : other.members) CHECK(support::lives(pid));
    kill_session(other.leader, true);
}

TEST_CASE("where all are in the leader's group, one look does") {
    auto* const count = static_cast<std::atomic<int>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t leader = ::fork();
    if (leader == 0) {
        ::setsid();
        for (int i = 0; i < 20; ++i)
            if (::fork() == 0) {
                ++*count;
                for (;;) ::pause();
            }
        for (;;) ::pause();
    }
    CHECK(support::eventually([count] { return count->load() == 20; }));
    kill_session(leader, false);
    CHECK_FALSE(sysguard::process::detail::kill_members(leader, true, sysguard::process::detail::seconds_now() + 10));
    ::waitpid(leader, nullptr, 0);
    ::munmap(count, 4096);
}

TEST_CASE("processes that start others and end, in groups of their own, do not get away") {
    constexpr int generations = 20000;
    auto* const count = static_cast<std::atomic<int>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t leader = ::fork();
    if (leader == 0) {
        ::setsid();
        while (count->fetch_add(1) < generations) {
            ::setpgid(0, 0);
            if (::fork() > 0) {
                if (::getpid() == ::getsid(0)) ::pause();
                ::_exit(0);
            }
        }
        ::_exit(0);
    }
    CHECK(support::eventually([count] { return count->load() > 5; }));
    kill_session(leader, true);
    const int then = count->load();
    ::usleep(20000);
    CHECK(count->load() == then);
    CHECK(then < generations);
    ::waitpid(leader, nullptr, 0);
    ::munmap(count, 4096);
}

TEST_CASE("a process that goes on when its first thread has ended does not get away") {
    auto* const count = static_cast<std::atomic<int>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const pid_t leader = ::fork();
    if (leader == 0) {
        ::setsid();
        if (::fork() > 0) ::pause();
        ::setpgid(0, 0);
        std::thread{[count] {
            for (int i = 0; i < 20000; ++i) {
                count->fetch_add(1);
                ::usleep(1000);
            }
            ::_exit(0);
        }}.detach();
        ::syscall(SYS_exit, 0);
    }
    CHECK(support::eventually([count] { return count->load() > 5; }));
    const int before = count->load();
    ::kill(-leader, SIGKILL);  // what is no guard: it is in a group of its own
    CHECK(support::eventually([count, before] { return count->load() > before + 5; }));
    kill_session(leader, true);
    const int then = count->load();
    ::usleep(20000);
    CHECK(count->load() == then);
    ::waitpid(leader, nullptr, 0);
    ::munmap(count, 4096);
}
