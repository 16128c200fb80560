// What a request to a worker and back costs, against a bare ping-pong between two processes over a socket pair and over
// futexes.

#include "comparison.hpp"

#include <sysguard/service.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sg = sysguard;

namespace {

using bench::expect;

constexpr sg::Policy computing{sg::preset::static_runtime, sg::otherwise.kill()};
constexpr int rounds = 200;

/// The other side of a ping-pong, while it lives.
class Partner {
public:
    template <class Serve>
    explicit Partner(const Serve& serve) : pid_{::fork()} {
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) serve();
        }
    }
    Partner(const Partner&) = delete;
    Partner& operator=(const Partner&) = delete;
    ~Partner() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    pid_t pid_;
};

struct Words {
    std::uint32_t ping = 0;
    std::uint32_t pong = 0;
};

void change_and_wake(std::uint32_t& word) {
    __atomic_fetch_add(&word, 1U, __ATOMIC_SEQ_CST);
    ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void wait_for_change(std::uint32_t& word, std::uint32_t& seen) {
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == seen)
        ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
    ++seen;
}

void request(benchmark::State& state) {
    int ends[2];
    expect(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socketpair failed");
    const Partner over_socket{[&] {
        char byte = 0;
        expect(::read(ends[1], &byte, 1) == 1 && ::write(ends[1], &byte, 1) == 1, "the partner failed");
    }};
    auto& words =
        *static_cast<Words*>(::mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::uint32_t pings = 0;
    const Partner over_futex{[&] {
        wait_for_change(words.ping, pings);
        change_and_wake(words.pong);
    }};
    const sg::Sandbox box{computing};
    sg::Service service{box, [](int x) { return x + 1; }};
    std::uint32_t pongs = 0;
    const auto average = [](const auto& work) {
        return bench::Comparison::time([&] {
                   for (int i = 0; i < rounds; ++i) work();
               }) /
               rounds;
    };
    bench::Comparison{}
        .add("socketpair",
             [&] {
                 return average([&] {
                     char byte = 0;
                     expect(::write(ends[0], &byte, 1) == 1 && ::read(ends[0], &byte, 1) == 1, "the socket failed");
                 });
             })
        .add("futex",
             [&] {
                 return average([&] {
                     change_and_wake(words.ping);
                     wait_for_change(words.pong, pongs);
                 });
             })
        .add("request",
             [&] {
                 return average([&] {
                     const sg::Result<int> answer = service.call(41);
                     expect(answer && *answer == 42, "the request failed");
                 });
             })
        .run(state);
    ::close(ends[0]);
    ::close(ends[1]);
    ::munmap(&words, sizeof words);
}

BENCHMARK(request)->Iterations(200)->Unit(benchmark::kMicrosecond);

}  // namespace
