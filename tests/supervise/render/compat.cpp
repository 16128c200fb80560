#include "made.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

namespace abi = sysguard::abi;
namespace render = sysguard::supervise::render;
using sysguard::supervise::TracedCall;

#if defined(__x86_64__)

namespace {

/// Memory of a program of 32 bits: what is put there lies from 0x10000 on.
class Memory final : public render::Source {
public:
    std::uint32_t put(const std::vector<std::uint32_t>& words) { return add(words.data(), words.size() * 4); }
    std::uint32_t text(const std::string& bytes) { return add(bytes.c_str(), bytes.size() + 1); }

    std::size_t read(std::uint64_t address, void* to, std::size_t size) noexcept override {
        if (address < begin || address >= begin + bytes_.size()) return 0;
        const std::size_t left = bytes_.size() - static_cast<std::size_t>(address - begin);
        const std::size_t got = size < left ? size : left;
        std::memcpy(to, bytes_.data() + (address - begin), got);
        return got;
    }

private:
    static constexpr std::uint64_t begin = 0x10000;

    std::uint32_t add(const void* from, std::size_t size) {
        const auto at = static_cast<std::uint32_t>(begin + bytes_.size());
        const char* const first = static_cast<const char*>(from);
        bytes_.insert(bytes_.end(), first, first + size);
        bytes_.resize((bytes_.size() + 255) / 256 * 256);
        return at;
    }

    std::vector<char> bytes_;
};

std::string shown(Memory& memory, int number, const std::vector<std::uint32_t>& registers, std::int64_t result) {
    TracedCall call;
    call.abi = abi::Abi::i386;
    call.number = number;
    for (std::size_t i = 0; i < registers.size(); ++i) call.arguments[i] = registers[i];
    render::RenderedCall text{rendered::bare()};
    text.enter(call, memory);
    call.phase = TracedCall::Phase::returned;
    call.result = result;
    call.is_error = result < 0;
    text.leave(call, memory);
    return text.line(0);
}

}  // namespace

TEST_CASE("calls of i386 by their own names and numbers") {
    Memory memory;
    const std::uint32_t path = memory.text("/etc/passwd");
    CHECK(shown(memory, 5, {path, 0, 0}, 3) == "open(\"/etc/passwd\", O_RDONLY) = 3");
    CHECK(shown(memory, 192, {0, 4096, 3, 0x22, 0xffffffff, 1}, 0xf7f00000) ==
          "mmap2(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0x1000) = 0xf7f00000");
    CHECK(shown(memory, 90, {memory.put({0, 4096, 3, 0x22, 0xffffffff, 0})}, 0xf7f00000) ==
          "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0xf7f00000");
    CHECK(shown(memory, 180, {3, path, 4, 5, 1}, 4) == "pread64(3, \"/etc\", 4, 4294967301) = 4");
    CHECK(shown(memory, 140, {3, 0, 5, memory.put({5, 0}), 0}, 0) == "_llseek(3, 5, [5], SEEK_SET) = 0");
    CHECK(shown(memory, 24, {}, 1000) == "getuid() = 1000");
    CHECK(shown(memory, 23, {0xffff}, -22) == "setuid(-1) = -1 EINVAL (Invalid argument)");
    CHECK(shown(memory, 7, {0xffffffff, memory.put({0x300}), 0}, 5) ==
          "waitpid(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0) = 5");
    CHECK(shown(memory, 9999, {1, 2}, -38) ==
          "syscall_0x270f(0x1, 0x2, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)");
}

TEST_CASE("calls behind socketcall and ipc") {
    Memory memory;
    CHECK(shown(memory, 102, {1, memory.put({1, 1, 0})}, 3) == "socket(AF_UNIX, SOCK_STREAM, 0) = 3");
    const std::uint32_t local = memory.put({0x732f0001, 0});
    CHECK(shown(memory, 102, {3, memory.put({4, local, 5})}, -2) ==
          "connect(4, {sa_family=AF_UNIX, sun_path=\"/s\"}, 5) = -1 ENOENT (No such file or directory)");
    CHECK(shown(memory, 102, {99, 0x1000}, -22) == "socketcall(99, 0x1000) = -1 EINVAL (Invalid argument)");
    CHECK(shown(memory, 117, {23, 0, 4096, 0x380}, 5) == "shmget(IPC_PRIVATE, 4096, IPC_CREAT|0600) = 5");
}

TEST_CASE("structures of 32 bits, with times of either width") {
    Memory memory;
    CHECK(shown(memory, 265, {0, memory.put({5, 6, 7, 8})}, 0) ==
          "clock_gettime(CLOCK_REALTIME, {tv_sec=5, tv_nsec=6}) = 0");
    CHECK(shown(memory, 403, {0, memory.put({5, 0, 6, 0})}, 0) ==
          "clock_gettime64(CLOCK_REALTIME, {tv_sec=5, tv_nsec=6}) = 0");
    const std::uint32_t hello = memory.text("hello");
    CHECK(shown(memory, 146, {1, memory.put({hello, 5}), 1}, 5) ==
          "writev(1, [{iov_base=\"hello\", iov_len=5}], 1) = 5");
    std::vector<std::uint32_t> status(24);
    status[4] = 0100644;
    status[11] = 77;
    CHECK(shown(memory, 197, {3, memory.put(status)}, 0) == "fstat64(3, {st_mode=S_IFREG|0644, st_size=77, ...}) = 0");
    CHECK(shown(memory, 174, {10, memory.put({1, 0x10000000, 0, 0x4000, 0}), 0, 8}, 0) ==
          "rt_sigaction(SIGUSR1, {sa_handler=SIG_IGN, sa_mask=[TERM], sa_flags=SA_RESTART}, NULL, 8) = 0");
    const std::uint32_t message = memory.put({0, 0, memory.put({hello, 5}), 1, 0, 0, 0});
    CHECK(shown(memory, 370, {3, message, 0}, 5) ==
          "sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"hello\", iov_len=5}], msg_iovlen=1, "
          "msg_controllen=0, msg_flags=0}, 0) = 5");
    CHECK(shown(memory, 11, {hello, memory.put({hello, 0}), 0}, -2) ==
          "execve(\"hello\", [\"hello\"], NULL) = -1 ENOENT (No such file or directory)");
}

#else

TEST_CASE("a call of a 32-bit ABI whose structures are not tabled is written with its registers") {
    TracedCall call;
    call.abi = abi::Abi::arm;
    call.number = 3;
    render::ThreadSource source{::getpid()};
    render::RenderedCall text{rendered::bare()};
    text.enter(call, source);
    CHECK(text.call() == "read(0, 0, 0, 0, 0, 0)");
}

#endif
