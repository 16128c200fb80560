#pragma once

#include "../abi/error.hpp"
#include "hit_queue.hpp"
#include "interceptions.hpp"
#include "ptrace/detail/task_facts.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include <dirent.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise {

/// Who traces for an interception.
class ProcessTracer {
public:
    /// Throws `Error`.
    virtual void attach(pid_t process) = 0;
    virtual void detach(pid_t process) = 0;

protected:
    ~ProcessTracer() = default;
};

/// Keeps what is traced in step with what is to be told: the processes of which some call is monitored, and no others.
/// Thread-safe; but for `note_*` and `tells`, which the tracer's thread calls and which wait for nobody, one request
/// after the other.
class Interception {
public:
    explicit Interception(ProcessTracer& tracer) noexcept : tracer_{tracer} {}

    std::errc intercept(int call) noexcept {
        return change([&] { return books_.intercept(call, is_root()); });
    }
    std::errc release(int call) noexcept {
        return change([&] { return books_.release(call, is_root()); });
    }
    std::errc unmonitor(int call, pid_t process) noexcept {
        const Interceptions::Standing standing = standing_to(process);
        return change([&] { return books_.unmonitor(call, process, standing); });
    }

    std::errc monitor(int call, pid_t process) noexcept {
        const Interceptions::Standing standing = standing_to(process);
        const std::lock_guard alone{changing_};
        try {
            {
                const std::lock_guard locked{mutex_};
                if (const std::errc error = books_.monitor(call, process, standing); error != std::errc{}) return error;
            }
            if (process == 0) {
                attach_everybody();
                return {};
            }
            const std::errc error = attach(process);
            if (error == std::errc{}) return error;
            const std::lock_guard locked{mutex_};
            books_.unmonitor(call, process, {.is_root = true, .is_alive = true, .is_own = true});
            return error;
        } catch (const std::bad_alloc&) {
            return std::errc::not_enough_memory;
        }
    }

    /// Takes hold of processes that have come up beside those that are traced, where every process is monitored.
    void find_newcomers() noexcept {
        const std::lock_guard alone{changing_};
        try {
            attach_everybody();
        } catch (const std::bad_alloc&) {  // there is a next time
        }
    }

    /// Whether every process is monitored for some call.
    bool is_everybody_watched() const noexcept {
        const std::lock_guard locked{mutex_};
        return books_.is_everybody_watched();
    }

    bool tells(int call, pid_t process) const noexcept {
        const std::lock_guard locked{mutex_};
        return books_.is_told(call, process);
    }

    /// A process that is traced has started another. Returns whether that is to be traced.
    bool note_start(pid_t process) {
        const std::lock_guard locked{mutex_};
        if (!books_.is_watched(process)) return false;
        find_or_add(process).has_begun_traced = true;
        return true;
    }

    void note_end(pid_t process) noexcept {
        const std::lock_guard locked{mutex_};
        books_.forget(process);
        drop(process);
    }

    void note_detach(pid_t process) noexcept {
        const std::lock_guard locked{mutex_};
        drop(process);
    }

private:
    struct Traced {
        pid_t process;
        bool has_begun_traced;  ///< as a child of one that is traced
    };

    static bool is_root() noexcept { return ::geteuid() == 0; }

    static Interceptions::Standing standing_to(pid_t process) noexcept {
        Interceptions::Standing standing;
        standing.is_root = is_root();
        if (process <= 0) return standing;
        const ptracing::TaskFacts facts = ptracing::task_facts(process);
        standing.is_alive = facts.process == process && !facts.has_ended();
        char path[32];
        std::snprintf(path, sizeof path, "/proc/%d/status", process);
        if (std::FILE* const file = std::fopen(path, "re")) {
            char line[256];
            unsigned ids[3] = {};
            while (std::fgets(line, sizeof line, file) != nullptr)
                if (std::sscanf(line, "Uid: %u %u %u", &ids[0], &ids[1], &ids[2]) == 3)
                    standing.is_own = ids[0] == ::geteuid() && ids[1] == ids[0] && ids[2] == ids[0];
            std::fclose(file);
        }
        return standing;
    }

    template <class Change>
    std::errc change(const Change& make) noexcept {
        const std::lock_guard alone{changing_};
        try {
            std::vector<pid_t> unwatched;
            {
                const std::lock_guard locked{mutex_};
                unwatched.reserve(traced_.size());
                if (const std::errc error = make(); error != std::errc{}) return error;
                for (const Traced& traced : traced_)
                    if (!books_.is_watched(traced.process)) unwatched.push_back(traced.process);
            }
            for (const pid_t process : unwatched) detach(process);
            return {};
        } catch (const std::bad_alloc&) {
            return std::errc::not_enough_memory;
        }
    }

    void detach(pid_t process) {
        try {
            tracer_.detach(process);
        } catch (const Error&) {  // it has ended, or is being let go
        }
        note_detach(process);
    }

    std::errc attach(pid_t process) {
        using namespace std::chrono_literals;
        {
            const std::lock_guard locked{mutex_};
            if (is_traced(process)) return {};
            find_or_add(process);  // before, for it can end before `attach` is back
        }
        int error = 0;
        for (int attempt = 0; attempt < 2000; ++attempt) {
            try {
                tracer_.attach(process);
                return {};
            } catch (const Error& failure) {
                error = failure.code().value();
            }
            if (error != EBUSY)
                break;  // or it has begun as a child that is traced, or is being let go as one that is not
            if (begins_traced(process)) return {};
            std::this_thread::sleep_for(1ms);
        }
        note_detach(process);
        return error == ESRCH                      ? std::errc::invalid_argument
               : error == EPERM || error == EACCES ? std::errc::operation_not_permitted
                                                   : static_cast<std::errc>(error);
    }

    /// All processes but the host and what shares its memory, threads of the kernel, and those that cannot be traced.
    void attach_everybody() {
        if (!is_everybody_watched()) return;
        DIR* const directory = ::opendir("/proc");
        if (directory == nullptr) return;
        struct Closing {
            DIR* directory;
            ~Closing() { ::closedir(directory); }
        } const closing{directory};
        while (const dirent* const entry = ::readdir(directory)) {
            const auto process = static_cast<pid_t>(std::atol(entry->d_name));
            if (process <= 0 || shares_memory(process) || !has_program(process)) continue;
            {
                const std::lock_guard locked{mutex_};
                if (!books_.is_watched(process) || is_traced(process)) continue;
            }
            attach(process);
        }
    }

    /// The host itself, and what wakes its tracers.
    static bool shares_memory(pid_t process) noexcept {
        constexpr int memory = 1;  // KCMP_VM
        return process == ::getpid() || ::syscall(SYS_kcmp, ::getpid(), process, memory, 0L, 0L) == 0;
    }

    static bool has_program(pid_t process) noexcept {
        char path[32];
        char target[1];
        std::snprintf(path, sizeof path, "/proc/%d/exe", process);
        return ::readlink(path, target, sizeof target) > 0;
    }

    bool begins_traced(pid_t process) noexcept {
        const std::lock_guard locked{mutex_};
        return std::any_of(traced_.begin(), traced_.end(), [process](const Traced& traced) {
            return traced.process == process && traced.has_begun_traced;
        });
    }

    // With the mutex.
    bool is_traced(pid_t process) const noexcept {
        return std::any_of(traced_.begin(), traced_.end(),
                           [process](const Traced& traced) { return traced.process == process; });
    }
    Traced& find_or_add(pid_t process) {
        for (Traced& traced : traced_)
            if (traced.process == process) return traced;
        return traced_.emplace_back(Traced{process, false});
    }
    void drop(pid_t process) noexcept {
        std::erase_if(traced_, [process](const Traced& traced) { return traced.process == process; });
    }

    ProcessTracer& tracer_;
    std::mutex changing_{};
    mutable std::mutex mutex_{};  ///< of what follows; never held while the tracer is waited for
    Interceptions books_{};
    std::vector<Traced> traced_{};
};

}  // namespace sysguard::supervise
