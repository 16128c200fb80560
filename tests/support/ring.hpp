#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace support {

/// An io_uring (io_uring(7)) of one entry, by system calls alone.
class Ring {
public:
    Ring() {
        io_uring_params made{};
        fd_ = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &made));
        if (fd_ < 0) {
            error_ = errno;
            return;
        }
        sizes_[0] = made.sq_off.array + made.sq_entries * sizeof(unsigned);
        sizes_[1] = made.cq_off.cqes + made.cq_entries * sizeof(io_uring_cqe);
        sizes_[2] = made.sq_entries * sizeof(io_uring_sqe);
        const off_t offsets[] = {IORING_OFF_SQ_RING, IORING_OFF_CQ_RING, IORING_OFF_SQES};
        for (int i = 0; i < 3; ++i) {
            maps_[i] = ::mmap(nullptr, sizes_[i], PROT_READ | PROT_WRITE, MAP_SHARED, fd_, offsets[i]);
            if (maps_[i] == MAP_FAILED) error_ = errno;
        }
        made_ = made;
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() {
        for (int i = 0; i < 3; ++i)
            if (maps_[i] != MAP_FAILED) ::munmap(maps_[i], sizes_[i]);
        if (fd_ >= 0) ::close(fd_);
    }

    /// Why there is none; 0 where there is.
    int error() const { return error_; }

    /// Has it open a file to be read. Returns 0 or an errno.
    int open(const std::string& path) const {
        auto& entry = *static_cast<io_uring_sqe*>(maps_[2]);
        std::memset(&entry, 0, sizeof entry);
        entry.opcode = IORING_OP_OPENAT;
        entry.fd = AT_FDCWD;
        entry.addr = reinterpret_cast<std::uint64_t>(path.c_str());
        entry.open_flags = O_RDONLY | O_CLOEXEC;
        *word(0, made_.sq_off.array) = 0;
        __atomic_store_n(word(0, made_.sq_off.tail), 1U, __ATOMIC_RELEASE);
        if (::syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0L) != 1) return errno;
        const auto* const done =
            reinterpret_cast<const io_uring_cqe*>(static_cast<const char*>(maps_[1]) + made_.cq_off.cqes);
        if (done->res < 0) return -done->res;
        ::close(done->res);
        return 0;
    }

private:
    unsigned* word(int map, unsigned offset) const {
        return reinterpret_cast<unsigned*>(static_cast<char*>(maps_[map]) + offset);
    }

    int fd_ = -1;
    int error_ = 0;
    void* maps_[3] = {MAP_FAILED, MAP_FAILED, MAP_FAILED};
    std::size_t sizes_[3] = {};
    io_uring_params made_{};
};

}  // namespace support
