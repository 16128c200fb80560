#pragma once

#include "../memory.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include <net/if.h>
#include <sys/types.h>
#include <unistd.h>

namespace sysguard::supervise::render {

/// What a program's call refers to outside its registers. Whatever it answers is somebody else's word: it is read once,
/// into bounded room, and shown.
class Source {
public:
    virtual ~Source() = default;

    /// Copies up to `size` bytes of the program's memory. Returns how many could be read, from the first on.
    virtual std::size_t read(std::uint64_t address, void* to, std::size_t size) noexcept = 0;

    static constexpr int directory = -100;  ///< AT_FDCWD

    /// What a descriptor of the program leads to, as in /proc/<pid>/fd; of `directory`, its working directory. Returns
    /// how long the text is, without a null byte; 0 where it is not known.
    virtual std::size_t path(int descriptor, char* to, std::size_t size) noexcept {
        (void)descriptor, (void)to, (void)size;
        return 0;
    }

    /// The name of a network interface (if_indextoname(3)), with a null byte; or false.
    virtual bool interface(unsigned index, char (&to)[16]) noexcept {
        (void)index, (void)to;
        return false;
    }
};

/// A thread of the same machine, by process_vm_readv(2) and /proc. Not for one that has ended: its number may be
/// another's.
class ThreadSource final : public Source {
public:
    explicit ThreadSource(pid_t thread) noexcept : thread_{thread} {}

    std::size_t read(std::uint64_t address, void* to, std::size_t size) noexcept override {
        return read_memory(thread_, address, static_cast<char*>(to), size);
    }

    std::size_t path(int descriptor, char* to, std::size_t size) noexcept override {
        char link[48];
        if (descriptor == directory)
            std::snprintf(link, sizeof link, "/proc/%d/cwd", thread_);
        else if (descriptor >= 0)
            std::snprintf(link, sizeof link, "/proc/%d/fd/%d", thread_, descriptor);
        else
            return 0;
        const ssize_t length = ::readlink(link, to, size);
        return length > 0 ? static_cast<std::size_t>(length) : 0;
    }

    bool interface(unsigned index, char (&to)[16]) noexcept override {
        static_assert(sizeof to == IF_NAMESIZE);
        return ::if_indextoname(index, to) != nullptr;
    }

private:
    pid_t thread_;
};

}  // namespace sysguard::supervise::render
