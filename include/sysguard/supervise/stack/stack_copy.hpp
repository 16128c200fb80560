#pragma once

#include "present_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sysguard::supervise {

/// The bytes of a stack, somebody else's, with gaps. Borrows them.
class StackView {
public:
    StackView() noexcept = default;
    StackView(std::uint64_t low, const std::vector<unsigned char>& bytes,
              const std::vector<unsigned char>& is_there) noexcept
        : low_{low}, size_{bytes.size()}, bytes_{bytes.data()}, is_there_{is_there.data()} {
        if (!is_there.empty()) page_ = bytes.size() / is_there.size();
    }

    std::uint64_t low() const noexcept { return low_; }
    std::uint64_t high() const noexcept { return low_ + size_; }

    /// Whether `size` bytes from `address` on could be had.
    bool read(std::uint64_t address, void* to, std::size_t size) const noexcept {
        if (size == 0 || size > size_ || address < low_ || address - low_ > size_ - size || page_ == 0) return false;
        const std::size_t at = static_cast<std::size_t>(address - low_);
        for (std::size_t page = at / page_; page <= (at + size - 1) / page_; ++page)
            if (is_there_[page] == 0) return false;
        __builtin_memcpy(to, bytes_ + at, size);
        return true;
    }

    /// Reads a word of 4 or 8 bytes.
    bool word(std::uint64_t address, unsigned size, std::uint64_t& to) const noexcept {
        to = 0;
        return (size == 4 || size == 8) && read(address, &to, size);  // little-endian
    }

private:
    std::uint64_t low_ = 0;
    std::size_t size_ = 0;
    std::size_t page_ = 0;
    const unsigned char* bytes_ = nullptr;
    const unsigned char* is_there_ = nullptr;
};

/// A copy of what lies above a stack pointer.
struct StackCopy {
    std::uint64_t low = 0;                  ///< at a page's beginning
    std::vector<unsigned char> bytes{};     ///< whole pages
    std::vector<unsigned char> is_there{};  ///< of each page whether it could be had

    StackView view() const noexcept { return {low, bytes, is_there}; }

    /// Copies from the page of `stack_pointer` up to `high`, where the mapping ends, but at most `most` bytes. Throws
    /// std::bad_alloc.
    static StackCopy take(pid_t thread, const PresentMemory& memory, std::uint64_t stack_pointer, std::uint64_t high,
                          std::size_t most) {
        StackCopy copy;
        const std::uint64_t page = memory.page_size();
        copy.low = stack_pointer - stack_pointer % page;
        if (high <= copy.low) return copy;
        const std::uint64_t room = high - copy.low < most ? high - copy.low : most;
        const std::size_t pages = static_cast<std::size_t>((room + page - 1) / page);
        copy.is_there.resize(pages);
        copy.bytes.resize(pages * page);
        memory.look(copy.low, pages, copy.is_there.data());
        for (std::size_t i = 0; i < pages;) {
            std::size_t end = i;
            while (end < pages && copy.is_there[end] != 0) ++end;
            const std::size_t wanted = (end - i) * page;
            const std::size_t got = wanted == 0
                                        ? 0
                                        : read_memory(thread, copy.low + i * page,
                                                      reinterpret_cast<char*>(copy.bytes.data()) + i * page, wanted);
            for (std::size_t at = i + got / page; at < end; ++at) copy.is_there[at] = 0;
            i = end + 1;
        }
        return copy;
    }
};

}  // namespace sysguard::supervise
