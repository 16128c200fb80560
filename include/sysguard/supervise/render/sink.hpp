#pragma once

#include <cstdint>
#include <string_view>

namespace sysguard::supervise::render {

/// How several values stand together.
enum class Shape : std::uint8_t {
    structure,  ///< {name=value, ...}
    array,      ///< [value, ...]
    set,        ///< [value value]
    details,    ///< (name value, value)
};

/// What a single value is.
enum class Kind : std::uint8_t {
    number,
    address,
    symbol,  ///< a number for which there are names
    text,    ///< what something is in words, or a part of memory that has no number
};

/// How a string is written.
enum class Quoting : std::uint8_t {
    plain,  ///< bytes that are not printable in octal, as strace(1) does
    hex,    ///< all bytes in hexadecimal
};

/// Takes what is found on the walk over a call: the same for a text and for a tree of values. Its functions may throw
/// std::bad_alloc. Whatever a hostile program does, a walk calls them at most as often as Options allow.
class Sink {
public:
    virtual ~Sink() = default;

    /// What follows is an argument, or more of it where it was there at the call's entry already; `is_named` where its
    /// name stands in front of it. Places count from 0.
    virtual void argument(unsigned place, std::string_view name, bool is_named) = 0;

    /// What follows is told of the result.
    virtual void result() = 0;

    virtual void begin(Shape shape) = 0;
    virtual void end() = 0;

    /// What follows is a field of a structure; `is_named` where its name stands in front of it.
    virtual void field(std::string_view name, bool is_named = true) = 0;

    /// What follows is the next element of an array.
    virtual void element() = 0;

    /// There is more that is not shown.
    virtual void more() = 0;

    /// What follows is what the value before it has become.
    virtual void becomes() = 0;

    virtual void value(Kind kind, std::uint64_t number, std::string_view text) = 0;
    virtual void string(std::string_view bytes, bool is_whole, Quoting quoting) = 0;

    /// Explains the value before it.
    virtual void note(std::string_view text) = 0;
};

/// Gives the same to two.
class BothSinks final : public Sink {
public:
    BothSinks(Sink& one, Sink& other) noexcept : one_{one}, other_{other} {}

    void argument(unsigned place, std::string_view name, bool is_named) override {
        one_.argument(place, name, is_named);
        other_.argument(place, name, is_named);
    }
    void result() override {
        one_.result();
        other_.result();
    }
    void begin(Shape shape) override {
        one_.begin(shape);
        other_.begin(shape);
    }
    void end() override {
        one_.end();
        other_.end();
    }
    void field(std::string_view name, bool is_named) override {
        one_.field(name, is_named);
        other_.field(name, is_named);
    }
    void element() override {
        one_.element();
        other_.element();
    }
    void more() override {
        one_.more();
        other_.more();
    }
    void becomes() override {
        one_.becomes();
        other_.becomes();
    }
    void value(Kind kind, std::uint64_t number, std::string_view text) override {
        one_.value(kind, number, text);
        other_.value(kind, number, text);
    }
    void string(std::string_view bytes, bool is_whole, Quoting quoting) override {
        one_.string(bytes, is_whole, quoting);
        other_.string(bytes, is_whole, quoting);
    }
    void note(std::string_view text) override {
        one_.note(text);
        other_.note(text);
    }

private:
    Sink& one_;
    Sink& other_;
};

}  // namespace sysguard::supervise::render
