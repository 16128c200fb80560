#pragma once

#include "call.hpp"
#include "decode.hpp"
#include "mapping.hpp"
#include "pending.hpp"
#include "witness.hpp"

#include <exception>
#include <new>
#include <string>

namespace sysguard::supervise {

/// What is told of a call that a worker is killed for.
struct Description {
    std::string text{};
    std::string mapping{};
    std::string failure{};  ///< what the host's witness threw
};

/// Has the host's witness see the call. Returns what it threw.
inline std::string show(Pending& call) {
    std::string failure;
    call.is_for_now = true;
    try {
        call.line->witness->see(AnyCall{call});
    } catch (const std::exception& exception) {
        failure = exception.what();
    } catch (...) {
        failure = "something that is no std::exception";
    }
    call.is_for_now = false;
    return failure;
}

/// Empty texts where there is no memory for them.
inline Description describe(Pending& call) noexcept {
    Description description;
    try {
        description.text = decode(call);
        description.mapping = mapping_of(call.thread, call.instruction_pointer);
        if (call.line->witness != nullptr) description.failure = show(call);
    } catch (const std::bad_alloc&) {
    }
    return description;
}

}  // namespace sysguard::supervise
