#pragma once

#include <sysguard/abi/constants.hpp>
#include <sysguard/abi/signal_names.hpp>
#include <sysguard/abi/table.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace support {

namespace abi = sysguard::abi;

/// Reads what policy::condition_text() has written back into a test of six registers, knowing nothing but the words and
/// the table. Throws where it does not understand.
class ReadCondition {
public:
    using Test = std::function<bool(const std::uint64_t*)>;

    static Test read(const abi::Syscall& call, const std::string& text) {
        if (text.empty()) return [](const std::uint64_t*) { return true; };
        if (text == "never") return [](const std::uint64_t*) { return false; };
        ReadCondition reader{call, text};
        Test test = reader.whole();
        if (!reader.rest_.empty()) throw std::runtime_error{"does not end: " + text};
        return test;
    }

private:
    ReadCondition(const abi::Syscall& call, std::string_view text) : call_{call}, rest_{text} {}

    bool take(std::string_view words) {
        if (rest_.substr(0, words.size()) != words) return false;
        rest_.remove_prefix(words.size());
        return true;
    }

    std::string_view take_while(std::string_view characters) {
        std::size_t end = rest_.find_first_not_of(characters);
        if (end == rest_.npos) end = rest_.size();
        const std::string_view taken = rest_.substr(0, end);
        rest_.remove_prefix(end);
        return taken;
    }

    Test whole() {
        std::vector<Test> parts{part()};
        const bool all = rest_.substr(0, 5) == " and ";
        while (take(all ? " and " : " or ")) parts.push_back(part());
        return [parts, all](const std::uint64_t* arguments) {
            for (const Test& part : parts)
                if (part(arguments) != all) return !all;
            return all;
        };
    }

    Test part() {
        if (!take("(")) return test();
        Test inner = whole();
        if (!take(")")) throw std::runtime_error{"no end of parentheses: " + std::string{rest_}};
        return inner;
    }

    std::uint64_t constant(std::string_view name) const {
        if (name.find_first_of("0123456789-") == 0) {
            const std::string number{name};
            return name[0] == '-' ? static_cast<std::uint64_t>(std::strtoll(number.c_str(), nullptr, 0))
                                  : std::strtoull(number.c_str(), nullptr, 0);
        }
        if (name == abi::field_name(set_)) return abi::field_of(set_);
        for (const abi::Constant& constant : abi::constants)
            if (constant.set == set_ && constant.name == name) return constant.value;
        for (int signal = 1; signal < 32; ++signal)
            if (abi::signal_name(signal) == name) return static_cast<std::uint64_t>(signal);
        throw std::runtime_error{"no constant: " + std::string{name}};
    }

    std::uint64_t value() {
        std::uint64_t bits = 0;
        do {
            bits |= constant(take_while("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"));
        } while (take("|"));
        constexpr const char* units[] = {" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
        for (unsigned i = 0; i < 6; ++i)
            if (take(units[i])) bits <<= 10 * (i + 1);
        return bits;
    }

    /// The argument as the kernel compares it, of a signed type with its sign.
    static std::int64_t as_signed(std::uint64_t bits, bool narrow) {
        return narrow ? static_cast<std::int32_t>(static_cast<std::uint32_t>(bits)) : static_cast<std::int64_t>(bits);
    }

    Test test() {
        abi::Argument argument{abi::ArgName::none, abi::Type::uint64};
        int position = -1;
        if (take("argument ")) {
            position = static_cast<int>(value());
        } else {
            const std::string_view name = take_while("abcdefghijklmnopqrstuvwxyz0123456789_");
            for (int i = 0; i < call_.argument_count(); ++i)
                if (abi::name(call_.arguments[i].name) == name) position = i;
            if (position < 0) throw std::runtime_error{"no argument: " + std::string{name} + std::string{rest_}};
            argument = call_.arguments[position];
        }
        const abi::TypeInfo& info = abi::info(argument.type);
        set_ = argument.name == abi::ArgName::none ? abi::ConstantSet::none : abi::constants_of(call_, argument);
        bool masked = false;
        std::uint64_t mask = info.compared;
        for (const unsigned bits : {8U, 16U, 32U, 64U})
            if (take(" (" + std::to_string(bits) + " bits)")) {
                masked = true;
                mask = ~0ULL >> (64 - bits);
            }
        if (take(" & ")) {
            masked = true;
            const bool several = take("(");
            mask = value();
            if (several) take(")");
        }
        const bool is_signed = info.is_signed && !masked;
        const bool narrow = info.compared == 0xffffffff;
        const auto equal = [=, type = argument.type](std::uint64_t bits, std::uint64_t wanted) {
            const std::uint64_t read = masked ? mask : abi::compared_beside(type, wanted);
            return (bits & read) == (wanted & read);
        };
        const auto less = [=](std::uint64_t a, std::uint64_t b) {
            return is_signed ? as_signed(a, narrow) < as_signed(b, narrow) : (a & mask) < (b & mask);
        };
        const auto with = [position](auto holds) -> Test {
            return [position, holds](const std::uint64_t* arguments) { return holds(arguments[position]); };
        };
        for (const bool negated : {false, true}) {
            if (take(negated ? " is none of " : " is one of ")) {
                std::vector<std::uint64_t> list;
                do {
                    list.push_back(value());
                    if (take(" to ")) {
                        const std::uint64_t last = value();
                        if (last - list.back() > 1000) throw std::runtime_error{"no list"};
                        while (list.back() != last) list.push_back(list.back() + 1);
                    }
                } while (take(", "));
                return with([=](std::uint64_t bits) {
                    bool found = false;
                    for (const std::uint64_t each : list) found = found || equal(bits, each);
                    return found != negated;
                });
            }
            if (take(negated ? " is outside of " : " is from ")) {
                const std::uint64_t low = value();
                if (!take(" to ")) throw std::runtime_error{"no bound"};
                const std::uint64_t high = value();
                return with([=](std::uint64_t bits) { return (!less(bits, low) && !less(high, bits)) != negated; });
            }
            if (take(negated ? " is above " : " is at most ")) {
                const std::uint64_t bound = value();
                return with([=](std::uint64_t bits) { return less(bound, bits) == negated; });
            }
            if (take(negated ? " is below " : " is at least ")) {
                const std::uint64_t bound = value();
                return with([=](std::uint64_t bits) { return less(bits, bound) == negated; });
            }
            if (take(negated ? " has something besides " : " has nothing but ")) {
                const std::uint64_t others = info.tested & ~value();
                return with([=](std::uint64_t bits) { return ((bits & others) != 0) == negated; });
            }
            if (take(negated ? " lacks some of " : " has all of ")) {
                const std::uint64_t flags = value();
                return with([=](std::uint64_t bits) { return ((bits & flags) == flags) != negated; });
            }
            if (take(negated ? " has none of " : " has any of ")) {
                const std::uint64_t flags = value();
                return with([=](std::uint64_t bits) { return ((bits & flags) != 0) != negated; });
            }
        }
        for (const bool negated : {true, false}) {
            if (take(negated ? " is not " : " is ")) {
                const std::uint64_t wanted = value();
                return with([=](std::uint64_t bits) { return equal(bits, wanted) != negated; });
            }
            if (take(negated ? " lacks " : " has ")) {
                const std::uint64_t flag = value();
                return with([=](std::uint64_t bits) { return ((bits & flag) != 0) != negated; });
            }
        }
        throw std::runtime_error{"not understood: " + std::string{rest_}};
    }

    const abi::Syscall& call_;
    std::string_view rest_;
    abi::ConstantSet set_{};
};

}  // namespace support
