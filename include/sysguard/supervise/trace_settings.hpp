#pragma once

#include "../abi/call_set.hpp"
#include "../policy/view.hpp"
#include "event.hpp"
#include "tampering.hpp"

#include <cstdint>
#include <vector>

namespace sysguard {

/// What is traced besides the threads that are there.
enum class Follow : std::uint8_t {
    everything,  ///< all threads and processes that come of it
    threads,     ///< new threads of the same process
    nothing,
};

namespace supervise {

/// Who gets events.
struct EventSink {
    void (*function)(void* context, const Event& event) = nullptr;
    void* context = nullptr;
};

/// Who says what is done to a call at its entry.
struct CallDecider {
    Tampering (*function)(void* context, const Event& entered) = nullptr;
    void* context = nullptr;
};

/// How an engine traces.
struct TraceSettings {
    abi::CallSet calls = abi::CallSet::all();
    Follow follow = Follow::everything;
    bool results = true;
    bool signals = false;
    bool endings = false;
    bool uses_filter = true;  ///< for programs that it starts, where only some calls are traced
    bool kills_at_end = false;
    const policy::View* policy = nullptr;
    std::vector<Injection> injections{};
    CallDecider decider{};
};

}  // namespace supervise

}  // namespace sysguard
