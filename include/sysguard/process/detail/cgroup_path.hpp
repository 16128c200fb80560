#pragma once

#include "cgroup_files.hpp"

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>

/// Where the directory of a cgroup is.
namespace sysguard::process::detail {

/// The next field of a line of /proc/self/mountinfo, with what it writes as \040 and the like put back.
inline std::string next_field(const char*& at) {
    std::string field;
    while (*at == ' ') ++at;
    for (; *at != 0 && *at != ' ' && *at != '\n'; ++at) {
        char c = *at;
        if (c == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] != 0 && at[3] != 0) {
            c = static_cast<char>((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 3;
        }
        field.push_back(c);
    }
    return field;
}

/// Where the directory of a cgroup is, by a line of /proc/self/mountinfo (proc_pid_mountinfo(5)); empty where that line
/// does not mount cgroup v2 in such a way that the cgroup is below it.
inline std::string path_by_mount(const char* line, const char* cgroup) {
    const char* at = line;
    for (int skipped = 0; skipped < 3; ++skipped) next_field(at);
    const std::string root = next_field(at);
    std::string point = next_field(at);
    const char* const type = std::strstr(at, " - cgroup2 ");
    if (type == nullptr) return {};
    const std::size_t above = root.size() > 1 ? root.size() : 0;
    if (std::strncmp(cgroup, root.c_str(), above) != 0) return {};
    const char* const rest = cgroup + above;
    if (*rest != '/' && *rest != 0) return {};
    if (rest[0] != 0 && rest[1] != 0) point.append(rest);
    return point;
}

/// The directory of this process's cgroup; empty where cgroup v2 is not mounted, or not so that it can be seen.
inline std::string own_cgroup_path() {
    const FileText own{AT_FDCWD, "/proc/self/cgroup"};
    const char* line = own.text;
    while (line != nullptr && std::strncmp(line, "0::", 3) != 0) line = FileText::next(line);
    if (line == nullptr) return {};
    std::string cgroup = line + 3;
    if (const char* const end = std::strchr(line, '\n'); end != nullptr)
        cgroup.resize(static_cast<std::size_t>(end - line - 3));
    if (std::strncmp(cgroup.c_str(), "/..", 3) == 0) return {};
    std::FILE* const mounts = std::fopen("/proc/self/mountinfo", "re");
    if (mounts == nullptr) return {};
    std::string path;
    char* text = nullptr;
    std::size_t room = 0;
    while (path.empty() && ::getline(&text, &room, mounts) > 0) path = path_by_mount(text, cgroup.c_str());
    std::free(text);
    std::fclose(mounts);
    return path;
}

}  // namespace sysguard::process::detail
