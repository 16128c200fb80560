#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include <sys/types.h>

namespace sysguard::supervise {

/// What an address of a thread's memory lies in, and how far behind its beginning in the file:
/// "/usr/lib/libc.so.6+0xf79b7", "[vdso]+0x9f2"; "" where it is in nothing that has a name.
inline std::string mapping_of(pid_t thread, std::uint64_t address) {
    char line[4352];
    std::snprintf(line, sizeof line, "/proc/%d/maps", thread);
    std::FILE* const maps = std::fopen(line, "re");
    if (maps == nullptr) return {};
    std::string found;
    while (found.empty() && std::fgets(line, sizeof line, maps) != nullptr) {
        unsigned long long low = 0;
        unsigned long long high = 0;
        unsigned long long offset = 0;
        int name = 0;
        const int read = std::sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &low, &high, &offset, &name);
        if (read < 3 || address < low || address >= high) continue;
        if (line[name] == 0) break;
        line[std::strcspn(line, "\n")] = 0;
        char behind[24];
        std::snprintf(behind, sizeof behind, "+%#llx", static_cast<unsigned long long>(address) - low + offset);
        found = line + name;
        found += behind;
    }
    std::fclose(maps);
    return found;
}

}  // namespace sysguard::supervise
