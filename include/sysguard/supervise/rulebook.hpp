#pragma once

#include "../policy/view.hpp"
#include "call.hpp"
#include "pending.hpp"
#include "text_match.hpp"
#include "verdict.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

namespace sysguard::supervise {

/// What a condition of a rule says of a pending call's memory.
class MemoryTests {
public:
    explicit MemoryTests(Pending& call) noexcept : call_{call} {}

    bool operator()(const policy::BoundNode* node, bool positive) const {
        call_.memory_decided = true;
        call_.touch();
        if (error_ != 0) return !positive;
        return holds(*node, node);
    }

    /// The errno that the call fails with, as something of it could not be read; or 0.
    int error() const noexcept { return error_; }

private:
    bool holds(const policy::BoundNode& node, const policy::BoundNode* text) const {
        using policy::Facet;
        switch (node.facet) {
            case Facet::text:
            case Facet::path: {
                const Copied& copied = call_.copy(node.position);
                if (copied.error != 0) return fail(copied.error);
                const bool is_path = call_.call->arguments[node.position].type == abi::Type::path;
                return is_path ? leads_to(place_of(call_, node.position), text) : matches_text(text, copied.bytes);
            }
            case Facet::bytes: {
                const Copied& copied = call_.copy(node.position);
                return copied.error != 0 ? fail(copied.error) : matches_text(text, copied.bytes);
            }
            default: return holds_for(node, text, call_.socket_address(node.position));
        }
    }

    bool holds_for(const policy::BoundNode& node, const policy::BoundNode* text, const SocketAddress& address) const {
        using policy::Facet;
        if (call_.copies[node.position].error != 0 && call_.arguments[node.position] != 0)
            return fail(call_.copies[node.position].error);
        const policy::IpAddress ip = address.ip();
        switch (node.facet) {
            case Facet::family: return compare(node, text, static_cast<std::uint32_t>(address.family()));
            case Facet::port: return compare(node, text, address.port());
            case Facet::loopback: return address.is_loopback();
            case Facet::private_range: return address.is_private();
            case Facet::network:
                return address.is_ip() &&
                       policy::Network{node.low, node.high, static_cast<unsigned>(node.extra)}.contains(ip.high,
                                                                                                        ip.low);
            case Facet::unix_path:
                return !address.unix_path().empty() && leads_to(unix_place_of(call_, node.position), text);
            case Facet::abstract_name: return address.is_abstract() && matches_text(text, address.abstract_name());
            default: return false;
        }
    }

    /// What leads nowhere is what no text says, not even `**`.
    static bool leads_to(const std::string& place, const policy::BoundNode* text) noexcept {
        return !place.empty() && matches_text(text, place);
    }

    static bool compare(const policy::BoundNode& node, const policy::BoundNode* members, std::uint64_t value) noexcept {
        value &= node.mask;
        if (node.kind == policy::Node::Kind::range) return (node.low <= value && value <= node.high) != node.outside;
        for (unsigned i = 0; i < node.count; ++i)
            if (policy::member_value(members, i) == value) return true;
        return false;
    }

    bool fail(int error) const noexcept {
        error_ = error;
        return false;
    }

    Pending& call_;
    mutable int error_ = 0;
};

/// The rules of a sandbox, by call: what the host says to the calls that reach it. Immutable, thread-safe.
class Rulebook {
public:
    /// Borrows what the view leads to.
    explicit Rulebook(const policy::View& view) : view_{view}, next_{new std::int16_t[view.rule_count + 1]} {
        for (std::int16_t& first : first_) first = none;
        for (std::size_t i = view.rule_count; i-- > 0;) {
            const auto number = static_cast<std::size_t>(view.rules[i].number);
            next_[i] = first_[number];
            first_[number] = static_cast<std::int16_t>(i);
            if (view.rules[i].in_memory || view.rules[i].handler) has_handlers_ = true;
        }
    }

    Rulebook(const Rulebook&) = delete;
    Rulebook& operator=(const Rulebook&) = delete;
    ~Rulebook() { delete[] next_; }

    const policy::View& policy() const noexcept { return view_; }

    /// Whether some calls are decided in the host by more than their registers.
    bool has_handlers() const noexcept { return has_handlers_; }

    /// What becomes of a call: the first rule that matches decides. Where something that a rule looks at cannot be
    /// read, the call fails, as it would have in the kernel. Lets pass what a handler throws.
    Verdict decide(Pending& call) const {
        if (call.call == nullptr) return plain(call, decide_by_registers(call));
        for (int i = first_[call.number]; i != none; i = next_[i]) {
            const policy::RuleRecord& rule = view_.rules[i];
            if (rule.node_count != 0 && !policy::matches(view_.condition(rule), call.arguments))
                continue;  // whatever the memory says
            if (rule.in_memory) {
                const MemoryTests memory{call};
                const bool holds = policy::matches(view_.condition(rule), call.arguments, memory);
                if (memory.error() != 0) return AnyCall{call}.deny(memory.error());
                if (!holds) continue;
            }
            if (rule.handler) return rule.handler.invoke(rule.handler.context, AnyCall{call});
            return plain(call, rule.decision);
        }
        return plain(call, view_.otherwise);
    }

private:
    static constexpr std::int16_t none = -1;

    static std::uint32_t native() noexcept { return abi::audit_architecture(abi::native_abi); }
    static bool is_foreign(int number) noexcept {
        return abi::native_abi == abi::Abi::x86_64 && static_cast<std::uint32_t>(number) >= abi::x32_bit;
    }

    Decision decide_by_registers(Pending& call) const noexcept {
        if (call.admitted == nullptr)
            return call.architecture == native() && !is_foreign(call.number) ? policy::unknown_call : view_.foreign;
        const policy::ForeignDecision decided = call.admitted->decide(view_, call.number, call.arguments);
        call.is_undecided = decided.is_undecided;
        return decided.decision;
    }

    static Verdict plain(Pending& pending, const Decision& decision) {
        const AnyCall call{pending};
        switch (decision.action) {
            case Action::allow:
            case Action::log: return pending.memory_decided ? call.perform_if_possible() : call.proceed_unchecked();
            case Action::deny: return call.deny(static_cast<int>(decision.value));
            case Action::fake: return call.fake(decision.value);
            default: return call.kill();
        }
    }

    policy::View view_;
    std::int16_t first_[abi::native_limit];
    std::int16_t* next_;
    bool has_handlers_ = false;
};

}  // namespace sysguard::supervise
