#pragma once

#include "sink.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sysguard::supervise::render {

/// Adds bytes with escapes, as strace(1) quotes them, without quotation marks; those of `besides` are escaped, too.
inline void add_escaped(std::string& to, std::string_view bytes, Quoting quoting, std::string_view besides) {
    constexpr char digits[] = "0123456789abcdef";
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char c = bytes[i];
        const auto byte = static_cast<unsigned char>(c);
        if (quoting == Quoting::hex) {
            const char hex[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
            to.append(hex, sizeof hex);
            continue;
        }
        constexpr std::string_view named = "\t\n\v\f\r";
        const std::size_t at = c == 0 ? named.npos : named.find(c);
        if (at != named.npos) {
            to += '\\';
            to += "tnvfr"[at];
        } else if (c == '"' || c == '\\') {
            to += '\\';
            to += c;
        } else if (byte >= 0x20 && byte < 0x7f && besides.find(c) == besides.npos) {
            to += c;
        } else {
            const bool digit_follows = i + 1 < bytes.size() && bytes[i + 1] >= '0' && bytes[i + 1] <= '7';
            to += '\\';
            if (byte >= 0100 || digit_follows) to += static_cast<char>('0' + (byte >> 6));
            if (byte >= 010 || digit_follows) to += static_cast<char>('0' + (byte >> 3 & 7));
            to += static_cast<char>('0' + (byte & 7));
        }
    }
}

/// Writes a call as strace(1) does. One for each pending call: what was there at its entry is kept until it returns.
class TextSink final : public Sink {
public:
    static constexpr unsigned most_arguments = 10;
    static constexpr std::size_t most_text = 1 << 16;  ///< of one argument

    /// Forgets all: for another call.
    void clear() {
        for (std::string& text : texts_) text.clear();
        result_.clear();
        current_ = &result_;
        depth_ = 0;
        firsts_ = ~0ULL;
    }

    /// What is known of an argument so far, of one of the call's first ones.
    std::string_view text(unsigned place) const noexcept {
        return place < most_arguments ? std::string_view{texts_[place]} : std::string_view{};
    }

    /// What is told of the result: "(in [3])", or an empty text.
    std::string_view details() const noexcept { return result_; }

    void argument(unsigned place, std::string_view name, bool is_named) override {
        enter(place < most_arguments ? texts_[place] : result_);
        if (!is_named || !current_->empty()) return;
        add(name);
        add("=");
    }
    void result() override { enter(result_); }

    void begin(Shape shape) override {
        add(shape == Shape::structure ? "{" : shape == Shape::details ? "(" : "[");
        if (depth_ + 1 < most_depth) ++depth_;
        shapes_[depth_] = shape;
        firsts_ |= 1ULL << depth_;
    }
    void end() override {
        add(shapes_[depth_] == Shape::structure ? "}" : shapes_[depth_] == Shape::details ? ")" : "]");
        if (depth_ > 0) --depth_;
    }
    void field(std::string_view name, bool is_named) override {
        separate();
        if (!is_named) return;
        add(name);
        add(shapes_[depth_] == Shape::details ? " " : "=");
    }
    void element() override { separate(); }
    void more() override {
        separate();
        add("...");
    }
    void becomes() override { add(" => "); }
    void value(Kind, std::uint64_t, std::string_view text) override { add(text); }
    void string(std::string_view bytes, bool is_whole, Quoting quoting) override {
        if (is_full()) return;
        *current_ += '"';
        add_escaped(*current_, bytes, quoting, {});
        *current_ += is_whole ? "\"" : "\"...";
    }
    void note(std::string_view text) override {
        add(" /* ");
        add(text);
        add(" */");
    }

private:
    static constexpr unsigned most_depth = 32;

    bool is_full() const noexcept { return current_->size() >= most_text; }

    void enter(std::string& text) {
        current_ = &text;
        depth_ = 0;
        firsts_ = ~0ULL;
    }
    void add(std::string_view text) {
        if (!is_full()) *current_ += text;
    }
    void separate() {
        if ((firsts_ >> depth_ & 1) == 0) add(shapes_[depth_] == Shape::set ? " " : ", ");
        firsts_ &= ~(1ULL << depth_);
    }

    std::string texts_[most_arguments];
    std::string result_;
    std::string* current_ = &result_;
    unsigned depth_ = 0;
    std::uint64_t firsts_ = ~0ULL;  ///< by depth: whether nothing is there yet
    Shape shapes_[most_depth] = {};
};

}  // namespace sysguard::supervise::render
