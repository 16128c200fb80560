#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <link.h>

namespace sysguard::process::detail {

/// The programs and libraries that are loaded at some time (dl_iterate_phdr(3)).
class LoadedCode {
public:
    LoadedCode() {
        ::dl_iterate_phdr(
            [](dl_phdr_info* info, std::size_t, void* self) {
                auto& own = *static_cast<LoadedCode*>(self);
                own.unloaded_ = info->dlpi_subs;
                own.objects_.push_back({info->dlpi_addr, info->dlpi_phdr, info->dlpi_name});
                return 0;
            },
            this);
    }

    /// Whether the code at an address is what was there then.
    bool holds(const void* code) const {
        Search search{*this, reinterpret_cast<std::uintptr_t>(code)};
        ::dl_iterate_phdr(
            [](dl_phdr_info* info, std::size_t, void* of) { return static_cast<Search*>(of)->look(*info); }, &search);
        return search.found;
    }

private:
    struct Object {
        ElfW(Addr) base;
        const ElfW(Phdr) * headers;
        std::string name;
    };

    struct Search {
        int look(const dl_phdr_info& info) {
            ++at;
            for (int i = 0; i < info.dlpi_phnum; ++i) {
                const ElfW(Phdr)& header = info.dlpi_phdr[i];
                const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
                if (header.p_type != PT_LOAD || address < begin || address - begin >= header.p_memsz) continue;
                // What is unloaded can be another by now, at the same place, but for the program itself.
                if (at > 1 && info.dlpi_subs != then.unloaded_) return 1;
                for (const Object& each : then.objects_)
                    found = found || (each.base == info.dlpi_addr && each.headers == info.dlpi_phdr &&
                                      each.name == info.dlpi_name);
                return 1;
            }
            return 0;
        }

        const LoadedCode& then;
        std::uintptr_t address;
        int at = 0;
        bool found = false;
    };

    std::vector<Object> objects_;
    unsigned long long unloaded_ = 0;
};

}  // namespace sysguard::process::detail
