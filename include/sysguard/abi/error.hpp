#pragma once

#include <string>
#include <system_error>

namespace sysguard {

/// The host's own mistake, or a machine that refuses: what was being done, and the system's reason.
/// What happens to a worker is never an exception but an `Outcome`.
class Error : public std::system_error {
public:
    /// `error`: an errno value. `step`: what was being done, as a phrase ("install the seccomp filter").
    Error(int error, const std::string& step) : std::system_error{error, std::generic_category(), step}, step_{step} {}

    const std::string& step() const noexcept { return step_; }

private:
    std::string step_;
};

}  // namespace sysguard
