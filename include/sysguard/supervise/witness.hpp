#pragma once

namespace sysguard {

class AnyCall;

/// Who is told of each call that a worker is going to be killed for, while its thread still waits: to look where the
/// call came from (sysguard/stacks.hpp), or at what else the outcome does not tell. Named in `Options::witness`.
class Witness {
public:
    /// Runs where handlers do, and may take as long as they may (docs/handlers.md); the worker's other threads go on
    /// until it returns, under the policy. Several calls may be seen at a time, in several threads. Whatever it does,
    /// the worker is killed afterwards; what it throws is told by the outcome as what a handler threw. The call cannot
    /// be deferred.
    virtual void see(const AnyCall& call) = 0;

protected:
    ~Witness() = default;
};

}  // namespace sysguard
