#pragma once

#include "block.hpp"
#include "held_layer.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include <sys/types.h>

namespace sysguard {

/// Something that a private root is made of. `target` is where it is in there, a path from its root; directories above
/// it are made as needed, and a later one may lie in an earlier one where its place is there already.
class Mount {
public:
    enum class Kind : std::uint8_t { bind, tmpfs, procfs, devices, link, directory, overlay };

    Mount() = default;
    Mount(Kind kind, std::string source, std::string target)
        : source_{std::move(source)}, target_{std::move(target)}, kind_{kind} {}

    /// Files in it may be changed, as far as permissions allow. Of `bind_mount` and `procfs`, which
    /// cannot be written to otherwise.
    Mount writable() && { return with(is_writable_, true); }

    /// Nothing in it can be executed, nor mapped as code (MS_NOEXEC, mount(2)).
    Mount without_execution() && { return with(executes_, false); }

    Kind kind() const noexcept { return kind_; }
    const std::string& source() const noexcept { return source_; }
    const std::string& target() const noexcept { return target_; }
    bool is_writable() const noexcept { return is_writable_; }
    bool executes() const noexcept { return executes_; }

    std::uint64_t size = 0;  ///< of a tmpfs: bytes
    mode_t mode = 0755;      ///< of a tmpfs or a directory
    std::string upper{};     ///< of an overlay, as its options have it
    std::string work{};
    process::HeldLayerShare layer{};

private:
    Mount with(bool& what, bool value) {
        what = value;
        return std::move(*this);
    }

    std::string source_{};
    std::string target_{};
    Kind kind_ = Kind::bind;
    bool is_writable_ = false;
    bool executes_ = true;
};

/// A file or a directory of the host's with all that is mounted in it, to be read. Set-id bits and device nodes mean
/// nothing in it. A relative path begins at the host's working directory when the worker starts.
inline Mount bind_mount(std::string source, std::string target) {
    return {Mount::Kind::bind, std::move(source), std::move(target)};
}
inline Mount bind_mount(const std::string& path) {
    return bind_mount(path, path);
}

/// An empty directory in memory, which the worker may fill with up to `size` bytes. They count as the worker's own, and
/// go with it.
inline Mount tmpfs(std::string target, std::uint64_t size, mode_t mode = 0755) {
    Mount mount = Mount{Mount::Kind::tmpfs, {}, std::move(target)}.writable();
    mount.size = size;
    mount.mode = mode;
    return mount;
}

/// The processes of the worker: needs a pid namespace. To be read: /proc/sys has settings of the whole machine, which
/// root may change without any capability.
inline Mount procfs(std::string target = "/proc") {
    return {Mount::Kind::procfs, {}, std::move(target)};
}

/// null, zero, full, random, urandom, and the links fd, stdin, stdout and stderr.
inline Mount devices(std::string target = "/dev") {
    return {Mount::Kind::devices, {}, std::move(target)};
}

/// A symbolic link at `path`, as /lib is one to usr/lib on most systems.
inline Mount symbolic_link(std::string to, std::string path) {
    return {Mount::Kind::link, std::move(to), std::move(path)};
}

/// An empty directory.
inline Mount directory(std::string target, mode_t mode = 0755) {
    Mount mount{Mount::Kind::directory, {}, std::move(target)};
    mount.mode = mode;
    return mount;
}

/// What a worker has instead of the host's files: nothing but what is written here, in this order, in a mount namespace
/// of its own (pivot_root(2), Linux 5.12). The root itself cannot be written to. Without anything, the host's files.
class Root {
public:
    Root() noexcept = default;
    Root(std::initializer_list<Mount> mounts) : mounts_{mounts.begin(), mounts.size()}, is_private_{true} {}

    /// One more, behind the others.
    void add(Mount mount) {
        process::Block<Mount> more{mounts_.size() + 1};
        for (std::size_t i = 0; i < mounts_.size(); ++i) more[i] = std::move(mounts_[i]);
        more[mounts_.size()] = std::move(mount);
        mounts_ = std::move(more);
        is_private_ = true;
    }

    bool is_private() const noexcept { return is_private_; }
    const process::Block<Mount>& mounts() const noexcept { return mounts_; }

private:
    process::Block<Mount> mounts_{};
    bool is_private_ = false;
};

}  // namespace sysguard
