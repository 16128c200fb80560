#pragma once

#include <cstddef>

namespace sysguard::process {

/// A run of objects, each made with `{}`, whose number is known when it is made. It does not cost the compiler what a
/// std::vector<T> does for each T.
template <class T>
class Block {
public:
    Block() noexcept = default;
    explicit Block(std::size_t size) : data_{new T[size]{}}, size_{size} {}
    Block(const T* from, std::size_t size) : Block{size} {
        for (std::size_t i = 0; i < size; ++i) data_[i] = from[i];
    }
    Block(const Block& other) : Block{other.data_, other.size_} {}
    Block(Block&& other) noexcept { swap(other); }
    Block& operator=(Block other) noexcept {
        swap(other);
        return *this;
    }
    ~Block() { delete[] data_; }

    T& operator[](std::size_t at) noexcept { return data_[at]; }
    const T& operator[](std::size_t at) const noexcept { return data_[at]; }
    T* data() noexcept { return data_; }
    const T* data() const noexcept { return data_; }
    const T* begin() const noexcept { return data_; }
    const T* end() const noexcept { return data_ + size_; }
    std::size_t size() const noexcept { return size_; }

private:
    void swap(Block& other) noexcept {  // std::swap costs the compiler more than all the rest
        T* const data = data_;
        const std::size_t size = size_;
        data_ = other.data_;
        size_ = other.size_;
        other.data_ = data;
        other.size_ = size;
    }

    T* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace sysguard::process
