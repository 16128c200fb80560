#pragma once

#include "../process/descriptor.hpp"

#include <cstdint>
#include <utility>

namespace sysguard {

namespace supervise {
class Answerer;
}  // namespace supervise

/// What a handler says of a call: made by the call itself (`return call.deny(EPERM);`).
class [[nodiscard]] Verdict {
public:
    enum class Kind : std::uint8_t {
        deny,        ///< it does not run and fails with `error()`
        fake,        ///< it does not run and is said to have returned `value()`
        descriptor,  ///< it does not run and returns a descriptor that the worker gets
        proceed,     ///< the kernel runs it
        perform,     ///< the host runs it on the worker's behalf
        kill,        ///< the whole worker is killed
        later,       ///< somebody answers it later
    };

    Kind kind() const noexcept { return kind_; }
    int error() const noexcept { return kind_ == Kind::deny ? static_cast<int>(value_) : 0; }
    std::int64_t value() const noexcept { return kind_ == Kind::fake ? value_ : 0; }

private:
    friend class AnyCall;
    friend class Deferred;
    friend class supervise::Answerer;

    explicit Verdict(Kind kind, std::int64_t value = 0) noexcept : kind_{kind}, value_{value} {}
    Verdict(process::Descriptor fd, bool close_on_exec) noexcept
        : kind_{Kind::descriptor}, close_on_exec_{close_on_exec}, fd_{std::move(fd)} {}

    Kind kind_;
    bool close_on_exec_ = false;
    std::int64_t value_ = 0;
    process::Descriptor fd_{};
};

}  // namespace sysguard
