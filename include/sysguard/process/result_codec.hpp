#pragma once

#include "result_area.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sysguard::process {

namespace detail {

template <class T>
concept Reference = std::is_reference_v<T>;

template <class T>
inline constexpr bool is_string = std::is_same_v<T, std::string>;

template <class T>
struct VectorOf {
    using Element = void;
};
template <class T>
struct VectorOf<std::vector<T>> {
    using Element = T;
};

/// Views and the like: trivially copyable, and made of pointers.
template <class T>
concept Referring = requires(const T& t) {
    t.data();
    requires !std::is_aggregate_v<T>;
}
|| requires(const T& t) {
    { t.get() } -> Reference;
}
|| requires {
    requires std::is_pointer_v<typename T::value_type>;
};

/// What can be copied byte by byte and means the same in another process. A pointer does not.
template <class T>
inline constexpr bool is_plain = !Referring<T> && std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
                                 !std::is_member_pointer_v<T> && !std::is_reference_v<T> && !std::is_null_pointer_v<T>;

template <class T>
T plain_from(const unsigned char* bytes) noexcept {
    alignas(T) unsigned char copy[sizeof(T)];
    std::memcpy(copy, bytes, sizeof copy);
    return *reinterpret_cast<const T*>(copy);
}

}  // namespace detail

/// What a function in a worker may return: a trivially copyable type that holds no pointers, a string, or a vector of
/// either. Pointers, references and views are refused; the members of a struct of yours cannot be looked at. The host
/// checks the size of what comes back and that a bool is one; beyond that, a value that untrusted code returned is as
/// trustworthy as the code.
template <class T>
concept Returnable = std::is_void_v<T> || detail::is_plain<T> || detail::is_string<T> ||
    detail::is_string<typename detail::VectorOf<T>::Element> ||
    (detail::is_plain<typename detail::VectorOf<T>::Element> &&
     !std::is_same_v<typename detail::VectorOf<T>::Element, bool>);

/// Writes a result in the worker. Returns false where it does not fit.
class ResultWriter {
public:
    explicit ResultWriter(ResultArea& area) noexcept : area_{area} {}

    template <class T>
    bool write(const T& value) noexcept {
        if constexpr (detail::is_string<T>) {
            return bytes(value.data(), value.size());
        } else if constexpr (detail::is_string<typename detail::VectorOf<T>::Element>) {
            for (const std::string& element : value) {
                const std::uint64_t size = element.size();
                if (!bytes(&size, sizeof size) || !bytes(element.data(), element.size())) return false;
            }
            return true;
        } else if constexpr (!std::is_void_v<typename detail::VectorOf<T>::Element>) {
            return bytes(value.data(), value.size() * sizeof(typename T::value_type));
        } else {
            return bytes(&value, sizeof value);
        }
    }

    bool bytes(const void* data, std::size_t size) noexcept {
        std::uint64_t& used = area_.header().size;
        if (size > area_.capacity() - used) return false;
        if (size > 0) std::memcpy(area_.data() + used, data, size);
        used += size;
        return true;
    }

private:
    ResultArea& area_;
};

/// Reads a result in the host: each byte once, as they may change meanwhile. Nothing where they are no such value.
template <class T>
std::optional<T> read_result(const unsigned char* bytes, std::size_t size) {
    using Element = typename detail::VectorOf<T>::Element;
    if constexpr (detail::is_string<T>) {
        return std::string{reinterpret_cast<const char*>(bytes), size};
    } else if constexpr (detail::is_string<Element>) {
        std::vector<std::string> strings;
        std::size_t at = 0;
        while (at < size) {
            if (size - at < sizeof(std::uint64_t)) return std::nullopt;
            const auto length = detail::plain_from<std::uint64_t>(bytes + at);
            at += sizeof length;
            if (length > size - at) return std::nullopt;
            strings.emplace_back(reinterpret_cast<const char*>(bytes + at), length);
            at += length;
        }
        return strings;
    } else if constexpr (!std::is_void_v<Element>) {
        if (size % sizeof(Element) != 0) return std::nullopt;
        std::vector<Element> elements;
        elements.reserve(size / sizeof(Element));
        for (std::size_t at = 0; at < size; at += sizeof(Element))
            elements.push_back(detail::plain_from<Element>(bytes + at));
        return elements;
    } else if constexpr (std::is_same_v<T, bool>) {
        const auto byte = size == 1 ? detail::plain_from<unsigned char>(bytes) : 2;
        return byte < 2 ? std::optional{byte == 1} : std::nullopt;
    } else {
        if (size != sizeof(T)) return std::nullopt;
        return detail::plain_from<T>(bytes);
    }
}

}  // namespace sysguard::process
