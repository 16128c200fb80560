#pragma once

#include <cstddef>
#include <cstdint>

namespace sysguard::abi::detail {

/// Where each group begins in a table that has its rows group by group, in the groups' order; and where the last ends.
template <std::size_t groups>
struct GroupIndex {
    std::uint16_t first[groups + 1];
};

/// `group`: the member of a row that says in which it is. Where the table is not in order, its end is not reached.
template <std::size_t groups, auto group, class Row, std::size_t rows>
constexpr GroupIndex<groups> index_groups(const Row (&table)[rows]) noexcept {
    GroupIndex<groups> index{};
    std::size_t at = 0;
    for (std::size_t i = 0; i < groups; ++i) {
        index.first[i] = static_cast<std::uint16_t>(at);
        while (at < rows && static_cast<std::size_t>(table[at].*group) == i) ++at;
    }
    index.first[groups] = static_cast<std::uint16_t>(at);
    return index;
}

}  // namespace sysguard::abi::detail
