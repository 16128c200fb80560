#pragma once

#include "../abi/value_text.hpp"
#include "binding.hpp"
#include "network.hpp"
#include "text.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <arpa/inet.h>

namespace sysguard::policy {

/// A text in double quotes, on one line and in ASCII, whatever it holds: other bytes as \x0a.
inline std::string quoted_text(std::string_view text) {
    std::string shown = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f) {
            char escape[5];
            std::snprintf(escape, sizeof escape, "\\x%02x", byte);
            shown += escape;
        } else {
            if (c == '"' || c == '\\') shown += '\\';
            shown += c;
        }
    }
    return shown + '"';
}

/// Which tests of a condition are shown: all, or those that the kernel makes, with the others taken as they favour the
/// rule (Memory::favourable).
enum class Shown : bool { all, registers };

namespace detail {

/// A condition, or a part of one, in words.
struct Phrase {
    enum class Kind : std::uint8_t { always, never, test, all, any };

    Kind kind = Kind::always;
    std::string text{};
};

inline std::string network_text(std::uint64_t high, std::uint64_t low, std::uint64_t prefix) {
    unsigned char bytes[16];
    for (unsigned i = 0; i < 16; ++i)
        bytes[i] = static_cast<unsigned char>((i < 8 ? high : low) >> (56 - 8 * (i % 8)) & 0xff);
    const bool short_form = is_ipv4(high, low) && prefix >= 96;
    char text[INET6_ADDRSTRLEN] = "?";
    ::inet_ntop(short_form ? AF_INET : AF_INET6, bytes + (short_form ? 12 : 0), text, sizeof text);
    return std::string{text} + '/' + std::to_string(short_form ? prefix - 96 : prefix);
}

inline std::string text_of(const BoundNode* node) {
    std::string text;
    for (std::size_t i = 0; i < node->count; ++i) {
        const BoundNode& carrier = node[1 + i / node_text];
        const std::size_t word = i % node_text / 8;
        text += byte_of(word == 0 ? carrier.low : word == 1 ? carrier.high : carrier.extra, i);
    }
    return text;
}

/// One test of a register, or of a number that the host finds in memory, in words.
class NumberTest {
public:
    NumberTest(const abi::Syscall& call, const BoundNode* node, bool negated) : node_{node}, negated_{negated} {
        const abi::Argument& argument = call.arguments[node->position];
        const bool named = argument.name != abi::ArgName::none;
        subject_ = named ? abi::name(argument.name) : "argument " + std::to_string(node->position);
        type_ = named ? argument.type : abi::Type::uint64;
        if (named) set_ = abi::constants_of(call, argument);
        if (node->facet == Facet::family) described("'s family", abi::Type::socket_domain);
        if (node->facet == Facet::port) described("'s port", abi::Type::port);
        find_interval();
        find_width();
    }

    Phrase phrase() const {
        if (interval_ && order(low_) <= order(lowest()) && order(high_) >= order(highest()))
            return {negated_ ? Phrase::Kind::never : Phrase::Kind::always};
        if (node_->facet == Facet::loopback)
            return test(negated_ ? " is no loopback address" : " is a loopback address");
        if (node_->facet == Facet::private_range)
            return test(negated_ ? " is in no private network" : " is in a private network");
        if (!interval_) return test(members());
        if (is_part_ && tests_flags()) {
            const std::string flags = flag_test();
            if (!flags.empty()) return test(flags);
        }
        return test(comparison());
    }

private:
    static Phrase test_of(std::string text) { return {Phrase::Kind::test, std::move(text)}; }

    void described(const char* suffix, abi::Type type) {
        subject_ += suffix;
        type_ = type;
        set_ = abi::constants_of(type);
    }

    Phrase test(const std::string& rest) const { return test_of(subject_ + rest); }

    const abi::TypeInfo& info() const { return abi::info(type_); }

    /// The values that the test is for, as an interval or a list. Bound tests are unsigned: where the type is signed,
    /// an interval that its order does not know is one when turned inside out.
    void find_interval() {
        interval_ = node_->kind == Node::Kind::range || node_->count == 1;
        if (!interval_) return;
        low_ = node_->kind == Node::Kind::range ? node_->low : member_value(node_, 0);
        high_ = node_->kind == Node::Kind::range ? node_->high : low_;
        const bool outside = node_->kind == Node::Kind::range && node_->outside;
        if (outside && orders_signed() && low_ > 0 && order(high_ + 1) <= order(low_ - 1)) {
            const std::uint64_t below = low_ - 1;
            low_ = high_ + 1;
            high_ = below;
        } else if (!outside && orders_signed() && order(low_) > order(high_)) {
            const bool everything = low_ == 0 && high_ == node_->mask;
            const std::uint64_t below = (low_ - 1) & node_->mask;
            low_ = everything ? lowest() : (high_ + 1) & node_->mask;
            high_ = everything ? highest() : below;
            negated_ = negated_ != !everything;
        } else {
            negated_ = negated_ != outside;
        }
    }

    bool orders_signed() const { return info().is_signed && node_->mask == info().compared; }
    std::uint64_t order(std::uint64_t value) const {
        return orders_signed() ? value ^ (node_->mask ^ (node_->mask >> 1)) : value;
    }
    std::uint64_t lowest() const { return orders_signed() ? node_->mask ^ (node_->mask >> 1) : 0; }
    std::uint64_t highest() const { return orders_signed() ? node_->mask >> 1 : node_->mask; }

    /// Whether the bits that take part are others than a comparison of the type looks at; and where they are a
    /// register, which.
    void find_width() {
        const std::uint64_t mask = node_->mask;
        const std::uint64_t first = interval_ ? low_ : member_value(node_, 0);
        const bool one_value = !interval_ || low_ == high_;
        is_part_ = one_value ? mask != abi::compared_beside(type_, first) : mask != info().compared;
        const bool is_word = info().kind == abi::TypeInfo::Kind::word;
        const bool is_register = mask == ~0ULL || (is_word && (mask == 0xffffffff || mask == 0xffff || mask == 0xff));
        if (!is_part_ || !is_register) return;
        is_part_ = false;
        is_other_register_ = true;
        subject_ += " (" + std::to_string(std::popcount(mask)) + " bits)";
    }

    /// Whether the bits of the mask are flags, to each of which a test may be put by itself. Of a field, part of which
    /// says nothing, only the access mode of open and the kind of a mapping are put together of bits.
    bool tests_flags() const {
        const bool are_bits = info().kind == abi::TypeInfo::Kind::bits || abi::is_mode(type_);
        if ((node_->mask & ~info().tested) != 0) return false;
        if (set_ == abi::ConstantSet::none) return are_bits;
        const std::uint64_t field = abi::field_of(set_);
        const std::uint64_t of_field = node_->mask & field;
        if (node_->mask == field || field == ~0ULL) return false;
        if (of_field == 0) return true;
        return of_field == field ? are_bits : set_ == abi::ConstantSet::open || set_ == abi::ConstantSet::map;
    }

    std::string flag_test() const {
        const std::uint64_t mask = node_->mask;
        const bool single = std::has_single_bit(mask);
        if (low_ == 0 && high_ == 0) {
            const std::uint64_t rest = info().tested & ~mask;
            if (rest != 0 && std::popcount(rest) < std::popcount(mask))
                return (negated_ ? " has something besides " : " has nothing but ") + bits(rest);
            if (single) return (negated_ ? " has " : " lacks ") + bits(mask);
            return (negated_ ? " has any of " : " has none of ") + bits(mask);
        }
        if (low_ == mask && high_ == mask) {
            if (single) return (negated_ ? " lacks " : " has ") + bits(mask);
            return (negated_ ? " lacks some of " : " has all of ") + bits(mask);
        }
        return {};
    }

    std::string bits(std::uint64_t value) const { return abi::bits_text(type_, set_, value); }
    std::string plain_bits(std::uint64_t value) const { return abi::bits_text(type_, abi::ConstantSet::none, value); }

    std::string mask_text() const {
        const bool is_field = set_ != abi::ConstantSet::none && node_->mask == abi::field_of(set_);
        if (is_field && !abi::field_name(set_).empty()) return std::string{abi::field_name(set_)};
        const std::string mask = tests_flags() ? bits(node_->mask) : plain_bits(node_->mask);
        return mask.find('|') == mask.npos ? mask : '(' + mask + ')';
    }

    std::string subject_rest() const { return is_part_ ? " & " + mask_text() : std::string{}; }

    /// A field of which only some bits take part has no names for its values.
    std::string value(std::uint64_t bits) const {
        const std::uint64_t field = abi::field_of(set_) & info().compared;
        if (is_other_register_ && bits > highest_of_int) return plain_bits(bits);
        if (!is_part_) return abi::value_text(type_, set_, bits);
        if ((node_->mask & ~info().tested) != 0) return plain_bits(bits);
        if (set_ != abi::ConstantSet::none && (node_->mask & field) == field) return abi::value_text(type_, set_, bits);
        return tests_flags() ? this->bits(bits) : plain_bits(bits);
    }

    /// A bound is a number: what is above or below a constant has nothing to do with its name.
    std::string bound(std::uint64_t bits) const {
        const bool is_plain = is_part_ || (is_other_register_ && bits > highest_of_int);
        return is_plain ? plain_bits(bits) : abi::number_text(type_, bits);
    }

    std::string comparison() const {
        const std::string rest = subject_rest();
        if (low_ == high_) return rest + (negated_ ? " is not " : " is ") + value(low_);
        if (order(low_) == order(lowest())) return rest + (negated_ ? " is above " : " is at most ") + bound(high_);
        if (order(high_) == order(highest())) return rest + (negated_ ? " is below " : " is at least ") + bound(low_);
        return rest + (negated_ ? " is outside of " : " is from ") + bound(low_) + " to " + bound(high_);
    }

    /// Numbers without names that follow one another are one entry.
    std::string members() const {
        std::string text = subject_rest() + (negated_ ? " is none of " : " is one of ");
        for (unsigned i = 0; i < node_->count;) {
            unsigned last = i;
            while (last + 1 < node_->count && is_plain(last) && is_plain(last + 1) &&
                   order(member_value(node_, last + 1)) == order(member_value(node_, last)) + 1)
                ++last;
            if (last < i + 2) last = i;
            if (i > 0) text += ", ";
            text += value(member_value(node_, i));
            if (last > i) text += " to " + value(member_value(node_, last));
            i = last + 1;
        }
        return text;
    }

    bool is_plain(unsigned index) const {
        const std::string text = value(member_value(node_, index));
        return text.find_first_not_of(info().is_signed ? "-0123456789" : "0123456789abcdefx") == text.npos;
    }

    static constexpr std::uint64_t highest_of_int = 0x7fffffff;

    const BoundNode* node_;
    bool negated_;
    std::string subject_{};
    abi::Type type_{};
    abi::ConstantSet set_{};
    bool interval_ = false;
    bool is_part_ = false;
    bool is_other_register_ = false;  ///< compared with other bits than the type has, but with a whole register
    std::uint64_t low_ = 0;
    std::uint64_t high_ = 0;
};

/// A test of a text or of an IP address, in words.
inline std::string text_test(const abi::Syscall& call, const BoundNode* node, bool negated) {
    const abi::Argument& argument = call.arguments[node->position];
    std::string subject = abi::name(argument.name);
    const std::string no = negated ? " not" : "";
    if (node->kind == Node::Kind::within)
        return subject + " is" + no + " in " + network_text(node->low, node->high, node->extra);
    const std::string text = quoted_text(text_of(node));
    if (node->facet == Facet::bytes) return subject + (negated ? " does not begin with " : " begins with ") + text;
    const bool leads = node->facet == Facet::path || node->facet == Facet::unix_path ||
                       (node->facet == Facet::text && argument.type == abi::Type::path);
    if (node->facet == Facet::unix_path) subject += "'s path";
    if (node->facet == Facet::abstract_name) subject += "'s abstract name";
    const std::string verb = leads ? negated ? " does not lead" : " leads" : " is" + no;
    if (node->kind == Node::Kind::under) return subject + verb + " to " + text + " or below";
    if (node->kind != Node::Kind::glob) return subject + verb + (leads ? " to " : " ") + text;
    if (leads) return subject + verb + " to what matches " + text;
    return subject + (negated ? " does not match " : " matches ") + text;
}

inline Phrase phrase(const abi::Syscall& call, const BoundNode* node, bool negated, Shown shown);

/// Parts that are joined: flat, where one says the same as the joint of which it is a part.
inline Phrase joined(const abi::Syscall& call, const BoundNode* node, bool negated, Shown shown) {
    const bool all = (node->kind != Node::Kind::any) != negated;
    const Phrase::Kind own = all ? Phrase::Kind::all : Phrase::Kind::any;
    const Phrase::Kind neutral = all ? Phrase::Kind::always : Phrase::Kind::never;
    const Phrase::Kind deciding = all ? Phrase::Kind::never : Phrase::Kind::always;
    Phrase whole{neutral};
    for (const BoundNode* part = node + 1; part < node + node->size; part += part->size) {
        Phrase next = phrase(call, part, negated, shown);
        if (next.kind == deciding) return {deciding};
        if (next.kind == neutral) continue;
        if (whole.kind == neutral) {
            whole = std::move(next);
            continue;
        }
        if (whole.kind != own && whole.kind != Phrase::Kind::test) whole.text = '(' + whole.text + ')';
        if (next.kind != own && next.kind != Phrase::Kind::test) next.text = '(' + next.text + ')';
        whole.kind = own;
        whole.text += (all ? " and " : " or ") + next.text;
    }
    return whole;
}

inline Phrase phrase(const abi::Syscall& call, const BoundNode* node, bool negated, Shown shown) {
    if (is_in_memory(*node) && shown == Shown::registers) return {};
    switch (node->kind) {
        case Node::Kind::range:
        case Node::Kind::member: return NumberTest{call, node, negated}.phrase();
        case Node::Kind::negate: return phrase(call, node + 1, !negated, shown);
        case Node::Kind::all:
        case Node::Kind::any: return joined(call, node, negated, shown);
        default: return {Phrase::Kind::test, text_test(call, node, negated)};
    }
}

}  // namespace detail

/// A condition in words, on one line of ASCII whatever it holds: "domain is AF_INET and type is not SOCK_RAW".
/// Arguments by their names ("argument 5" where the call has none there), values by those of abi/constants.def where
/// they have one. An empty text where it is always true, "never" where it cannot be.
///
/// "flags has nothing but A|B" says that no other bit is set, "has any of", "has none of", "has all of" and "lacks some
/// of" speak of the bits that are named; "x & M is V" of the bits under a mask. "is", "is at most" and the like compare
/// the bits that the kernel reads. A path "leads" where the kernel would resolve it to for the worker.
inline std::string condition_text(const abi::Syscall& call, const BoundNode* condition, Shown shown = Shown::all) {
    const detail::Phrase phrase = detail::phrase(call, condition, false, shown);
    return phrase.kind == detail::Phrase::Kind::never ? "never" : phrase.text;
}

}  // namespace sysguard::policy
