#pragma once

#include "../abi/error.hpp"
#include "../abi/table.hpp"
#include "mistakes.hpp"
#include "view.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace sysguard {

/// How often a system call was made in a recorded run: a line of `strace -c`.
struct CallCount {
    int number = 0;
    std::uint64_t count = 0;
};

namespace policy {

namespace mistake {

namespace detail {

/// As `refuse` of mistakes.hpp.
constexpr void refuse_weights(int number, const char* call, const char* text) {
    if (number >= -1 || *call == 0)
        throw Error{EINVAL, "weights: " + (*call != 0 ? std::string{call} : std::to_string(number)) + ": " + text};
}

}  // namespace detail

constexpr void weights_name_a_number_that_is_no_system_call(int number) {
    detail::refuse_weights(number, "", "no system call of this architecture has this number: leave it out");
}

constexpr void weights_name_a_call_twice(int number) {
    detail::refuse_weights(number, detail::call_of(number), "it is named twice: add up its counts");
}

constexpr void weights_are_written_twice(int number) {
    detail::refuse_weights(number, detail::call_of(number),
                           "a policy has weights once: put all counts into one sg::weights");
}

}  // namespace mistake

/// How often each call of a recorded run was made; a policy that has this among its parts compiles to a filter that is
/// quicker for the frequent ones. What becomes of a call stays the same. Made by `sg::weights`.
template <std::size_t count>
class [[nodiscard]] Weights {
public:
    static constexpr bool at_run_time = count == std::dynamic_extent;

    constexpr explicit Weights(std::span<const CallCount, count> calls) {
        if constexpr (at_run_time) weights_.resize(calls.size());
        check(calls);
        std::uint64_t all_bits = 0;
        for (const CallCount& call : calls) all_bits |= call.count;
        const int shift = std::max(0, static_cast<int>(std::bit_width(all_bits)) - 32);
        std::uint64_t all = 0;
        for (const CallCount& call : calls) all += call.count >> shift;
        for (std::size_t i = 0; i < calls.size(); ++i) {
            const std::uint64_t scaled = (calls[i].count >> shift) << 16;
            weights_[i] = {calls[i].number, all == 0 ? 0 : static_cast<std::uint32_t>(scaled / all)};
        }
        std::sort(std::begin(weights_), std::end(weights_), comes_first);
    }

    /// Lends the weights, which live as long as this does, to a policy that has none yet.
    constexpr void give_to(WeightList& list) const {
        if (list.size > 0 && std::size(weights_) > 0) mistake::weights_are_written_twice(weights_[0].number);
        if (list.size == 0) list = view();
    }

    constexpr WeightList view() const noexcept { return {std::data(weights_), std::size(weights_)}; }
    constexpr operator WeightList() const noexcept { return view(); }

private:
    static constexpr bool comes_first(const Weight& a, const Weight& b) noexcept {
        return a.part != b.part ? a.part > b.part : a.number < b.number;
    }

    static constexpr void check(std::span<const CallCount> calls) {
        bool named[abi::native_limit]{};
        for (const CallCount& call : calls) {
            if (!abi::is_known(call.number)) mistake::weights_name_a_number_that_is_no_system_call(call.number);
            if (named[call.number]) mistake::weights_name_a_call_twice(call.number);
            named[call.number] = true;
        }
    }

    std::conditional_t<at_run_time, std::vector<Weight>, Weight[at_run_time ? 1 : count]> weights_{};
};

}  // namespace policy

/// How often the calls of a recorded run were made, as a part of a policy, which is written once and anywhere before
/// `otherwise`: `sg::weights({{SYS_read, 9000}, {SYS_futex, 500}})`. Only the proportions count, and any counts are
/// fine. What is not named counts a little, about a tenth all together. A number that is no call of this architecture,
/// or that is named twice, does not compile.
///
/// Since Linux 5.11 the kernel runs no filter for calls that are allowed whatever their arguments (its cache, seccomp
/// of kernel/seccomp.c): weights matter for the others, and for older kernels.
template <std::size_t count>
constexpr policy::Weights<count> weights(const CallCount (&calls)[count]) {
    return policy::Weights<count>{calls};
}

/// The same for counts that are known at run time. Throws `Error`: EINVAL for a number that is no call of this
/// architecture, or that is named twice.
inline policy::Weights<std::dynamic_extent> weights(std::span<const CallCount> calls) {
    return policy::Weights<std::dynamic_extent>{calls};
}

}  // namespace sysguard
