#pragma once

#include "../../../abi/table.hpp"
#include "walk.hpp"

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace sysguard::supervise::render::detail {

/// What is shown of one call: a function of its registers alone, so that it is the same at the entry and the return.
struct Plan {
    /// How the result is written.
    enum class Result : std::uint8_t { number, hex, octal, descriptor };

    std::string_view name{};
    std::uint64_t arguments[abi::max_arguments]{};  ///< of the native call
    Item items[most_items]{};
    unsigned count = 0;
    Result result = Result::number;
    Form details = nullptr;  ///< what is told of a result that is no error; shows a list of Shape::details
    unsigned word = 8;       ///< bytes of a word of the program
    unsigned time_word = 8;
    std::uint64_t stack_pointer = 0;  ///< 0 where it is not known

    /// The item of an argument, or nullptr.
    Item* find(std::string_view argument) noexcept {
        for (unsigned i = 0; i < count; ++i)
            if (items[i].name == argument) return &items[i];
        return nullptr;
    }

    Item& add(std::string_view argument, Form form, std::uint64_t value, When when = When::entry) noexcept {
        Item& item = items[count < most_items ? count++ : most_items - 1];
        item = Item{};
        item.name = argument;
        item.form = form;
        item.value = value;
        item.when = when;
        return item;
    }

    std::uint32_t low(unsigned argument) const noexcept { return static_cast<std::uint32_t>(arguments[argument]); }
};

/// Changes what is shown of a call from what the table alone says.
using Planner = void (*)(Plan&);

struct PlannerOf {
    std::string_view call;
    Planner planner;
};

/// An argument that is shown otherwise than its type says.
struct FormOf {
    std::string_view call;
    abi::ArgName argument;
    Form form;
    When when = When::entry;
    abi::ConstantSet set = abi::ConstantSet::none;
    abi::Layout layout = abi::Layout::none;
};

/// (SIGUSR1)
inline void show_detail(Walk& walk, std::string_view text) {
    walk.sink.begin(Shape::details);
    walk.sink.element();
    walk.text(text);
    walk.sink.end();
}

}  // namespace sysguard::supervise::render::detail
