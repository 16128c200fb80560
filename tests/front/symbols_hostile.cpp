#include <sysguard/symbols.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/environment.hpp"
#include "support/scratch.hpp"
#include "support/supervised.hpp"

// What a worker can make of the files that it maps, looked at by a host that trusts none of it.

namespace sg = sysguard;
using sg::StackTrace;
using Bytes = std::vector<unsigned char>;
using namespace sg::literals;
using namespace std::chrono_literals;

namespace {

Bytes read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// A program that is all right.
const Bytes& program() {
    static const Bytes bytes = read_file(support::helper("stacks"));
    return bytes;
}

template <class T>
T& at(Bytes& bytes, std::size_t offset) {
    REQUIRE(offset + sizeof(T) <= bytes.size());
    return *reinterpret_cast<T*>(bytes.data() + offset);
}

Elf64_Ehdr& header(Bytes& bytes) {
    return at<Elf64_Ehdr>(bytes, 0);
}

Elf64_Shdr& section(Bytes& bytes, unsigned index) {
    return at<Elf64_Shdr>(bytes, header(bytes).e_shoff + index * sizeof(Elf64_Shdr));
}

/// The index of a section, by its name.
unsigned find(Bytes& bytes, const std::string& name) {
    const Elf64_Shdr& names = section(bytes, header(bytes).e_shstrndx);
    for (unsigned i = 0; i < header(bytes).e_shnum; ++i)
        if (name == reinterpret_cast<const char*>(bytes.data() + names.sh_offset + section(bytes, i).sh_name)) return i;
    FAIL("no such section: " << name);
    return 0;
}

Elf64_Shdr& section(Bytes& bytes, const char* name) {
    return section(bytes, find(bytes, name));
}

/// Where the executable segment lies.
Elf64_Phdr code_of(Bytes bytes) {
    for (unsigned i = 0; i < header(bytes).e_phnum; ++i) {
        const auto& segment = at<Elf64_Phdr>(bytes, header(bytes).e_phoff + i * sizeof(Elf64_Phdr));
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) return segment;
    }
    FAIL("no code");
    return {};
}

/// The address of a function in the file.
std::uint64_t value_of(Bytes bytes, const std::string& name) {
    const Elf64_Shdr symbols = section(bytes, ".symtab");
    const Elf64_Shdr names = section(bytes, symbols.sh_link);
    for (std::size_t i = 0; i < symbols.sh_size / sizeof(Elf64_Sym); ++i) {
        const auto& symbol = at<Elf64_Sym>(bytes, symbols.sh_offset + i * sizeof(Elf64_Sym));
        if (name == reinterpret_cast<const char*>(bytes.data() + names.sh_offset + symbol.st_name))
            return symbol.st_value;
    }
    FAIL("no such symbol: " << name);
    return 0;
}

/// The trace of a thread that is in `inner` of such a file, which it has mapped from where the code of one that is all
/// right lies.
StackTrace trace_in(const Bytes& bytes, const sg::Symbolizer& symbolizer) {
    static const Elf64_Phdr code = code_of(program());
    static const std::uint64_t inner = value_of(program(), "inner");
    static const std::uint64_t middle = value_of(program(), "middle");
    const support::Scratch scratch;
    const std::string path = scratch / "library.so";
    std::ofstream{path, std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()),
                                                static_cast<std::streamsize>(bytes.size()));
    const sg::process::Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    const std::uint64_t offset = code.p_offset & ~std::uint64_t{4095};
    void* const mapped =
        ::mmap(nullptr, code.p_filesz, PROT_READ | PROT_EXEC, MAP_PRIVATE, file.get(), static_cast<off_t>(offset));
    REQUIRE(mapped != MAP_FAILED);
    const std::uint64_t bias = reinterpret_cast<std::uint64_t>(mapped) - offset + code.p_offset - code.p_vaddr;
    std::uint64_t stack[512];
    for (std::size_t i = 0; i < 512; ++i) stack[i] = i % 3 == 0 ? bias + middle + 8 + i : bias + inner + i;
    sg::supervise::Registers registers;
    registers.instruction_pointer = bias + inner + 8;
    registers.set(sg::supervise::stack_abi(registers.abi).stack_pointer, reinterpret_cast<std::uint64_t>(&stack[0]));
    const StackTrace trace = symbolizer.stack_of(::getpid(), registers);
    ::munmap(mapped, code.p_filesz);
    REQUIRE(!trace.frames.empty());
    CHECK(trace.frames[0].address == registers.instruction_pointer);
    CHECK(trace.frames[0].module == path);
    CHECK(trace.frames.size() <= sg::supervise::most_frames);
    return trace;
}

/// One for all: a second is more than what is all right takes.
const sg::Symbolizer& symbolizer() {
    static const sg::Symbolizer one{sg::SymbolizerOptions{.time = 2s, .memory = 128_MiB}};
    return one;
}

#if defined(__x86_64__)
#define SKIP_WITHOUT_FILES()                                           \
    SYSGUARD_SKIP_SANITIZED();                                         \
    if (trace_in(program(), symbolizer()).frames[0].symbol != "inner") \
    SYSGUARD_SKIP("the files of mappings are not found in /tmp: no Linux 5.12, or another's file system")
#else
#define SKIP_WITHOUT_FILES() SYSGUARD_SKIP("these files are made for x86_64")
#endif

/// f(A<int, int>, A<S, S>, ...), each parameter twice as long as the one before it.
std::string name_that_doubles(int times) {
    std::string name = "_Z1f1AIiiE";
    const auto reference = [](int number) {
        constexpr const char* digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        return std::string{"S"} +
               (number >= 36 ? std::string{digits[number / 36], digits[number % 36]} : std::string{digits[number]}) +
               "_";
    };
    for (int i = 0; i < times; ++i) name += "S_I" + reference(i) + reference(i) + "E";
    return name;
}

}  // namespace

TEST_CASE("a file that is all right has its functions' names") {
    SKIP_WITHOUT_FILES();
    const support::Leftovers leftovers;
    const StackTrace trace = trace_in(program(), symbolizer());
    CAPTURE(trace.text());
    CHECK(trace.frames[0].symbol == "inner");
    CHECK(trace.frames[0].symbol_offset == 8);
}

TEST_CASE("files that are cut anywhere") {
    SKIP_WITHOUT_FILES();
    const support::Leftovers leftovers;
    for (std::size_t size :
         {1U, 4U, 16U, 17U, 63U, 64U, 65U, 100U, 119U, 120U, 500U, 1000U, 4095U, 4096U, 5000U, 8192U})
        trace_in({program().begin(), program().begin() + static_cast<std::ptrdiff_t>(size)}, symbolizer());
    for (std::size_t cut = 1; cut < program().size(); cut += program().size() / 30 + 1)
        trace_in({program().begin(), program().end() - static_cast<std::ptrdiff_t>(cut)}, symbolizer());
}

TEST_CASE("headers with counts, sizes and offsets beyond everything") {
    SKIP_WITHOUT_FILES();
    const support::Leftovers leftovers;
    using Change = void (*)(Bytes&);
    const Change changes[] = {
        [](Bytes& file) { header(file).e_shnum = 0xfeff; },
        [](Bytes& file) { header(file).e_shnum = 0; },
        [](Bytes& file) { header(file).e_phnum = 0xfffe; },
        [](Bytes& file) { header(file).e_phnum = PN_XNUM; },
        [](Bytes& file) { header(file).e_shoff = ~std::uint64_t{0}; },
        [](Bytes& file) { header(file).e_shoff = ~std::uint64_t{0} - 63; },
        [](Bytes& file) { header(file).e_shoff = 0; },
        [](Bytes& file) { header(file).e_shoff = 1; },
        [](Bytes& file) { header(file).e_phoff = ~std::uint64_t{0} - 7; },
        [](Bytes& file) { header(file).e_phoff = 0; },
        [](Bytes& file) { header(file).e_shentsize = 0; },
        [](Bytes& file) { header(file).e_phentsize = 1; },
        [](Bytes& file) { header(file).e_shstrndx = 0xffff; },
        [](Bytes& file) { header(file).e_shstrndx = 0xfffe; },
        [](Bytes& file) { header(file).e_ident[EI_CLASS] = ELFCLASS32; },
        [](Bytes& file) { header(file).e_ident[EI_DATA] = ELFDATA2MSB; },
        [](Bytes& file) { header(file).e_ident[EI_VERSION] = 9; },
        [](Bytes& file) { header(file).e_machine = EM_386; },
        [](Bytes& file) { header(file).e_type = ET_CORE; },
        [](Bytes& file) { header(file).e_type = ET_REL; },
    };
    for (const Change change : changes) {
        Bytes file = program();
        change(file);
        trace_in(file, symbolizer());
    }
}

TEST_CASE("sections that are huge, wrap, overlap, or refer to themselves") {
    SKIP_WITHOUT_FILES();
    const support::Leftovers leftovers;
    for (const char* const name : {".symtab", ".dynsym", ".strtab", ".dynstr", ".eh_frame", ".eh_frame_hdr"}) {
        using Change = void (*)(Bytes&, unsigned);
        const Change changes[] = {
            [](Bytes& file, unsigned i) { section(file, i).sh_size = ~std::uint64_t{0}; },
            [](Bytes& file, unsigned i) { section(file, i).sh_size = std::uint64_t{1} << 40; },
            [](Bytes& file, unsigned i) { section(file, i).sh_size = 1; },
            [](Bytes& file, unsigned i) { section(file, i).sh_offset = ~std::uint64_t{0} - 8; },
            [](Bytes& file, unsigned i) { section(file, i).sh_offset = 0; },
            [](Bytes& file, unsigned i) { section(file, i).sh_entsize = 0; },
            [](Bytes& file, unsigned i) { section(file, i).sh_entsize = 1; },
            [](Bytes& file, unsigned i) { section(file, i).sh_entsize = ~std::uint64_t{0}; },
            [](Bytes& file, unsigned i) { section(file, i).sh_link = i; },
            [](Bytes& file, unsigned i) { section(file, i).sh_link = 0xffffffff; },
            [](Bytes& file, unsigned i) { section(file, i).sh_type = SHT_NOBITS; },
            [](Bytes& file, unsigned i) { section(file, i).sh_type = SHT_SYMTAB; },
            [](Bytes& file, unsigned i) { section(file, i).sh_type = SHT_GROUP; },
            [](Bytes& file, unsigned i) { section(file, i).sh_flags |= SHF_COMPRESSED; },
            [](Bytes& file, unsigned i) { section(file, i).sh_name = 0xffffffff; },
            [](Bytes& file, unsigned i) { section(file, i).sh_addralign = ~std::uint64_t{0}; },
        };
        for (const Change change : changes) {
            Bytes file = program();
            change(file, find(file, name));
            trace_in(file, symbolizer());
        }
    }
}

TEST_CASE("a compressed section that says it becomes larger than all memory") {
    SKIP_WITHOUT_FILES();
    Bytes file = program();
    Elf64_Shdr& frames = section(file, ".eh_frame");
    frames.sh_flags |= SHF_COMPRESSED;
    at<Elf64_Chdr>(file, frames.sh_offset) = {ELFCOMPRESS_ZLIB, 0, std::uint64_t{1} << 62, 1};
    trace_in(file, symbolizer());
    at<Elf64_Chdr>(file, frames.sh_offset) = {ELFCOMPRESS_ZLIB, 0, std::uint64_t{1} << 30, 1};
    trace_in(file, symbolizer());
}

TEST_CASE("tables for unwinding that loop, that are cut, and that ask for everything") {
    SKIP_WITHOUT_FILES();
    const support::Leftovers leftovers;
    for (const std::uint32_t word : {0U, 1U, 4U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU, 0xfffffff0U}) {
        for (const std::size_t place : {0U, 4U, 8U, 12U, 16U, 24U, 28U}) {
            Bytes file = program();
            at<std::uint32_t>(file, section(file, ".eh_frame").sh_offset + place) = word;
            trace_in(file, symbolizer());
        }
        Bytes file = program();
        for (const std::size_t place : {0U, 4U, 8U, 12U})
            at<std::uint32_t>(file, section(file, ".eh_frame_hdr").sh_offset + place) = word;
        trace_in(file, symbolizer());
    }
    for (const int byte : {0x00, 0x0f, 0x10, 0x16, 0x2f, 0x7f, 0x80, 0xff}) {  // expressions, endless numbers
        Bytes file = program();
        const Elf64_Shdr& frames = section(file, ".eh_frame");
        std::memset(file.data() + frames.sh_offset + 0x30, byte, frames.sh_size - 0x30);
        trace_in(file, symbolizer());
    }
}

TEST_CASE("without a sandbox a name of a few hundred letters takes all the time there is; in one it costs the names") {
    SKIP_WITHOUT_FILES();
    const std::string name = name_that_doubles(40);
    CHECK(name.size() < sg::supervise::most_symbol);
    const pid_t without = ::fork();
    if (without == 0) {
        const rlimit memory{1 << 30, 1 << 30};
        const rlimit time{1, 1};
        ::setrlimit(RLIMIT_AS, &memory);
        ::setrlimit(RLIMIT_CPU, &time);
        int status = 0;
        ::_exit(__cxxabiv1::__cxa_demangle(name.c_str(), nullptr, nullptr, &status) == nullptr ? 7 : 0);
    }
    int status = 0;
    ::waitpid(without, &status, 0);
    const bool took_everything = WIFSIGNALED(status) || WEXITSTATUS(status) == 7;
    CHECK(took_everything);

    Bytes file = program();
    const std::uint64_t inner = value_of(file, "inner");
    const Elf64_Shdr symbols = section(file, ".symtab");
    const std::size_t names = section(file, symbols.sh_link).sh_offset;
    for (std::size_t i = 0; i < symbols.sh_size / sizeof(Elf64_Sym); ++i) {
        auto& symbol = at<Elf64_Sym>(file, symbols.sh_offset + i * sizeof(Elf64_Sym));
        symbol.st_name = symbol.st_value == inner ? 1 : 0;
    }
    std::memcpy(file.data() + names + 1, name.c_str(), name.size() + 1);
    const sg::Symbolizer brief{sg::SymbolizerOptions{.time = 1s, .memory = 64_MiB}};
    const StackTrace trace = trace_in(file, brief);
    CAPTURE(trace.text());
    const bool has_no_names = trace.shortfall.find("no symbols") != std::string::npos && trace.frames[0].symbol.empty();
    const bool is_raw = trace.frames[0].symbol == name;
    CHECK((has_no_names || is_raw));
}

TEST_CASE("names with control bytes, without an end, or longer than a trace's") {
    SKIP_WITHOUT_FILES();
    Bytes file = program();
    const std::uint64_t inner = value_of(file, "inner");
    const Elf64_Shdr symbols = section(file, ".symtab");
    Elf64_Shdr& names = section(file, symbols.sh_link);
    for (std::size_t i = 0; i < symbols.sh_size / sizeof(Elf64_Sym); ++i) {
        auto& symbol = at<Elf64_Sym>(file, symbols.sh_offset + i * sizeof(Elf64_Sym));
        symbol.st_name = symbol.st_value == inner ? 1 : 0;
    }
    std::memcpy(file.data() + names.sh_offset + 1, "\x1b[31m\n", 7);
    CHECK(trace_in(file, symbolizer()).frames[0].symbol == "\\x1b[31m\\x0a");
    std::memset(file.data() + names.sh_offset + 1, 'a', names.sh_size - 2);
    const std::string cut = trace_in(file, symbolizer()).frames[0].symbol;
    CHECK(cut.size() == sg::supervise::most_symbol - 1);
    CHECK(cut.substr(cut.size() - 4) == "a...");
    std::memset(file.data() + names.sh_offset + 1, 'a', names.sh_size - 1);
    trace_in(file, symbolizer());
}

TEST_CASE("a trace that takes too long, or too much memory, is one without names, and says why") {
    SKIP_WITHOUT_FILES();
    const sg::Symbolizer hasty{sg::SymbolizerOptions{.time = 1us, .memory = 128_MiB}};
    const StackTrace late = trace_in(program(), hasty);
    CAPTURE(late.text());
    CHECK(late.shortfall.find("no symbols: the function") != std::string::npos);
    CHECK(late.frames[0].symbol.empty());
    const sg::Symbolizer poor{sg::SymbolizerOptions{.time = 5s, .memory = 1_KiB}};
    const StackTrace without = trace_in(program(), poor);
    CAPTURE(without.text());
    CHECK(without.frames[0].symbol.empty());
}

TEST_CASE("random changes of a file: the host gets a trace of each") {
    SKIP_WITHOUT_FILES();
    const support::Leftovers leftovers;
    std::uint64_t state = support::first_seed() | 1;
    const auto random = [&state](std::size_t below) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<std::size_t>(state % below);
    };
    for (int round = 0; round < 60; ++round) {
        Bytes file = program();
        const char* const names[] = {".eh_frame", ".eh_frame_hdr", ".symtab", ".strtab", ".dynsym"};
        const Elf64_Shdr target = section(file, names[random(5)]);
        const std::size_t headers = header(file).e_shoff;
        const std::size_t changes = 1 + random(20);
        for (std::size_t i = 0; i < changes; ++i) {
            std::size_t place = target.sh_offset + random(target.sh_size);
            if (random(4) == 0) place = headers + random(file.size() - headers);
            if (random(8) == 0) place = random(0x400);
            file[place] = static_cast<unsigned char>(random(256));
        }
        trace_in(file, symbolizer());
    }
}
