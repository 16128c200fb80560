#pragma once

#include "../../abi/architecture.hpp"
#include "../../supervise/stack/code.hpp"
#include "../../supervise/stack/stack_trace.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include <elfutils/libdw.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/auxv.h>
#include <unistd.h>

// Of <cxxabi.h>, which takes the name ::abi from the host's own code.
namespace __cxxabiv1 {
extern "C" char* __cxa_demangle(const char* mangled, char* buffer, std::size_t* length, int* status);
}  // namespace __cxxabiv1

namespace sysguard::detail::unwind {

/// An executable mapping, for who unwinds: its file's descriptor there. Plain data: it is sent to another process.
struct Module {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::uint64_t offset = 0;  ///< of `low` in the file
    std::int32_t fd = -1;      ///< -1: there is none
    bool is_vdso = false;

    bool contains(std::uint64_t address) const noexcept { return low <= address && address < high; }
};

/// What may be spent on the names of one trace: a file can hold names that take for ever to find, or to print.
struct Budget {
    std::size_t symbols = 30'000'000;  ///< to be looked at
    bool demangles = true;
};

/// The ELF file of an executable mapping. For a sandboxed process: libelf and libdw read whatever it holds.
class ElfModule {
public:
    ElfModule(const Module& module, abi::Abi abi, Budget& budget) noexcept : module_{module}, budget_{budget} {
        ::elf_version(EV_CURRENT);
        if (module.is_vdso && abi == abi::native_abi) {
            memory_ = reinterpret_cast<char*>(::getauxval(AT_SYSINFO_EHDR));  // every process has the same
            if (memory_ != nullptr) elf_ = ::elf_memory(memory_, module.high - module.low);
        } else if (module.fd >= 0) {
            elf_ = ::elf_begin(module.fd, ELF_C_READ, nullptr);  // not mapped: the file may be cut
        }
        if (elf_ != nullptr && !find_bias(abi)) ::elf_end(std::exchange(elf_, nullptr));
        if (elf_ == nullptr) return;
        from_program_ = ::dwarf_getcfi_elf(elf_);
        debug_ = ::dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
        if (debug_ != nullptr) from_debug_ = ::dwarf_getcfi(debug_);
    }
    ElfModule(const ElfModule&) = delete;
    ElfModule& operator=(const ElfModule&) = delete;

    const Module& module() const noexcept { return module_; }
    bool is_there() const noexcept { return elf_ != nullptr; }
    std::uint64_t bias() const noexcept { return bias_; }

    /// The rules for the callers of an instruction, to be freed; nullptr where there are none.
    Dwarf_Frame* frame_at(std::uint64_t address) const noexcept {
        for (Dwarf_CFI* const information : {from_program_, from_debug_}) {
            Dwarf_Frame* frame = nullptr;
            if (information != nullptr && ::dwarf_cfi_addrframe(information, address - bias_, &frame) == 0)
                return frame;
        }
        return nullptr;
    }

    /// Reads bytes of its code, as the file has them.
    bool code(std::uint64_t address, void* to, std::size_t size) const noexcept {
        if (elf_ == nullptr || address < module_.low || size > module_.high - module_.low ||
            address - module_.low > module_.high - module_.low - size)
            return false;
        if (memory_ != nullptr) {
            std::memcpy(to, memory_ + (address - module_.low), size);
            return true;
        }
        const auto at = static_cast<off_t>(address - module_.low + module_.offset);
        return ::pread(module_.fd, to, size, at) == static_cast<ssize_t>(size);
    }

    /// Writes the name of the function that an address lies in, ended by a zero byte, and how far behind its beginning.
    /// Returns whether it has one.
    bool symbol(std::uint64_t address, char (&name)[supervise::most_symbol], std::uint64_t& behind) const noexcept {
        if (elf_ == nullptr) return false;
        for (const GElf_Word type : {GElf_Word{SHT_SYMTAB}, GElf_Word{SHT_DYNSYM}})
            for (Elf_Scn* section = ::elf_nextscn(elf_, nullptr); section != nullptr;
                 section = ::elf_nextscn(elf_, section)) {
                GElf_Shdr header;
                if (::gelf_getshdr(section, &header) == nullptr || header.sh_type != type) continue;
                if (symbol_in(section, header, address - bias_, name, behind)) return true;
            }
        return false;
    }

private:
    static constexpr std::size_t most_readable = 16
                                                 << 10;  ///< bytes of a name; templates can double it with each letter

    static unsigned machine_of(abi::Abi abi) noexcept {
        switch (abi) {
            case abi::Abi::x86_64: return EM_X86_64;
            case abi::Abi::i386: return EM_386;
            case abi::Abi::aarch64: return EM_AARCH64;
            case abi::Abi::riscv64: return EM_RISCV;
            case abi::Abi::arm: return EM_ARM;
        }
        return EM_NONE;
    }

    /// How far its addresses in memory are from those in the file.
    bool find_bias(abi::Abi abi) noexcept {
        GElf_Ehdr header;
        std::size_t count = 0;
        if (::elf_kind(elf_) != ELF_K_ELF || ::gelf_getehdr(elf_, &header) == nullptr ||
            header.e_machine != machine_of(abi) || ::elf_getphdrnum(elf_, &count) != 0)
            return false;
        const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
        for (std::size_t i = 0; i < count && i < 65536; ++i) {
            GElf_Phdr segment;
            if (::gelf_getphdr(elf_, static_cast<int>(i), &segment) == nullptr) return false;
            const bool is_it = segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 &&
                               segment.p_offset - segment.p_offset % page <= module_.offset &&
                               module_.offset - segment.p_offset + page < segment.p_filesz + page;
            if (!is_it) continue;
            bias_ = module_.low - module_.offset + segment.p_offset - segment.p_vaddr;
            return true;
        }
        return false;
    }

    bool symbol_in(Elf_Scn* section, const GElf_Shdr& header, std::uint64_t address,
                   char (&name)[supervise::most_symbol], std::uint64_t& behind) const noexcept {
        Elf_Data* const data = ::elf_getdata(section, nullptr);
        if (data == nullptr || header.sh_entsize == 0) return false;
        const std::size_t count = header.sh_size / header.sh_entsize;
        GElf_Sym best{};
        for (std::size_t i = 0; i < count && budget_.symbols > 0; ++i, --budget_.symbols) {
            GElf_Sym symbol;
            if (::gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
            const unsigned type = GELF_ST_TYPE(symbol.st_info);
            if (symbol.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
                continue;
            const bool is_in =
                symbol.st_value <= address && (symbol.st_size == 0 || address - symbol.st_value < symbol.st_size);
            if (is_in && symbol.st_name != 0 && is_better(symbol, best)) best = symbol;
        }
        if (best.st_name == 0) return false;
        const char* const raw = ::elf_strptr(elf_, header.sh_link, best.st_name);
        if (raw == nullptr || *raw == 0) return false;
        behind = address - best.st_value;
        write_name(raw, name);
        return true;
    }

    /// A function that says where it ends is better than one that does not; then the nearer one.
    static bool is_better(const GElf_Sym& one, const GElf_Sym& other) noexcept {
        if (other.st_name == 0) return true;
        if ((one.st_size == 0) != (other.st_size == 0)) return one.st_size != 0;
        if (one.st_value != other.st_value) return one.st_value > other.st_value;
        return GELF_ST_BIND(one.st_info) == STB_GLOBAL && GELF_ST_BIND(other.st_info) != STB_GLOBAL;
    }

    void write_name(const char* raw, char (&name)[supervise::most_symbol]) const noexcept {
        const std::size_t length = ::strnlen(raw, supervise::most_symbol);
        const bool is_mangled = length > 2 && raw[0] == '_' && raw[1] == 'Z' && length < supervise::most_symbol;
        char* readable = nullptr;
        if (is_mangled && budget_.demangles) {
            int status = 0;
            readable = __cxxabiv1::__cxa_demangle(raw, nullptr, nullptr, &status);
            const bool is_too_long = readable != nullptr && ::strnlen(readable, most_readable) == most_readable;
            if (status == out_of_memory || is_too_long) budget_.demangles = false;
        }
        const char* const from = readable != nullptr ? readable : raw;
        const std::size_t size = ::strnlen(from, supervise::most_symbol - 1);
        std::memcpy(name, from, size);
        name[size] = 0;
        if (size == supervise::most_symbol - 1) std::memcpy(name + size - 3, "...", 3);
        std::free(readable);
    }

    static constexpr int out_of_memory = -1;  // of __cxa_demangle

    Module module_;
    Budget& budget_;
    char* memory_ = nullptr;
    Elf* elf_ = nullptr;
    Dwarf* debug_ = nullptr;
    Dwarf_CFI* from_program_ = nullptr;  ///< .eh_frame
    Dwarf_CFI* from_debug_ = nullptr;    ///< .debug_frame
    std::uint64_t bias_ = 0;
};

}  // namespace sysguard::detail::unwind
