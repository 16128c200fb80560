#pragma once

#include "../abi/table.hpp"
#include "detail/worker_messages.hpp"
#include "pending.hpp"
#include "violation.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace sysguard::supervise {

/// A text of a worker's in quotes, with escapes, no more than `most` bytes of it.
inline std::string quoted(std::string_view text, std::size_t most) {
    std::string shown = "\"";
    for (const char c : text.substr(0, most)) {
        const auto byte = static_cast<unsigned char>(c);
        char escape[5];
        if (byte < 0x20 || byte >= 0x7f) {
            std::snprintf(escape, sizeof escape, "\\x%02x", byte);
            shown += escape;
        } else {
            if (c == '"' || c == '\\') shown += '\\';
            shown += c;
        }
    }
    shown += '"';
    if (text.size() > most) shown += "...";
    return shown;
}

/// What sendmsg and sendmmsg send, the first messages of it.
inline std::string text_of_messages(Pending& call) {
    constexpr unsigned most_messages = 4;
    constexpr std::size_t most_shown = 64;
    const Messages& messages = detail::messages_of(call);
    std::string text;
    for (unsigned i = 0; i < messages.count() && i < most_messages; ++i) {
        if (i > 0) text += ", ";
        const SocketAddress to = messages.address(i);
        text += '{';
        if (to.size() != 0) text += "to " + to.text() + ", ";
        text += quoted(messages.payload(i), most_shown);
        if (messages.carries_descriptors(i)) text += ", with descriptors";
        text += '}';
    }
    return messages.count() > most_messages ? text + ", ..." : text;
}

/// What an argument leads to, for people, or an empty text where it leads to nothing that is shown.
inline std::string decode_pointer(Pending& call, int position) {
    constexpr std::size_t most_shown = 64;
    const abi::Argument& argument = call.call->arguments[position];
    const bool is_read = argument.direction == abi::Direction::in || argument.direction == abi::Direction::inout;
    if (call.arguments[position] == 0) return "NULL";
    if (!is_read || call.is_deferred) return {};
    if (Pending::is_text(argument.type)) {
        const Copied& copied = call.copy(position);
        return copied.error == 0 ? quoted(copied.bytes, PATH_MAX) : std::string{};
    }
    if (detail::sends_messages(call.number) && position == 1) return text_of_messages(call);
    if (argument.type == abi::Type::socket_address) {
        const SocketAddress& address = call.socket_address(position);
        return address.size() != 0 ? address.text() : std::string{};
    }
    if (argument.type == abi::Type::bytes && argument.length != abi::ArgName::none) {
        const Copied& copied = call.copy(position);
        return copied.error == 0 ? quoted(copied.bytes, most_shown) : std::string{};
    }
    return {};
}

/// What a call of a foreign ABI is called there, and where that is something else, natively.
inline std::string foreign_name(const Pending& call, std::string_view native) {
    const std::string_view name = abi::name_of(call.admitted->abi, call.number_in_abi);
    std::string text = prefix_of(call.admitted->abi) + "system call ";
    text += name;
    if (name != native) (text += " as ") += native;
    return text;
}

/// One that is decided by its registers alone: what they do not say is shown as "?".
inline std::string decode_foreign(const Pending& call) {
    const policy::NativeCall native = call.admitted != nullptr
                                          ? call.admitted->translate(*call.line->policy, call.number, call.arguments)
                                          : policy::NativeCall{};
    std::string line;
    if (native.number < 0) {
        line = foreign_text(call.number, call.architecture);
    } else {
        const abi::Syscall& known = *abi::find(native.number);
        line = foreign_name(call, known.name) + '(';
        for (int i = 0; i < known.argument_count(); ++i) {
            if (i > 0) line += ", ";
            (line += abi::name(known.arguments[i].name)) += '=';
            line += native.known[i] ? register_text(known.arguments[i].type, native.arguments[i]) : "?";
        }
        line += ')';
    }
    if (call.admitted == nullptr && !is_native(call.number, call.architecture))
        line += ", which the policy does not admit,";
    if (call.is_undecided) line += ", to which the policy's rules for it cannot be applied,";
    return line;
}

/// A call with its arguments by their names, in one line, whatever they hold. What cannot be read, and
/// what has moved on with the answer to a deferred call, is shown as an address.
inline std::string decode(Pending& call) {
    if (call.call == nullptr) return decode_foreign(call);
    std::string line = call.admitted != nullptr ? foreign_name(call, call.call->name) : std::string{call.call->name};
    line += '(';
    for (int i = 0; i < call.call->argument_count(); ++i) {
        const abi::Argument& argument = call.call->arguments[i];
        if (i > 0) line += ", ";
        line += abi::name(argument.name);
        line += '=';
        std::string pointer;
        if (abi::is_pointer(argument.type)) pointer = decode_pointer(call, i);
        line += pointer.empty() ? register_text(argument.type, call.arguments[i]) : pointer;
    }
    return line + ')';
}

}  // namespace sysguard::supervise
