#include <sysguard/process/capabilities.hpp>

#include <doctest/doctest.h>

using sysguard::Capabilities;

TEST_CASE("capabilities are a set, empty unless they are named") {
    constexpr Capabilities some{CAP_CHOWN, CAP_CHECKPOINT_RESTORE};
    static_assert(some.has(CAP_CHOWN) && some.has(CAP_CHECKPOINT_RESTORE) && !some.has(CAP_KILL) && !some.is_kept());
    static_assert(Capabilities{}.bits() == 0 && Capabilities::kept().is_kept());
    static_assert(!Capabilities{-1}.is_valid() && !Capabilities{64}.is_valid() && !some.has(64));
}
