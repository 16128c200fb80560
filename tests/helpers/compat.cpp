// A program of 32 bits, i386 or arm, that makes the calls that its arguments say, without a C library: "5
// path:/etc/passwd 0 0 then 1 3". An argument is a number, `path:` and a text, `block:` and numbers that lie in memory,
// or `room`: 64 bytes. Prints the result of each call, as far as it may write.
//
// Its only argument `probes:` and a path: installs the filter that is in a file (support/compat.hpp), makes the calls
// that are there, and leaves their results there.

extern "C" int make_call(int number, const int* arguments);

#if defined(__i386__)

__asm__(R"(
.text
.globl make_call
make_call:
    push %ebx
    push %esi
    push %edi
    push %ebp
    mov 20(%esp), %eax
    mov 24(%esp), %edi
    mov 0(%edi), %ebx
    mov 4(%edi), %ecx
    mov 8(%edi), %edx
    mov 12(%edi), %esi
    mov 20(%edi), %ebp
    mov 16(%edi), %edi
    int $0x80
    pop %ebp
    pop %edi
    pop %esi
    pop %ebx
    ret
.globl _start
_start:
    mov %esp, %eax
    and $-16, %esp
    sub $12, %esp
    push %eax
    call run
)");

namespace {
constexpr int call_open = 5, call_write = 4, call_mmap2 = 192, call_prctl = 172, call_seccomp = 354,
              call_exit_group = 252;
}

#elif defined(__arm__)

__asm__(R"(
.text
.arm
.globl make_call
.type make_call, %function
make_call:
    push {r4, r5, r6, r7, r8, lr}
    mov r7, r0
    mov r8, r1
    ldm r8, {r0, r1, r2, r3, r4, r5}
    svc #0
    pop {r4, r5, r6, r7, r8, pc}
.globl _start
.type _start, %function
_start:
    mov r0, sp
    bic sp, sp, #7
    b run
)");

namespace {
constexpr int call_open = 5, call_write = 4, call_mmap2 = 192, call_prctl = 172, call_seccomp = 383,
              call_exit_group = 248;
}

#endif

namespace {

int room[256];
int used = 0;

bool begins(const char* text, const char* with) {
    while (*with != 0)
        if (*text++ != *with++) return false;
    return true;
}

int number(const char*& text) {
    const bool negative = *text == '-';
    if (negative) ++text;
    unsigned value = 0;
    if (begins(text, "0x")) {
        for (text += 2; (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'f'); ++text)
            value = value * 16 + static_cast<unsigned>(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    } else {
        for (; *text >= '0' && *text <= '9'; ++text) value = value * 10 + static_cast<unsigned>(*text - '0');
    }
    return static_cast<int>(negative ? 0 - value : value);
}

int argument(const char* text) {
    if (begins(text, "path:")) return reinterpret_cast<int>(text + 5);
    int* const place = room + used;
    if (begins(text, "room")) {
        used += 16;
        return reinterpret_cast<int>(place);
    }
    if (!begins(text, "block:")) return number(text);
    text += 6;
    for (;; ++text) {
        room[used++] = number(text);
        if (*text != ',') return reinterpret_cast<int>(place);
    }
}

void print(int value) {
    char text[16];
    char* at = text + sizeof text;
    *--at = '\n';
    unsigned rest = static_cast<unsigned>(value < 0 ? 0 - value : value);
    do *--at = static_cast<char>('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (value < 0) *--at = '-';
    const int arguments[6] = {1, reinterpret_cast<int>(at), static_cast<int>(text + sizeof text - at), 0, 0, 0};
    make_call(call_write, arguments);
}

/// As in support/compat.hpp.
struct Probes {
    unsigned count;
    unsigned instructions;
    struct {
        int number;
        int arguments[6];
        int made;
        int result;
    } probes[512];
    unsigned long long filter[4096];
};

int call(int number, int a0, int a1 = 0, int a2 = 0, int a3 = 0, int a4 = 0, int a5 = 0) {
    const int arguments[6] = {a0, a1, a2, a3, a4, a5};
    return make_call(number, arguments);
}

int make_probes(const char* path) {
    const int file = call(call_open, reinterpret_cast<int>(path), 2 /* O_RDWR */);
    const int place = call(call_mmap2, 0, sizeof(Probes), 3 /* to read and write */, 1 /* MAP_SHARED */, file);
    if (file < 0 || static_cast<unsigned>(place) > 0xfffff000) return 2;
    Probes& all = *reinterpret_cast<Probes*>(place);
    const struct {
        unsigned short size;
        const void* code;
    } program{static_cast<unsigned short>(all.instructions), all.filter};
    if (call(call_prctl, 38 /* PR_SET_NO_NEW_PRIVS */, 1) != 0) return 3;
    if (call(call_seccomp, 1 /* SECCOMP_SET_MODE_FILTER */, 0, reinterpret_cast<int>(&program)) != 0) return 4;
    for (unsigned i = 0; i < all.count; ++i) {
        all.probes[i].result = make_call(all.probes[i].number, all.probes[i].arguments);
        all.probes[i].made = 1;
    }
    return 0;
}

}  // namespace

extern "C" [[noreturn]] void run(const int* stack) {
    const char* const* const words = reinterpret_cast<const char* const*>(stack + 1);
    if (stack[0] == 2 && begins(words[1], "probes:")) {
        call(call_exit_group, make_probes(words[1] + 7));
        __builtin_trap();
    }
    for (int i = 1; i < stack[0]; ++i) {
        const char* text = words[i];
        const int called = number(text);
        int arguments[6] = {0, 0, 0, 0, 0, 0};
        int count = 0;
        for (++i; i < stack[0] && !begins(words[i], "then"); ++i)
            if (count < 6) arguments[count++] = argument(words[i]);
        print(make_call(called, arguments));
    }
    call(call_exit_group, 0);
    __builtin_trap();  // it may not even end
}
