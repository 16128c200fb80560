#pragma once

#include "../../abi/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace sysguard::oci::detail {

using Json = nlohmann::json;

/// A profile has a few hundred names; one beyond this is none.
inline constexpr std::size_t most_bytes = std::size_t{4} << 20;
inline constexpr int most_depth = 16;

/// A text out of a profile, as it may stand in a message.
inline std::string shown(std::string_view text) {
    const std::string json = Json(std::string{text.substr(0, 64)}).dump(-1, ' ', true, Json::error_handler_t::replace);
    return text.size() > 64 ? json + "..." : json;
}

/// A value of a profile, and where in the profile it is. Each check that fails throws `Error` (EINVAL), which names the
/// source and the place. `null` counts as absent, as where Docker reads profiles. Refers to the document.
class Field {
public:
    Field(const Json& value, const std::string& source, std::string place = "")
        : value_{&value}, source_{&source}, place_{std::move(place)} {}

    [[noreturn]] void refuse(const std::string& what) const {
        throw Error{EINVAL, "read " + *source_ + ": " + (place_.empty() ? "" : place_ + ": ") + what};
    }

    const std::string& place() const noexcept { return place_; }
    bool is_absent() const noexcept { return value_->is_null(); }

    /// A member of an object, absent where there is none.
    Field operator[](const char* key) const {
        static const Json nothing;
        const auto found = value_->find(key);
        return {found == value_->end() ? nothing : *found, *source_, place_.empty() ? key : place_ + "." + key};
    }

    /// An object with no other members than these. A misspelled `args` would else make a rule for all calls.
    const Field& object(std::initializer_list<std::string_view> keys) const {
        if (!value_->is_object()) refuse("an object is expected here");
        for (const auto& member : value_->items()) {
            bool known = false;
            for (const std::string_view key : keys) known = known || member.key() == key;
            if (!known) refuse("no profile has a member " + shown(member.key()) + " here");
        }
        return *this;
    }

    std::vector<Field> array() const {
        std::vector<Field> elements;
        if (is_absent()) return elements;
        if (!value_->is_array()) refuse("an array is expected here");
        elements.reserve(value_->size());
        for (const Json& element : *value_) {
            elements.emplace_back(element, *source_, place_ + "[" + std::to_string(elements.size()) + "]");
            if (element.is_null()) elements.back().refuse("a value is expected here, not null");
        }
        return elements;
    }

    /// Empty where it is absent.
    std::string_view text() const {
        if (is_absent()) return {};
        if (!value_->is_string()) refuse("a text is expected here");
        return value_->get_ref<const std::string&>();
    }

    std::uint64_t number(std::uint64_t most = ~0ULL) const {
        if (!value_->is_number_unsigned() || value_->get<std::uint64_t>() > most)
            refuse("an integer from 0 to " + std::to_string(most) + " is expected here");
        return value_->get<std::uint64_t>();
    }

private:
    const Json* value_;
    const std::string* source_;
    std::string place_;
};

/// Parses a document. Throws `Error`: EINVAL for what is no JSON, or has a member twice in one object, of which readers
/// would take one or the other; E2BIG for what is too large or too deep.
inline Json parse(std::string_view text, const std::string& source) {
    if (text.size() > most_bytes) throw Error{E2BIG, "read " + source + ": it has more than 4 MiB"};
    std::vector<std::set<std::string>> members;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > most_depth) throw Error{E2BIG, "read " + source + ": it is nested too deeply for a profile"};
        if (event == Json::parse_event_t::object_start) members.emplace_back();
        if (event == Json::parse_event_t::object_end) members.pop_back();
        if (event == Json::parse_event_t::key && !members.back().insert(parsed.get<std::string>()).second)
            throw Error{EINVAL, "read " + source + ": an object has the member " +
                                    shown(parsed.get_ref<const std::string&>()) + " twice"};
        return true;
    };
    try {
        return Json::parse(text.begin(), text.end(), watch);
    } catch (const Json::parse_error& error) {
        const std::string_view before = text.substr(0, error.byte > 0 ? error.byte - 1 : 0);
        const auto line = 1 + std::count(before.begin(), before.end(), '\n');
        throw Error{EINVAL, "read " + source + ": it is no JSON, in line " + std::to_string(line) + " or before"};
    } catch (const Json::exception& error) {
        throw Error{EINVAL, "read " + source + ": " + shown(error.what())};
    }
}

}  // namespace sysguard::oci::detail
