// SPDX-License-Identifier: Apache-2.0
// The yardstick: everything the default document of `runc spec` demands, with the cheapest safe system calls, no
// document, no parsing, no C library and no recovery from errors.
//
//   floor create|start|run|exec|delete HIERARCHIES g|- ROOTFS ID STATE-DIR PID-FILE COMMAND [ARG...]
//
// HIERARCHIES: "-" for cgroup v2, else the names of the v1 hierarchies separated by colons. `g`: a cgroup namespace.
// create, start, exec and delete find each other through STATE-DIR/ID/{state,fifo}.
#include "floor.h"

#include <asm/signal.h>

#include <linux/close_range.h>
#include <linux/memfd.h>
#include <linux/sched.h>

PROGRAM

#ifndef MFD_EXEC // headers before Linux 6.3
#define MFD_EXEC 0x0010U
#endif

enum { STATE_BYTES = 700, S_IFIFO = 0010000 };
enum { ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };
// Of headers that a freestanding program has not.
enum { AF_UNIX = 1, SOCK_DGRAM = 2, SIOCSIFFLAGS = 0x8914, IFF_UP = 1 };
enum { NEW = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET };

extern const char init_image[], init_image_end[];
__asm__(".section .rodata\n"
        ".globl init_image, init_image_end\n"
        "init_image: .incbin \"" INIT "\"\n"
        "init_image_end:\n"
        ".text\n");

// STATE-DIR/ID[/NAME]
static const char *state_path(char *path, const struct request *request, const char *name) {
    char *end = append(append(append(path, request->state_dir), "/"), request->id);
    if (name) append(append(end, "/"), name);
    return path;
}

static word init_memfd(void) {
    word file = MUST(memfd_create, "init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    MUST(write, file, init_image, init_image_end - init_image);
    MUST(fcntl, file, F_ADD_SEALS, ALL_SEALS);
    return file;
}

static void loopback_up(void) {
    struct {
        char name[16];
        short flags;
        char rest[32];
    } interface = {"lo", IFF_UP, {0}};
    word socket = MUST(socket, AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0);
    MUST(ioctl, socket, SIOCSIFFLAGS, &interface);
    SYS(close, socket);
}

static __attribute__((noreturn)) void become(const struct request *request) {
    static const char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                              "TERM=xterm", 0};
    MUST(execve, request->command[0], request->command, environment);
    __builtin_unreachable();
}

// The child of clone3: finishes its surroundings, then becomes the payload, or init if it has to wait for `start`.
static __attribute__((noreturn)) void child(const struct request *request, const struct cgroup *cgroup, word init,
                                            word fifo) {
    cgroup_join_v1(cgroup);
    if (request->cgroup_namespace) MUST(unshare, CLONE_NEWCGROUP);
    rootfs_enter(request, cgroup);
    MUST(sethostname, "runc", 4);
    loopback_up();
    process_restrict();
    MUST(close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (init < 0) become(request);
    char number[24], *arguments[16] = {"init", number};
    append_number(number, fifo);
    for (int i = 0; i < 12 && request->command[i]; i++) arguments[2 + i] = request->command[i];
    MUST(fcntl, fifo, F_SETFD, 0);
    MUST(execveat, init, "", arguments, request->environment, AT_EMPTY_PATH);
    __builtin_unreachable();
}

static word clone_into(const struct cgroup *cgroup, uint64_t flags) {
    struct clone_args arguments = {.flags = flags, .exit_signal = SIGCHLD};
    if (cgroup->v2_dir >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup->v2_dir;
    }
    return MUST(clone3, &arguments, sizeof arguments);
}

static void write_new(const char *path, const char *text, size_t count) {
    word file = MUST(open, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(write, file, text, count);
    SYS(close, file);
}

static int create(const struct request *request) {
    struct cgroup cgroup;
    char path[300], state[STATE_BYTES];
    MUST(mkdir, state_path(path, request, 0), 0711);
    MUST(mknod, state_path(path, request, "fifo"), S_IFIFO | 0622, 0);
    word fifo = MUST(open, path, O_PATH | O_CLOEXEC, 0);
    word init = init_memfd();
    cgroup_create(&cgroup, request);
    word pid = clone_into(&cgroup, NEW);
    if (!pid) child(request, &cgroup, init, fifo);
    // As long as a small state document.
    memset(state, ' ', sizeof state);
    char *end = append_number(state, pid);
    write_new(request->pid_file, state, end - state);
    *end = ' ';
    write_new(state_path(path, request, "state"), state, sizeof state);
    return 0;
}

static int start(const struct request *request) {
    char path[300], byte;
    word fifo = MUST(open, state_path(path, request, "fifo"), O_CLOEXEC, 0);
    MUST(read, fifo, &byte, 1);
    MUST(unlink, path);
    return 0;
}

static word recorded_pid(const struct request *request) {
    char path[300], state[STATE_BYTES];
    word file = MUST(open, state_path(path, request, "state"), O_CLOEXEC, 0);
    MUST(read, file, state, sizeof state);
    SYS(close, file);
    return parse_number(state);
}

static int wait_for(word pid) {
    int status = 0;
    MUST(wait4, pid, &status, 0, 0);
    return status >> 8 & 255;
}

static int run(const struct request *request) {
    struct cgroup cgroup;
    cgroup_create(&cgroup, request);
    word pid = clone_into(&cgroup, NEW);
    if (!pid) child(request, &cgroup, -1, -1);
    int status = wait_for(pid);
    cgroup_remove(&cgroup, request);
    return status;
}

static int exec(const struct request *request) {
    struct cgroup cgroup;
    word target = MUST(pidfd_open, recorded_pid(request), 0);
    cgroup_open(&cgroup, request);
    // The pid namespace is entered by children only: it comes before the clone, the rest after it.
    MUST(setns, target, CLONE_NEWPID);
    word pid = clone_into(&cgroup, 0);
    if (!pid) {
        cgroup_join_v1(&cgroup);
        MUST(setns, target, (NEW & ~CLONE_NEWPID) | (request->cgroup_namespace ? CLONE_NEWCGROUP : 0));
        process_restrict();
        MUST(close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
        become(request);
    }
    return wait_for(pid);
}

static int delete(const struct request *request) {
    struct cgroup cgroup;
    char path[300];
    SYS(kill, recorded_pid(request), SIGKILL);
    cgroup_name(&cgroup, request);
    cgroup_remove(&cgroup, request);
    MUST(unlink, state_path(path, request, "state"));
    SYS(unlink, state_path(path, request, "fifo"));
    MUST(rmdir, state_path(path, request, 0));
    return 0;
}

int main_(int argc, char **argv, char **environment) {
    if (argc < 9) return 2;
    const struct request request = {
        .hierarchies = argv[2],
        .cgroup_namespace = argv[3][0] == 'g',
        .rootfs = argv[4],
        .id = argv[5],
        .state_dir = argv[6],
        .pid_file = argv[7],
        .command = argv + 8,
        .environment = environment,
    };
    switch (argv[1][0]) {
    case 'c': return create(&request);
    case 's': return start(&request);
    case 'r': return run(&request);
    case 'e': return exec(&request);
    case 'd': return delete(&request);
    }
    return 2;
}
