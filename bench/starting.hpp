#pragma once

#include "comparison.hpp"

#include <cstddef>
#include <cstdlib>
#include <initializer_list>
#include <thread>
#include <vector>

#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/// What starts of workers are measured against, and in what hosts.
namespace bench {

/// Memory that is really there, while it lives.
class Resident {
public:
    explicit Resident(std::size_t size) : size_{size} {
        if (size == 0) return;
        memory_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED || ::madvise(memory_, size, MADV_NOHUGEPAGE) != 0) std::abort();
        for (std::size_t at = 0; at < size; at += 4096) static_cast<volatile char*>(memory_)[at] = 1;
    }
    Resident(const Resident&) = delete;
    Resident& operator=(const Resident&) = delete;
    ~Resident() {
        if (size_ != 0) ::munmap(memory_, size_);
    }

private:
    std::size_t size_;
    void* memory_ = nullptr;
};

/// Threads that do nothing, while it lives.
class IdleThreads {
public:
    explicit IdleThreads(std::size_t count) {
        expect(::pipe(ends_) == 0, "pipe failed");
        for (std::size_t i = 0; i < count; ++i)
            threads_.emplace_back([this] {
                pollfd end{ends_[0], POLLIN, 0};
                ::poll(&end, 1, -1);
            });
    }
    IdleThreads(const IdleThreads&) = delete;
    IdleThreads& operator=(const IdleThreads&) = delete;
    ~IdleThreads() {
        ::close(ends_[1]);
        for (std::thread& thread : threads_) thread.join();
        ::close(ends_[0]);
    }

private:
    int ends_[2] = {-1, -1};
    std::vector<std::thread> threads_;
};

/// Starts a program by posix_spawn and waits for its end.
inline void spawn_directly(std::initializer_list<const char*> command) {
    std::vector<char*> arguments;
    for (const char* const each : command) arguments.push_back(const_cast<char*>(each));
    arguments.push_back(nullptr);
    char* const environment[] = {nullptr};
    pid_t pid = 0;
    expect(::posix_spawn(&pid, arguments[0], nullptr, nullptr, arguments.data(), environment) == 0,
           "posix_spawn failed");
    int status = 0;
    expect(::waitpid(pid, &status, 0) == pid && status == 0, "the program failed");
}

}  // namespace bench
