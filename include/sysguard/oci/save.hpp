#pragma once

#include "../policy/view.hpp"
#include "detail/field.hpp"
#include "detail/saver.hpp"
#include "detail/write_file.hpp"

#include <cerrno>
#include <string>
#include <vector>

namespace sysguard {

/// How a policy is saved as a profile.
struct OciSaving {
    /// Where an agent of the container runtime listens (`listenerPath`). With it, what the host of the policy decides
    /// becomes SCMP_ACT_NOTIFY; without, it is refused.
    std::string listener_path{};

    /// Throw `Error` (ENOTSUP) rather than save a profile that is stricter than the policy.
    bool strict = false;
};

/// A policy as a profile.
struct OciText {
    std::string json;                     ///< a profile of the OCI runtime specification, for this architecture
    std::vector<std::string> stricter{};  ///< what the profile refuses though the policy might not: a sentence each
    std::vector<std::string> notes{};     ///< what else a profile cannot say: a sentence each
};

/// Says in a profile what a policy, of any type, says. The rules that it comes to exclude each other, so that their
/// order means nothing, and compare equalities under a mask, so that registers of 64 bits, which is what container
/// runtimes compare, say the same. What a profile cannot express becomes something stricter, and is reported; loaded
/// again, it is the same policy where nothing is. docs/profiles.md has the details. Throws `Error` as `OciSaving` says.
/// Thread-safe.
template <class AnyPolicy>
OciText to_oci_profile(const AnyPolicy& policy, const OciSaving& how = {}) {
    OciText text;
    text.json = oci::detail::Saver{policy.view(), how.listener_path, text.stricter, text.notes}.save();
    if (how.strict && !text.stricter.empty())
        throw Error{ENOTSUP, "save a policy as a profile that says no less: " + text.stricter.front()};
    return text;
}

/// The same into a file, which holds the old contents or all of the new ones, whatever happens meanwhile; a symbolic
/// link is replaced, not followed. Its mode is 0644 less the umask. Throws `Error` also where it cannot be written.
template <class AnyPolicy>
OciText save_oci_profile(const AnyPolicy& policy, const std::string& path, const OciSaving& how = {}) {
    OciText text = to_oci_profile(policy, how);
    oci::detail::write(path, text.json);
    return text;
}

}  // namespace sysguard
