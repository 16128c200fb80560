#pragma once

#include "../abi/errno_names.hpp"
#include "../abi/error.hpp"
#include "../abi/numbers.hpp"
#include "descriptor.hpp"
#include "detail/landlock_rules.hpp"
#include "layer.hpp"
#include "options.hpp"

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

namespace sysguard::process {

/// What this machine offers of Landlock.
class LandlockSupport {
public:
    /// Asks the kernel.
    LandlockSupport() noexcept
        : LandlockSupport{detail::raw_call(sys::landlock_create_ruleset, nullptr, 0, detail::landlock::ask_version)} {}
    /// Of what the kernel said: its version of Landlock, or a negative errno.
    explicit LandlockSupport(long answer) noexcept : answer_{answer} {}

    /// The version of the kernel's interface (landlock(7)); 0: there is none.
    int version() const noexcept { return answer_ < 0 ? 0 : static_cast<int>(answer_); }

    /// Whether a layer is there: file_access, tcp_ports, device_control or scopes.
    Offer offer(Layer layer) const {
        if (answer_ < 0) return {static_cast<int>(-answer_), why_none()};
        const char* without = "";
        const int needed = version_of(layer, without);
        if (version() >= needed) return {};
        return {EOPNOTSUPP, "this kernel has version " + std::to_string(version()) + " of Landlock, and this needs " +
                                std::to_string(needed) + ", " + without};
    }

private:
    static int version_of(Layer layer, const char*& without) noexcept {
        switch (layer) {
            case Layer::file_access:
                without = "as before Linux 6.2 a file that cannot be written to can be truncated; use a newer kernel";
                return 3;
            case Layer::tcp_ports: without = "which is in Linux 6.7; use a newer kernel"; return 4;
            case Layer::device_control:
                without =
                    "as before Linux 6.10 ioctl is not held to anything; use a newer kernel, or, where no device can "
                    "be "
                    "opened under the paths that are allowed, name Layer::device_control in Options::optional";
                return 5;
            default: without = "which is in Linux 6.12; use a newer kernel"; return 6;
        }
    }

    std::string why_none() const {
        if (answer_ == -ENOSYS)
            return "this kernel is built without Landlock (CONFIG_SECURITY_LANDLOCK, since Linux 5.13), or the filter "
                   "of a container hides it";
        if (answer_ == -EOPNOTSUPP)
            return "Landlock is in this kernel, but off: boot it with landlock in the list of lsm=";
        const std::string_view known = abi::errno_name(static_cast<int>(-answer_));
        return "landlock_create_ruleset fails with " + std::string{known} +
               ": a filter that the host runs under, such as a container's, must allow it, landlock_add_rule and "
               "landlock_restrict_self";
    }

    long answer_;
};

/// What Landlock holds a sandbox's workers to: files, TCP ports, scopes. Owns the ruleset. Immutable, thread-safe.
class Landlock {
public:
    Landlock() noexcept = default;

    /// Throws `Error` where something cannot be held, or a path cannot be opened.
    Landlock(const Options& options, MissingLayers& missing) {
        const bool files = options.files.is_restricted();
        const bool ports = options.network.restricts_tcp();
        const bool scopes = options.scopes.abstract_sockets || options.scopes.signals;
        if (!files && !ports && !scopes) return;
        const LandlockSupport support;
        const auto has = [&](bool is_wanted, Layer layer) {
            return is_wanted && missing.need(layer, support.offer(layer), options.optional);
        };
        detail::landlock::Ruleset handled;
        if (has(files, Layer::file_access)) {
            has(leaves_devices_uncontrolled(options.files), Layer::device_control);
            handled.files = detail::landlock::all_files(support.version());
        }
        if (has(ports, Layer::tcp_ports)) handled.net = detail::landlock::bind_tcp | detail::landlock::connect_tcp;
        if (has(scopes, Layer::scopes)) {
            if (options.scopes.abstract_sockets) handled.scopes |= detail::landlock::scope_abstract_sockets;
            if (options.scopes.signals) handled.scopes |= detail::landlock::scope_signals;
        }
        holds_files_ = handled.files != 0;
        holds_ports_ = handled.net != 0;
        if (handled.files == 0 && handled.net == 0 && handled.scopes == 0) return;

        const long fd = detail::raw_call(sys::landlock_create_ruleset, &handled, sizeof handled, 0);
        if (fd < 0) throw Error{static_cast<int>(-fd), "make a Landlock ruleset"};
        ruleset_.reset(above_streams(static_cast<int>(fd)));
        if (!ruleset_) throw Error{errno, "make a Landlock ruleset"};
        if (holds_files_)
            for (const FileAccess& access : options.files.allowed()) allow(access, handled.files);
        if (!holds_ports_) return;
        for (const std::uint16_t port : options.network.tcp_ports().connect)
            allow_port(port, detail::landlock::connect_tcp);
        for (const std::uint16_t port : options.network.tcp_ports().bind) allow_port(port, detail::landlock::bind_tcp);
    }

    /// The ruleset that every worker enters, close-on-exec; -1 where nothing is held.
    int ruleset() const noexcept { return ruleset_.get(); }

    bool holds_files() const noexcept { return holds_files_; }
    bool holds_ports() const noexcept { return holds_ports_; }

private:
    static bool leaves_devices_uncontrolled(const Files& files) noexcept {
        for (const FileAccess& access : files.allowed())
            if ((access.rights() & FileAccess::control_devices) == 0) return true;
        return false;
    }

    void allow(const FileAccess& access, std::uint64_t handled) {
        const std::string& path = access.path();
        if (path.find('\0') != std::string::npos)
            throw Error{EINVAL, "allow a path: one with a zero byte in it would be cut"};
        const std::uint64_t rights = detail::landlock::rights(access.rights()) & handled;
        const long result = detail::landlock::allow_path(ruleset_.get(), path.c_str(), rights);
        if (result < 0) throw Error{static_cast<int>(-result), "allow access to " + path};
    }

    void allow_port(std::uint16_t port, std::uint64_t access) {
        const detail::landlock::PortRule rule{access, port};
        const long result =
            detail::raw_call(sys::landlock_add_rule, ruleset_.get(), detail::landlock::port_rule, &rule, 0);
        if (result == -EAFNOSUPPORT) return;  // a kernel without TCP (landlock_add_rule(2))
        if (result < 0) throw Error{static_cast<int>(-result), "allow TCP port " + std::to_string(port)};
    }

    Descriptor ruleset_{};
    bool holds_files_ = false;
    bool holds_ports_ = false;
};

}  // namespace sysguard::process
