#pragma once

#include "../abi/error.hpp"
#include "detail/plan.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <sys/mman.h>

namespace sysguard::process {

/// Memory that a forked worker shares with the host: where its function's result comes back, without a system call that
/// the policy would have to allow. The host reads it when all of the worker is dead, and trusts none of it.
class ResultArea {
public:
    /// What a worker says of its function.
    enum class State : std::uint32_t {
        silent = 0,  ///< nothing: it ended before the function did
        failed_to_start = 0x51a47f1,
        running = 0x41a47f2,
        returned = 0x31a47f3,
        threw = 0x21a47f4,
        out_of_memory = 0x11a47f5,  ///< threw std::bad_alloc
        too_large = 0x61a47f6,      ///< the result does not fit
    };

    struct Header {
        State state;
        std::uint32_t step;
        std::uint32_t error;
        std::uint32_t go;  ///< futex: the host is ready for the worker
        std::uint64_t size;
    };

    /// Room for `size` bytes of result; memory is taken as it is written to. Throws `Error`.
    explicit ResultArea(std::size_t size) : size_{sizeof(Header) + size} {
        if (size_ < size) throw Error{ENOMEM, "map memory for a worker's result"};
        void* const area =
            ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (area == MAP_FAILED) throw Error{errno, "map memory for a worker's result"};
        area_ = static_cast<unsigned char*>(area);
    }
    ResultArea(ResultArea&& other) noexcept : area_{std::exchange(other.area_, nullptr)}, size_{other.size_} {}
    ResultArea& operator=(ResultArea&&) = delete;
    ~ResultArea() {
        if (area_ != nullptr) ::munmap(area_, size_);
    }

    Header& header() noexcept { return *reinterpret_cast<Header*>(area_); }
    unsigned char* data() noexcept { return area_ + sizeof(Header); }
    std::size_t capacity() const noexcept { return size_ - sizeof(Header); }

private:
    unsigned char* area_ = nullptr;
    std::size_t size_;
};

}  // namespace sysguard::process
