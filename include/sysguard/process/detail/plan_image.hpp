#pragma once

#include "plan.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <linux/filter.h>

namespace sysguard::process::detail {

/// A plan, copied with all that it points to into memory that has the same address in another process, so that its
/// bytes can be sent there. Descriptors are sent beside them, and get their new numbers there.
class PlanImage {
public:
    static constexpr std::size_t most_descriptors = 250;  ///< of 253 that one message holds (unix(7))

    /// What the image begins with.
    struct Head {
        std::size_t size = 0;
        Plan* plan = nullptr;
        void (*entry)(const void* data, void* area) = nullptr;
        const void* data = nullptr;
        std::size_t area_size = 0;
        std::size_t descriptor_count = 0;
        int* descriptors[most_descriptors] = {};  ///< where the number of each is to go
        bool is_move[most_descriptors] = {};
    };

    PlanImage(unsigned char* memory, std::size_t capacity) noexcept : memory_{memory}, capacity_{capacity} {}

    /// Returns 0 or an errno: E2BIG, ENOTSUP where the plan has what no image holds, EMFILE.
    int fill(const Plan& original) noexcept {
        used_ = 0;
        head_ = put(Head{});
        Plan* const plan = put(original);
        if (head_ == nullptr || plan == nullptr) return E2BIG;
        head_->plan = plan;
        // All members, by name, so that a new one does not compile here before somebody has thought of it: a pointer is
        // to be copied with what it points to, a descriptor to be added.
        auto& [moves, move_count, most_start_time, joins_keyring, directory, umask, limits, limit_count, late_limit,
               scheduling, credentials, host, guarded_session, world, host_fd, status, init, outer_pid, mapping,
               mapping_result, init_alive, program_alive, filter, filter_size, own_pid_at, wants_listener, channel,
               cgroup, keeps_cgroup, ruleset, path, argv, envp, pass, failure, listener] = *plan;
        auto& [user, group, groups, group_count, groups_are_kept, groups_are_exact, capabilities, capabilities_are_kept,
               exposes_nothing, owns_root_files, begins_with_capabilities, dumpable, is_of_function,
               denies_write_execute] = credentials;
        auto& [has_nice, nice, nice_text, policy, io_priority, cpus, cpu_bytes, oom_score_adj] = scheduling;
        if (status >= 0) return ENOTSUP;  // of a program that starts in the host's memory
        host_fd = -1;                     // of whoever starts the first process of a pid namespace: its own
        if (world != nullptr) world = copy_world(*world);
        moves = copy(moves, move_count);
        if (directory != nullptr) directory = copy(directory, std::strlen(directory) + 1);
        limits = copy(limits, limit_count);
        if (late_limit != nullptr) late_limit = copy(late_limit, 1);
        groups = copy(groups, group_count);
        if (cpus != nullptr) cpus = copy(cpus, cpu_bytes / sizeof *cpus);
        filter = copy(filter, filter_size);
        guarded_session = nullptr;  // the host writes to it
        path = copy_text(path);
        argv = copy_list(argv);
        envp = copy_list(envp);
        for (std::size_t i = 0; i < move_count && !is_full_; ++i) add_descriptor(moves[i].from, true);
        for (int* const each : {&channel, &cgroup, &ruleset, &init}) add_descriptor(*each, false);
        if (is_full_) return E2BIG;
        return too_many_ ? EMFILE : 0;
    }

    /// What the entry gets.
    bool set_entry(void (*entry)(const void*, void*), const void* data, std::size_t size,
                   std::size_t area_size) noexcept {
        head_->entry = entry;
        head_->data = copy(static_cast<const unsigned char*>(data), size);
        head_->area_size = area_size;
        head_->size = used_;
        return !is_full_;
    }

    std::size_t size() const noexcept { return used_; }
    const int* descriptors() const noexcept { return numbers_; }
    std::size_t descriptor_count() const noexcept { return head_->descriptor_count; }

private:
    void* room(std::size_t size) noexcept {
        const std::size_t at =
            (used_ + alignof(std::max_align_t) - 1) / alignof(std::max_align_t) * alignof(std::max_align_t);
        if (at > capacity_ || size > capacity_ - at) {
            is_full_ = true;
            return nullptr;
        }
        used_ = at + size;
        return memory_ + at;
    }

    template <class T>
    T* put(const T& value) noexcept {
        void* const to = room(sizeof value);
        return to != nullptr ? ::new (to) T{value} : nullptr;
    }

    template <class T>
    T* copy(T* from, std::size_t count) noexcept {
        static_assert(std::is_trivially_copyable_v<T>);
        void* const to = room(count * sizeof(T));
        if (to != nullptr && count > 0) std::memcpy(to, from, count * sizeof(T));
        return static_cast<T*>(to);
    }

    const char* copy_text(const char* text) noexcept {
        return text != nullptr ? copy(text, std::strlen(text) + 1) : nullptr;
    }

    /// Strings up to a nullptr.
    char* const* copy_list(char* const* original) noexcept {
        if (original == nullptr) return nullptr;
        std::size_t count = 0;
        while (original[count] != nullptr) ++count;
        const char** const list = copy(const_cast<const char**>(original), count + 1);
        for (std::size_t i = 0; i < count && !is_full_; ++i) list[i] = copy_text(list[i]);
        return const_cast<char* const*>(list);
    }

    /// All members by name, too.
    const World* copy_world(const World& original) noexcept {
        World* const copied = put(original);
        if (copied == nullptr) return nullptr;
        auto& [flags, has_time, has_private_root, brings_up_loopback, shows_own_processes, is_mapped_by_host, user,
               group, users, groups, time_offsets, host_name, mounts, mount_count] = *copied;
        for (Text* const each : {&users, &groups, &time_offsets, &host_name}) each->text = copy(each->text, each->size);
        MountStep* const steps = copy(const_cast<MountStep*>(mounts), mount_count);
        for (std::size_t i = 0; i < mount_count && !is_full_; ++i) {
            auto& [kind, source, target, size, upper, work, attributes, mode] = steps[i];
            for (const char** const each : {&source, &target, &size, &upper, &work}) *each = copy_text(*each);
        }
        mounts = steps;
        return copied;
    }

    void add_descriptor(int& number, bool is_move) noexcept {
        if (number < 0) return;
        too_many_ = too_many_ || head_->descriptor_count == most_descriptors;
        if (too_many_) return;
        const std::size_t at = head_->descriptor_count++;
        numbers_[at] = number;
        head_->descriptors[at] = &number;
        head_->is_move[at] = is_move;
    }

    unsigned char* memory_;
    std::size_t capacity_;
    std::size_t used_ = 0;
    Head* head_ = nullptr;
    int numbers_[most_descriptors];
    bool is_full_ = false;
    bool too_many_ = false;
};

}  // namespace sysguard::process::detail
