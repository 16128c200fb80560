#pragma once

#include "../process/result_area.hpp"
#include "../process/zygote.hpp"

#include <cstddef>
#include <type_traits>

namespace sysguard::detail {

/// What can be called in another process that was forked before there was the thing: a type without state, or the
/// address of a function.
template <class F>
inline constexpr bool is_sendable = (std::is_empty_v<F> && std::is_default_constructible_v<F>) ||
                                    (std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>);

/// A function on its way to a zygote, and a number.
template <class F>
class SentFunction {
    static_assert(
        is_sendable<F>,
        "a zygote was forked before there was what this function has captured: give it a function, or a lambda "
        "without captures, and what it needs as arguments");

public:
    SentFunction(F function, std::size_t number) noexcept : number_{number} {
        if constexpr (std::is_pointer_v<F>) function_ = function;
    }

    /// Throws `Error` where the zygote does not have it.
    void require(const process::Zygote& zygote, process::Zygote::Entry entry) const {
        zygote.require(reinterpret_cast<const void*>(entry));
        if constexpr (std::is_pointer_v<F>) zygote.require(reinterpret_cast<const void*>(function_));
    }

    std::size_t number() const noexcept { return number_; }

    /// In the worker.
    template <class Use>
    void with(const Use& use) const {
        if constexpr (std::is_pointer_v<F>) {
            F function = function_;
            use(function);
        } else {
            F function{};
            use(function);
        }
    }

private:
    std::size_t number_;
    std::conditional_t<std::is_pointer_v<F>, F, std::nullptr_t> function_{};
};

}  // namespace sysguard::detail
