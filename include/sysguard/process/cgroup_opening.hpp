#pragma once

#include "cgroup.hpp"
#include "cgroup_subtree.hpp"
#include "descriptor.hpp"
#include "detail/cgroup_files.hpp"
#include "detail/cgroup_path.hpp"
#include "detail/clone.hpp"
#include "detail/raw_call.hpp"
#include "detail/reap.hpp"
#include "detail/setup.hpp"
#include "layer.hpp"
#include "limits.hpp"
#include "signals.hpp"
#include "worker_cgroup.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace sysguard::process {

/// How a subtree for workers' cgroups is opened.
class CgroupOpening {
public:
    /// Opens the subtree, enables what `limits` need, and tries it out with an empty cgroup and a process that does
    /// nothing. Says what is missing, and what to do; then it is none.
    static Offer open(CgroupSubtree& subtree, const Cgroup& cgroup, const Limits& limits) {
        Offer offer = CgroupOpening{subtree}.try_to_open(cgroup, limits);
        if (!offer) {
            subtree.directory_.reset();
            subtree.holds_memory_ = subtree.holds_processes_ = false;
        }
        return offer;
    }

private:
    explicit CgroupOpening(CgroupSubtree& subtree) noexcept : subtree_{subtree} {}

    static constexpr long magic = 0x63677270;  ///< CGROUP2_SUPER_MAGIC (linux/magic.h)

    Offer try_to_open(const Cgroup& cgroup, const Limits& limits) {
        path_ = cgroup.directory();
        if (cgroup.place() != Cgroup::Place::directory) {
            path_ = detail::own_cgroup_path();
            if (path_.empty())
                return because(ENOENT,
                               "cgroup v2 is not mounted where this process sees its own cgroup (/proc/self/cgroup, "
                               "/proc/self/mountinfo); mount it, or name a directory with Cgroup::in");
            if (cgroup.place() == Cgroup::Place::beside_own) path_.append("/..");
        }
        subtree_.directory_.reset(above_streams(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
        if (!subtree_.directory_) return because(errno, ": ", std::strerror(errno));
        struct statfs info {};
        if (::fstatfs(subtree_.directory_.get(), &info) != 0) return because(errno, ": ", std::strerror(errno));
        if (static_cast<long>(info.f_type) != magic)
            return because(EINVAL, " is not in a cgroup v2 file system; name a directory in one (mount -t cgroup2)");
        if (limits.memory)
            if (Offer offer = enable("memory"); !offer) return offer;
        if (limits.processes)
            if (Offer offer = enable("pids"); !offer) return offer;
        subtree_.holds_memory_ = limits.memory.has_value();
        subtree_.holds_processes_ = limits.processes.has_value();
        WorkerCgroup::remove_stale(subtree_.directory_.get());
        return try_out(limits);
    }

    Offer because(int error, const char* what, const char* of = "", const char* why = "", const char* more = "") const {
        std::string text = path_;
        for (const char* const part : {what, of, why, more}) text.append(part);
        return {error, text};
    }

    Offer enable(const char* controller) const {
        if (detail::FileText{subtree_.directory_.get(), "cgroup.subtree_control"}.has(controller)) return {};
        if (!detail::FileText{subtree_.directory_.get(), "cgroup.controllers"}.has(controller))
            return is_absent(controller);
        char text[16];
        std::snprintf(text, sizeof text, "+%s", controller);
        const int error = detail::write_file(subtree_.directory_.get(), "cgroup.subtree_control", text);
        if (error == 0) return {};
        const char* why = std::strerror(error);
        if (error == EBUSY)
            why =
                "it has processes of its own, and the kernel allows only one of the two; move them into a cgroup "
                "below it first, the host too (mkdir host, and write the process ids to host/cgroup.procs)";
        else if (error == EACCES || error == EPERM)
            why =
                "its cgroup.subtree_control is not this user's to write; have the subtree delegated (systemd: "
                "Delegate=yes)";
        else if (error == EROFS)
            why = read_only;
        return because(error, ": cannot enable the controller ", controller, " for the cgroups in it: ", why);
    }

    /// A cgroup is not offered a controller.
    Offer is_absent(const char* controller) const {
        const detail::FileText known{AT_FDCWD, "/proc/cgroups"};  // name, hierarchy, cgroups, enabled
        const std::size_t size = std::strlen(controller);
        unsigned hierarchy = 0;
        unsigned count = 0;
        unsigned enabled = 1;
        for (const char* line = known.text; line != nullptr && *line != 0; line = detail::FileText::next(line))
            if (std::strncmp(line, controller, size) == 0 && line[size] == '\t')
                std::sscanf(line + size, "%u %u %u", &hierarchy, &count, &enabled);
        const char* why =
            ": the cgroups above do not pass it on; have it delegated (systemd: Delegate=yes; by hand: write its name "
            "behind a + to each cgroup.subtree_control above)";
        if (enabled == 0) why = ": the kernel was started without it; start it with cgroup_enable= and its name";
        if (hierarchy != 0)
            why =
                ": cgroup v1 has it here; boot with systemd.unified_cgroup_hierarchy=1, or cgroup_no_v1= and its name";
        return because(ENOTSUP, " lacks the controller ", controller, why);
    }

    Offer try_out(const Limits& limits) const {
        WorkerCgroup trial;
        if (const int error = subtree_.make(trial, limits); error != 0) return is_not_made(error);
        Trial task{trial.inside()};
        detail::CloneArguments arguments;
        alignas(64) char stack[16384];
        arguments.flags = CLONE_VM | CLONE_VFORK;
        arguments.stack = reinterpret_cast<std::uint64_t>(stack);
        arguments.stack_size = sizeof stack;
        long pid = -1;
        {
            const SignalsBlocked blocked;
            pid = detail::start_task(arguments, enter_for_trial, &task);
        }
        if (pid >= 0) detail::reap_quietly(pid);
        const int error = static_cast<int>(-(pid < 0 ? pid : task.result));
        if (error == 0) return {};
        const char* why = std::strerror(error);
        if (error == EACCES || error == EPERM)
            why =
                "the kernel wants that this user may write the cgroup.procs of the closest cgroup above both the "
                "host's and that one; start the host inside the subtree that is delegated to it (systemd-run --user "
                "--scope -p Delegate=yes)";
        return because(error, ": a process of this host's cannot be moved into a cgroup there: ", why);
    }

    Offer is_not_made(int error) const {
        const char* why = std::strerror(error);
        if (error == EROFS) why = read_only;
        if (error == EACCES || error == EPERM)
            why =
                "it is not this user's to write; have a subtree delegated (systemd: Delegate=yes; by hand: chown the "
                "directory, its cgroup.procs and its cgroup.subtree_control)";
        if (error == ENOSYS) why = "this kernel has no cgroup.kill, which is in Linux 5.14; use a newer kernel";
        return because(error, ": cannot make a cgroup in it: ", why);
    }

    static constexpr const char* read_only = "it is mounted read-only, as in most containers; have it mounted writable";

    struct Trial {
        int directory = -1;
        long result = 0;
    };

    SYSGUARD_BARE static void enter_for_trial(void* of) noexcept {
        auto& trial = *static_cast<Trial*>(of);
        trial.result = detail::enter_cgroup(trial.directory);
        if (trial.result > 0) trial.result = 0;
    }

    CgroupSubtree& subtree_;
    std::string path_{};
};

inline void WorkerCgroup::remove_stale(int parent) noexcept {
    const int fd = ::openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const entries = fd >= 0 ? ::fdopendir(fd) : nullptr;
    if (entries == nullptr) {
        if (fd >= 0) ::close(fd);
        return;
    }
    while (const dirent* const entry = ::readdir(entries)) {
        if (std::strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0) continue;
        if (std::strlen(entry->d_name) >= sizeof name_) continue;
        WorkerCgroup stale;
        stale.directory_.reset(::openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!stale.directory_ || ::flock(stale.directory_.get(), LOCK_EX | LOCK_NB) != 0) continue;
        stale.kill_.reset(::openat(stale.directory_.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
        std::strcpy(stale.name_, entry->d_name);
        stale.parent_ = parent;
    }
    ::closedir(entries);
}

}  // namespace sysguard::process

namespace sysguard {

inline Cgroup Cgroup::in(std::string directory) {
    return Cgroup{Place::directory, std::move(directory), process::CgroupOpening::open};
}

inline Cgroup Cgroup::own() {
    return Cgroup{Place::own, {}, process::CgroupOpening::open};
}

inline Cgroup Cgroup::beside_own() {
    return Cgroup{Place::beside_own, {}, process::CgroupOpening::open};
}

}  // namespace sysguard
