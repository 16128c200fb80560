#pragma once

#include "block.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

namespace sysguard {

/// A path, and what a worker may do to what is there: to the file itself, or to all that is beneath the directory, now
/// or later, whatever path leads to it. Made by `read_only`, `read_write` and `execute`. A symbolic link stands for
/// what it leads to. A relative path begins at the host's working directory when the sandbox is made.
class FileAccess {
public:
    enum Right : std::uint8_t {
        read = 1,             ///< open a file for reading
        list = 2,             ///< open a directory: list what is in it
        write = 4,            ///< write, truncate, create, remove, rename and link files, and all but device nodes
        run = 8,              ///< execute a file
        make_devices = 16,    ///< create, rename and link device nodes
        control_devices = 32  ///< ioctl(2) on devices that the worker opens
    };

    FileAccess() = default;
    FileAccess(std::string path, unsigned rights) : path_{std::move(path)}, rights_{rights} {}

    /// Device nodes (mknod(2)), too: whoever may make them needs CAP_MKNOD besides, and reaches any device of the host.
    FileAccess with_devices() && { return {std::move(path_), rights_ | make_devices}; }
    FileAccess with_devices() const& { return {path_, rights_ | make_devices}; }

    /// ioctl(2) on devices, too: without this it fails with EACCES, but for what is about the descriptor or the file
    /// system (FIOCLEX, FIONBIO, FIGETBSZ and the like, landlock(7)). Terminals are devices.
    FileAccess with_device_control() && { return {std::move(path_), rights_ | control_devices}; }
    FileAccess with_device_control() const& { return {path_, rights_ | control_devices}; }

    const std::string& path() const noexcept { return path_; }
    unsigned rights() const noexcept { return rights_; }

private:
    std::string path_{};
    unsigned rights_ = 0;
};

/// Reading files, listing directories, and executing programs.
inline FileAccess read_only(std::string path) {
    return {std::move(path), FileAccess::read | FileAccess::list | FileAccess::run};
}

/// Reading and listing, and all changes: to write, truncate, create, remove, rename and link files, directories,
/// symbolic links, FIFOs and socket files. No device nodes, and no executing: what a worker has written it cannot
/// execve(2), but code can be mapped from it (mmap(2)), which an interpreter, or the dynamic loader called by its name,
/// does for whoever may execute that.
inline FileAccess read_write(std::string path) {
    return {std::move(path), FileAccess::read | FileAccess::list | FileAccess::write};
}

/// Executing a program, or whatever there is of them in a directory, and reading it, without which the kernel does not
/// execute it. A program with a dynamic loader needs that and its libraries besides.
inline FileAccess execute(std::string path) {
    return {std::move(path), FileAccess::read | FileAccess::run};
}

/// What files a worker may open, execute, create, change or remove by their path (Landlock, Linux 6.2; Linux 6.10 where
/// devices could be reached without `with_device_control`). Everything else fails with EACCES, or, to rename or link
/// from one directory to another, EXDEV. The rights of all that a file is beneath add up.
///
/// Not held by this, so a matter of the policy's, and of file permissions:
/// * Descriptors that the worker is given, whatever they lead to.
/// * What needs no open file: stat, access, readlink, chdir, chroot, chmod, chown, utime and setting times, extended
///   attributes, flock, fcntl, opening with O_PATH, and connecting to, or sending to, a socket file.
/// * What has no path: pipes, sockets, and memory files (memfd_create), which a worker may execute, too.
/// mount, umount and pivot_root fail with EPERM, and processes outside can be neither traced nor written to.
///
/// Thread-safe as long as nobody changes it.
class Files {
public:
    /// Not restricted: what the worker's user may. `Options{.files = {}}` is that, too; for nothing at all: `none()`.
    Files() = default;

    /// These, and nothing else.
    Files(std::initializer_list<FileAccess> allowed)
        : allowed_{allowed.begin(), allowed.size()}, is_restricted_{true} {}

    /// Nothing can be reached by its path.
    static Files none() {
        Files files;
        files.is_restricted_ = true;
        return files;
    }

    /// One more. Of files that were not restricted: this, and nothing else.
    void add(const FileAccess& access) {
        process::Block<FileAccess> more{allowed_.size() + 1};
        for (std::size_t i = 0; i < allowed_.size(); ++i) more[i] = allowed_[i];
        more[allowed_.size()] = access;
        allowed_ = std::move(more);
        is_restricted_ = true;
    }

    bool is_restricted() const noexcept { return is_restricted_; }
    const process::Block<FileAccess>& allowed() const noexcept { return allowed_; }

private:
    process::Block<FileAccess> allowed_{};
    bool is_restricted_ = false;
};

}  // namespace sysguard
