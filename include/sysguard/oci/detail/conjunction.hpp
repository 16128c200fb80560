#pragma once

#include "../../abi/table.hpp"
#include "../../policy/binding.hpp"
#include "comparison.hpp"
#include "reading.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace sysguard::oci::detail {

/// The comparisons of one block, as they stand for one call.
struct Conjunction {
    std::size_t count = 0;
    policy::BoundNode nodes[1 + abi::max_arguments]{};
    bool possible = true;  ///< false where they can never hold
};

/// Tells `note(text)` what a comparison cannot see.
template <class Note>
void note_type(const abi::Syscall& call, const Argument& argument, const std::string& where, const Note& note) {
    const abi::Argument& of_table = call.arguments[argument.index];
    if (of_table.name == abi::ArgName::none)
        note(where + ": the call has no such argument; what the register holds is compared");
    else if (abi::is_pointer(of_table.type))
        note(where + ": the argument is a pointer; the address is compared, not what is there");
    else if (abi::info(of_table.type).kind == abi::TypeInfo::Kind::word)
        note(where + ": how much of this argument the kernel reads depends on another one; all 64 bits are compared");
}

/// All of some comparisons, none two of which are of one argument. `note(text)` is told what hardly means what it says.
template <class Note>
Conjunction conjunction(const abi::Syscall& call, const Argument* arguments, std::size_t count, const Note& note) {
    Conjunction all;
    policy::BoundNode* const joint = all.nodes;
    std::size_t tests = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Argument& argument = arguments[i];
        const std::uint64_t bits = compared_bits(call, argument.index);
        const Comparison comparison = compare(argument.index, bits, argument.op, argument.value, argument.second);
        const std::string where = argument.place + " for " + std::string{call.name};
        if (comparison.beyond)
            note(where +
                 ": the value is none of 32 bits, which is what the kernel reads of this argument: the "
                 "comparison " +
                 (comparison.kind == Comparison::Kind::never ? "never" : "always") + " holds");
        else if (comparison.kind == Comparison::Kind::never)
            note(where + ": the comparison never holds");
        note_type(call, argument, where, note);
        if (comparison.kind == Comparison::Kind::never) all.possible = false;
        if (comparison.kind == Comparison::Kind::test) all.nodes[1 + tests++] = comparison.node;
    }
    if (tests == 1) all.nodes[0] = all.nodes[1];
    if (tests > 1) {
        joint->kind = policy::Node::Kind::all;
        joint->size = static_cast<std::uint16_t>(1 + tests);
    }
    all.count = tests > 1 ? 1 + tests : tests;
    return all;
}

}  // namespace sysguard::oci::detail
