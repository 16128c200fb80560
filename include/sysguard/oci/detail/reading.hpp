#pragma once

#include "../../abi/errno_names.hpp"
#include "../../abi/table.hpp"
#include "../../policy/action.hpp"
#include "../conditions.hpp"
#include "field.hpp"
#include "words.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sysguard::oci::detail {

/// A comparison of a block.
struct Argument {
    int index;
    Operator op;
    std::uint64_t value;
    std::uint64_t second;
    std::string place;
};

/// An action, and its errno by number or by name; without one EPERM, as runtimes have it.
inline Decision read_decision(const Field& action, const Field& number, const Field& name) {
    const ActionWord* found = nullptr;
    for (const ActionWord& each : action_words)
        if (each.word == action.text()) found = &each;
    if (action.is_absent()) action.refuse("it is missing: say SCMP_ACT_ERRNO, SCMP_ACT_ALLOW or another action");
    if (found == nullptr) action.refuse("there is no action " + shown(action.text()));
    std::int64_t value = -1;
    if (!number.is_absent()) {
        if (!found->has_value) number.refuse("only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take an errno");
        value = static_cast<std::int64_t>(number.number(found->action == Action::deny ? abi::max_errno : 0xffff));
    }
    if (!name.text().empty()) {
        const int named = errno_of(name.text());
        if (!found->has_value) name.refuse("only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take an errno");
        if (named < 0) name.refuse("there is no errno " + shown(name.text()));
        if (value >= 0 && value != named) name.refuse("it is another errno than the number beside it says");
        value = named;
    }
    if (value < 0) value = EPERM;
    if (found->action == Action::deny && value == 0) return {Action::fake, 0};
    return {found->action, found->has_value ? value : 0};
}

inline std::string_view read_architecture(const Field& field) {
    if (index_of(architecture_words, field.text()) < 0) field.refuse("there is no architecture " + shown(field.text()));
    return field.text() == "SCMP_ARCH_NATIVE" ? native_architecture : field.text();
}

inline KernelVersion read_version(const Field& field) {
    KernelVersion version;
    const std::string_view text = field.text();
    int* part = &version.version;
    std::size_t digits = 0;
    for (const char c : text) {
        if (c == '.' && part == &version.version && digits > 0) {
            part = &version.revision;
            digits = 0;
        } else if (c >= '0' && c <= '9' && ++digits <= 3) {
            *part = *part * 10 + (c - '0');
        } else {
            digits = 0;
            break;
        }
    }
    if (part == &version.version || digits == 0)
        field.refuse("a kernel's version and revision are expected here, such as \"4.8\"");
    return version;
}

inline std::string_view read_name(const Field& field) {
    if (field.text().empty()) field.refuse("the name of a system call is expected here");
    return field.text();
}

inline Argument read_argument(const Field& field) {
    field.object({"index", "value", "valueTwo", "op"});
    Argument argument{static_cast<int>(field["index"].number(abi::max_arguments - 1)), Operator::eq,
                      field["value"].number(), 0, field.place()};
    if (!field["valueTwo"].is_absent()) argument.second = field["valueTwo"].number();
    bool known = false;
    for (const OperatorWord& each : operator_words) {
        if (each.word != field["op"].text()) continue;
        argument.op = each.op;
        known = true;
    }
    if (!known) field["op"].refuse("there is no operator " + shown(field["op"].text()));
    return argument;
}

}  // namespace sysguard::oci::detail
