#pragma once

#include "../abi/error.hpp"
#include "block.hpp"
#include "descriptor.hpp"
#include "detail/init_image.hpp"
#include "detail/private_root.hpp"
#include "detail/world.hpp"
#include "namespace_support.hpp"
#include "options.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

#include <linux/sched.h>
#include <unistd.h>

namespace sysguard::process {

/// The namespaces of a sandbox's workers, and what is in them: files, network, processes, names. Owns all that a start
/// needs for it. Immutable, thread-safe.
class Isolation {
public:
    /// Throws `Error` where something is missing that is not optional, or makes no sense.
    Isolation(const Options& options, MissingLayers& missing) {
        choose(options, missing);
        if (world_.flags == 0 && !world_.has_time) return;
        if ((world_.flags & CLONE_NEWUSER) != 0) map_ids(options.namespaces);
        if ((world_.flags & CLONE_NEWUTS) != 0) host_name_ = options.namespaces.host_name;
        if (host_name_.size() > 64) throw Error{EINVAL, "set a host name: it has more than 64 characters"};
        world_.host_name = {host_name_.data(), host_name_.size()};
        if (world_.has_time) {
            offsets_ = "monotonic " + std::to_string(options.namespaces.monotonic_offset) + " 0\nboottime " +
                       std::to_string(options.namespaces.boot_offset) + " 0\n";
            world_.time_offsets = {offsets_.data(), offsets_.size()};
        }
        if (has_pids()) init_ = detail::make_init();
        if (world_.has_private_root) prepare_root(options.root);
        is_there_ = true;
    }
    Isolation(const Isolation&) = delete;
    Isolation& operator=(const Isolation&) = delete;

    /// What a start needs of it; nullptr where workers are in the host's namespaces.
    const detail::World* world() const noexcept { return is_there_ ? &world_ : nullptr; }

    bool has_pids() const noexcept { return (world_.flags & CLONE_NEWPID) != 0; }
    bool has_users() const noexcept { return (world_.flags & CLONE_NEWUSER) != 0; }

    /// The program of a pid namespace's first process, close-on-exec, or -1.
    int init() const noexcept { return init_.get(); }

    /// Of a private root.
    const Block<Mount>& mounts() const noexcept { return mounts_; }

private:
    void choose(const Options& options, MissingLayers& missing) {
        const Namespaces& wanted = options.namespaces;
        const Network::Kind network = options.network.kind();
        const bool has_root = options.root.is_private();
        if (has_root && options.files.is_restricted())
            throw Error{EINVAL,
                        "isolate files: by Options::files or by Options::root, not both: a private root has nothing "
                        "but what is written there"};
        const struct {
            bool is_wanted;
            std::uint64_t flag;
            Layer layer;
        } all[] = {{wanted.mount || has_root, CLONE_NEWNS, has_root ? Layer::private_root : Layer::mount_namespace},
                   {wanted.pid, CLONE_NEWPID, Layer::pid_namespace},
                   {network != Network::host, CLONE_NEWNET, Layer::network_namespace},
                   {wanted.ipc, CLONE_NEWIPC, Layer::ipc_namespace},
                   {wanted.uts || !wanted.host_name.empty(), CLONE_NEWUTS, Layer::uts_namespace},
                   {wanted.cgroup, CLONE_NEWCGROUP, Layer::cgroup_namespace},
                   {wanted.time, detail::time_namespace, Layer::time_namespace}};
        bool is_any_wanted = wanted.user;
        for (const auto& each : all) is_any_wanted = is_any_wanted || each.is_wanted;
        if (!is_any_wanted) return;

        const NamespaceSupport support;
        const bool needs_user = wanted.user || !support.may_do_without_users();
        std::uint64_t flags = 0;
        bool has_users = false;
        if (needs_user && support.offer(CLONE_NEWUSER)) {
            flags = CLONE_NEWUSER;
            has_users = true;
        }
        if (wanted.user && !has_users)
            missing.need(Layer::user_namespace, support.offer(CLONE_NEWUSER), options.optional);
        for (const auto& each : all) {
            if (!each.is_wanted) continue;
            const std::uint64_t needed = each.flag | (needs_user ? std::uint64_t{CLONE_NEWUSER} : 0);
            const bool is_root = each.layer == Layer::private_root;
            const Offer offer = is_root ? support.offer_root(needed) : support.offer(needed);
            if (missing.need(each.layer, offer, options.optional)) flags |= each.flag;
        }
        world_.has_time = (flags & detail::time_namespace) != 0;
        world_.flags = flags & ~detail::time_namespace;
        if ((world_.flags & CLONE_NEWNS) != 0) {
            world_.has_private_root = has_root;
            world_.shows_own_processes = has_pids();
        }
        world_.brings_up_loopback = (world_.flags & CLONE_NEWNET) != 0 && network == Network::loopback;
    }

    static std::string text_of(const IdMap& map, unsigned own) {
        if (map.size() == 0) return std::to_string(own) + " " + std::to_string(own) + " 1\n";
        std::string text;
        for (const IdRange& range : map)
            text += std::to_string(range.inside) + " " + std::to_string(range.outside) + " " +
                    std::to_string(range.count) + "\n";
        return text;
    }

    static bool is_own(const IdMap& map, unsigned own) noexcept {
        return map.size() == 0 || (map.size() == 1 && map.begin()->outside == own && map.begin()->count == 1);
    }

    void map_ids(const Namespaces& wanted) {
        const unsigned user = ::geteuid();
        const unsigned group = ::getegid();
        users_ = text_of(wanted.users, user);
        groups_ = text_of(wanted.groups, group);
        world_.users = {users_.data(), users_.size()};
        world_.groups = {groups_.data(), groups_.size()};
        if (is_own(wanted.users, user) && is_own(wanted.groups, group)) return;
        if (!NamespaceSupport::may_map_any_ids())
            throw Error{EPERM,
                        "map ids: other ids than one's own, or several of them, take CAP_SETUID and CAP_SETGID; leave "
                        "the maps out, or map the host's own id alone"};
        world_.is_mapped_by_host = true;
        world_.user = wanted.users.size() != 0 ? wanted.users.begin()->inside : user;
        world_.group = wanted.groups.size() != 0 ? wanted.groups.begin()->inside : group;
    }

    void prepare_root(const Root& root) {
        const Block<Mount>& mounts = root.mounts();
        mounts_ = mounts;
        steps_ = Block<detail::MountStep>{mounts.size()};
        sizes_ = Block<std::string>{mounts.size()};
        for (std::size_t i = 0; i < mounts.size(); ++i) {
            const Mount& mount = mounts_[i];
            detail::MountStep& step = steps_[i];
            check(mount);
            step.kind = mount.kind();
            step.source = mount.source().c_str();
            step.target = beneath(mount.target());
            step.mode = mount.mode;
            step.attributes = detail::root::no_set_id | detail::root::no_devices;
            if (!mount.is_writable()) step.attributes |= detail::root::read_only;
            if (!mount.executes() || mount.kind() == Mount::Kind::procfs) step.attributes |= detail::root::no_execution;
            if (mount.kind() == Mount::Kind::tmpfs || mount.kind() == Mount::Kind::devices) {
                sizes_[i] = std::to_string(mount.kind() == Mount::Kind::tmpfs ? mount.size : most_of_devices);
                step.size = sizes_[i].c_str();
            }
            step.upper = mount.upper.c_str();
            step.work = mount.work.c_str();
        }
        world_.mounts = steps_.data();
        world_.mount_count = steps_.size();
    }

    static const char* beneath(const std::string& target) noexcept {
        const char* path = target.c_str();
        while (*path == '/') ++path;
        return path;
    }

    void check(const Mount& mount) const {
        const std::string& target = mount.target();
        for (const std::string* const text : {&target, &mount.source(), &mount.upper, &mount.work})
            if (text->find('\0') != std::string::npos)
                throw Error{EINVAL, "make a private root: a path with a zero byte in it would be cut"};
        if (target.empty() || target[0] != '/' || *beneath(target) == 0)
            throw Error{EINVAL, "make a private root: the place '" + target +
                                    "' is no path from the root to something below it, as '/usr'"};
        for (const char* const dots : {"/./", "/../"})
            if ((target + "/").find(dots) != std::string::npos)
                throw Error{EINVAL, "make a private root: the place '" + target + "' has . or .. in it"};
        if (mount.kind() == Mount::Kind::tmpfs && mount.size == 0)
            throw Error{EINVAL, "make a private root: the tmpfs at " + target +
                                    " has no size; the kernel takes that for half of the memory"};
        if (mount.kind() == Mount::Kind::procfs && !has_pids())
            throw Error{EINVAL,
                        "make a private root: a procfs takes a pid namespace (Namespaces::pid), as it would "
                        "show the host's processes"};
        if (mount.kind() == Mount::Kind::bind && ::access(mount.source().c_str(), F_OK) != 0)
            throw Error{errno, "make a private root: find " + mount.source()};
    }

    static constexpr std::uint64_t most_of_devices = 65536;

    detail::World world_{};
    bool is_there_ = false;
    std::string users_{};
    std::string groups_{};
    std::string host_name_{};
    std::string offsets_{};
    Descriptor init_{};
    Block<Mount> mounts_{};
    Block<detail::MountStep> steps_{};
    Block<std::string> sizes_{};
};

}  // namespace sysguard::process
