// A program with a chain of calls that is known, which ends in getsid(2): chain::Link::follow, outer, middle, inner.
// Its argument says how: plain, signal (from a signal's handler), room (from a function whose frame has no constant
// size), threads (of which three wait). Exits with 0 if getsid has failed with EXDEV.
#include <alloca.h>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <pthread.h>
#include <unistd.h>

#define KEPT [[gnu::noinline, gnu::noclone, gnu::used]]
#if defined(__clang__)
#undef KEPT
#define KEPT [[gnu::noinline, gnu::used]]
#endif

namespace {

volatile int result = 1;
volatile char sink;
volatile int waiting = 0;

}  // namespace

extern "C" {

KEPT void inner() {
    result = ::getsid(0) == -1 && errno == EXDEV ? 0 : 2;
    sink = sink + 1;  // no tail call
}

KEPT void middle(int size) {
    char room[100];
    std::memset(room, size, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
    inner();
    sink = sink + room[10];
}

KEPT void outer(int size) {
    middle(size);
    sink = sink + 1;
}

KEPT void with_room(int size) {
    char* const room = static_cast<char*>(alloca(static_cast<std::size_t>(size)));
    std::memset(room, size, static_cast<std::size_t>(size));
    __asm__ volatile("" : : "r"(room) : "memory");
    outer(size);
    sink = sink + room[10];
}

KEPT void handle(int) {
    outer(2);
    sink = sink + 1;
}

KEPT void interrupted() {
    ::pthread_kill(::pthread_self(), SIGUSR1);
    sink = sink + 1;
}

KEPT void wait_below(int end) {
    char byte;
    waiting = waiting + 1;
    if (::read(end, &byte, 1) < 0) sink = sink + 1;
    sink = sink + 1;
}

KEPT void* wait_in_thread(void* end) {
    wait_below(*static_cast<int*>(end));
    sink = sink + 1;
    return nullptr;
}
}

namespace chain {

struct Link {
    KEPT void follow(const char* how) const;
    int size;
};

void Link::follow(const char* how) const {
    if (std::strcmp(how, "plain") == 0) outer(size);
    if (std::strcmp(how, "room") == 0) with_room(size + 64);
    if (std::strcmp(how, "signal") == 0) interrupted();
    if (std::strcmp(how, "threads") == 0) {
        int ends[2];
        pthread_t threads[3];
        if (::pipe(ends) != 0) return;
        for (pthread_t& thread : threads) ::pthread_create(&thread, nullptr, wait_in_thread, &ends[0]);
        while (waiting < 3) ::usleep(1000);
        ::usleep(20000);
        outer(size);
        ::close(ends[1]);
        for (pthread_t& thread : threads) ::pthread_join(thread, nullptr);
    }
    sink = sink + 1;
}

}  // namespace chain

int main(int, char** arguments) {
    ::signal(SIGUSR1, handle);
    const chain::Link link{36};
    link.follow(arguments[1]);
    return result;
}
