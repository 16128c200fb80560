#pragma once

#include "../abi/error.hpp"
#include "descriptor.hpp"

#include <cerrno>
#include <cstddef>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sysguard::process {

/// Memory of a fixed size that processes share by its descriptor: nobody can make it smaller, so that no access is a
/// SIGBUS. What others can write to is theirs to change at any time: read it once. Workers that the host
/// forks do not inherit the mapping.
/// Movable, not copyable.
class SharedMemory {
public:
    /// Makes some, which is zero and taken as it is written to. Throws `Error`.
    explicit SharedMemory(std::size_t size) : size_{size} {
        descriptor_.reset(above_streams(::memfd_create("sysguard-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
        if (!descriptor_) throw Error{errno, "create shared memory"};
        if (size == 0 || ::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0)
            throw Error{size == 0 ? EINVAL : errno, "size shared memory"};
        if (::fcntl(descriptor_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
            throw Error{errno, "seal shared memory"};
        map("map shared memory");
        keep_from_forks();
    }

    /// In the host: what a worker sent. Throws `Error`: EPERM where somebody could make it smaller than `size` bytes.
    static SharedMemory from_worker(Descriptor descriptor, std::size_t size) {
        const int seals = ::fcntl(descriptor.get(), F_GET_SEALS);
        struct stat status {};
        const bool is_fixed = seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && ::fstat(descriptor.get(), &status) == 0 &&
                              status.st_size >= 0 && static_cast<std::size_t>(status.st_size) >= size;
        if (!is_fixed || size == 0) throw Error{EPERM, "take shared memory: it is none of a fixed size"};
        SharedMemory memory{std::move(descriptor), size};
        memory.keep_from_forks();
        return memory;
    }

    /// In a worker: what the host sent. Needs mmap alone of its policy. Throws `Error`.
    static SharedMemory from_host(Descriptor descriptor, std::size_t size) {
        return SharedMemory{std::move(descriptor), size};
    }

    SharedMemory(SharedMemory&& other) noexcept
        : descriptor_{std::move(other.descriptor_)},
          data_{std::exchange(other.data_, nullptr)},
          size_{std::exchange(other.size_, 0U)} {}
    SharedMemory& operator=(SharedMemory&&) = delete;
    ~SharedMemory() {
        if (data_ != nullptr) ::munmap(data_, size_);
    }

    unsigned char* data() const noexcept { return static_cast<unsigned char*>(data_); }
    std::size_t size() const noexcept { return size_; }
    const Descriptor& descriptor() const noexcept { return descriptor_; }

private:
    SharedMemory(Descriptor descriptor, std::size_t size) : descriptor_{std::move(descriptor)}, size_{size} {
        map("map shared memory that was sent");
    }

    void map(const char* what) {
        void* const mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
        if (mapped == MAP_FAILED) throw Error{errno, what};
        data_ = mapped;
    }

    void keep_from_forks() const {
        if (::madvise(data_, size_, MADV_DONTFORK) != 0) throw Error{errno, "keep shared memory from other workers"};
    }

    Descriptor descriptor_{};
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace sysguard::process
