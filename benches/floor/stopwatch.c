// SPDX-License-Identifier: Apache-2.0
// Starts programs and measures them, on request, one line each on standard input:
//
//   run<TAB>PROGRAM<TAB>ARG...   starts it with /dev/null for 0 and 1 (2 is the stopwatch's own) and waits for its end
//   reap<TAB>PROGRAM<TAB>ARG...  the same, and collects orphans that end meanwhile, as an engine's shim does
//   wait<TAB>PID                 waits for the end of a process that was left to it (it is a child subreaper)
//
// The answer is one line: wall clock in ns, user and system time in us, minor page faults, peak resident set in KiB, and
// the wait status; or a negative errno alone. It has no C library because a child's peak resident set starts with what
// its parent had when it was forked.
#include "kernel.h"

#include <asm/signal.h>

#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>

PROGRAM

enum { LINE = 65536, WORDS = 64 };

static uint64_t now(void) {
    uint64_t time[2];
    SYS(clock_gettime, CLOCK_MONOTONIC, time);
    return time[0] * 1000000000 + time[1];
}

// fork(2) and execve(2). CLONE_VFORK: the clock runs for the child alone. The address space is copied, but it is tiny.
static word spawn(char **arguments, char **environment) {
    struct clone_args request = {.flags = CLONE_VFORK, .exit_signal = SIGCHLD};
    word pid = SYS(clone3, &request, sizeof request);
    if (pid) return pid;
    word null = SYS(open, "/dev/null", O_RDWR, 0);
    SYS(dup2, null, 0);
    SYS(dup2, null, 1);
    SYS(close, null);
    word result = SYS(execve, arguments[0], arguments, environment);
    checked(result, arguments[0]);
    SYS(exit_group, 127);
    __builtin_unreachable();
}

static void answer(word pid, uint64_t since, int reap) {
    struct rusage usage = {0};
    int status = 0;
    word ended = pid;
    if (pid > 0) do ended = SYS(wait4, reap ? -1 : pid, &status, 0, &usage);
        while (ended > 0 && ended != pid);
    uint64_t elapsed = now() - since;
    char text[200], *end = text;
    if (ended < 0) {
        end = append_number(append(end, "-"), -ended);
    } else {
        const word numbers[] = {
            (word)elapsed,
            usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec,
            usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec,
            usage.ru_minflt,
            usage.ru_maxrss,
            status,
        };
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) end = append(append_number(end, numbers[i]), " ");
    }
    end = append(end, "\n");
    SYS(write, 1, text, end - text);
}

// Splits at tabs; the words end with a null pointer.
static void split(char *line, char **words) {
    int count = 0;
    words[count++] = line;
    for (; *line; line++) {
        if (*line != '\t' || count == WORDS - 1) continue;
        *line = 0;
        words[count++] = line + 1;
    }
    words[count] = 0;
}

int main_(int argc, char **argv, char **environment) {
    static char line[LINE];
    (void)argc, (void)argv;
    MUST(prctl, PR_SET_CHILD_SUBREAPER, 1);
    for (;;) {
        word count = MUST(read, 0, line, sizeof line - 1);
        if (!count) return 0;
        line[count - 1] = 0;
        char *words[WORDS];
        split(line, words);
        uint64_t since = now();
        int start = words[0][0] == 'r', reap = start && words[0][1] == 'e';
        answer(start ? spawn(words + 1, environment) : parse_number(words[1]), since, reap);
    }
}
