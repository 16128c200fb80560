#pragma once

#include "../abi/error.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>

namespace sysguard {

/// What a sandbox is made of besides rules and resource limits: what the kernel, its settings, or a container that the
/// host runs in may not offer.
enum class Layer : std::uint8_t {
    file_access,     ///< Landlock: files (Linux 6.2)
    tcp_ports,       ///< Landlock: TCP ports (Linux 6.7)
    device_control,  ///< Landlock: ioctl on devices (Linux 6.10)
    scopes,          ///< Landlock: abstract sockets and signals (Linux 6.12)
    user_namespace,
    pid_namespace,
    mount_namespace,
    network_namespace,
    ipc_namespace,
    uts_namespace,
    cgroup_namespace,
    time_namespace,
    private_root,
    overlay,
    cgroup,                     ///< cgroup v2, in a subtree that the host may write to
    memory_deny_write_execute,  ///< PR_SET_MDWE (Linux 6.3)
};

inline constexpr int layer_count = static_cast<int>(Layer::memory_deny_write_execute) + 1;

constexpr const char* name(Layer layer) noexcept {
    switch (layer) {
        case Layer::file_access: return "file access (Landlock)";
        case Layer::tcp_ports: return "TCP ports (Landlock)";
        case Layer::device_control: return "device control (Landlock)";
        case Layer::scopes: return "scopes of abstract sockets and signals (Landlock)";
        case Layer::user_namespace: return "user namespace";
        case Layer::pid_namespace: return "pid namespace";
        case Layer::mount_namespace: return "mount namespace";
        case Layer::network_namespace: return "network namespace";
        case Layer::ipc_namespace: return "ipc namespace";
        case Layer::uts_namespace: return "uts namespace";
        case Layer::cgroup_namespace: return "cgroup namespace";
        case Layer::time_namespace: return "time namespace";
        case Layer::private_root: return "private root";
        case Layer::overlay: return "overlay";
        case Layer::cgroup: return "cgroup";
        case Layer::memory_deny_write_execute: return "memory deny write execute";
    }
    return "?";
}

/// A set of layers.
class Layers {
public:
    constexpr Layers() noexcept = default;
    constexpr Layers(std::initializer_list<Layer> layers) noexcept {
        for (const Layer layer : layers) bits_ |= bit(layer);
    }

    constexpr bool has(Layer layer) const noexcept { return (bits_ & bit(layer)) != 0; }

    static constexpr Layers all() noexcept {
        Layers layers;
        layers.bits_ = (1U << layer_count) - 1;
        return layers;
    }

private:
    static constexpr std::uint32_t bit(Layer layer) noexcept { return 1U << static_cast<int>(layer); }

    std::uint32_t bits_ = 0;
};

namespace process {

/// Whether something is there, and if not, why: the sysctl, the security module, the container, the kernel's version.
struct Offer {
    int error = 0;          ///< errno of what was tried; 0: it is there
    std::string why_not{};  ///< for a person, with what to do about it

    explicit operator bool() const noexcept { return error == 0; }
};

/// The layers that were asked for as optional and are not there.
class MissingLayers {
public:
    /// Takes note of a layer that was asked for. Returns whether it is there. Throws `Error` with the reason where it
    /// is not, and is not among the optional ones.
    bool need(Layer layer, const Offer& offer, Layers optional) {
        if (offer) return true;
        if (!optional.has(layer))
            throw Error{offer.error, std::string{"set up the "} + name(layer) + ": " + offer.why_not};
        reasons_[static_cast<int>(layer)] = offer.why_not;
        return false;
    }

    /// Why a layer that was asked for is not there; empty where it is, or was not asked for.
    const std::string& reason(Layer layer) const noexcept { return reasons_[static_cast<int>(layer)]; }

private:
    std::string reasons_[layer_count];
};

}  // namespace process

}  // namespace sysguard
