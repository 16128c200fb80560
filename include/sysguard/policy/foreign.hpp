#pragma once

#include "../abi/foreign.hpp"
#include "view.hpp"

#include <cstddef>
#include <cstdint>

namespace sysguard::policy {

/// What can be said of a condition where some arguments cannot be seen.
enum class Truth : std::uint8_t { no, yes, unknown };

namespace detail {

/// The bits of an ioctl request that say how large its structure is (_IOC_SIZE in asm-generic/ioctl.h).
inline constexpr std::uint64_t size_of_request = 0x3fff0000;

/// Whether a test names a request by the size of a structure, which may have another size, and with it the request
/// another number, in a 32-bit program.
constexpr bool names_a_size(const BoundNode* test) noexcept {
    if (test->kind == Node::Kind::member) {
        for (unsigned i = 0; i < test->count; ++i)
            if ((member_value(test, i) & size_of_request) != 0) return true;
    } else if (((test->low | test->high) & size_of_request) != 0) {
        return true;
    }
    return abi::low_half(test->mask) != 0xffffffff && (test->mask & size_of_request) != 0;
}

/// Whether a test of an argument that lies there can be made with the registers, at least with some values.
constexpr bool is_expressible(const BoundNode* test, const abi::Source& source) noexcept {
    using Kind = abi::Source::Kind;
    if (is_in_memory(*test) || source.kind == Kind::unknown) return false;
    return source.kind != Kind::request || !names_a_size(test);
}

}  // namespace detail

/// Whether all tests of registers that a condition has can be made with those of a foreign call, whatever they hold.
constexpr bool is_told_by_registers(const BoundNode* condition, std::size_t count,
                                    const abi::ForeignLayout& layout) noexcept {
    for (std::size_t i = 0; i < count;) {
        const BoundNode* const node = condition + i;
        const bool is_joint = !is_in_memory(*node) && node->kind <= Node::Kind::negate;
        i += is_joint ? 1 : node->size;
        if (is_joint || is_in_memory(*node)) continue;
        const abi::Source& source = layout.sources[node->position];
        if (!detail::is_expressible(node, source) || source.kind == abi::Source::Kind::command) return false;
    }
    return true;
}

/// Whether a condition bound to a native call holds for a foreign call with these registers.
constexpr Truth holds(const BoundNode* node, const abi::ForeignLayout& layout,
                      const std::uint64_t* registers) noexcept {
    const auto joined = [&](Truth deciding, Truth otherwise) {
        Truth result = otherwise;
        for (const BoundNode* part = node + 1; part < node + node->size; part += part->size) {
            const Truth truth = holds(part, layout, registers);
            if (truth == deciding) return deciding;
            if (truth == Truth::unknown) result = Truth::unknown;
        }
        return result;
    };
    switch (node->kind) {
        case Node::Kind::all: return joined(Truth::no, Truth::yes);
        case Node::Kind::any: return joined(Truth::yes, Truth::no);
        case Node::Kind::negate: {
            const Truth truth = holds(node + 1, layout, registers);
            return truth == Truth::unknown ? truth : truth == Truth::yes ? Truth::no : Truth::yes;
        }
        default: break;
    }
    const abi::Source& source = layout.sources[node->position];
    if (!detail::is_expressible(node, source)) return Truth::unknown;
    const abi::SourceValue value = abi::value_of(source, registers);
    if (!value.known) return Truth::unknown;
    std::uint64_t arguments[abi::max_arguments]{};
    arguments[node->position] = value.bits;
    return matches(node, arguments) ? Truth::yes : Truth::no;
}

namespace detail {

/// What the host reads and writes in the same way for both ABIs.
constexpr bool is_the_same_in_memory(abi::Type type) noexcept {
    switch (type) {
        case abi::Type::path:
        case abi::Type::string:
        case abi::Type::bytes:
        case abi::Type::socket_address:
        case abi::Type::socklen:
        case abi::Type::open_how:
        case abi::Type::statx:
        case abi::Type::xattr_args:
        case abi::Type::fd_pair:
        case abi::Type::int_cell:
        case abi::Type::uint_cell:
        case abi::Type::tid_cell:
        case abi::Type::futex_cell: return true;
        default: return false;
    }
}

}  // namespace detail

/// Whether the host can serve a foreign call as it serves the native one: all its arguments can be told, and what its
/// pointers lead to is the same in both ABIs.
constexpr bool is_served(const abi::ForeignLayout& layout) noexcept {
    using Kind = abi::Source::Kind;
    if (!abi::is_known(layout.native)) return false;
    const abi::Syscall& call = *abi::find(layout.native);
    for (int i = 0; i < call.argument_count(); ++i) {
        const Kind kind = layout.sources[i].kind;
        const abi::TypeInfo::Kind type = abi::info(call.arguments[i].type).kind;
        const bool is_there =
            kind == Kind::zero_extended || kind == Kind::sign_extended || kind == Kind::pair || kind == Kind::constant;
        if (!is_there || type == abi::TypeInfo::Kind::word) return false;
        if (type == abi::TypeInfo::Kind::pointer && !detail::is_the_same_in_memory(call.arguments[i].type))
            return false;
    }
    return true;
}

/// The same under a policy: whose rules for the native call can be applied.
constexpr bool is_served(const View& view, const abi::ForeignLayout& layout) noexcept {
    if (!is_served(layout)) return false;
    for (std::size_t i = 0; i < view.rule_count; ++i) {
        const RuleRecord& rule = view.rules[i];
        if (rule.number == layout.native && !is_told_by_registers(view.condition(rule), rule.node_count, layout))
            return false;
    }
    return true;
}

/// The layout that holds under a policy for a call at a place.
template <abi::Abi abi>
constexpr const abi::ForeignLayout& foreign_layout(const View& view, int place) noexcept {
    const abi::ForeignLayout& layout = abi::foreign_layout<abi>(place);
    if (layout.instead < 0) return layout;
    for (std::size_t i = 0; i < view.rule_count; ++i)
        if (view.rules[i].number == layout.native) return layout;
    return abi::foreign_layout<abi>(layout.instead);
}

/// A worker may always end itself, through the native ABI by the filter that stands before every policy's; and do what
/// needs no call natively.
constexpr bool is_always_allowed(const abi::ForeignLayout& layout) noexcept {
    return layout.native == abi::ForeignLayout::always || layout.native == sys::exit ||
           layout.native == sys::exit_group;
}

/// Evaluates the rules for a call of a 32-bit ABI, as the reference that the filter is compared with: `policy::decide`.
template <abi::Abi abi>
constexpr ForeignDecision decide_foreign(const View& view, int number, const std::uint64_t* registers) noexcept {
    if (static_cast<std::uint32_t>(number) == skipped_call) return {{Action::allow}, false};
    const int place = abi::foreign_place<abi>(number, registers[0]);
    if (place < 0) return {unknown_call, false};
    const abi::ForeignLayout& layout = foreign_layout<abi>(view, place);
    if (is_always_allowed(layout)) return {{Action::allow}, false};
    const bool served = is_served(view, layout);
    const auto decided = [&](const Decision& decision) -> ForeignDecision {
        if (!served && decision == Action::handle) return {view.foreign, true};
        return {decision, false};
    };
    for (std::size_t i = 0; i < view.rule_count; ++i) {
        const RuleRecord& rule = view.rules[i];
        if (rule.number != layout.native) continue;
        const Truth truth = rule.node_count == 0 ? Truth::yes : holds(view.condition(rule), layout, registers);
        if (truth == Truth::no) continue;
        if (served && rule.in_memory) return {{Action::handle}, false};
        if (truth == Truth::unknown) return {view.foreign, true};
        return decided(rule.decision);
    }
    return decided(view.otherwise);
}

/// What a call of a 32-bit ABI is natively, under a policy.
template <abi::Abi abi>
constexpr NativeCall translate_foreign(const View& view, int number, const std::uint64_t* registers) noexcept {
    NativeCall native;
    const int place = abi::foreign_place<abi>(number, registers[0]);
    if (place < 0) return native;
    const abi::ForeignLayout& layout = foreign_layout<abi>(view, place);
    if (layout.native == abi::ForeignLayout::always) return native;
    native.number = layout.native;
    native.is_served = is_served(view, layout);
    for (int i = 0; i < abi::max_arguments; ++i) {
        const abi::SourceValue value = abi::value_of(layout.sources[i], registers);
        native.known[i] = value.known;
        native.arguments[i] = value.bits;
    }
    return native;
}

template <abi::Abi abi>
inline constexpr AdmittedAbi admitted_abi{abi, decide_foreign<abi>, translate_foreign<abi>};

}  // namespace sysguard::policy
