// SPDX-License-Identifier: Apache-2.0
// The floor's init, executed from a sealed memfd: waits for `start` on the fifo, then becomes the payload.
// Usage: init FIFO-DESCRIPTOR COMMAND [ARG...]
#include "kernel.h"

PROGRAM

int main_(int argc, char **argv, char **environment) {
    char path[40];
    (void)argc;
    append(append(path, "/proc/self/fd/"), argv[1]);
    word fifo = MUST(open, path, O_WRONLY | O_CLOEXEC, 0);
    MUST(write, fifo, "0", 1);
    MUST(execve, argv[2], argv + 2, environment);
    return 1;
}
