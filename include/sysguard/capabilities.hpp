#pragma once

#include "cgroup.hpp"
#include "process/cgroup_subtree.hpp"
#include "process/credentials.hpp"
#include "process/landlock.hpp"
#include "process/layer.hpp"
#include "process/namespace_support.hpp"
#include "process/overlay_support.hpp"

#include <cstdint>
#include <string>

#include <linux/sched.h>

namespace sysguard {

/// What a machine offers a process of layers, and why not what it does not.
class LayerOffers {
public:
    /// Whether there is a layer.
    bool has(Layer layer) const noexcept { return static_cast<bool>(offers_[static_cast<int>(layer)]); }

    /// Why there is none, and what to do; empty where there is one.
    const std::string& why_not(Layer layer) const noexcept { return offers_[static_cast<int>(layer)].why_not; }

    /// For a person: a line for each layer.
    std::string text() const {
        std::string text;
        for (int i = 0; i < layer_count; ++i) {
            const auto layer = static_cast<Layer>(i);
            text += std::string{has(layer) ? "yes  " : "no   "} + name(layer);
            if (!has(layer)) text += ": " + why_not(layer);
            text += "\n";
        }
        return text;
    }

private:
    friend LayerOffers capabilities(const Cgroup& cgroup);

    process::Offer offers_[layer_count];
};

/// Asks what this machine offers this process, now, by trying: namespaces in short-lived tasks, a cgroup in the subtree
/// that is named. What a sandbox needs and is not here, it refuses with the same texts. An overlay is for /tmp in /tmp;
/// where else it can lie, `process::offer_overlay` tells.
inline LayerOffers capabilities(const Cgroup& cgroup = Cgroup::own()) {
    LayerOffers offers;
    const auto of = [&](Layer layer) -> process::Offer& { return offers.offers_[static_cast<int>(layer)]; };
    const process::LandlockSupport landlock;
    for (const Layer layer : {Layer::file_access, Layer::tcp_ports, Layer::device_control, Layer::scopes})
        of(layer) = landlock.offer(layer);

    const process::NamespaceSupport namespaces;
    const std::uint64_t users = process::NamespaceSupport::may_do_without_users() ? 0 : CLONE_NEWUSER;
    of(Layer::user_namespace) = namespaces.offer(CLONE_NEWUSER);
    of(Layer::pid_namespace) = namespaces.offer(users | CLONE_NEWPID);
    of(Layer::mount_namespace) = namespaces.offer(users | CLONE_NEWNS);
    of(Layer::network_namespace) = namespaces.offer(users | CLONE_NEWNET);
    of(Layer::ipc_namespace) = namespaces.offer(users | CLONE_NEWIPC);
    of(Layer::uts_namespace) = namespaces.offer(users | CLONE_NEWUTS);
    of(Layer::cgroup_namespace) = namespaces.offer(users | CLONE_NEWCGROUP);
    of(Layer::time_namespace) = namespaces.offer(users | process::time_namespace);
    of(Layer::private_root) = namespaces.offer_root(users | CLONE_NEWNS);
    of(Layer::overlay) = process::offer_overlay("/tmp", "/tmp");
    process::CgroupSubtree subtree;
    of(Layer::cgroup) = cgroup.open(subtree, Limits{});
    of(Layer::memory_deny_write_execute) = process::offer_write_execute_denial();
    return offers;
}

}  // namespace sysguard
