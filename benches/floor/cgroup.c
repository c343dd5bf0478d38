// SPDX-License-Identifier: Apache-2.0
// The container's cgroup: made, joined and removed without a write to cgroup.procs, which waits for RCU.
#include "floor.h"

enum { EBUSY = 16 };

static int is(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

// /sys/fs/cgroup[/HIERARCHY]/floor-ID
static void path_of(char *path, const struct cgroup *cgroup, int index, const char *id) {
    char *end = append(path, "/sys/fs/cgroup/");
    if (cgroup->v2_dir < 0) end = append(append(end, cgroup->names[index]), "/");
    append(append(end, "floor-"), id);
}

static void write_file(int dir, const char *name, const char *text) {
    word file = MUST(openat, dir, name, O_WRONLY | O_CLOEXEC, 0);
    MUST(write, file, text, length(text));
    SYS(close, file);
}

static void allow_devices_v1(int dir) {
    static const char *const rules[] = {"c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
                                        "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"};
    write_file(dir, "devices.deny", "a");
    word file = MUST(openat, dir, "devices.allow", O_WRONLY | O_CLOEXEC, 0);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) MUST(write, file, rules[i], length(rules[i]));
    SYS(close, file);
}

// Splits the names of the hierarchies.
void cgroup_name(struct cgroup *cgroup, const struct request *request) {
    cgroup->v2_dir = -1;
    if (is(request->hierarchies, "-")) {
        cgroup->count = 1;
        cgroup->v2_dir = 0;
        return;
    }
    int at = 0;
    cgroup->count = 1;
    for (const char *letter = request->hierarchies; *letter; letter++) {
        if (*letter == ':') {
            cgroup->names[cgroup->count++ - 1][at] = 0;
            at = 0;
        } else {
            cgroup->names[cgroup->count - 1][at++] = *letter;
        }
    }
}

void cgroup_open(struct cgroup *cgroup, const struct request *request) {
    char path[300];
    cgroup_name(cgroup, request);
    for (int i = 0; i < cgroup->count; i++) {
        path_of(path, cgroup, i, request->id);
        if (cgroup->v2_dir >= 0) {
            cgroup->v2_dir = MUST(open, path, O_DIRECTORY | O_CLOEXEC, 0);
            return;
        }
        append(path + length(path), "/tasks");
        cgroup->tasks[i] = MUST(open, path, O_WRONLY | O_CLOEXEC, 0);
    }
}

void cgroup_create(struct cgroup *cgroup, const struct request *request) {
    char path[300];
    cgroup_name(cgroup, request);
    for (int i = 0; i < cgroup->count; i++) {
        path_of(path, cgroup, i, request->id);
        MUST(mkdir, path, 0755);
        if (cgroup->v2_dir >= 0) {
            cgroup->v2_dir = MUST(open, path, O_DIRECTORY | O_CLOEXEC, 0);
            device_filter_attach(cgroup->v2_dir);
            return;
        }
        word dir = MUST(open, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (is(cgroup->names[i], "cpuset")) {
            // A v1 cpuset starts empty and takes no task until it has processors and memory.
            write_file(dir, "cgroup.clone_children", "0");
            char value[64];
            static const char *const names[] = {"cpuset.cpus", "cpuset.mems"};
            for (int k = 0; k < 2; k++) {
                char parent[80];
                append(append(parent, "/sys/fs/cgroup/cpuset/"), names[k]);
                word file = MUST(open, parent, O_CLOEXEC, 0);
                value[MUST(read, file, value, sizeof value - 1)] = 0;
                SYS(close, file);
                write_file(dir, names[k], value);
            }
        }
        if (is(cgroup->names[i], "devices")) allow_devices_v1(dir);
        cgroup->tasks[i] = MUST(openat, dir, "tasks", O_WRONLY | O_CLOEXEC, 0);
        SYS(close, dir);
    }
}

// By the child itself: a single thread that moves itself needs no global lock.
void cgroup_join_v1(const struct cgroup *cgroup) {
    if (cgroup->v2_dir >= 0) return;
    for (int i = 0; i < cgroup->count; i++) MUST(write, cgroup->tasks[i], "0", 1);
}

void cgroup_remove(const struct cgroup *cgroup, const struct request *request) {
    char path[300];
    for (int i = 0; i < cgroup->count; i++) {
        path_of(path, cgroup, i, request->id);
        word result;
        int tries = 0;
        // The last process leaves its cgroup shortly after its death can be seen.
        while ((result = SYS(rmdir, path)) == -EBUSY && tries++ < 2000) {
            word pause[2] = {0, 50 * 1000};
            SYS(nanosleep, pause, 0);
        }
        checked(result, "rmdir cgroup");
    }
}
