#pragma once

#include <sysguard/filter/compile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/loose_policy.hpp"

namespace support {

/// A filter under construction by libseccomp.
class LibseccompFilter {
public:
    explicit LibseccompFilter(std::uint32_t otherwise) : context_{::seccomp_init(otherwise)} {}
    LibseccompFilter(const LibseccompFilter&) = delete;
    ~LibseccompFilter() { ::seccomp_release(context_); }

    bool is_made() const { return context_ != nullptr; }

    /// 0, or a negative errno.
    int add(std::uint32_t action, int number, const std::vector<scmp_arg_cmp>& comparisons) {
        return ::seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(comparisons.size()),
                                        comparisons.empty() ? nullptr : comparisons.data());
    }

    int set(scmp_filter_attr attribute, std::uint32_t value) { return ::seccomp_attr_set(context_, attribute, value); }

    /// The program that it would install.
    Code program() const {
        const int file = ::memfd_create("filter", MFD_CLOEXEC);
        if (file < 0 || ::seccomp_export_bpf(context_, file) != 0)
            throw std::runtime_error{"libseccomp exports nothing"};
        Code code(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)) / sizeof(sock_filter));
        const auto size = static_cast<ssize_t>(code.size() * sizeof(sock_filter));
        const bool read = ::pread(file, code.data(), static_cast<std::size_t>(size), 0) == size;
        ::close(file);
        if (!read) throw std::runtime_error{"the exported filter cannot be read"};
        return code;
    }

private:
    scmp_filter_ctx context_;
};

/// libseccomp's word on policies that it can express without ambiguity: of every two rules for a call, either both say
/// the same or no call matches both; and conditions are equalities under masks. Its inequalities are wrong where
/// several rules are for one argument, its unions have no order, and rules that contradict others are dropped.
class LibseccompJudge {
public:
    /// Its program for a policy, if there is one. `tree`: as a binary tree of numbers.
    static std::optional<Code> program(const LoosePolicy& policy, bool tree) {
        const std::uint32_t otherwise = sysguard::filter::return_value(policy.otherwise);
        LibseccompFilter filter{otherwise};
        if (!is_expressible(policy) || !filter.is_made()) return std::nullopt;
        if (filter.set(SCMP_FLTATR_ACT_BADARCH, sysguard::filter::return_value(policy.foreign)) != 0 ||
            filter.set(SCMP_FLTATR_CTL_OPTIMIZE, tree ? 2 : 1) != 0)
            return std::nullopt;
        for (const LoosePolicy::Rule& rule : policy.rules) {
            const std::uint32_t action = sysguard::filter::return_value(rule.decision);
            if (action == otherwise) continue;
            std::vector<scmp_arg_cmp> comparisons;
            for (const policy::BoundNode& node : rule.nodes)
                if (node.kind == Kind::range)
                    comparisons.push_back({node.position, SCMP_CMP_MASKED_EQ, node.mask, node.low});
            const int result = filter.add(action, rule.number, comparisons);
            if (result != 0 && result != -EEXIST) return std::nullopt;
        }
        return filter.program();
    }

    /// Whether both filters are to say the same of a call: not of numbers that the table does not know, which
    /// libseccomp treats as all others.
    static bool is_comparable(const seccomp_data& input) {
        if (input.arch != abi::audit_architecture(abi::native_abi) || abi::is_known(input.nr)) return true;
        const auto number = static_cast<std::uint32_t>(input.nr);
        return abi::native_abi == abi::Abi::x86_64 && number >= abi::x32_bit && number != policy::skipped_call;
    }

private:
    using Kind = policy::Node::Kind;

    static bool is_expressible(const LoosePolicy& policy) {
        for (const LoosePolicy::Rule& rule : policy.rules)
            if (!has_equalities_only(rule)) return false;
        for (std::size_t i = 0; i < policy.rules.size(); ++i)
            for (std::size_t j = 0; j < i; ++j)
                if (are_too_much(policy.rules[i], policy.rules[j])) return false;
        return true;
    }

    /// One equality, or several of different arguments joined by "and".
    static bool has_equalities_only(const LoosePolicy::Rule& rule) {
        unsigned seen = 0;
        for (const policy::BoundNode& node : rule.nodes) {
            if (node.kind == Kind::all && &node == rule.nodes.data()) continue;
            if (node.kind != Kind::range || node.outside || node.low != node.high || policy::is_in_memory(node))
                return false;
            if ((seen >> node.position & 1) != 0) return false;
            seen |= 1U << node.position;
        }
        return true;
    }

    static bool are_too_much(const LoosePolicy::Rule& a, const LoosePolicy::Rule& b) {
        if (a.number != b.number) return false;
        if (a.nodes.size() > 1 || b.nodes.size() > 1) return true;
        if (sysguard::filter::return_value(a.decision) == sysguard::filter::return_value(b.decision)) return false;
        for (const policy::BoundNode& one : a.nodes)
            for (const policy::BoundNode& other : b.nodes) {
                const bool tests = one.kind == Kind::range && other.kind == Kind::range;
                if (tests && one.position == other.position && ((one.low ^ other.low) & one.mask & other.mask) != 0)
                    return false;
            }
        return true;
    }
};

}  // namespace support
