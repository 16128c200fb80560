#pragma once

#include "../detail/bare_text.hpp"
#include "../detail/procfs.hpp"

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/syscall.h>

namespace sysguard::supervise::perform {

using detail::raw_call;

/// What kind of symbolic link a place is.
enum class Link : std::uint8_t { none, plain, self, thread_self, magic };

/// Where a path led. Closes its descriptors.
struct Place {
    /// The directory (O_PATH) that the last component is in. -1 where there is no last component to speak of: the path
    /// was empty, or ended at the root, with dots or in a magic link; then only `object` says where.
    detail::Handle directory;
    detail::Handle object;      ///< what is there (O_PATH); -1 where nothing is, or where it was not looked at
    detail::Identity identity;  ///< of the object
    const char* name = "";      ///< the last component; "." for the root
    bool has_slash = false;     ///< slashes follow the name
    bool is_root = false;       ///< of Last::given: the path was the root
    bool jumped = false;        ///< a magic link led to the object
    Link link = Link::none;     ///< what kind of link the object is
    char text[3 * PATH_MAX];    ///< what was left of the path, at its end

    SYSGUARD_BARE Place() noexcept {}  // leaves the text as it is
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    SYSGUARD_BARE ~Place() {}

    /// The name with the slash that followed it.
    SYSGUARD_BARE const char* given_name() noexcept {
        char* end = text + (name - text);
        while (*end != 0) ++end;
        if (has_slash) detail::append(end, "/");
        return name;
    }
};

/// Where a descriptor leads, as text from `root`, which the kernel ends by " (deleted)" where that is so. What lies
/// outside of the root begins with "(unreachable)", as in getcwd(2). Returns the length or a negative errno.
SYSGUARD_BARE inline long text_of(int fd, int root, char* text, std::size_t capacity) noexcept {
    static constexpr char unreachable[] = "(unreachable)";
    char prefix[PATH_MAX];
    const long prefix_length = raw_call(SYS_readlinkat, AT_FDCWD, detail::FdPath{root}.text, prefix, sizeof prefix - 1);
    const long bytes = raw_call(SYS_readlinkat, AT_FDCWD, detail::FdPath{fd}.text, text, capacity - 1);
    if (prefix_length < 0) return prefix_length;
    if (bytes < 0) return bytes;
    if (bytes == static_cast<long>(capacity - 1)) return -ENAMETOOLONG;
    prefix[prefix_length] = 0;
    text[bytes] = 0;
    if (text[0] != '/' || prefix_length == 1) return bytes;
    const bool inside = detail::begins_with(text, prefix) && (text[prefix_length] == '/' || text[prefix_length] == 0);
    if (!inside) {
        constexpr long added = sizeof unreachable - 1;
        if (bytes + added >= static_cast<long>(capacity)) return -ENAMETOOLONG;
        for (long i = bytes; i >= 0; --i) text[i + added] = text[i];
        for (long i = 0; i < added; ++i) text[i] = unreachable[i];
        return bytes + added;
    }
    if (bytes == prefix_length) {
        text[0] = '/';
        text[1] = 0;
        return 1;
    }
    for (long i = prefix_length; i <= bytes; ++i) text[i - prefix_length] = text[i];
    return bytes - prefix_length;
}

/// The same of a place: of its directory and its name where it has them.
SYSGUARD_BARE inline long text_of(const Place& place, int root, char* text, std::size_t capacity) noexcept {
    if (place.directory.get() < 0) return text_of(place.object.get(), root, text, capacity);
    const long length = text_of(place.directory.get(), root, text, capacity);
    if (length < 0 || detail::equal(place.name, ".")) return length;
    char* end = text + length;
    if (end[-1] != '/') end = detail::append(end, "/");
    std::size_t size = 0;
    while (place.name[size] != 0 && place.name[size] != '/') ++size;
    if (static_cast<std::size_t>(end - text) + size >= capacity) return -ENAMETOOLONG;
    for (std::size_t i = 0; i < size; ++i) *end++ = place.name[i];
    *end = 0;
    return end - text;
}

}  // namespace sysguard::supervise::perform
