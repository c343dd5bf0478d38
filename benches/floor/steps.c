// SPDX-License-Identifier: Apache-2.0
// Counts the instructions that a program executes in user mode, one by one (ptrace(2), PTRACE_SINGLESTEP), where there are
// no performance counters:
//
//   steps FILE PROGRAM ARG...    the count goes to standard output, the addresses of what was executed to FILE: a bit for
//                                each four bytes from 0x200000 on
//
// Only the program itself is followed, not its children. A repeated string instruction counts once for each repetition.
#include "kernel.h"

#include <asm/signal.h>
#include <linux/ptrace.h>
#include <stddef.h>

PROGRAM

enum { FIRST = 0x200000, LAST = 0x600000, TRAP = 5, RIP = 16 * 8, PTRACE_SINGLESTEP_ = 9, PTRACE_TRACEME_ = 0, PEEKUSER = 3 };

static unsigned char executed[(LAST - FIRST) / 4 / 8];

int main_(int argc, char **argv, char **environment) {
    if (argc < 3) return 2;
    word pid = MUST(fork);
    if (!pid) {
        MUST(ptrace, PTRACE_TRACEME_, 0, 0, 0);
        MUST(execve, argv[2], argv + 2, environment);
    }
    int status = 0;
    word count = 0;
    MUST(wait4, pid, &status, 0, 0);
    while ((status & 0xff) == 0x7f) {
        int signal = status >> 8 & 0xff;
        MUST(ptrace, PTRACE_SINGLESTEP_, pid, 0, signal == TRAP ? 0 : signal);
        MUST(wait4, pid, &status, 0, 0);
        word address = 0;
        if ((status & 0xff) != 0x7f || SYS(ptrace, PEEKUSER, pid, RIP, &address) < 0) continue;
        count++;
        if (address < FIRST || address >= LAST) continue;
        size_t at = (address - FIRST) / 4;
        executed[at / 8] |= 1 << at % 8;
    }
    word file = MUST(open, argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
    MUST(write, file, executed, sizeof executed);
    char text[32], *end = append(append_number(text, count), "\n");
    MUST(write, 1, text, end - text);
    return status ? 1 : 0;
}
