#pragma once

#include <sysguard/abi/errno_names.hpp>
#include <sysguard/supervise/event.hpp>
#include <sysguard/supervise/render/tree.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace trace {

/// A text as JSON has it. Bytes from 0x80 on stand as characters of that number, so that every text can be read back.
inline std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        char escaped[8];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            result += character;
            continue;
        }
        std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
        result += escaped;
    }
    return result + '"';
}

inline std::string json_of(const sysguard::supervise::render::Node& node) {
    using Type = sysguard::supervise::render::Node::Type;
    std::string text = "{";
    if (!node.name.empty()) text += "\"name\":" + quoted(node.name) + ',';
    text += "\"type\":\"" + std::string{sysguard::supervise::render::name(node.type)} + '"';
    const bool has_parts = node.type == Type::structure || node.type == Type::array;
    if (has_parts) {
        text += ",\"value\":[";
        for (std::size_t i = 0; i < node.parts.size(); ++i) text += (i > 0 ? "," : "") + json_of(node.parts[i]);
        text += ']';
    } else {
        text += ",\"value\":" + quoted(node.text);
    }
    if (node.type == Type::symbol) text += ",\"number\":" + std::to_string(node.number);
    if (node.has_more) text += ",\"more\":true";
    if (!node.note.empty()) text += ",\"note\":" + quoted(node.note);
    if (!node.becomes.empty()) text += ",\"becomes\":" + json_of(node.becomes.front());
    return text + '}';
}

/// One call. `result` is missing where it never returned, or results are not seen.
inline std::string json_of(const sysguard::Event& event, std::string_view name,
                           const sysguard::supervise::render::TreeSink& tree) {
    const sysguard::supervise::TracedCall& call = event.call;
    char begin[96];
    std::snprintf(begin, sizeof begin, "{\"time\":%lld.%09ld,\"pid\":%d,\"thread\":%d,",
                  static_cast<long long>(event.time.tv_sec), event.time.tv_nsec, event.process, event.thread);
    std::string text = begin;
    text += "\"call\":" + quoted(name) + ",\"arguments\":[";
    for (std::size_t i = 0; i < tree.arguments().size(); ++i) text += (i > 0 ? "," : "") + json_of(tree.arguments()[i]);
    text += ']';
    if (event.kind == sysguard::Event::Kind::returned) {
        text += ",\"result\":" + std::to_string(call.result);
        if (call.is_error) text += ",\"error\":" + quoted(sysguard::abi::errno_name(static_cast<int>(-call.result)));
    }
    return text + '}';
}

}  // namespace trace
