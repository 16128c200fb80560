#pragma once

#include <cstdint>

namespace sysguard::process {

/// The steps of a start, in their order.
enum class Step : std::uint8_t {
    none,
    create,
    cgroup,
    descriptors,
    parent,
    timer,
    session,
    namespaces,
    id_maps,
    host_name,
    network,
    clocks,
    mounts,
    root,
    init,
    keyring,
    directory,
    limits,
    signals,
    scheduling,
    write_execute,
    credentials,
    no_new_privs,
    landlock,
    filter,
    hand_over,
    execute,
};

constexpr const char* name(Step step) noexcept {
    switch (step) {
        case Step::none: return "start";
        case Step::create: return "create the process";
        case Step::cgroup: return "enter its cgroup";
        case Step::descriptors: return "set up its descriptors";
        case Step::parent: return "tie it to the host";
        case Step::timer: return "set a timer for its start";
        case Step::session: return "start a session";
        case Step::namespaces: return "make its namespaces";
        case Step::id_maps: return "map the ids of its user namespace";
        case Step::host_name: return "set its host name";
        case Step::network: return "bring up its loopback interface";
        case Step::clocks: return "set the clocks of its time namespace";
        case Step::mounts: return "set up its mount namespace";
        case Step::root: return "make its private root";
        case Step::init: return "start the first process of its pid namespace";
        case Step::keyring: return "leave the host's session keyring";
        case Step::directory: return "enter its working directory";
        case Step::limits: return "set its limits";
        case Step::signals: return "reset its signals";
        case Step::scheduling: return "set how it is scheduled";
        case Step::write_execute: return "deny it memory that is both writable and executable";
        case Step::credentials: return "take its credentials";
        case Step::no_new_privs: return "set no_new_privs";
        case Step::landlock: return "enter its Landlock domain";
        case Step::filter: return "install the seccomp filter";
        case Step::hand_over: return "hand the listener over to the host";
        case Step::execute: return "execute the program";
    }
    return "?";
}

/// Where a start stopped, and why.
struct StartFailure {
    Step step = Step::none;
    int error = 0;           ///< errno
    std::uint32_t part = 0;  ///< of a private root: which of its mounts
};

}  // namespace sysguard::process
