// SPDX-License-Identifier: Apache-2.0
// What the floor's files share.
#ifndef FLOOR_H
#define FLOOR_H

#include "kernel.h"

// What the command line asks for.
struct request {
    const char *rootfs;
    const char *id;
    const char *state_dir;
    const char *pid_file;
    // Names of the directories under /sys/fs/cgroup, one per v1 hierarchy, separated by colons; "-" for v2.
    const char *hierarchies;
    int cgroup_namespace;
    char **command;
    char **environment;
};

enum { HIERARCHIES = 16 };

// The container's cgroup: a directory on v2, an open `tasks` file per hierarchy on v1.
struct cgroup {
    int count;
    int v2_dir;
    int tasks[HIERARCHIES];
    char names[HIERARCHIES][48];
};

// cgroup.c
void cgroup_name(struct cgroup *cgroup, const struct request *request);
void cgroup_create(struct cgroup *cgroup, const struct request *request);
void cgroup_open(struct cgroup *cgroup, const struct request *request);
void cgroup_join_v1(const struct cgroup *cgroup);
void cgroup_remove(const struct cgroup *cgroup, const struct request *request);

// device_filter.c
void device_filter_attach(int cgroup_dir);

// rootfs.c
void rootfs_enter(const struct request *request, const struct cgroup *cgroup);

// process.c
void process_restrict(void);

#endif
