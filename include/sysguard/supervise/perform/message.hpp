#pragma once

#include <cstddef>
#include <cstdint>

namespace sysguard::supervise::perform {

/// One message to send. Its parts lie in the bytes of the `Outgoing` that it belongs to, from these places on.
struct Message {
    std::size_t name = 0;
    std::size_t data = 0;
    std::size_t control = 0;
    std::size_t name_size = 0;  ///< 0: none
    std::size_t data_size = 0;
    std::size_t control_size = 0;
    bool carries_descriptors = false;
    std::uint32_t sent = 0;  ///< bytes; set by the performer
};

/// What sendmsg and sendmmsg send: `Job::extra`.
struct Outgoing {
    char* bytes = nullptr;
    Message* messages = nullptr;
    unsigned count = 0;
    int error = 0;      ///< errno of the message after the last that is sent, 0: none. Also set by the performer
    unsigned sent = 0;  ///< messages; set by the performer
};

}  // namespace sysguard::supervise::perform
