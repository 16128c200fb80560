#pragma once

#include "decode.hpp"
#include "mapping.hpp"
#include "pending.hpp"

#include <new>
#include <string>

namespace sysguard::supervise {

/// What is told of a call that a worker is killed for.
struct Description {
    std::string text{};
    std::string mapping{};
};

/// Empty texts where there is no memory for them.
inline Description describe(Pending& call) noexcept {
    Description description;
    try {
        description.text = decode(call);
        description.mapping = mapping_of(call.thread, call.instruction_pointer);
    } catch (const std::bad_alloc&) {
    }
    return description;
}

}  // namespace sysguard::supervise
