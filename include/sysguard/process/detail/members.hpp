#pragma once

#include <type_traits>

namespace sysguard::process::detail {

template <class... T>
struct Types {};

/// Becomes an lvalue of any type.
struct Anything {
    template <class T>
    operator T&() const noexcept;
};

/// Becomes whatever T derives from.
template <class T>
struct AnyBase {
    template <class Base>
        requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
    operator Base() const noexcept;
};

/// How many members an aggregate has; -1 where that is not known: with base classes, with members that {} does not
/// initialize, such as references, and with more than 20.
template <class T>
consteval int member_count() {
    // An empty pair of braces initializes one member, of whatever type, arrays included.
    if constexpr (requires { T{AnyBase<T>{}}; }) return -1;
#define SYSGUARD_TRY(count, ...)                            \
    if constexpr (requires { T{__VA_ARGS__, Anything{}}; }) \
        return -1;                                          \
    else if constexpr (requires { T{__VA_ARGS__}; })        \
        return count;                                       \
    else
    SYSGUARD_TRY(20, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(19, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(18, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(17, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(16, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(15, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(14, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(13, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(12, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(11, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(10, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(9, {}, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(8, {}, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(7, {}, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(6, {}, {}, {}, {}, {}, {})
    SYSGUARD_TRY(5, {}, {}, {}, {}, {})
    SYSGUARD_TRY(4, {}, {}, {}, {})
    SYSGUARD_TRY(3, {}, {}, {})
    SYSGUARD_TRY(2, {}, {})
    SYSGUARD_TRY(1, {})
#undef SYSGUARD_TRY
    return std::is_empty_v<T> ? 0 : -1;
}

/// Calls `use` with an aggregate's members. What has bit-fields or anonymous unions does not compile.
template <class T, class F>
constexpr auto with_members(T& aggregate, const F& use) {
    constexpr int count = member_count<std::remove_cv_t<T>>();
    static_assert(count >= 0);
    if constexpr (count == 0) return use();
#define SYSGUARD_BIND(number, ...)        \
    else if constexpr (count == number) { \
        auto& [__VA_ARGS__] = aggregate;  \
        return use(__VA_ARGS__);          \
    }
    SYSGUARD_BIND(1, a)
    SYSGUARD_BIND(2, a, b)
    SYSGUARD_BIND(3, a, b, c)
    SYSGUARD_BIND(4, a, b, c, d)
    SYSGUARD_BIND(5, a, b, c, d, e)
    SYSGUARD_BIND(6, a, b, c, d, e, f)
    SYSGUARD_BIND(7, a, b, c, d, e, f, g)
    SYSGUARD_BIND(8, a, b, c, d, e, f, g, h)
    SYSGUARD_BIND(9, a, b, c, d, e, f, g, h, i)
    SYSGUARD_BIND(10, a, b, c, d, e, f, g, h, i, j)
    SYSGUARD_BIND(11, a, b, c, d, e, f, g, h, i, j, k)
    SYSGUARD_BIND(12, a, b, c, d, e, f, g, h, i, j, k, l)
    SYSGUARD_BIND(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
    SYSGUARD_BIND(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
    SYSGUARD_BIND(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
    SYSGUARD_BIND(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
    SYSGUARD_BIND(17, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q)
    SYSGUARD_BIND(18, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
    SYSGUARD_BIND(19, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s)
    SYSGUARD_BIND(20, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t)
#undef SYSGUARD_BIND
}

}  // namespace sysguard::process::detail
