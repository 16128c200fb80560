#pragma once

namespace sysguard::abi {

/// What `from` holds, which is `T{}` from then on. std::exchange costs the compiler several times as much for each
/// type.
template <class T>
constexpr T take(T& from) noexcept {
    T taken = static_cast<T&&>(from);
    from = T{};
    return taken;
}

}  // namespace sysguard::abi
