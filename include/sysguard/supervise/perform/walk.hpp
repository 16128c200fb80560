#pragma once

#include "../detail/bare_text.hpp"
#include "../detail/procfs.hpp"
#include "job.hpp"
#include "place.hpp"

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

namespace sysguard::supervise::perform {

/// What becomes of a path's last component.
enum class Last : std::uint8_t {
    follow,  ///< symbolic links are followed; what they lead to exists
    keep,    ///< the same, but a last component that is a link stands for itself
    create,  ///< symbolic links are followed; what they lead to may be missing
    given,   ///< it is a name in a directory, not looked at
};

/// From where a path is walked, and for whom. All descriptors are borrowed.
struct Start {
    int root = -1;              ///< the directory that `/` is, and that `..` cannot leave
    int directory = -1;         ///< where a relative path begins, or -EBADF
    Caller caller{};            ///< what /proc/self means, and whose processes' directories are open
    std::uint64_t resolve = 0;  ///< RESOLVE_* of openat2(2)
    bool may_be_empty = false;  ///< an empty path is `directory` itself, whatever that is (AT_EMPTY_PATH)
};

/// Resolves a path in user space as the kernel would for a worker (path_resolution(7)), whoever runs it: one component
/// after the other, no link followed unseen. Bare code. Permission to search is that of the running task.
///
/// Of processes that are not the worker's, procfs shows only what everybody may read; the rest is EACCES.
class Walker {
public:
    SYSGUARD_BARE explicit Walker(const Start& start, Place& place) noexcept : start_{start}, place_{place} {}

    /// Returns 0 or a negative errno. To be called once.
    SYSGUARD_BARE long walk(const char* path, Last last) noexcept {
        long result = begin(path);
        while (result == more) {
            while (*at_ == '/') ++at_;
            if (*at_ == 0) return end_at_root(last);
            end_ = at_;
            while (*end_ != 0 && *end_ != '/') ++end_;
            const char* next = end_;
            while (*next == '/') ++next;
            slash_ = next != end_;
            final_ = *next == 0;
            *end_ = 0;
            const bool is_dots = detail::equal(at_, ".") || detail::equal(at_, "..");
            result = final_ && last == Last::given ? keep_given() : is_dots ? dots() : name(last);
        }
        return result;
    }

private:
    static constexpr long more = 1;
    static constexpr int most_links = 40;         // MAXSYMLINKS in fs/namei.c
    static constexpr long no_symfollow = 0x2000;  // ST_NOSYMFOLLOW, Linux 5.10

    SYSGUARD_BARE bool resolves(std::uint64_t flags) const noexcept { return (start_.resolve & flags) != 0; }

    SYSGUARD_BARE long begin(const char* path) noexcept {
        if (resolves(RESOLVE_CACHED)) return -EAGAIN;
        const bool scoped = resolves(RESOLVE_BENEATH | RESOLVE_IN_ROOT);
        const bool absolute = *path == '/';
        if (*path == 0 && !start_.may_be_empty) return -ENOENT;
        if (absolute && resolves(RESOLVE_BENEATH)) return -EXDEV;
        knows_root_ = scoped || absolute;
        root_ = scoped ? start_.directory : start_.root;
        const int from = absolute ? root_ : start_.directory;
        if (from < 0) return -EBADF;

        std::size_t size = 1;
        while (path[size - 1] != 0) ++size;
        if (size > PATH_MAX) return -ENAMETOOLONG;
        at_ = place_.text + sizeof place_.text - size;
        for (std::size_t i = 0; i < size; ++i) at_[i] = path[i];

        current_.borrow(from);
        if (const long result = detail::identify(root_, root_identity_); result < 0) return result;
        if (const long result = detail::identify(from, identity_); result < 0) return result;
        in_procfs_ = detail::is_procfs(from);
        if (*path != 0) return more;
        return end_at_object();
    }

    /// The object is where the walk is.
    SYSGUARD_BARE long end_at_object() noexcept {
        if (slash_ && !identity_.is(S_IFDIR)) return -ENOTDIR;
        place_.object.take(current_);
        place_.identity = identity_;
        if (identity_.is(S_IFLNK)) place_.link = in_procfs_ ? Link::magic : Link::plain;
        return 0;
    }

    SYSGUARD_BARE long end_at_root(Last last) noexcept {
        if (last != Last::given) return end_at_object();
        place_.directory.take(current_);
        place_.name = ".";
        place_.is_root = true;
        return 0;
    }

    /// The last component is a name in the directory where the walk is.
    SYSGUARD_BARE long keep_name() noexcept {
        if (in_procfs_ && !detail::may_reach(detail::classify(current_.get(), start_.caller), at_)) return -EACCES;
        place_.directory.take(current_);
        place_.name = at_;
        place_.has_slash = slash_;
        return 0;
    }

    /// The kernel asks for permission to search before it leaves the last component to the call.
    SYSGUARD_BARE long keep_given() noexcept {
        const long fd = raw_call(SYS_openat, current_.get(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return fd;
        current_.own(fd);
        return keep_name();
    }

    SYSGUARD_BARE void enter(detail::Handle& next, const detail::Identity& identity) noexcept {
        current_.take(next);
        if (!identity.same_device(identity_)) in_procfs_ = detail::is_procfs(current_.get());
        identity_ = identity;
    }

    /// Goes on behind the component.
    SYSGUARD_BARE long go_on() noexcept {
        if (final_) return end_at_object();
        *end_ = '/';
        at_ = end_;
        return more;
    }

    SYSGUARD_BARE long dots() noexcept {
        const bool up = at_[1] == '.';
        const bool stays = !up || identity_.same(root_identity_);
        if (up && stays && resolves(RESOLVE_BENEATH)) return -EXDEV;
        knows_root_ = knows_root_ || up;
        const char* const step = stays ? "." : "..";
        const long fd = raw_call(SYS_openat, current_.get(), step, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return fd;
        detail::Handle next;
        next.own(fd);
        detail::Identity identity;
        if (const long result = detail::identify(next.get(), identity); result < 0) return result;
        if (resolves(RESOLVE_NO_XDEV) && !identity.same_mount(identity_)) return -EXDEV;
        enter(next, identity);
        return go_on();
    }

    SYSGUARD_BARE long name(Last last) noexcept {
        const auto where = in_procfs_ ? detail::classify(current_.get(), start_.caller) : detail::ProcDirectory::shared;
        if (!detail::may_reach(where, at_)) return -EACCES;
        if (final_ && slash_ && last == Last::create) return keep_name();
        const long fd = raw_call(SYS_openat, current_.get(), at_, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd == -ENOENT && final_ && last == Last::create) return keep_name();
        if (fd < 0) return fd;
        detail::Handle found;
        found.own(fd);
        detail::Identity identity;
        if (const long result = detail::identify(found.get(), identity); result < 0) return result;
        if (resolves(RESOLVE_NO_XDEV) && !identity.same_mount(identity_)) return -EXDEV;

        const bool is_link = identity.is(S_IFLNK);
        if (is_link && (!final_ || slash_ || last != Last::keep)) return follow(found, identity, where);
        if (!final_) {
            enter(found, identity);
            return go_on();
        }
        if (slash_ && !identity.is(S_IFDIR)) return -ENOTDIR;
        if (is_link) place_.link = kind(where);
        place_.object.take(found);
        place_.identity = identity;
        return keep_name();
    }

    SYSGUARD_BARE Link kind(detail::ProcDirectory where) const noexcept {
        if (!in_procfs_ || where == detail::ProcDirectory::shared) return Link::plain;
        if (where != detail::ProcDirectory::root) return Link::magic;
        if (detail::equal(at_, "self")) return Link::self;
        return detail::equal(at_, "thread-self") ? Link::thread_self : Link::plain;
    }

    SYSGUARD_BARE long follow(detail::Handle& found, const detail::Identity& identity,
                              detail::ProcDirectory where) noexcept {
        if (++links_ > most_links) return -ELOOP;
        if (final_ && is_trap(identity)) return -EACCES;
        struct statfs file_system;
        if (resolves(RESOLVE_NO_SYMLINKS)) return -ELOOP;
        if (raw_call(SYS_fstatfs, found.get(), &file_system) == 0 && (file_system.f_flags & no_symfollow) != 0)
            return -ELOOP;

        const Link link = kind(where);
        if (link == Link::magic) return jump();
        char text[PATH_MAX];
        const long length = link == Link::plain
                                ? raw_call(SYS_readlinkat, found.get(), "", text, sizeof text)
                                : detail::self_text(current_.get(), start_.caller, link == Link::thread_self, text);
        if (length <= 0) return length < 0 ? length : -ENOENT;
        if (slash_) *end_ = '/';
        if (end_ - place_.text < length) return -ENAMETOOLONG;
        at_ = end_;
        for (long i = length; i > 0; --i) *--at_ = text[i - 1];
        if (*at_ != '/') return more;

        if (resolves(RESOLVE_BENEATH)) return -EXDEV;
        if (resolves(RESOLVE_NO_XDEV) && (!knows_root_ || !root_identity_.same_mount(identity_))) return -EXDEV;
        knows_root_ = true;
        detail::Handle root;
        root.borrow(root_);
        enter(root, root_identity_);
        return more;
    }

    /// A magic link leads to an object, not to a path: the kernel follows it.
    SYSGUARD_BARE long jump() noexcept {
        const long fd = raw_call(SYS_openat, current_.get(), at_, O_PATH | O_CLOEXEC);
        if (fd < 0) return fd;
        detail::Handle next;
        next.own(fd);
        if (resolves(RESOLVE_NO_MAGICLINKS)) return -ELOOP;
        detail::Identity identity;
        if (const long result = detail::identify(next.get(), identity); result < 0) return result;
        if (resolves(RESOLVE_NO_XDEV) && !identity.same_mount(identity_)) return -EXDEV;
        if (resolves(RESOLVE_BENEATH | RESOLVE_IN_ROOT)) return -EXDEV;
        enter(next, identity);
        place_.jumped = final_;
        return go_on();
    }

    /// The kernel's rule for links in directories such as /tmp (fs.protected_symlinks, may_follow_link in fs/namei.c).
    SYSGUARD_BARE bool is_trap(const detail::Identity& link) const noexcept {
        constexpr unsigned shared = S_ISVTX | S_IWOTH;
        if ((identity_.mode & shared) != shared || link.owner == identity_.owner) return false;
        if (link.owner == static_cast<unsigned>(raw_call(SYS_setfsuid, -1))) return false;
        char value[4];
        return detail::read_text(AT_FDCWD, "/proc/sys/fs/protected_symlinks", value, sizeof value) < 0 ||
               value[0] != '0';
    }

    const Start& start_;
    Place& place_;
    detail::Handle current_;
    detail::Identity identity_;  // of current_
    detail::Identity root_identity_;
    int root_ = -1;
    char* at_ = nullptr;   // the component
    char* end_ = nullptr;  // behind it
    bool slash_ = false;
    bool final_ = false;
    bool in_procfs_ = false;
    bool knows_root_ = false;  // until the kernel has looked for the root, no mount is that of the root
    int links_ = 0;
};

/// Resolves a path. Returns 0 or a negative errno. Usable in any process; in the host's own, to decide on a path.
SYSGUARD_BARE inline long walk(const Start& start, const char* path, Last last, Place& place) noexcept {
    return Walker{start, place}.walk(path, last);
}

}  // namespace sysguard::supervise::perform
