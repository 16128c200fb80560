#pragma once

#include "detail/members.hpp"
#include "result_area.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sysguard::process {

/// To be specialized as true for a trivially copyable class of yours that sysguard cannot look into: that none of its
/// members leads anywhere, and that any bytes make one. What a worker returns as one is taken byte by byte, unchecked.
template <class T>
inline constexpr bool holds_no_pointers = false;

template <class Number, class Period>
inline constexpr bool holds_no_pointers<std::chrono::duration<Number, Period>> =
    std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>;

template <class Clock, class Duration>
inline constexpr bool holds_no_pointers<std::chrono::time_point<Clock, Duration>> = holds_no_pointers<Duration>;

namespace detail {

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

/// What a type is made of.
enum class Form : std::uint8_t { unknown, bytes, boolean, list, tuple, optional, variant, members };

/// The standard's templates.
template <class T>
struct Made {
    static constexpr Form form = Form::unknown;
};
template <class T, std::size_t size>
struct Made<std::array<T, size>> {
    static constexpr Form form = Form::list;
    using Parts = Types<T>;
};
template <class A, class B>
struct Made<std::pair<A, B>> {
    static constexpr Form form = Form::tuple;
    using Parts = Types<A, B>;
};
template <class... T>
struct Made<std::tuple<T...>> {
    static constexpr Form form = Form::tuple;
    using Parts = Types<T...>;
};
template <class T>
struct Made<std::optional<T>> {
    static constexpr Form form = Form::optional;
    using Parts = Types<T>;
};
/// std::variant, by what it can do: whoever has one has included its header, and this one need not.
template <class T>
concept VariantLike = requires(const T& variant) {
    variant.index();
    variant.valueless_by_exception();
};
template <template <class...> class Variant, class... T>
    requires VariantLike<Variant<T...>>
struct Made<Variant<T...>> {
    static constexpr Form form = sizeof...(T) < 256 ? Form::variant : Form::unknown;  // a byte says which
    using Parts = Types<T...>;
};

template <class T>
concept WithTupleSize = requires {
    std::tuple_size<T>::value;
};

template <class T>
consteval Form form_of() {
    if constexpr (holds_no_pointers<T>) {
        return std::is_trivially_copyable_v<T> ? Form::bytes : Form::unknown;
    } else if constexpr (std::is_enum_v<T>) {
        return std::is_same_v<std::underlying_type_t<T>, bool> ? Form::boolean : Form::bytes;
    } else if constexpr (std::is_arithmetic_v<T>) {
        return std::is_same_v<T, bool> ? Form::boolean : Form::bytes;
    } else if constexpr (std::is_bounded_array_v<T>) {
        return Form::list;
    } else if constexpr (!std::is_class_v<T> || !std::is_trivially_copy_constructible_v<T> ||
                         !std::is_trivially_destructible_v<T>) {
        return Form::unknown;
    } else if constexpr (Made<T>::form != Form::unknown) {
        return Made<T>::form;
    } else if constexpr (std::is_aggregate_v<T> && !WithTupleSize<T>) {
        return member_count<T>() < 0 ? Form::unknown : Form::members;
    } else {
        return Form::unknown;
    }
}

struct TypesOf {
    template <class... T>
    constexpr Types<std::remove_cv_t<T>...> operator()(T&...) const noexcept {
        return {};
    }
};

template <class T>
struct AllPlain;

/// What means the same in another process: a number, an enum, or what is made of those alone. A pointer does not.
template <class T>
inline constexpr bool is_plain = [] {
    constexpr Form form = form_of<T>();
    if constexpr (form == Form::unknown || form == Form::bytes || form == Form::boolean)
        return form != Form::unknown;
    else if constexpr (form == Form::members)
        return AllPlain<decltype(with_members(std::declval<T&>(), TypesOf{}))>::value;
    else if constexpr (std::is_array_v<T>)
        return AllPlain<Types<std::remove_extent_t<T>>>::value;
    else
        return AllPlain<typename Made<T>::Parts>::value;
}();

template <class... T>
struct AllPlain<Types<T...>> : std::bool_constant<(is_plain<std::remove_cv_t<T>> && ...)> {};

/// Room for a T before there is one.
template <class T>
class Place {
public:
    T& operator*() noexcept { return *std::launder(reinterpret_cast<T*>(bytes_)); }

private:
    alignas(T) unsigned char bytes_[sizeof(T)] = {};
};

/// Writes the numbers that a plain value is made of, one behind the other. They take no more than the value's size.
class Packer {
public:
    Packer(unsigned char* to, std::size_t room) noexcept : to_{to}, room_{room} {}

    /// Returns whether there was room.
    template <class T>
    bool put(const T& value) noexcept {
        constexpr Form form = form_of<std::remove_cv_t<T>>();
        if constexpr (form == Form::bytes || form == Form::boolean) {
            if (sizeof value > room_) return false;
            std::memcpy(to_, const_cast<const std::remove_cv_t<T>*>(__builtin_addressof(value)), sizeof value);
            to_ += sizeof value;
            room_ -= sizeof value;
            return true;
        } else if constexpr (form == Form::list) {
            for (const auto& element : value)
                if (!put(element)) return false;
            return true;
        } else if constexpr (form == Form::optional) {
            return put(value.has_value()) && (!value || put(*value));
        } else if constexpr (form == Form::members) {
            return with_members(value, [&](const auto&... members) { return (put(members) && ...); });
        } else {
            return put_parts(value, typename Made<T>::Parts{});
        }
    }

private:
    template <class T, class... Parts>
    bool put_parts(const T& value, Types<Parts...>) noexcept {
        return [&]<std::size_t... at>(std::index_sequence<at...>) {
            if constexpr (Made<T>::form == Form::tuple)
                return (put(get<at>(value)) && ...);
            else
                return put(static_cast<unsigned char>(value.index())) &&
                       ((value.index() != at || put(*get_if<at>(&value))) && ...);
        }
        (std::index_sequence_for<Parts...>{});
    }

    unsigned char* to_;
    std::size_t room_;
};

/// Makes a plain value of what a Packer in a worker wrote, or says that it did: each byte is read once.
class Unpacker {
public:
    Unpacker(const unsigned char* from, std::size_t size) noexcept : from_{from}, size_{size} {}

    /// Puts a T where there is none yet. Returns false where the bytes are none.
    template <class T>
    bool take(T& place) noexcept {
        constexpr Form form = form_of<std::remove_cv_t<T>>();
        if constexpr (form == Form::bytes) {
            return bytes(const_cast<std::remove_cv_t<T>*>(__builtin_addressof(place)), sizeof place);
        } else if constexpr (form == Form::boolean) {
            unsigned char byte = 0;
            if (!bytes(&byte, 1) || byte > 1) return false;
            std::memcpy(const_cast<std::remove_cv_t<T>*>(__builtin_addressof(place)), &byte, 1);
            return true;
        } else if constexpr (form == Form::list) {
            for (auto& element : place)
                if (!take(element)) return false;
            return true;
        } else if constexpr (form == Form::members) {
            return with_members(place, [&](auto&... members) { return (take(members) && ...); });
        } else {
            return take_parts(const_cast<std::remove_cv_t<T>&>(place), typename Made<std::remove_cv_t<T>>::Parts{});
        }
    }

private:
    template <class T, class... Parts>
    bool take_parts(T& place, Types<Parts...>) noexcept {
        if constexpr (Made<T>::form == Form::tuple) {
            return [&]<std::size_t... at>(std::index_sequence<at...>) {
                return (take(get<at>(place)) && ...);
            }
            (std::index_sequence_for<Parts...>{});
        } else {
            unsigned char which = 0;
            if (!bytes(&which, 1)) return false;
            if constexpr (Made<T>::form == Form::optional) {
                if (which == 0) ::new (static_cast<void*>(&place)) T{};
                return which == 0 || (which == 1 && construct<Parts...>(place, std::in_place));
            } else {
                return [&]<std::size_t... at>(std::index_sequence<at...>) {
                    return ((which == at && construct<Parts>(place, std::in_place_index<at>)) || ...);
                }
                (std::index_sequence_for<Parts...>{});
            }
        }
    }

    template <class Part, class T, class Tag>
    bool construct(T& place, Tag tag) noexcept {
        Place<std::remove_cv_t<Part>> part;
        if (!take(*part)) return false;
        ::new (static_cast<void*>(&place)) T{tag, *part};
        return true;
    }

    bool bytes(void* to, std::size_t size) noexcept {
        if (size > size_) return false;
        std::memcpy(to, from_, size);
        if (size == 1) __atomic_signal_fence(__ATOMIC_ACQUIRE);  // what is looked at is not read again
        from_ += size;
        size_ -= size;
        return true;
    }

    const unsigned char* from_;
    std::size_t size_;
};

/// How a string of a vector begins in a result: its length, in as much room as the string will take in the host besides
/// its characters, so that a result is never larger there than in the worker.
struct StringHead {
    std::uint64_t length = 0;
    unsigned char rest[sizeof(std::string) - sizeof(std::uint64_t)] = {};
};

inline std::uint64_t number_at(const unsigned char* bytes) noexcept {
    std::uint64_t number = 0;
    std::memcpy(&number, bytes, sizeof number);
    __atomic_signal_fence(__ATOMIC_ACQUIRE);  // what is looked at is not read again
    return number;
}

}  // namespace detail

/// What a function in a worker may return: a number, an enum, a duration or time point, an array, pair, tuple, optional
/// or variant of these, an aggregate with only such members, of which there may be 20; a string; or a vector of either.
/// What could hold a pointer is refused: references, views, and all classes that are no aggregates or have base
/// classes, bit-fields or anonymous unions, but for those of which you say that they hold none (`holds_no_pointers`).
/// The host makes a valid value of what comes back, or none: bytes that are no bool, say. Beyond that, a value that
/// untrusted code returned is as trustworthy as the code; an enum's need not be one of its enumerators.
template <class T>
concept Returnable = std::is_void_v<T> || detail::is_plain<T> || detail::is_string<T> ||
    detail::is_string<typename detail::VectorOf<T>::Element> ||
    (detail::is_plain<typename detail::VectorOf<T>::Element> &&
     !std::is_same_v<typename detail::VectorOf<T>::Element, bool>);

/// Writes a value for the other side of shared memory. Returns false where it does not fit.
class ResultWriter {
public:
    /// In the worker: a result.
    explicit ResultWriter(ResultArea& area) noexcept : ResultWriter{area.data(), area.capacity(), area.header().size} {}

    /// `used` counts what is written, and is where nobody else writes.
    ResultWriter(unsigned char* to, std::size_t capacity, std::uint64_t& used) noexcept
        : to_{to}, capacity_{capacity}, used_{used} {}

    template <class T>
    bool write(const T& value) noexcept {
        if constexpr (detail::is_string<T>) {
            return bytes(value.data(), value.size());
        } else if constexpr (detail::is_string<typename detail::VectorOf<T>::Element>) {
            const std::uint64_t count = value.size();
            if (!bytes(&count, sizeof count)) return false;
            for (const std::string& element : value) {
                const detail::StringHead head{.length = element.size()};
                if (!bytes(&head, sizeof head) || !bytes(element.data(), element.size())) return false;
            }
            return true;
        } else if constexpr (!std::is_void_v<typename detail::VectorOf<T>::Element>) {
            for (const auto& element : value)
                if (!plain(element)) return false;
            return true;
        } else {
            return plain(value);
        }
    }

    bool bytes(const void* data, std::size_t size) noexcept {
        if (size > capacity_ - used_) return false;
        if (size > 0) std::memcpy(to_ + used_, data, size);
        used_ += size;
        return true;
    }

private:
    /// Takes the value's size, as in the host.
    template <class T>
    bool plain(const T& value) noexcept {
        if (sizeof value > capacity_ - used_) return false;
        if (!detail::Packer{to_ + used_, sizeof value}.put(value)) return false;
        used_ += sizeof value;
        return true;
    }

    unsigned char* to_;
    std::size_t capacity_;
    std::uint64_t& used_;
};

/// Reads a result in the host: each byte once, as they may change meanwhile. Nothing where they are no such value. What
/// it takes of the host's memory is what `size` says, and what an allocator adds.
template <class T>
std::optional<T> read_result(const unsigned char* bytes, std::size_t size) {
    using Element = typename detail::VectorOf<T>::Element;
    if constexpr (detail::is_string<T>) {
        return std::string{reinterpret_cast<const char*>(bytes), size};
    } else if constexpr (detail::is_string<Element>) {
        constexpr std::size_t head = sizeof(detail::StringHead);
        if (size < sizeof(std::uint64_t)) return std::nullopt;
        const std::uint64_t count = detail::number_at(bytes);
        std::size_t at = sizeof count;
        if (count > (size - at) / head) return std::nullopt;
        std::vector<std::string> strings;
        strings.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            if (size - at < head) return std::nullopt;
            const std::uint64_t length = detail::number_at(bytes + at);
            at += head;
            if (length > size - at) return std::nullopt;
            strings.emplace_back(reinterpret_cast<const char*>(bytes + at), length);
            at += length;
        }
        return at == size ? std::optional{std::move(strings)} : std::nullopt;
    } else if constexpr (!std::is_void_v<Element>) {
        if (size % sizeof(Element) != 0) return std::nullopt;
        std::vector<Element> elements;
        elements.reserve(size / sizeof(Element));
        for (std::size_t at = 0; at < size; at += sizeof(Element)) {
            detail::Place<Element> element;
            if (!detail::Unpacker{bytes + at, sizeof(Element)}.take(*element)) return std::nullopt;
            elements.push_back(*element);
        }
        return elements;
    } else {
        detail::Place<T> value;
        if (size != sizeof(T) || !detail::Unpacker{bytes, size}.take(*value)) return std::nullopt;
        return std::optional<T>{std::in_place, *value};
    }
}

}  // namespace sysguard::process
