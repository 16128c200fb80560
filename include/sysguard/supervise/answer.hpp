#pragma once

#include "listener.hpp"
#include "pending.hpp"
#include "verdict.hpp"

#include <cerrno>

namespace sysguard::supervise {

/// Gives the kernel what a verdict says, where that is all there is to it. Returns whether this was the call's answer.
class Answerer {
public:
    static bool answer(const Listener& listener, const Pending& call, const Verdict& verdict) noexcept {
        switch (verdict.kind_) {
            case Verdict::Kind::deny: return listener.answer(call.id, 0, static_cast<int>(verdict.value_));
            case Verdict::Kind::fake: return listener.answer(call.id, verdict.value_, call.write_error);
            case Verdict::Kind::proceed: return listener.proceed(call.id);
            case Verdict::Kind::descriptor: {
                const int error = listener.answer_with_descriptor(call.id, verdict.fd_.get(), verdict.close_on_exec_);
                return error == 0 || listener.answer(call.id, 0, error);
            }
            default: return listener.answer(call.id, 0, EPERM);  // nobody is going to
        }
    }
};

}  // namespace sysguard::supervise
