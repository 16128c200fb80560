// A program of 32 bits that makes the calls that its arguments say, without a C library: "5 path:/etc/passwd 0 0 then
// 1 3". An argument is a number, `path:` and a text, `block:` and numbers that lie in memory, or `room`: 64 bytes.
// Prints the result of each call, as far as it may write.

extern "C" int make_call(int number, const int* arguments);

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
    make_call(4, arguments);
}

}  // namespace

extern "C" [[noreturn]] void run(const int* stack) {
    const char* const* const words = reinterpret_cast<const char* const*>(stack + 1);
    for (int i = 1; i < stack[0]; ++i) {
        const char* text = words[i];
        const int call = number(text);
        int arguments[6] = {0, 0, 0, 0, 0, 0};
        int count = 0;
        for (++i; i < stack[0] && !begins(words[i], "then"); ++i)
            if (count < 6) arguments[count++] = argument(words[i]);
        print(make_call(call, arguments));
    }
    const int arguments[6] = {0, 0, 0, 0, 0, 0};
    make_call(252, arguments);
    __builtin_trap();  // it may not even end
}
