#pragma once

#include "../abi/error.hpp"
#include "descriptor.hpp"
#include "detail/remove_tree.hpp"
#include "held_layer.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace sysguard::process {

/// The directories of an overlay (Documentation/filesystems/overlayfs.rst in the kernel's sources): `lower`, which
/// workers see and do not change, and `upper`, which takes what they write. `upper` and `work`, which is the kernel's
/// own, lie in a scratch directory that is made here and removed with this. Immutable but for the count of its users,
/// thread-safe.
class OverlayLayer final : public HeldLayer {
public:
    /// Makes the scratch directory in `where`. Throws `Error`: what keeps the directories from being an overlay's.
    OverlayLayer(const std::string& lower, const std::string& where, bool is_kept) : is_kept_{is_kept} {
        lower_directory_ = open_directory(AT_FDCWD, lower, "open the lower directory of an overlay, " + lower);
        lower_ = path_of(lower_directory_);
        const Descriptor place = open_directory(AT_FDCWD, where, "open the directory for overlays, " + where);
        scratch_ = path_of(place) + "/sysguard_overlay_XXXXXX";
        if (scratch_.compare(0, lower_.size() + 1, lower_ + "/") == 0 || lower_ == "/")
            throw Error{EINVAL, "make an overlay of " + lower_ + ": its own directory would lie in it, in " + where +
                                    "; have it elsewhere (Overlay::Options::where)"};
        struct stat info {};
        if (::fstat(lower_directory_.get(), &info) != 0) throw Error{errno, "look at " + lower_};
        if (::mkdtemp(scratch_.data()) == nullptr) throw Error{errno, "make a directory for an overlay in " + where};
        try {
            scratch_directory_ = open_directory(AT_FDCWD, scratch_, "open an overlay's own directory");
            upper_directory_ = make("upper");
            work_directory_ = make("work");
            check_attributes(where);
            // What workers see of the topmost directory is the upper one's.
            if (::fchown(upper_directory_.get(), info.st_uid, info.st_gid) != 0 && errno != EPERM)
                throw Error{errno, "give an overlay's upper directory the owner of the lower one"};
            if (::fchmod(upper_directory_.get(), info.st_mode & 07777) != 0)
                throw Error{errno, "give an overlay's upper directory the mode of the lower one"};
        } catch (...) {
            remove();
            throw;
        }
    }
    ~OverlayLayer() override {
        if (!is_kept_) remove();
    }

    /// Absolute, and without symbolic links when they were looked at: other processes may change what they lead to. The
    /// descriptors lead to the same directories whatever happens; they are close-on-exec, and open as long as this.
    const std::string& lower() const noexcept { return lower_; }
    std::string upper() const { return scratch_ + "/upper"; }
    std::string work() const { return scratch_ + "/work"; }
    const std::string& scratch() const noexcept { return scratch_; }
    int lower_fd() const noexcept { return lower_directory_.get(); }
    int upper_fd() const noexcept { return upper_directory_.get(); }
    int work_fd() const noexcept { return work_directory_.get(); }
    int scratch_fd() const noexcept { return scratch_directory_.get(); }

    /// What to mount with besides the directories, so that the upper one alone holds all changes, and holds them in a
    /// form that a user namespace may write (`userxattr`, Linux 5.11): mount(2), the argument `data`.
    static constexpr const char* mount_options = "userxattr,redirect_dir=nofollow,metacopy=off,index=off,xino=off";

    /// The same with the directories, their paths escaped as the kernel wants it.
    std::string mount_data() const {
        return "lowerdir=" + escaped(lower_) + ",upperdir=" + escaped(upper()) + ",workdir=" + escaped(work()) + "," +
               mount_options;
    }

    /// Returns false while the layer is being looked at, committed or discarded.
    bool hold() noexcept override {
        int users = __atomic_load_n(&users_, __ATOMIC_SEQ_CST);
        while (users >= 0)
            if (__atomic_compare_exchange_n(&users_, &users, users + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                return true;
        return false;
    }
    void release() noexcept override { __atomic_fetch_sub(&users_, 1, __ATOMIC_SEQ_CST); }

    /// For nobody else at all. Returns false while somebody holds it.
    bool hold_alone() noexcept {
        int nobody = 0;
        return __atomic_compare_exchange_n(&users_, &nobody, -1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    void release_alone() noexcept { __atomic_store_n(&users_, 0, __ATOMIC_SEQ_CST); }

    /// A path as the kernel takes it in an overlay's options.
    static std::string escaped(const std::string& path) {
        std::string text;
        for (const char c : path) {
            if (c == '\\' || c == ',' || c == ':') text += '\\';
            text += c;
        }
        return text;
    }

private:
    static Descriptor open_directory(int at, const std::string& path, const std::string& step) {
        if (path.find('\0') != std::string::npos)
            throw Error{EINVAL, step + ": a path with a zero byte in it would be cut"};
        Descriptor directory{above_streams(::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))};
        if (!directory) throw Error{errno, step};
        return directory;
    }

    static std::string path_of(const Descriptor& directory) {
        std::string path(4096, '\0');
        const std::string link = "/proc/self/fd/" + std::to_string(directory.get());
        const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
        if (size <= 0 || static_cast<std::size_t>(size) == path.size())
            throw Error{size < 0 ? errno : ENAMETOOLONG, "find the path of an overlay's directory in /proc"};
        path.resize(static_cast<std::size_t>(size));
        return path;
    }

    Descriptor make(const char* name) {
        if (::mkdirat(scratch_directory_.get(), name, 0700) != 0)
            throw Error{errno, "make an overlay's directories in " + scratch_};
        return open_directory(scratch_directory_.get(), name, "open an overlay's own directory");
    }

    /// The kernel marks directories with them; where it cannot, it mounts the overlay, and loses removals.
    void check_attributes(const std::string& where) const {
        constexpr const char* name = "user.overlay.probe";
        if (::fsetxattr(upper_directory_.get(), name, "y", 1, 0) != 0 ||
            ::fremovexattr(upper_directory_.get(), name) != 0)
            throw Error{errno,
                        "keep an overlay in " + where +
                            ": the file system there has no extended attributes of users (a tmpfs has them since "
                            "Linux 6.6); have it elsewhere (Overlay::Options::where)"};
    }

    void remove() noexcept {
        detail::remove_beneath(scratch_directory_.get());
        ::rmdir(scratch_.c_str());
    }

    std::string lower_;
    std::string scratch_;
    Descriptor lower_directory_;
    Descriptor scratch_directory_;
    Descriptor upper_directory_;
    Descriptor work_directory_;
    bool is_kept_;
    int users_ = 0;  ///< -1: one, alone
};

/// One share of an overlay's layer.
class OverlayLayerShare : public HeldLayerShare {
public:
    using HeldLayerShare::HeldLayerShare;

    OverlayLayer* operator->() const noexcept { return static_cast<OverlayLayer*>(get()); }
    OverlayLayer& operator*() const noexcept { return *operator->(); }
};

}  // namespace sysguard::process
