#pragma once

#include "overlay_layer.hpp"

#include <string>
#include <utility>

namespace sysguard {

/// A directory that workers change without changing it: what they write lands in a layer of its own, which the host can
/// list, commit or discard. The layer goes with the last of the overlay and the sandboxes that mount it.
class Overlay {
public:
    struct Options {
        /// Where the layer lies, in a directory of its own: of the host's, not in `lower`, of a file system that has
        /// extended attributes of users, and room.
        std::string where = "/var/tmp";
        bool is_kept = false;  ///< the layer stays when this goes, in `scratch()`
    };

    /// Throws `Error`: a directory that is not there, or cannot be an overlay's.
    explicit Overlay(const std::string& lower) : Overlay{lower, Options{}} {}
    Overlay(const std::string& lower, const Options& options)
        : layer_{new process::OverlayLayer{lower, options.where, options.is_kept}} {}

    /// The directory that is not changed, and where the layer lies: absolute paths.
    const std::string& lower() const noexcept { return layer_->lower(); }
    std::string upper() const { return layer_->upper(); }
    std::string work() const { return layer_->work(); }
    const std::string& scratch() const noexcept { return layer_->scratch(); }

    /// For who mounts it.
    const process::OverlayLayerShare& layer() const noexcept { return layer_; }

private:
    process::OverlayLayerShare layer_;
};

}  // namespace sysguard
