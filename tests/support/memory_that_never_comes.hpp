#pragma once

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/skip.hpp"

namespace support {

/// A page that a read waits for, for ever (userfaultfd(2)); null where this machine does not let it. Of the calling
/// process, until it ends.
inline char* page_that_never_comes(std::size_t size = 4096) {
    const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC));
    if (fd < 0) return nullptr;
    uffdio_api api{};
    api.api = UFFD_API;
    void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uffdio_register range{};
    range.range = {reinterpret_cast<std::uint64_t>(page), size};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    const bool good = ::ioctl(fd, UFFDIO_API, &api) == 0 && ::ioctl(fd, UFFDIO_REGISTER, &range) == 0;
    return good ? static_cast<char*>(page) : nullptr;
}

/// proc_pid_stat(5).
inline char state_of(pid_t process) {
    std::ifstream file{"/proc/" + std::to_string(process) + "/stat"};
    std::string stat;
    std::getline(file, stat);
    const std::size_t behind_name = stat.rfind(')');
    return behind_name == stat.npos || stat.size() < behind_name + 3 ? '?' : stat[behind_name + 2];
}

/// A process that has such a page.
class MemoryThatNeverComes {
public:
    MemoryThatNeverComes() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        process_ = ::fork();
        if (process_ == 0) {
            const auto page = reinterpret_cast<std::uint64_t>(page_that_never_comes());
            if (::write(ends[1], &page, sizeof page) != sizeof page) ::_exit(1);
            for (;;) ::pause();
        }
        CHECK(::read(ends[0], &page_, sizeof page_) == sizeof page_);
        ::close(ends[0]);
        ::close(ends[1]);
    }
    MemoryThatNeverComes(const MemoryThatNeverComes&) = delete;
    MemoryThatNeverComes& operator=(const MemoryThatNeverComes&) = delete;
    ~MemoryThatNeverComes() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }

    explicit operator bool() const noexcept { return page_ != 0; }

    /// Whether `look(process, page)`, in a process of its own, does not end but waits where only its death helps. Then
    /// it is ended.
    template <class Look>
    bool holds_up(Look&& look) const {
        const pid_t looking = ::fork();
        if (looking == 0) {
            look(process_, page_);
            ::_exit(0);
        }
        int status = 0;
        int waiting = 0;  // how often in a row it was seen to
        while (::waitpid(looking, &status, WNOHANG) == 0) {
            waiting = state_of(looking) == 'D' ? waiting + 1 : 0;
            if (waiting == 100) {
                ::kill(looking, SIGKILL);
                ::waitpid(looking, nullptr, 0);
                return true;
            }
            ::usleep(2000);
        }
        CHECK(status == 0);
        return false;
    }

private:
    pid_t process_;
    std::uint64_t page_ = 0;
};

}  // namespace support
