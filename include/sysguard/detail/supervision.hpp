#pragma once

#include "../process/confinement.hpp"
#include "../process/launch.hpp"
#include "../supervise/watch.hpp"

#include <cerrno>

namespace sysguard::detail {

/// What a watch has to know of a worker that starts under `confinement` as `launch` says.
inline supervise::Watch::Settings watch_settings(const process::Confinement& confinement,
                                                 const Launch& launch) noexcept {
    supervise::Watch::Settings settings;
    settings.policy = confinement.policy();
    settings.wall = confinement.limits().wall;
    settings.tasks = confinement.tasks();
    if (launch.output.kind() == Stdio::Kind::captured) settings.most_output = launch.output.most();
    if (launch.error.kind() == Stdio::Kind::captured) settings.most_error = launch.error.most();
    return settings;
}

/// Nobody would be at the other end of a pipe while the host waits.
inline void refuse_pipes(const Launch& launch) {
    for (const Stdio* stream : {&launch.input, &launch.output, &launch.error})
        if (stream->kind() == Stdio::Kind::piped)
            throw Error{EINVAL, "run to the end with a pipe: nobody serves it; use spawn(), or capture() the output"};
}

}  // namespace sysguard::detail
