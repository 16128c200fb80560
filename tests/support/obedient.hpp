#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <thread>
#include <utility>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

namespace support {

/// A process that does what it is told, one order after the other, until it is told nothing any more.
class Obedient {
public:
    enum Order : char {
        call,          ///< getpriority with six registers: `call` of the order's number
        call_often,    ///< that thousand times
        thread_calls,  ///< the same once, in a thread of its own
        child_calls,   ///< in a child
        end_well,      ///< that is all
    };

    explicit Obedient(uid_t user = ::geteuid()) {
        REQUIRE(::pipe(orders_) == 0);
        REQUIRE(::pipe(answers_) == 0);
        keeper_ = ::fork();
        if (keeper_ == 0) keep(user);
        char bytes[sizeof pid_];
        REQUIRE(::read(answers_[0], bytes, sizeof bytes) == sizeof bytes);
        __builtin_memcpy(&pid_, bytes, sizeof pid_);
    }
    Obedient(const Obedient&) = delete;
    Obedient& operator=(const Obedient&) = delete;
    ~Obedient() {
        if (keeper_ > 0) end();
        for (const int end : {orders_[0], orders_[1], answers_[0], answers_[1]}) ::close(end);
    }

    pid_t pid() const noexcept { return pid_; }

    /// Has it do something, and waits until it has.
    bool obeys(Order order) const {
        char answer = 0;
        return ::write(orders_[1], &order, 1) == 1 && ::read(answers_[0], &answer, 1) == 1 && answer == order;
    }

    /// Ends it as it is meant to. Returns whether it ended so.
    bool end() {
        const char order = end_well;
        if (::write(orders_[1], &order, 1) != 1) return false;
        int status = -1;
        ::waitpid(std::exchange(keeper_, -1), &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }

    static constexpr std::uint64_t arguments[6] = {0, 0, 0x111, 0x222, 0x333, 0x444};

private:
    /// The process's parent: who traces a child of its own cannot wait for it, too.
    [[noreturn]] void keep(uid_t user) const {
        const pid_t pid = ::fork();
        if (pid == 0) obey_all(user);
        int status = -1;
        ::waitpid(pid, &status, 0);
        ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }

    [[noreturn]] void obey_all(uid_t user) const {
        if (::geteuid() != user && ::setresuid(user, user, user) != 0) ::_exit(2);
        char bytes[sizeof(pid_t)];
        const pid_t own = ::getpid();
        __builtin_memcpy(bytes, &own, sizeof own);
        bool goes_on = ::write(answers_[1], bytes, sizeof bytes) == sizeof bytes;
        char order = 0;
        while (goes_on && ::read(orders_[0], &order, 1) == 1 && order != end_well) {
            obey(static_cast<Order>(order));
            goes_on = ::write(answers_[1], &order, 1) == 1;
        }
        ::_exit(order == end_well ? 7 : 1);
    }

    static void make_call() {
        ::syscall(SYS_getpriority, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    }

    static void obey(Order order) {
        switch (order) {
            case end_well: return;
            case call: return make_call();
            case call_often:
                for (int i = 0; i < 1000; ++i) make_call();
                return;
            case thread_calls: return std::thread{make_call}.join();
            case child_calls: {
                const pid_t child = ::fork();
                if (child == 0) {
                    make_call();
                    ::_exit(0);
                }
                ::waitpid(child, nullptr, 0);
                return;
            }
        }
    }

    int orders_[2] = {-1, -1};
    int answers_[2] = {-1, -1};
    pid_t keeper_ = -1;
    pid_t pid_ = -1;
};

}  // namespace support
