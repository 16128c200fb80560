#pragma once

#include "../abi/architecture.hpp"
#include "../abi/table.hpp"

#include <cstdint>

#include <sys/types.h>

namespace sysguard::supervise {

/// A system call as an engine saw it: at its entry, or at its return with the result.
struct TracedCall {
    /// When it was seen.
    enum class Phase : std::uint8_t {
        entered,   ///< nothing has been done yet; what the kernel writes is not there yet
        returned,  ///< `result` is known
        unknown,   ///< it never returned: the thread ended in it, or what watched it let go
    };

    Phase phase = Phase::entered;
    abi::Abi abi = abi::native_abi;  ///< whose numbers and structures these are
    bool is_x32 = false;             ///< abi is x86_64, but the number has abi::x32_bit set, which `number` has not
    int number = -1;                 ///< in `abi`
    std::uint64_t arguments[abi::max_arguments]{};
    std::uint64_t instruction_pointer = 0;
    std::uint64_t stack_pointer = 0;  ///< 0 where the engine does not see it
    std::int64_t result = 0;          ///< of one that returned: a negative errno where `is_error`
    bool is_error = false;            ///< as PTRACE_GET_SYSCALL_INFO says
    pid_t thread = 0;                 ///< as the host sees it
    pid_t process = 0;                ///< the thread's process
};

}  // namespace sysguard::supervise
