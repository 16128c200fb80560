#pragma once

namespace sysguard::process {

/// Something of the host's that workers have mounted, and that must stay as it is meanwhile. Thread-safe.
class HeldLayer {
public:
    HeldLayer() noexcept = default;
    HeldLayer(const HeldLayer&) = delete;
    HeldLayer& operator=(const HeldLayer&) = delete;
    virtual ~HeldLayer() = default;

    /// For each worker that has it mounted, from before it is mounted until the worker and its mount are gone. Returns
    /// false while somebody changes it.
    virtual bool hold() noexcept = 0;
    virtual void release() noexcept = 0;

private:
    friend class HeldLayerShare;

    long shares_ = 1;
};

/// One share of a layer, which goes with the last one.
class HeldLayerShare {
public:
    /// Of none.
    HeldLayerShare() noexcept = default;
    explicit HeldLayerShare(HeldLayer* layer) noexcept : layer_{layer} {}
    HeldLayerShare(const HeldLayerShare& other) noexcept : layer_{other.layer_} {
        if (layer_ != nullptr) __atomic_fetch_add(&layer_->shares_, 1, __ATOMIC_RELAXED);
    }
    HeldLayerShare(HeldLayerShare&& other) noexcept : layer_{other.layer_} { other.layer_ = nullptr; }
    HeldLayerShare& operator=(HeldLayerShare other) noexcept {
        HeldLayer* const layer = layer_;
        layer_ = other.layer_;
        other.layer_ = layer;
        return *this;
    }
    ~HeldLayerShare() {
        if (layer_ != nullptr && __atomic_sub_fetch(&layer_->shares_, 1, __ATOMIC_ACQ_REL) == 0) delete layer_;
    }

    explicit operator bool() const noexcept { return layer_ != nullptr; }
    HeldLayer* get() const noexcept { return layer_; }

private:
    HeldLayer* layer_ = nullptr;
};

/// A layer that a worker holds: released with this, or before. Movable.
class LayerHold {
public:
    LayerHold() noexcept = default;
    LayerHold(LayerHold&& other) noexcept = default;
    LayerHold& operator=(LayerHold&& other) noexcept {
        release();
        share_ = static_cast<HeldLayerShare&&>(other.share_);
        return *this;
    }
    ~LayerHold() { release(); }

    /// Returns whether that succeeded: not while somebody changes the layer.
    bool take(const HeldLayerShare& share) noexcept {
        release();
        if (!share.get()->hold()) return false;
        share_ = share;
        return true;
    }

    void release() noexcept {
        if (share_) share_.get()->release();
        share_ = HeldLayerShare{};
    }

private:
    HeldLayerShare share_{};
};

}  // namespace sysguard::process
