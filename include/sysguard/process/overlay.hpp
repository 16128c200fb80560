#pragma once

#include "detail/overlay_files.hpp"
#include "detail/overlay_walk.hpp"
#include "overlay_layer.hpp"
#include "root.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sysguard {

/// A directory that workers change without changing it: what they write lands in a layer of its own, which the host can
/// list, commit or discard. The layer goes with the last of the overlay and the sandboxes that mount it. One thread at
/// a time may use it, while workers do.
///
/// What is in the layer was made by who is not trusted. Nothing here follows a symbolic link of it or leaves the lower
/// directory, whatever changes meanwhile. Linux 5.11, openat2(2) not refused.
class Overlay {
public:
    struct Options {
        /// Where the layer lies, in a directory of its own: of the host's, not in `lower`, of a file system that has
        /// extended attributes of users, and room.
        std::string where = "/var/tmp";
        bool is_kept = false;  ///< the layer stays when this goes, in `scratch()`
    };

    /// What is looked at and copied at most. Where there is more, nothing is changed.
    struct Bounds {
        std::size_t most_entries = 1'000'000;
        std::uint64_t most_bytes = std::uint64_t{16} << 30;    ///< of the files' data, holes left out
        std::size_t most_path_bytes = std::size_t{256} << 20;  ///< of all paths together
        std::size_t most_depth = 200;                          ///< of directories in each other; two descriptors each
    };

    enum class What : std::uint8_t {
        added,
        changed,     ///< or opened for writing: the kernel copies a file up before it is written to
        removed,     ///< with all that was in it
        attributes,  ///< of a directory: owner, mode, extended attributes of users
    };

    enum class Kind : std::uint8_t { file, directory, symbolic_link, fifo, socket, device };

    struct Change {
        std::string path{};  ///< from `lower()`, "." itself; any bytes but zero: not for a terminal as it is
        What what = What::added;
        Kind kind = Kind::file;  ///< of what is there now; of what was removed, of that
        std::uint64_t size = 0;  ///< bytes of a file
        mode_t mode = 0;         ///< with set-id bits, as the worker left it
    };

    struct CommitOptions {
        Bounds bounds{};
        /// Set-user-ID and set-group-ID bits as the worker left them. Without this they are stripped.
        bool with_set_id = false;
        /// FIFOs, socket files, and, where the host may make them (CAP_MKNOD), devices. Without this they are refused.
        bool with_special_files = false;
        /// What is to be replaced or removed though the host, or somebody else, has changed it since the layer was
        /// made.
        bool over_newer = false;
    };

    /// What a commit has done.
    struct Commit {
        std::vector<Change> committed{};
        std::vector<Change> refused{};  ///< special files: they went with the layer
        /// Where a step failed, and nothing further was done: what, with the path, and the errno; 0: all went well.
        /// Each file is either as it was or as it was to be. The layer is still there, and can be committed again.
        std::string failure{};
        int error = 0;

        explicit operator bool() const noexcept { return error == 0; }
    };

    /// Throws `Error`: a directory that is not there, or cannot be an overlay's.
    explicit Overlay(const std::string& lower) : Overlay{lower, Options{}} {}
    Overlay(const std::string& lower, const Options& options)
        : layer_{new process::OverlayLayer{lower, options.where, options.is_kept}} {
        note_time();
    }

    /// The directory that is not changed, and where the layer lies: absolute paths.
    const std::string& lower() const noexcept { return layer_->lower(); }
    std::string upper() const { return layer_->upper(); }
    std::string work() const { return layer_->work(); }
    const std::string& scratch() const noexcept { return layer_->scratch(); }

    /// For who mounts it.
    const process::OverlayLayerShare& layer() const noexcept { return layer_; }

    /// What is in the layer, in the order of directories, and by name within each. Throws `Error`: EBUSY while a worker
    /// runs that has it mounted; EFBIG or ENAMETOOLONG for more than `bounds`.
    std::vector<Change> changes() const { return changes(Bounds{}); }
    std::vector<Change> changes(const Bounds& bounds) const {
        const Alone alone{*layer_, "list the changes in an overlay"};
        return scan(bounds, true);
    }

    /// Makes the lower directory what workers saw, and empties the layer. All of the layer is looked at before anything
    /// is changed. Each file is made under a name of its own (".sysguard_" and a number, which is left behind where the
    /// host is killed) and takes its place when it is complete; a directory's entries are changed one by one.
    /// Hard links become files of their own, each counted in `most_bytes`. Owners are kept as far as the host may set
    /// them, extended attributes where they are users'.
    ///
    /// Throws `Error` where nothing was changed: EBUSY while a worker runs that has it mounted, EFBIG or ENAMETOOLONG
    /// for more than the bounds, ESTALE where the lower directory is newer than the layer in what is to be replaced or
    /// removed (told by its change time: what was changed in the clock tick of the layer's making, or deep in a
    /// directory that is to be removed, goes unnoticed).
    Commit commit() { return commit(CommitOptions{}); }
    Commit commit(const CommitOptions& options) {
        const Alone alone{*layer_, "commit an overlay"};
        scan(options.bounds, options.over_newer);
        Applier applier{options};
        process::detail::OverlayWalk walk{applier, options.bounds.most_depth, options.bounds.most_entries};
        try {
            walk.run(layer_->upper_fd(), layer_->lower_fd());
            empty();
        } catch (const Error& error) {
            applier.done.failure = error.step();
            applier.done.error = error.code().value();
        } catch (const std::bad_alloc&) {
            applier.done.error = ENOMEM;
        }
        note_time();
        return std::move(applier.done);
    }

    /// Empties the layer: what workers see then is the lower directory. Throws `Error`: EBUSY while a worker runs that
    /// has it mounted.
    void discard() {
        const Alone alone{*layer_, "discard an overlay's changes"};
        empty();
        note_time();
    }

private:
    using Entry = process::detail::OverlayEntry;
    using Descriptor = process::Descriptor;

    /// Nobody else uses the layer while it lives.
    struct Alone {
        Alone(process::OverlayLayer& of, const char* step) : layer{of} {
            if (!layer.hold_alone())
                throw Error{EBUSY, std::string{step} + ": it is in use; wait for the workers that have it mounted"};
        }
        Alone(const Alone&) = delete;
        Alone& operator=(const Alone&) = delete;
        ~Alone() { layer.release_alone(); }

        process::OverlayLayer& layer;
    };

    static Kind kind_of(mode_t mode) noexcept {
        switch (mode & S_IFMT) {
            case S_IFREG: return Kind::file;
            case S_IFDIR: return Kind::directory;
            case S_IFLNK: return Kind::symbolic_link;
            case S_IFIFO: return Kind::fifo;
            case S_IFSOCK: return Kind::socket;
            default: return Kind::device;
        }
    }

    static Change change(const Entry& entry, What what) {
        const Kind kind = kind_of(entry.status.st_mode);
        const auto size = kind == Kind::file ? static_cast<std::uint64_t>(entry.status.st_size) : 0;
        return {entry.path, what, kind, size, entry.status.st_mode & 07777};
    }

    static What what(const Entry& entry) noexcept { return entry.has_old ? What::changed : What::added; }

    static bool is_merged(const Entry& entry) noexcept {
        return entry.has_old && S_ISDIR(entry.status.st_mode) && S_ISDIR(entry.old.st_mode);
    }

    /// Whether a merged directory is to get another owner, mode or other attributes.
    static bool differs(const Entry& entry, int upper, int lower) {
        return entry.status.st_mode != entry.old.st_mode || entry.status.st_uid != entry.old.st_uid ||
               entry.status.st_gid != entry.old.st_gid ||
               process::detail::attributes_of(upper) != process::detail::attributes_of(lower);
    }

    static Descriptor open_lower(const Entry& entry) {
        Descriptor lower =
            process::detail::open_beneath(entry.lower, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!lower) throw Error{errno, "open a directory of the lower layer"};
        return lower;
    }

    /// Lists, and looks for what speaks against a commit.
    struct Scanner {
        void remove(const Entry& entry) {
            check_age(entry);
            add(change(entry, What::removed));
        }

        void put(const Entry& entry) {
            check_age(entry);
            if (S_ISREG(entry.status.st_mode)) {
                const std::uint64_t bytes = static_cast<std::uint64_t>(entry.status.st_blocks) * 512;
                if (bytes > bytes_left) throw Error{EFBIG, "look at a file: there is more data than may be"};
                bytes_left -= bytes;
            }
            add(change(entry, what(entry)));
        }

        Descriptor enter(const Entry& entry, int upper) {
            if (is_merged(entry)) return open_lower(entry);
            check_age(entry);
            if (!with_newer && !entry.has_old && process::detail::has_origin(upper))
                throw Error{ESTALE, "look at a directory: it has been removed from the lower directory meanwhile"};
            add(change(entry, what(entry)));
            return {};
        }

        void leave(const Entry& entry, int upper, int lower) {
            if (lower >= 0 && differs(entry, upper, lower)) add(change(entry, What::attributes));
        }

        void check_age(const Entry& entry) const {
            if (with_newer || !entry.has_old) return;
            const timespec& time = entry.old.st_ctim;
            if (time.tv_sec > since.tv_sec || (time.tv_sec == since.tv_sec && time.tv_nsec > since.tv_nsec))
                throw Error{ESTALE, "look at the lower directory: this is newer than the overlay"};
        }

        void add(Change&& one) {
            const std::size_t bytes = one.path.size() + sizeof one;
            if (bytes > path_bytes_left) throw Error{EFBIG, "list changes: their paths are longer than may be"};
            path_bytes_left -= bytes;
            list.push_back(std::move(one));
        }

        timespec since{};
        bool with_newer = false;
        std::uint64_t bytes_left = 0;
        std::size_t path_bytes_left = 0;
        std::vector<Change> list{};
    };

    struct Applier {
        explicit Applier(const CommitOptions& of) : options{of}, bytes_left{of.bounds.most_bytes} {
            bits = options.with_set_id ? 07777 : 01777;
        }

        void remove(const Entry& entry) {
            process::detail::remove_entry(entry.lower, entry.name.c_str());
            done.committed.push_back(change(entry, What::removed));
        }

        void put(const Entry& entry) {
            const Kind kind = kind_of(entry.status.st_mode);
            Change one = change(entry, what(entry));
            if (kind != Kind::file && kind != Kind::symbolic_link && !options.with_special_files) {
                done.refused.push_back(std::move(one));
                return;
            }
            const std::string temporary = process::detail::temporary_name();
            try {
                if (kind == Kind::file)
                    copy(entry, temporary.c_str());
                else if (kind == Kind::symbolic_link)
                    copy_link(entry, temporary.c_str());
                else
                    make_special(entry, temporary.c_str());
                if (entry.has_old && S_ISDIR(entry.old.st_mode))
                    process::detail::remove_entry(entry.lower, entry.name.c_str());
                if (::renameat(entry.lower, temporary.c_str(), entry.lower, entry.name.c_str()) != 0)
                    throw Error{errno, "give what was copied its name"};
            } catch (...) {
                ::unlinkat(entry.lower, temporary.c_str(), 0);
                throw;
            }
            done.committed.push_back(std::move(one));
        }

        Descriptor enter(const Entry& entry, int) {
            if (is_merged(entry)) return open_lower(entry);
            if (entry.has_old) process::detail::remove_entry(entry.lower, entry.name.c_str());
            if (::mkdirat(entry.lower, entry.name.c_str(), 0700) != 0) throw Error{errno, "make a directory"};
            done.committed.push_back(change(entry, what(entry)));
            return open_lower(entry);
        }

        void leave(const Entry& entry, int upper, int lower) {
            const bool is_different = is_merged(entry) && differs(entry, upper, lower);
            process::detail::set_status(lower, entry.status, process::detail::attributes_of(upper), bits);
            if (is_different) done.committed.push_back(change(entry, What::attributes));
        }

        void copy(const Entry& entry, const char* temporary) {
            const Descriptor from = process::detail::open_readable(entry.upper, entry.name.c_str(), 0);
            struct stat info {};
            if (!from || ::fstat(from.get(), &info) != 0) throw Error{errno, "open a file"};
            if (!S_ISREG(info.st_mode)) throw Error{EINVAL, "open a file: it is none any more"};
            info.st_mode = entry.status.st_mode;
            const Descriptor to{process::above_streams(
                ::openat(entry.lower, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600))};
            if (!to) throw Error{errno, "make a file"};
            process::detail::copy_content(from.get(), to.get(), bytes_left);
            process::detail::set_status(to.get(), info, process::detail::attributes_of(from.get()), bits);
        }

        static void copy_link(const Entry& entry, const char* temporary) {
            std::string target(4096, '\0');
            const ssize_t size = ::readlinkat(entry.upper, entry.name.c_str(), target.data(), target.size());
            if (size < 0) throw Error{errno, "read a symbolic link"};
            target.resize(static_cast<std::size_t>(size));
            if (::symlinkat(target.c_str(), entry.lower, temporary) != 0) throw Error{errno, "make a symbolic link"};
            set_owner_and_times(entry, temporary);
        }

        void make_special(const Entry& entry, const char* temporary) const {
            const mode_t mode = (entry.status.st_mode & S_IFMT) | (entry.status.st_mode & bits & 0777);
            if (::mknodat(entry.lower, temporary, mode, entry.status.st_rdev) != 0)
                throw Error{errno, "make a special file"};
            const Descriptor made = process::detail::open_beneath(entry.lower, temporary, O_PATH | O_NOFOLLOW);
            if (!made || process::detail::change_mode(made.get(), mode & 0777) != 0)
                throw Error{errno, "set the mode of a special file"};
            set_owner_and_times(entry, temporary);
        }

        static void set_owner_and_times(const Entry& entry, const char* temporary) {
            if (::fchownat(entry.lower, temporary, entry.status.st_uid, entry.status.st_gid, AT_SYMLINK_NOFOLLOW) !=
                    0 &&
                errno != EPERM)
                throw Error{errno, "set the owner"};
            const timespec times[2] = {entry.status.st_atim, entry.status.st_mtim};
            if (::utimensat(entry.lower, temporary, times, AT_SYMLINK_NOFOLLOW) != 0)
                throw Error{errno, "set the times"};
        }

        const CommitOptions& options;
        std::uint64_t bytes_left;
        mode_t bits = 0;
        Commit done{};
    };

    std::vector<Change> scan(const Bounds& bounds, bool with_newer) const {
        Scanner scanner;
        scanner.since = since_;
        scanner.with_newer = with_newer;
        scanner.bytes_left = bounds.most_bytes;
        scanner.path_bytes_left = bounds.most_path_bytes;
        process::detail::OverlayWalk walk{scanner, bounds.most_depth, bounds.most_entries};
        walk.run(layer_->upper_fd(), layer_->lower_fd());
        return std::move(scanner.list);
    }

    void empty() {
        for (const int directory : {layer_->upper_fd(), layer_->work_fd()}) {
            ::fchmod(directory, 0700);
            if (const int error = process::detail::remove_beneath(directory); error != 0)
                throw Error{error, "empty an overlay's layer, " + scratch()};
        }
        struct stat info {};
        if (::fstat(layer_->lower_fd(), &info) != 0) throw Error{errno, "look at " + lower()};
        process::detail::set_status(layer_->upper_fd(), info, process::detail::attributes_of(layer_->lower_fd()),
                                    07777);
    }

    /// What is changed in the lower directory from now on is newer than the layer.
    void note_time() noexcept { ::clock_gettime(CLOCK_REALTIME, &since_); }

    process::OverlayLayerShare layer_;
    timespec since_{};
};

/// An overlay as part of a private root. The layer stays, and can be neither listed nor committed, while a worker has
/// it mounted; to start one meanwhile fails with EBUSY.
inline Mount mount_overlay(const Overlay& overlay, std::string target) {
    using process::OverlayLayer;
    const process::OverlayLayerShare& layer = overlay.layer();
    Mount mount = Mount{Mount::Kind::overlay, OverlayLayer::escaped(layer->lower()), std::move(target)}.writable();
    mount.upper = OverlayLayer::escaped(layer->upper());
    mount.work = OverlayLayer::escaped(layer->work());
    mount.layer = layer;
    return mount;
}

}  // namespace sysguard
