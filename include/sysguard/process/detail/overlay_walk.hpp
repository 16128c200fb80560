#pragma once

#include "overlay_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

namespace sysguard::process::detail {

/// One entry of the upper layer, or one that it removes from the lower one, and where to find it.
struct OverlayEntry {
    std::string path;  ///< from the top
    std::string name;
    int upper = -1;  ///< the directories that have it; -1: none
    int lower = -1;
    struct stat status {};  ///< in the upper layer; of one that is removed, in the lower one
    bool has_old = false;   ///< there is something in the lower layer by that name,
    struct stat old {};     ///< this
};

/// For a person's eyes: bytes that are no ASCII, or move a terminal's cursor, as escapes; of a long one, the end.
inline std::string printable(const std::string& path) {
    constexpr std::size_t most = 200;
    std::string text = path.size() > most ? "..." : "";
    for (const char c : path.size() > most ? path.substr(path.size() - most) : path) {
        char escape[5] = {c};
        if (c < ' ' || c > '~' || c == '\\')
            std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
        text += escape;
    }
    return text;
}

/// Walks through an upper layer and what it covers in the lower one, without recursion, and tells a visitor:
///
///     void remove(const OverlayEntry&);                  // of the lower layer
///     void put(const OverlayEntry&);                     // anything but a directory
///     Descriptor enter(const OverlayEntry&, int upper);  // a directory; returns the lower one, or none
///     void leave(const OverlayEntry&, int upper, int lower);
///
/// Throws what the visitor throws, and `Error` with the path where a step fails.
template <class Visitor>
class OverlayWalk {
public:
    /// `most_depth`: of directories in each other; it holds two descriptors for each.
    OverlayWalk(Visitor& visitor, std::size_t most_depth, std::size_t most_entries) noexcept
        : visitor_{visitor}, most_depth_{most_depth}, room_{most_entries} {}

    void run(int upper, int lower) {
        OverlayEntry top;
        top.path = top.name = ".";
        try {
            if (::fstat(upper, &top.status) != 0 || ::fstat(lower, &top.old) != 0) throw Error{errno, "look at it"};
            top.has_old = true;
            push(std::move(top), Descriptor{above_streams(::fcntl(upper, F_DUPFD_CLOEXEC, 3))},
                 Descriptor{above_streams(::fcntl(lower, F_DUPFD_CLOEXEC, 3))});
            while (!frames_.empty()) step();
        } catch (const Error& error) {
            throw Error{error.code().value(), error.step() + ": " + printable(current_.empty() ? "." : current_)};
        }
    }

private:
    struct Frame {
        OverlayEntry entry{};
        Descriptor upper{};
        Descriptor lower{};
        std::vector<std::string> names{};
        std::vector<std::string> hidden{};  ///< of the lower directory, where this one is opaque
        std::size_t at = 0;
        bool is_opened = false;  ///< by a change of its mode, which is undone with this

        Frame() = default;
        Frame(Frame&&) = default;
        Frame& operator=(Frame&&) = delete;
        ~Frame() {
            if (is_opened && upper) ::fchmod(upper.get(), entry.status.st_mode & 07777);
        }
    };

    void push(OverlayEntry entry, Descriptor upper, Descriptor lower) {
        if (!upper) throw Error{errno, "open a directory"};
        if (frames_.size() == most_depth_)
            throw Error{ENAMETOOLONG, "enter a directory: there are more in each other than may be"};
        Frame frame;
        frame.entry = std::move(entry);
        frame.upper = std::move(upper);
        frame.lower = std::move(lower);
        const mode_t mode = frame.entry.status.st_mode & 07777;
        frame.is_opened = (mode & 0700) != 0700 && ::fchmod(frame.upper.get(), mode | 0700) == 0;
        frame.names = names_in(frame.upper.get(), room_);
        room_ -= frame.names.size();
        if (frame.lower && is_opaque(frame.upper.get()))
            for (std::string& name : names_in(frame.lower.get(), room_))
                if (!std::binary_search(frame.names.begin(), frame.names.end(), name))
                    frame.hidden.push_back(std::move(name));
        room_ -= frame.hidden.size();
        frames_.push_back(std::move(frame));
    }

    void step() {
        Frame& frame = frames_.back();
        if (frame.at == frame.names.size() + frame.hidden.size()) {
            current_ = frame.entry.path;
            visitor_.leave(frame.entry, frame.upper.get(), frame.lower.get());
            frames_.pop_back();
            return;
        }
        const bool is_hidden = frame.at >= frame.names.size();
        OverlayEntry entry;
        entry.name = is_hidden ? frame.hidden[frame.at - frame.names.size()] : frame.names[frame.at];
        ++frame.at;
        entry.path = frame.entry.path == "." ? entry.name : frame.entry.path + "/" + entry.name;
        current_ = entry.path;
        entry.upper = frame.upper.get();
        entry.lower = frame.lower.get();
        if (entry.lower >= 0) {
            entry.has_old = ::fstatat(entry.lower, entry.name.c_str(), &entry.old, AT_SYMLINK_NOFOLLOW) == 0;
            if (!entry.has_old && errno != ENOENT) throw Error{errno, "look at the lower layer"};
        }
        if (!is_hidden && ::fstatat(entry.upper, entry.name.c_str(), &entry.status, AT_SYMLINK_NOFOLLOW) != 0)
            throw Error{errno, "look at the upper layer"};
        if (is_hidden || is_whiteout(entry.status)) {
            if (!entry.has_old) return;
            entry.status = entry.old;
            visitor_.remove(entry);
        } else if (S_ISDIR(entry.status.st_mode)) {
            Descriptor upper = open_readable(entry.upper, entry.name.c_str(), O_DIRECTORY);
            if (!upper) throw Error{errno, "open a directory"};
            Descriptor lower = visitor_.enter(entry, upper.get());
            push(std::move(entry), std::move(upper), std::move(lower));
        } else {
            visitor_.put(entry);
        }
    }

    Visitor& visitor_;
    std::size_t most_depth_;
    std::size_t room_;
    std::vector<Frame> frames_{};
    std::string current_{};
};

}  // namespace sysguard::process::detail
