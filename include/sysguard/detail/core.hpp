#pragma once

#include "../abi/error.hpp"
#include "../abi/take.hpp"
#include "../policy/handler.hpp"
#include "../process/confinement.hpp"
#include "../process/launch.hpp"
#include "../process/options.hpp"
#include "../supervise/rulebook.hpp"
#include "../supervise/supervisor.hpp"

#include <cerrno>
#include <cstddef>
#include <utility>

#include <pthread.h>

namespace sysguard::detail {

/// What a sandbox and its workers share: what holds for every worker, and who serves those that run beside the host.
/// Thread-safe.
class Core {
public:
    using Supervisor = supervise::Supervisor;

    Core(const policy::View& policy, const filter::ProgramView& program, const Options& options,
         policy::SharedContext context)
        : confinement_{policy, program, options},
          rules_{confinement_.policy()},
          context_{std::move(context)},
          most_read_{options.most_read},
          witness_{options.witness} {}
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;
    ~Core() { delete supervisor_; }

    const process::Confinement& confinement() const noexcept { return confinement_; }

    /// What a watch has to know of a worker that starts as `launch` says.
    supervise::Watch::Settings watch_settings(const Launch& launch) const noexcept {
        supervise::Watch::Settings settings;
        settings.rules = &rules_;
        settings.wall = confinement_.limits().wall;
        if (confinement_.cgroups()) settings.cpu = confinement_.limits().cpu;
        if (!confinement_.isolation().has_pids()) settings.tasks = confinement_.tasks();
        if (launch.output.kind() == Stdio::Kind::captured) settings.most_output = launch.output.most();
        if (launch.error.kind() == Stdio::Kind::captured) settings.most_error = launch.error.most();
        settings.most_read = most_read_;
        settings.witness = witness_;
        settings.ruleset = confinement_.landlock().ruleset();
        return settings;
    }

    /// A supervisor that is ready to serve. Throws `Error`.
    static void open(Supervisor& supervisor) {
        if (const int error = supervisor.open(); error != 0) throw Error{error, "make a supervisor"};
    }

    /// The supervisor of the workers that run beside the host, with one worker more. It serves in a thread of its own,
    /// unless the host's event loop does it.
    Supervisor& join() {
        const supervise::Locked locked{mutex_};
        if (supervisor_ == nullptr) supervisor_ = begin();
        ++workers_;
        return *supervisor_;
    }

    /// One worker less. With the last one a thread ends; this waits for it, unless a handler in that thread calls this.
    void leave() noexcept {
        Supervisor* unused = nullptr;
        {
            const supervise::Locked locked{mutex_};
            if (--workers_ == 0 && !is_embedded_) unused = abi::take(supervisor_);
        }
        end(unused);
    }

    /// Deletes a supervisor that serves nobody any more, when its threads have ended: here, unless a handler in one of
    /// them calls this.
    static void end(Supervisor* unused) noexcept {
        if (unused == nullptr || !unused->runs_here()) {
            delete unused;
            return;
        }
        const process::HandlersBlocked blocked;
        const auto end = [](void* supervisor) -> void* {
            delete static_cast<Supervisor*>(supervisor);
            return nullptr;
        };
        pthread_t thread{};
        if (::pthread_create(&thread, nullptr, end, unused) == 0) ::pthread_detach(thread);
    }

    /// A supervisor that serves in a thread of its own. The caller owns it. Throws `Error`.
    static Supervisor* begin() {
        auto* const supervisor = new Supervisor;
        try {
            open(*supervisor);
            if (const int error = supervisor->start_thread(); error != 0)
                throw Error{error, "start the thread that supervises workers"};
        } catch (...) {
            delete supervisor;
            throw;
        }
        return supervisor;
    }

    /// From now on the host's event loop serves. Throws `Error`: EBUSY where a thread does already.
    Supervisor& embed() {
        const supervise::Locked locked{mutex_};
        if (!is_embedded_ && supervisor_ != nullptr)
            throw Error{EBUSY,
                        "serve in the host's event loop: a thread serves the workers that run; ask for the "
                        "descriptor before the first of them is started"};
        if (supervisor_ == nullptr) {
            auto* const supervisor = new Supervisor;
            try {
                open(*supervisor);
            } catch (...) {
                delete supervisor;
                throw;
            }
            supervisor_ = supervisor;
        }
        is_embedded_ = true;
        return *supervisor_;
    }

    bool is_embedded() const noexcept {
        const supervise::Locked locked{mutex_};
        return is_embedded_;
    }

private:
    friend class CoreShare;

    process::Confinement confinement_;
    supervise::Rulebook rules_;
    policy::SharedContext context_;
    std::size_t most_read_;
    Witness* witness_;
    mutable pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    Supervisor* supervisor_ = nullptr;
    int workers_ = 0;
    bool is_embedded_ = false;
    long shares_ = 1;
};

/// One share of a core.
class CoreShare {
public:
    explicit CoreShare(Core* core) noexcept : core_{core} {}
    CoreShare(const CoreShare& other) noexcept : core_{other.core_} {
        __atomic_fetch_add(&core_->shares_, 1, __ATOMIC_RELAXED);
    }
    CoreShare& operator=(CoreShare other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~CoreShare() {
        if (__atomic_sub_fetch(&core_->shares_, 1, __ATOMIC_ACQ_REL) == 0) delete core_;
    }

    Core* operator->() const noexcept { return core_; }
    Core& operator*() const noexcept { return *core_; }

private:
    Core* core_;
};

/// Nobody would be at the other end of a pipe while the host waits.
inline void refuse_pipes(const Launch& launch) {
    for (const Stdio* stream : {&launch.input, &launch.output, &launch.error})
        if (stream->kind() == Stdio::Kind::piped)
            throw Error{EINVAL, "run to the end with a pipe: nobody serves it; use spawn(), or capture() the output"};
}

}  // namespace sysguard::detail
