// SPDX-License-Identifier: Apache-2.0
// What the containers of the benchmark run: ends at once, or with an argument waits to be killed.
// A payload with a C library would hide the runtimes behind its own start.
#include "kernel.h"

PROGRAM

int main_(int argc, char **argv, char **environment) {
    (void)argv, (void)environment;
    while (argc > 1) SYS(pause);
    return 0;
}
