#pragma once

#include "architecture.hpp"
#include "foreign.hpp"
#include "numbers.hpp"
#include "table.hpp"

#include <cstdint>
#include <initializer_list>

namespace sysguard::abi {

/// A set of system calls, by their native numbers: `CallSet{SYS_openat, SYS_close}`. Calls of foreign ABIs belong to it
/// with the native calls that do the same.
class CallSet {
public:
    /// None.
    constexpr CallSet() noexcept = default;

    /// Numbers that are no native calls of the table, such as the -1 of one that this architecture lacks, are left out.
    constexpr CallSet(std::initializer_list<int> numbers) noexcept {
        for (const int number : numbers) add(number);
    }

    /// All, those that the table does not know too.
    static constexpr CallSet all() noexcept {
        CallSet set;
        for (std::uint64_t& word : set.words_) word = ~std::uint64_t{0};
        set.has_unknown_ = true;
        return set;
    }

    /// The calls of a family: `CallSet::of(family::open)`.
    template <class Family>
    static constexpr CallSet of(const Family&) noexcept {
        CallSet set;
        for (const int number : Family::numbers) set.add(number);
        return set;
    }

    constexpr CallSet& add(int number) noexcept {
        if (is_known(number)) words_[number / 64] |= bit(number);
        return *this;
    }
    constexpr CallSet& remove(int number) noexcept {
        if (is_known(number)) words_[number / 64] &= ~bit(number);
        return *this;
    }
    constexpr CallSet& add(const CallSet& others) noexcept {
        for (int i = 0; i < word_count; ++i) words_[i] |= others.words_[i];
        has_unknown_ = has_unknown_ || others.has_unknown_;
        return *this;
    }
    constexpr CallSet& remove(const CallSet& others) noexcept {
        for (int i = 0; i < word_count; ++i) words_[i] &= ~others.words_[i];
        has_unknown_ = has_unknown_ && !others.has_unknown_;
        return *this;
    }

    /// Of a native number.
    constexpr bool contains(int number) const noexcept {
        if (number < 0 || number >= native_limit) return has_unknown_;
        return is_known(number) ? (words_[number / 64] & bit(number)) != 0 : has_unknown_;
    }

    /// Of a number in any ABI; of i386's socketcall and ipc the first register says which call it is. One that no
    /// native call stands for belongs to the calls that the table does not know. A number of x32, without its bit, is
    /// given as one of x86_64; those that only x32 has always belong to the set.
    constexpr bool contains(Abi abi, int number, std::uint64_t first_register, bool is_x32 = false) const noexcept {
        constexpr int first_of_x32 = 512;
        if (abi == native_abi) return (is_x32 && number >= first_of_x32) || contains(number);
        if (abi != compat_abi) {
            const Syscall* const same = find(name_of(abi, number));
            return same != nullptr && is_known(same->number()) ? contains(same->number()) : has_unknown_;
        }
        const int place = foreign_place<compat_abi>(number, first_register);
        if (place < 0) return has_unknown_;
        const ForeignLayout& layout = foreign_layout<compat_abi>(place);
        return contains(layout.native) ||
               (layout.instead >= 0 && contains(foreign_layout<compat_abi>(layout.instead).native));
    }

    constexpr bool has_unknown() const noexcept { return has_unknown_; }
    constexpr bool is_empty() const noexcept { return *this == CallSet{}; }

    friend constexpr bool operator==(const CallSet& a, const CallSet& b) noexcept {
        for (int i = 0; i < word_count; ++i)
            if (a.words_[i] != b.words_[i]) return false;
        return a.has_unknown_ == b.has_unknown_;
    }

private:
    static constexpr int word_count = (native_limit + 63) / 64;

    static constexpr std::uint64_t bit(int number) noexcept { return std::uint64_t{1} << (number % 64); }

    std::uint64_t words_[word_count]{};
    bool has_unknown_ = false;  ///< and those that the table does not know
};

}  // namespace sysguard::abi

namespace sysguard {
using abi::CallSet;
}  // namespace sysguard
