#pragma once

#include "condition.hpp"

#include <string_view>
#include <type_traits>

namespace sysguard::policy {

namespace detail {

template <class T>
inline constexpr bool never = false;

template <class... T>
constexpr void check_comparable() noexcept {
    static_assert((Comparable<T> && ...),
                  "an argument is compared with an integer or an enumerator; what a pointer points to is not seen by "
                  "the filter in the kernel");
}

template <class T>
constexpr void refuse_bare() noexcept {
    static_assert(never<T>, "an argument by itself is no condition: compare it (arg::name == value), or mask it");
}

template <Use use>
constexpr Condition<1, use> range(Node node, bool low_open, Number low, bool high_open, Number high) noexcept {
    node.kind = Node::Kind::range;
    node.low_open = low_open;
    node.high_open = high_open;
    node.values[0] = low;
    node.values[1] = high;
    return {{node}};
}

template <Use use, std::size_t count>
constexpr auto member(Node node, const Number (&values)[count]) noexcept {
    constexpr std::size_t size = 1 + (count + 2) / 3;
    Condition<size, use> condition{};
    node.kind = Node::Kind::member;
    node.count = static_cast<std::uint16_t>(count);
    node.size = static_cast<std::uint16_t>(size);
    condition.nodes[0] = node;
    for (std::size_t i = 0; i < count; ++i) {
        condition.nodes[1 + i / 3].kind = Node::Kind::values;
        condition.nodes[1 + i / 3].values[i % 3] = values[i];
    }
    return condition;
}

}  // namespace detail

/// An argument with what was said of it: a mask, a width. Compared with `== != < <= > >=`, `.in(...)` and
/// `.between(low, high)`, each of which yields a `Condition`. Only the bits that the kernel reads take part.
template <Use used>
class Operand {
public:
    static constexpr Use use = used;

    constexpr explicit Operand(const Node& node) noexcept : node_{node} {}

    /// True where the argument is one of the values.
    template <class... T>
    constexpr auto in(T... values) const noexcept {
        static_assert(sizeof...(T) > 0, "in() needs the values to look for");
        detail::check_comparable<T...>();
        const Number numbers[] = {number(values)...};
        return detail::member<used>(node_, numbers);
    }

    /// True where low <= argument <= high.
    template <class L, class H>
    constexpr auto between(L low, H high) const noexcept {
        detail::check_comparable<L, H>();
        return detail::range<used>(node_, false, number(low), false, number(high));
    }

    constexpr const Node& node() const noexcept { return node_; }

private:
    Node node_;
};

/// `argument & mask`. By itself in a condition: true where one of the bits is set.
template <Use used>
class Masked : public Operand<used> {
public:
    constexpr explicit Masked(const Node& node) noexcept : Operand<used>{node} {}

    constexpr operator Condition<1, used>() const noexcept {
        Node node = this->node();
        node.kind = Node::Kind::bits;
        return {{node}};
    }
};

template <class T>
concept AnyOperand = requires(const T& t) {
    T::use;
    t.node();
};

template <class T>
concept AnyMasked = AnyOperand<T> && std::is_base_of_v<Masked<T::use>, T>;

template <AnyOperand O, Comparable T>
    requires(!AnyMasked<O>)
constexpr auto operator&(const O& operand, T mask) noexcept {
    Node node = operand.node();
    node.masked = true;
    node.mask = number(mask);
    return Masked<O::use>{node};
}

template <AnyOperand O, Comparable T>
constexpr auto operator==(const O& operand, T value) noexcept {
    return detail::range<O::use>(operand.node(), false, number(value), false, number(value));
}

template <AnyOperand O, Comparable T>
constexpr auto operator<=(const O& operand, T value) noexcept {
    return detail::range<O::use>(operand.node(), true, Number{}, false, number(value));
}

template <AnyOperand O, Comparable T>
constexpr auto operator>=(const O& operand, T value) noexcept {
    return detail::range<O::use>(operand.node(), false, number(value), true, Number{});
}

template <AnyOperand O, Comparable T>
constexpr auto operator!=(const O& operand, T value) noexcept {
    return !(operand == value);
}

template <AnyOperand O, Comparable T>
constexpr auto operator<(const O& operand, T value) noexcept {
    return !(operand >= value);
}

template <AnyOperand O, Comparable T>
constexpr auto operator>(const O& operand, T value) noexcept {
    return !(operand <= value);
}

template <Comparable T, AnyOperand O>
constexpr auto operator==(T value, const O& operand) noexcept {
    return operand == value;
}

template <Comparable T, AnyOperand O>
constexpr auto operator!=(T value, const O& operand) noexcept {
    return operand != value;
}

template <Comparable T, AnyOperand O>
constexpr auto operator<=(T value, const O& operand) noexcept {
    return operand >= value;
}

template <Comparable T, AnyOperand O>
constexpr auto operator>=(T value, const O& operand) noexcept {
    return operand <= value;
}

template <Comparable T, AnyOperand O>
constexpr auto operator<(T value, const O& operand) noexcept {
    return operand > value;
}

template <Comparable T, AnyOperand O>
constexpr auto operator>(T value, const O& operand) noexcept {
    return operand < value;
}

/// A mask alone is a condition too, also between others.
template <Use used>
constexpr auto condition(const Masked<used>& masked) noexcept {
    return static_cast<Condition<1, used>>(masked);
}

template <std::size_t n, Use... uses>
constexpr const Condition<n, uses...>& condition(const Condition<n, uses...>& plain) noexcept {
    return plain;
}

template <class T>
concept AnyCondition = requires(const T& t) {
    policy::condition(t);
};

template <class L, class R>
    requires(AnyCondition<L>&& AnyCondition<R> && (AnyMasked<L> || AnyMasked<R>))
constexpr auto operator&&(const L& left, const R& right) noexcept {
    return policy::condition(left) && policy::condition(right);
}

template <class L, class R>
    requires(AnyCondition<L>&& AnyCondition<R> && (AnyMasked<L> || AnyMasked<R>))
constexpr auto operator||(const L& left, const R& right) noexcept {
    return policy::condition(left) || policy::condition(right);
}

template <AnyMasked M>
constexpr auto operator!(const M& masked) noexcept {
    return !policy::condition(masked);
}

/// Whether an operand compares itself with a text, by operators of its own.
template <class O, class T>
concept Textual = requires {
    O::compares_texts;
}
&&std::is_convertible_v<const T&, std::string_view> && !std::is_null_pointer_v<T>;

#define SYSGUARD_REFUSE(op, unless)                                   \
    template <AnyOperand O, class T>                                  \
        requires(!Comparable<T> && !(unless))                         \
    constexpr auto operator op(const O& operand, const T&) noexcept { \
        detail::check_comparable<T>();                                \
        return !condition(operand & 1);                               \
    }
#define SYSGUARD_TEXTUAL Textual<O, T>
SYSGUARD_REFUSE(==, SYSGUARD_TEXTUAL)
SYSGUARD_REFUSE(!=, SYSGUARD_TEXTUAL)
SYSGUARD_REFUSE(<, false)
SYSGUARD_REFUSE(<=, false)
SYSGUARD_REFUSE(>, false)
SYSGUARD_REFUSE(>=, false)
#undef SYSGUARD_TEXTUAL
#undef SYSGUARD_REFUSE

template <AnyOperand O, class T>
    requires(!Comparable<T>)
constexpr auto operator&(const O& operand, const T&) noexcept {
    static_assert(!std::is_same_v<T, bool>,
                  "in C++ a & b == c is a & (b == c): write (arg::name & mask) == value, with parentheses");
    static_assert(std::is_same_v<T, bool>, "a mask is an integer or an enumerator");
    return operand & 1;
}

template <AnyOperand O>
    requires(!AnyMasked<O>)
constexpr auto operator!(const O& operand) noexcept {
    detail::refuse_bare<O>();
    return !condition(operand & 1);
}

}  // namespace sysguard::policy
