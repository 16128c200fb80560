#pragma once

#include "descriptor.hpp"
#include "detail/cgroup_files.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sysguard::process {

/// What all processes of a worker used together, as its cgroup counted.
struct CgroupFigures {
    bool known = false;
    std::uint64_t user = 0;    ///< microseconds
    std::uint64_t system = 0;  ///< microseconds
    bool knows_memory = false;
    std::uint64_t peak_memory = 0;        ///< bytes, page cache included (memory.peak: Linux 5.19)
    std::uint64_t killed_for_memory = 0;  ///< processes that the kernel killed for want of memory
    bool reached_memory_limit = false;    ///< its own, not one above
    bool knows_written = false;
    std::uint64_t written = 0;        ///< bytes that went to block devices (io.stat)
    std::uint64_t peak_tasks = 0;     ///< pids.peak: Linux 6.1; 0 where it is not there
    std::uint64_t refused_tasks = 0;  ///< how often one could not be started for the limit
};

/// The cgroup of one worker. Owns it: whatever is in it when this is destroyed is killed, and it is removed. The worker
/// is not in the cgroup that has its limits but in the only one below: a cgroup namespace that it makes for itself
/// begins there (cgroup_namespaces(7)), so that it cannot mount the files of its limits, whoever's they are. Movable,
/// not copyable. Not thread-safe.
class WorkerCgroup {
public:
    WorkerCgroup() noexcept = default;
    WorkerCgroup(WorkerCgroup&& other) noexcept
        : parent_{std::exchange(other.parent_, -1)},
          directory_{std::move(other.directory_)},
          inside_{std::move(other.inside_)},
          kill_{std::move(other.kill_)},
          cpu_{std::move(other.cpu_)} {
        __builtin_memcpy(name_, other.name_, sizeof name_);
    }
    WorkerCgroup& operator=(WorkerCgroup&&) = delete;
    ~WorkerCgroup() { remove(); }

    /// Makes one in `parent`, a directory that is borrowed and must be open as long as this lives. It is locked
    /// (flock(2)) as long as the host lives, by which those of dead hosts are told apart. Returns 0 or an errno.
    int create(int parent) noexcept {
        constexpr int most_tries = 16;
        for (int tries = 0; tries < most_tries; ++tries) {
            unsigned long long number = 0;
            if (::getrandom(&number, sizeof number, 0) != sizeof number) return errno;
            std::snprintf(name_, sizeof name_, "%s%016llx", prefix, number);
            if (::mkdirat(parent, name_, 0700) != 0) {
                if (errno == EEXIST) continue;
                return errno;
            }
            parent_ = parent;
            directory_.reset(above_streams(::openat(parent, name_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
            if (!directory_) {
                const int error = errno;
                ::unlinkat(parent, name_, AT_REMOVEDIR);
                if (error == ENOENT) continue;  // somebody who clears away has been faster
                parent_ = -1;
                return error;
            }
            if (::flock(directory_.get(), LOCK_EX | LOCK_NB) != 0) continue;  // as above: it is being removed
            kill_.reset(above_streams(::openat(directory_.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC)));
            const int error = kill_ ? make_inside() : errno;
            if (error == 0) return 0;
            if (error == ENOENT && ::faccessat(directory_.get(), "cgroup.procs", F_OK, 0) != 0) continue;
            remove();
            return error == ENOENT ? ENOSYS : error;
        }
        parent_ = -1;
        directory_.reset();
        return EAGAIN;
    }

    explicit operator bool() const noexcept { return static_cast<bool>(kill_); }
    int parent() const noexcept { return parent_; }
    const char* name() const noexcept { return name_; }
    int directory() const noexcept { return directory_.get(); }
    /// Of the cgroup that the worker is to be in.
    int inside() const noexcept { return inside_.get(); }
    int kill_file() const noexcept { return kill_.get(); }

    /// Sets one of its files. Returns 0 or an errno.
    int set(const char* file, const char* value) noexcept { return detail::write_file(directory_.get(), file, value); }

    /// Kills all that is in it, at one stroke: nothing that is being forked escapes (Linux 5.14).
    void kill() noexcept {
        if (kill_) [[maybe_unused]]
            const ssize_t written = ::write(kill_.get(), "1", 1);
    }

    /// Kills all that is in it, and waits until nothing is. Returns false where after ten seconds something still is.
    bool empty() noexcept {
        if (!kill_) return true;
        const Descriptor events{::openat(directory_.get(), "cgroup.events", O_RDONLY | O_CLOEXEC)};
        constexpr int looks = 200;
        constexpr int pause = 50;  // milliseconds
        for (int i = 0; i < looks; ++i) {
            kill();
            if (!is_populated()) return true;
            pollfd change{events.get(), POLLPRI, 0};
            char text[256];
            if (::pread(events.get(), text, sizeof text, 0) < 0 || !is_populated()) return true;
            ::poll(&change, 1, pause);
        }
        return false;
    }

    bool is_populated() const noexcept {
        return detail::FileText{directory_.get(), "cgroup.events"}.value("populated") != 0;
    }

    /// Prepares `processor_time`, which then needs no descriptor more. Returns 0 or an errno.
    int open_processor_time() noexcept {
        cpu_.reset(above_streams(::openat(directory_.get(), "cpu.stat", O_RDONLY | O_CLOEXEC)));
        return cpu_ ? 0 : errno;
    }

    /// Microseconds of processor time of all that has ever been in it.
    std::uint64_t processor_time() const noexcept {
        char text[512];
        const ssize_t bytes = ::pread(cpu_.get(), text, sizeof text - 1, 0);
        text[bytes > 0 ? bytes : 0] = 0;
        constexpr const char* key = "usage_usec ";  // the first line
        return std::strncmp(text, key, std::strlen(key)) == 0 ? std::strtoull(text + std::strlen(key), nullptr, 10) : 0;
    }

    CgroupFigures figures() const noexcept {
        CgroupFigures figures;
        if (!kill_) return figures;
        const detail::FileText cpu{directory_.get(), "cpu.stat"};
        figures.known = cpu.there;
        figures.user = cpu.value("user_usec");
        figures.system = cpu.value("system_usec");
        const detail::FileText peak{directory_.get(), "memory.peak"};
        figures.knows_memory = peak.there;
        figures.peak_memory = peak.number();
        const detail::FileText events{directory_.get(), "memory.events"};
        figures.killed_for_memory = events.value("oom_kill");
        figures.reached_memory_limit = events.value("oom") != 0;
        const detail::FileText io{directory_.get(), "io.stat"};
        figures.knows_written = io.there;
        figures.written = io.sum(" wbytes=");
        figures.peak_tasks = detail::FileText{directory_.get(), "pids.peak"}.number();
        figures.refused_tasks = detail::FileText{directory_.get(), "pids.events"}.value("max");
        return figures;
    }

    /// Empties and removes it. Where the host has no descriptor left to wait with, it asks again and again.
    void remove() noexcept {
        if (parent_ < 0) return;
        empty();
        constexpr int most_tries = 1000;
        const timespec pause{0, 1'000'000};
        for (int i = 0; i < most_tries; ++i) {
            ::unlinkat(directory_.get(), inside_name, AT_REMOVEDIR);
            if (::unlinkat(parent_, name_, AT_REMOVEDIR) == 0 || errno != EBUSY) break;
            kill();
            ::nanosleep(&pause, nullptr);
        }
        parent_ = -1;
        cpu_.reset();
        kill_.reset();
        inside_.reset();
        directory_.reset();
    }

    /// Empties and removes what killed hosts have left in `parent`.
    static void remove_stale(int parent) noexcept;

    static constexpr char prefix[] = "sysguard-";
    static constexpr std::size_t name_size = 32;
    static constexpr char inside_name[] = "worker";

private:
    /// It is the only one that there ever is below.
    int make_inside() noexcept {
        if (::mkdirat(directory_.get(), inside_name, 0700) != 0) return errno;
        inside_.reset(above_streams(::openat(directory_.get(), inside_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
        return inside_ ? set("cgroup.max.descendants", "1") : errno;
    }

    int parent_ = -1;
    Descriptor directory_{};  ///< the lock is on it
    Descriptor inside_{};
    Descriptor kill_{};  ///< cgroup.kill
    Descriptor cpu_{};   ///< cpu.stat, where that is watched
    char name_[name_size] = {};
};

}  // namespace sysguard::process
