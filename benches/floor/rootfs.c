// SPDX-License-Identifier: Apache-2.0
// The mounts, devices, masked and read-only paths of the default document, from inside the new mount namespace.
// The root file system is trusted: a yardstick, not a runtime.
#include "floor.h"

#include <linux/mount.h>

enum { ENOENT = 2, MNT_DETACH = 2, S_IFMT = 0170000, S_IFDIR = 0040000, S_IFCHR = 0020000 };
enum { HIDDEN = MS_NOSUID | MS_NODEV | MS_NOEXEC };

static void mount_at(const char *target, const char *type, unsigned long flags, const char *data) {
    MUST(mount, type, target, type, flags, data);
}

// Puts the root file system, read-only, in the place of the host's, and leaves the host's tree first of all:
// every later path is resolved inside the container.
static void pivot(const char *rootfs) {
    MUST(mount, 0, "/", 0, MS_REC | MS_PRIVATE, 0);
    word tree = MUST(open_tree, AT_FDCWD, rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    MUST(mount_setattr, tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only);
    MUST(move_mount, tree, "", AT_FDCWD, rootfs, MOVE_MOUNT_F_EMPTY_PATH);
    MUST(fchdir, tree);
    SYS(close, tree);
    MUST(pivot_root, ".", ".");
    MUST(umount2, ".", MNT_DETACH);
    MUST(chdir, "/");
}

static void mount_cgroups(const struct cgroup *cgroup) {
    if (cgroup->v2_dir >= 0) {
        mount_at("/sys/fs/cgroup", "cgroup2", HIDDEN | MS_RDONLY, 0);
        return;
    }
    mount_at("/sys/fs/cgroup", "tmpfs", HIDDEN, "mode=755");
    for (int i = 0; i < cgroup->count; i++) {
        char path[80], data[80];
        append(append(path, "/sys/fs/cgroup/"), cgroup->names[i]);
        // A hierarchy without a controller has a name instead; among the usual ones only systemd's.
        append(append(data, cgroup->names[i][0] == 's' ? "none,name=" : ""), cgroup->names[i]);
        MUST(mkdir, path, 0755);
        mount_at(path, "cgroup", HIDDEN | MS_RDONLY, data);
    }
    MUST(mount, 0, "/sys/fs/cgroup", 0, MS_REMOUNT | MS_BIND | MS_RDONLY | HIDDEN, 0);
}

static void mount_all(const struct cgroup *cgroup) {
    mount_at("/proc", "proc", 0, 0);
    mount_at("/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
    MUST(mkdir, "/dev/pts", 0755);
    MUST(mkdir, "/dev/shm", 0755);
    MUST(mkdir, "/dev/mqueue", 0755);
    mount_at("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
    mount_at("/dev/shm", "tmpfs", HIDDEN, "mode=1777,size=65536k");
    mount_at("/dev/mqueue", "mqueue", HIDDEN, 0);
    mount_at("/sys", "sysfs", HIDDEN | MS_RDONLY, 0);
    mount_cgroups(cgroup);
}

static void make_devices(void) {
    static const struct {
        const char *path;
        int major, minor;
    } devices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                   {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        MUST(mknod, devices[i].path, S_IFCHR | 0666, devices[i].major << 8 | devices[i].minor);
    MUST(symlink, "/proc/self/fd", "/dev/fd");
    MUST(symlink, "/proc/self/fd/0", "/dev/stdin");
    MUST(symlink, "/proc/self/fd/1", "/dev/stdout");
    MUST(symlink, "/proc/self/fd/2", "/dev/stderr");
    MUST(symlink, "pts/ptmx", "/dev/ptmx");
}

static void make_read_only(const char *path) {
    word tree = SYS(open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree == -ENOENT) return;
    checked(tree, path);
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    MUST(mount_setattr, tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only);
    MUST(move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
    SYS(close, tree);
}

// An empty read-only tmpfs, not attached yet.
static word empty_tmpfs(void) {
    word context = MUST(fsopen, "tmpfs", FSOPEN_CLOEXEC);
    MUST(fsconfig, context, FSCONFIG_SET_STRING, "nr_blocks", "1", 0);
    MUST(fsconfig, context, FSCONFIG_SET_STRING, "nr_inodes", "1", 0);
    MUST(fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
    word mount = MUST(fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
    SYS(close, context);
    return mount;
}

// Hides a file behind /dev/null, a directory behind one tmpfs that all of them share. The look first is cheaper than
// to try: a bind that fails waits for an expedited RCU grace period.
static void mask(const char *path, word *shared) {
    struct {
        uint64_t device, inode, links;
        uint32_t mode, rest[31];
    } status;
    word result = SYS(stat, path, &status);
    if (result == -ENOENT) return;
    checked(result, path);
    if ((status.mode & S_IFMT) != S_IFDIR) {
        MUST(mount, "/dev/null", path, 0, MS_BIND, 0);
        return;
    }
    if (*shared < 0) {
        *shared = empty_tmpfs();
        MUST(move_mount, *shared, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
        return;
    }
    word copy = MUST(open_tree, *shared, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    MUST(move_mount, copy, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
    SYS(close, copy);
}

void rootfs_enter(const struct request *request, const struct cgroup *cgroup) {
    static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
    static const char *const masked[] = {"/proc/acpi",       "/proc/asound",     "/proc/kcore",       "/proc/keys",
                                         "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                                         "/proc/sched_debug", "/sys/firmware",    "/proc/scsi"};
    pivot(request->rootfs);
    SYS(umask, 0);
    mount_all(cgroup);
    make_devices();
    for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++) make_read_only(read_only[i]);
    word shared = -1;
    for (size_t i = 0; i < sizeof masked / sizeof *masked; i++) mask(masked[i], &shared);
    if (shared >= 0) SYS(close, shared);
    SYS(umask, 022);
}
