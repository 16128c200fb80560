#pragma once

#include "../abi/error.hpp"
#include "../abi/take.hpp"
#include "descriptor.hpp"
#include "detail/fork_lock.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace sysguard::process {

/// Memory that a forked worker shares with the host: where its function's result comes back, without a system call that
/// the policy would have to allow. The host reads it when the worker is dead, and trusts none of it, not even that it
/// stays as it is.
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
        std::uint32_t go;     ///< futex: the host is ready for the worker
        std::uint64_t size;   ///< of a failed start: which part of a private root
        std::uint64_t proof;  ///< of a failed start: a secret that is gone before the function runs
    };

    /// Room for `size` bytes of result; memory is taken as it is written to. Nobody can make it smaller, not even who
    /// opens it through /proc/<pid>/map_files: the host's next look at it would be a SIGBUS. Throws `Error`: EFBIG
    /// where the host's own RLIMIT_FSIZE is below that size, and what memfd_create(2) fails with where it is filtered.
    explicit ResultArea(std::size_t size) : ResultArea{size, nullptr} {}

    /// The same; where `memory_for_another` is given, it becomes a descriptor of it, by which another process can
    /// `adopt` it.
    ResultArea(std::size_t size, Descriptor* memory_for_another) : size_{sizeof(Header) + size} {
        if (size_ < size) throw Error{ENOMEM, "map memory for a worker's result"};
        const detail::ForkLock lock;
        Descriptor memory = create(size_);
        void* const area = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory.get(), 0);
        if (area == MAP_FAILED) throw Error{errno, "map memory for a worker's result"};
        area_ = static_cast<unsigned char*>(area);
        if (!share_with_forks(false)) {
            const int error = errno;
            ::munmap(area_, size_);
            throw Error{error, "keep a worker's result from other workers"};
        }
        if (memory_for_another != nullptr) *memory_for_another = std::move(memory);
    }

    /// The area behind a descriptor, which another process has made for `size` bytes. Returns 0 or a negative errno.
    static long adopt(int memory, std::size_t size, ResultArea& area) noexcept {
        void* const mapped =
            ::mmap(nullptr, sizeof(Header) + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memory, 0);
        if (mapped == MAP_FAILED) return -errno;
        area.area_ = static_cast<unsigned char*>(mapped);
        area.size_ = sizeof(Header) + size;
        return 0;
    }

    /// None; to `adopt` one.
    ResultArea() noexcept : size_{sizeof(Header)} {}

    ResultArea(ResultArea&& other) noexcept : area_{abi::take(other.area_)}, size_{other.size_} {}
    ResultArea& operator=(ResultArea&&) = delete;
    ~ResultArea() {
        if (area_ != nullptr) ::munmap(area_, size_);
    }

    /// Whether processes that the host forks from now on have the area too: only the worker that it is for is to, and
    /// not those that other threads start meanwhile. Returns false on failure (errno). MADV_DONTFORK, madvise(2).
    bool share_with_forks(bool shared) noexcept {
        return ::madvise(area_, size_, shared ? MADV_DOFORK : MADV_DONTFORK) == 0;
    }

    /// What the header says now, each field read once: whoever still has the memory may write to it.
    Header read_header() const noexcept {
        const auto& shared = *reinterpret_cast<const Header*>(area_);
        Header copy{};
        copy.state = static_cast<State>(
            __atomic_load_n(reinterpret_cast<const std::uint32_t*>(&shared.state), __ATOMIC_ACQUIRE));
        copy.step = __atomic_load_n(&shared.step, __ATOMIC_RELAXED);
        copy.error = __atomic_load_n(&shared.error, __ATOMIC_RELAXED);
        copy.size = __atomic_load_n(&shared.size, __ATOMIC_RELAXED);
        copy.proof = __atomic_load_n(&shared.proof, __ATOMIC_RELAXED);
        return copy;
    }

    /// For the worker, and for the host before the worker starts.
    Header& header() noexcept { return *reinterpret_cast<Header*>(area_); }
    unsigned char* data() noexcept { return area_ + sizeof(Header); }
    std::size_t capacity() const noexcept { return size_ - sizeof(Header); }

private:
    /// Memory of a fixed size. No worker gets the descriptor.
    static Descriptor create(std::size_t size) {
        constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
        constexpr unsigned no_exec_seal = 8;  // MFD_NOEXEC_SEAL, Linux 6.3; a host can demand it (vm.memfd_noexec)
        Descriptor memory{above_streams(::memfd_create("sysguard-result", flags | no_exec_seal))};
        if (!memory && errno == EINVAL) memory.reset(above_streams(::memfd_create("sysguard-result", flags)));
        if (!memory) throw Error{errno, "create memory for a worker's result"};
        rlimit longest{};
        ::getrlimit(RLIMIT_FSIZE, &longest);  // beyond it there would be a SIGXFSZ
        if (longest.rlim_cur < size) throw Error{EFBIG, "size memory for a worker's result"};
        if (::ftruncate(memory.get(), static_cast<off_t>(size)) != 0)
            throw Error{errno, "size memory for a worker's result"};
        if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
            throw Error{errno, "seal memory for a worker's result"};
        return memory;
    }

    unsigned char* area_ = nullptr;
    std::size_t size_;
};

}  // namespace sysguard::process
