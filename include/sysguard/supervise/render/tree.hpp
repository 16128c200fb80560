#pragma once

#include "sink.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sysguard::supervise::render {

/// A value that a call has or leads to, with its parts.
struct Node {
    enum class Type : std::uint8_t { number, address, symbol, text, string, structure, array };

    std::string name{};  ///< of an argument or a field; empty for elements
    Type type = Type::text;
    std::uint64_t number = 0;     ///< of a number, an address or a symbol: as the kernel reads it
    std::string text{};           ///< as strace(1) would write it; of a string, its bytes
    std::string note{};           ///< what explains it, or ""
    bool has_more = false;        ///< not all of its parts, or not all of its bytes are there
    std::vector<Node> parts{};    ///< of structures and arrays
    std::vector<Node> becomes{};  ///< what the call has made of it, where that is shown beside it: one or none
};

/// The name of a node's type: "number", "structure".
constexpr const char* name(Node::Type type) noexcept {
    switch (type) {
        case Node::Type::number: return "number";
        case Node::Type::address: return "address";
        case Node::Type::symbol: return "symbol";
        case Node::Type::text: return "text";
        case Node::Type::string: return "string";
        case Node::Type::structure: return "structure";
        case Node::Type::array: return "array";
    }
    return "?";
}

/// Keeps a call as a tree of values. One for each pending call.
class TreeSink final : public Sink {
public:
    static constexpr unsigned most_arguments = 10;
    static constexpr std::size_t most_nodes = 1 << 14;

    /// The arguments, in their order.
    const std::vector<Node>& arguments() const noexcept { return arguments_; }
    /// What is told of the result.
    const std::vector<Node>& details() const noexcept { return details_.parts; }

    void clear() {
        arguments_.clear();
        details_ = Node{};
        open_.clear();
        root_ = next_ = latest_ = &spare_;
        count_ = 0;
    }

    void argument(unsigned place, std::string_view name, bool) override {
        open_.clear();
        root_ = next_ = latest_ = &spare_;
        if (place >= most_arguments) return;
        while (arguments_.size() <= place) arguments_.emplace_back();
        Node& node = arguments_[place];
        root_ = next_ = latest_ = &node;
        if (node.name.empty())
            node.name = name;
        else
            root_ = next_ = latest_ = &become(node);
    }
    void result() override {
        open_.clear();
        root_ = next_ = latest_ = &details_;
    }

    void begin(Shape shape) override {
        Node& node = target();
        node.type = shape == Shape::structure || shape == Shape::details ? Node::Type::structure : Node::Type::array;
        open_.push_back(&node);
    }
    void end() override {
        if (open_.empty()) return;
        latest_ = open_.back();
        open_.pop_back();
    }
    void field(std::string_view name, bool) override { add(name); }
    void element() override { add({}); }
    void more() override { (open_.empty() ? root_ : open_.back())->has_more = true; }
    void becomes() override { next_ = &become(*latest_); }
    void value(Kind kind, std::uint64_t number, std::string_view text) override {
        Node& node = target();
        node.type = kind == Kind::number    ? Node::Type::number
                    : kind == Kind::address ? Node::Type::address
                    : kind == Kind::symbol  ? Node::Type::symbol
                                            : Node::Type::text;
        node.number = number;
        node.text = text;
    }
    void string(std::string_view bytes, bool is_whole, Quoting) override {
        Node& node = target();
        node.type = Node::Type::string;
        node.text = bytes;
        node.has_more = !is_whole;
    }
    void note(std::string_view text) override { latest_->note = text; }

private:
    bool take_one() noexcept {
        if (count_ >= most_nodes) return false;
        ++count_;
        return true;
    }
    Node& become(Node& node) {
        if (node.becomes.empty() && take_one()) node.becomes.emplace_back();
        return node.becomes.empty() ? spare_ : node.becomes.front();
    }
    /// What the next value is of.
    Node& target() noexcept {
        latest_ = next_;
        return *next_;
    }
    void add(std::string_view name) {
        Node& above = open_.empty() ? *root_ : *open_.back();
        if (!take_one()) {
            above.has_more = true;
            next_ = &spare_;
            return;
        }
        above.parts.emplace_back();
        next_ = &above.parts.back();
        next_->name = name;
    }

    std::vector<Node> arguments_;
    Node details_;
    Node* root_ = &details_;
    std::vector<Node*> open_;  ///< into `arguments_`, whose vectors grow only at their open ends
    Node spare_;               ///< takes what is over the limit
    Node* next_ = &spare_;
    Node* latest_ = &spare_;
    std::size_t count_ = 0;
};

}  // namespace sysguard::supervise::render
