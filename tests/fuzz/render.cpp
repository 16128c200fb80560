// Calls with any registers, of a program whose memory holds anything: each has a text of bounded length and a tree of
// bounded size, and no more is read at once than a bound.
#include <sysguard/abi/table.hpp>
#include <sysguard/supervise/render/rendering.hpp>
#include <sysguard/supervise/render/tree.hpp>

#include "support/hostile_source.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace abi = sysguard::abi;
namespace render = sysguard::supervise::render;
using sysguard::supervise::TracedCall;

namespace {

/// Memory that is the input again and again: what lies at an address depends on its low bits alone.
class InputSource final : public render::Source {
public:
    InputSource(const std::uint8_t* bytes, std::size_t size) noexcept : bytes_{bytes}, size_{size} {}

    std::size_t read(std::uint64_t address, void* to, std::size_t size) noexcept override {
        if (size > support::most_read) std::abort();
        if (size_ == 0 || address < 4096 || (address & 0xf000) == 0xf000) return 0;
        const std::uint64_t left = 0xf000 - (address & 0xffff) % 0xf000;
        const std::size_t got = size < left ? size : static_cast<std::size_t>(left);
        for (std::size_t i = 0; i < got; ++i) static_cast<std::uint8_t*>(to)[i] = bytes_[(address + i) % size_];
        return got;
    }

    std::size_t path(int descriptor, char* to, std::size_t size) noexcept override {
        return read(0x10000 + static_cast<std::uint64_t>(descriptor & 0xff), to, size < 200 ? size : 200);
    }

private:
    const std::uint8_t* bytes_;
    std::size_t size_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    struct {
        std::uint16_t number;
        std::uint8_t kind;
        std::uint8_t all;
        std::uint64_t arguments[abi::max_arguments];
        std::int64_t result;
    } head{};
    if (size < sizeof head) return 0;
    std::memcpy(&head, bytes, sizeof head);
    InputSource source{bytes + sizeof head, size - sizeof head};

    TracedCall call;
    call.number = head.number % 512;
    constexpr abi::Abi kinds[] = {abi::native_abi, abi::native_abi, abi::compat_abi, abi::Abi::riscv64};
    call.abi = kinds[head.kind % 4];
    std::memcpy(call.arguments, head.arguments, sizeof head.arguments);
    call.result = head.result;
    call.is_error = head.result < 0 && head.result >= -4095;

    render::Options options;
    options.all_fields = (head.all & 1) != 0;
    options.most_bytes = (head.all & 2) != 0 ? 5000 : 32;
    render::TextSink text;
    render::TreeSink tree;
    render::BothSinks both{text, tree};
    render::Rendering rendering;
    rendering.enter(call, source, both, options);
    if ((head.kind & 4) != 0) {
        rendering.abandon(call, source, both, options);
    } else {
        call.phase = TracedCall::Phase::returned;
        rendering.leave(call, source, both, options);
        if (render::result_text(rendering, call, source, options).empty()) std::abort();
    }
    std::size_t length = text.details().size();
    for (unsigned i = 0; i < render::TextSink::most_arguments; ++i) length += text.text(i).size();
    if (length > support::most_line || tree.arguments().size() > render::TreeSink::most_arguments) std::abort();
    return 0;
}
