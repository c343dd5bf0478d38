// SPDX-License-Identifier: Apache-2.0
// Programs without a C library: system calls, entry point, and the few string functions they need.
// glibc's start alone would cost more than what these programs measure.
#ifndef KERNEL_H
#define KERNEL_H

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <stddef.h>
#include <stdint.h>

#ifndef __x86_64__
#error "the benchmark's C programs know the system call convention of x86_64 only"
#endif

typedef long word;

static inline word call6(word number, word a, word b, word c, word d, word e, word f) {
    word result;
    register word r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

// SYS(name, arguments...): the result, or a negative errno.
#define SYS_(name, a, b, c, d, e, f, ...)                                                                          \
    call6(__NR_##name, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), (word)(f))
#define SYS(name, ...) SYS_(name, __VA_ARGS__ __VA_OPT__(, ) 0, 0, 0, 0, 0, 0)

// The same, and the program ends with a message if the call fails.
#define MUST(name, ...) checked(SYS(name, __VA_ARGS__), #name)

static inline size_t length(const char *text) {
    size_t n = 0;
    while (text[n]) n++;
    return n;
}

// Appends text, or a number, at `end`; the new end, where a zero is.
static inline char *append(char *end, const char *text) {
    while (*text) *end++ = *text++;
    *end = 0;
    return end;
}

static inline char *append_number(char *end, word number) {
    char digits[24];
    int n = 0;
    do digits[n++] = '0' + number % 10;
    while (number /= 10);
    while (n) *end++ = digits[--n];
    *end = 0;
    return end;
}

static inline word parse_number(const char *text) {
    word number = 0;
    while (*text >= '0' && *text <= '9') number = number * 10 + *text++ - '0';
    return number;
}

static inline word checked(word result, const char *what) {
    if (result >= 0 || result < -4095) return result;
    char message[160];
    char *end = append(append(append(message, "floor: "), what), ": errno ");
    end = append(append_number(end, -result), "\n");
    SYS(write, 2, message, end - message);
    SYS(exit_group, 1);
    __builtin_unreachable();
}

// The compiler calls these by name. One definition per program: the file with `main_` has it.
#define PROGRAM                                                                                                    \
    void *memset(void *to, int byte, size_t n) {                                                                   \
        void *start = to;                                                                                          \
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");                                  \
        return start;                                                                                              \
    }                                                                                                              \
    void *memcpy(void *to, const void *from, size_t n) {                                                           \
        void *start = to;                                                                                          \
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");                                   \
        return start;                                                                                              \
    }                                                                                                              \
    __asm__(".globl _start\n"                                                                                      \
            "_start: xor %ebp, %ebp\n"                                                                             \
            " mov (%rsp), %rdi\n"                                                                                  \
            " lea 8(%rsp), %rsi\n"                                                                                 \
            " lea 16(%rsp,%rdi,8), %rdx\n"                                                                         \
            " and $-16, %rsp\n"                                                                                    \
            " call main_\n"                                                                                        \
            " mov %eax, %edi\n"                                                                                    \
            " mov $231, %eax\n"                                                                                    \
            " syscall\n");

#endif
