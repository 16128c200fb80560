#pragma once

#include "arguments.hpp"
#include "plan.hpp"
#include "signals.hpp"
#include "values.hpp"
#include "walk.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Items whose form depends on a command.
namespace sysguard::supervise::render::detail {

inline void set_flags(Item& item, abi::ConstantSet set) {
    item.form = form_flags;
    item.set = set;
}
inline void set_choice(Item& item, abi::ConstantSet set) {
    item.form = form_choice;
    item.set = set;
}
inline void set_structure(Item& item, abi::Layout layout, When when) {
    item.form = form_structure;
    item.layout = layout;
    item.when = when;
}

}  // namespace sysguard::supervise::render::detail
