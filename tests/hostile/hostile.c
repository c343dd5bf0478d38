// SPDX-License-Identifier: Apache-2.0
// What the tests of attacks run inside containers, and on the host where an attack begins there. Static, because it runs
// in a root file system that has nothing. It says in capitals what it got; the tests fail on any such word.
//
//   watch FILE            looks into every foreign process until /tmp/stop exists; FILE is a file of the host
//   unchroot FILE         climbs out of a chroot(2) that is not the root of its mount namespace
//   key NAME              looks for a key of whoever started it
//   with-key NAME CMD...  runs CMD in a session that has such a key
//   impostor PID          becomes the parent of a process with that number, which must be free
//   fuse DIR mute|stuck   mounts a file system that never answers, at all or for files
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *word, int pid, const char *more) {
	char line[600];
	int length = snprintf(line, sizeof line, "%s %d %.400s\n", word, pid, more);
	if (write(1, line, length) < 0)
		_exit(1);
}

static unsigned long long permitted(int pid) {
	char path[64], line[256];
	unsigned long long bits = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		sscanf(line, "CapPrm: %llx", &bits);
	if (file)
		fclose(file);
	return bits;
}

// Attaches, and looks at what the process could be made to do.
static void trace(int pid, unsigned long long own) {
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return;
	unsigned long long theirs = permitted(pid);
	char more[64];
	snprintf(more, sizeof more, "%llx", theirs & ~own);
	if (theirs & ~own)
		say("MORE-RIGHTS", pid, more);
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	int status;
	if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void environment(int pid) {
	char path[64], text[8192];
	snprintf(path, sizeof path, "/proc/%d/environ", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (length > 0 && (memmem(text, length, "INSULA_TEST", 11) || memmem(text, length, "CARGO", 5)))
		say("ENVIRONMENT", pid, text);
}

// Climbs up from every directory that the process has open.
static void descriptors(int pid, const char *canary) {
	char path[300];
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *list = opendir(path);
	for (struct dirent *entry; list && (entry = readdir(list));) {
		snprintf(path, sizeof path, "/proc/%d/fd/%s/../../../../../../../../..%s", pid, entry->d_name, canary);
		if (access(path, F_OK) == 0)
			say("DESCRIPTOR", pid, path);
	}
	if (list)
		closedir(list);
	for (int n = 0; n < 2; n++) {
		snprintf(path, sizeof path, "/proc/%d/%s%s", pid, n ? "cwd/../../../../../../.." : "root", canary);
		if (access(path, F_OK) == 0)
			say("ROOT", pid, path);
	}
}

#define HELD 400
static int held[HELD];
static int holding;

// Keeps the program open for reading, and tries to write to it once nobody executes it.
static void program(int pid) {
	char path[64], target[256];
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	ssize_t length = readlink(path, target, sizeof target - 1);
	if (length < 0)
		return;
	target[length] = 0;
	// The image's own programs may be written to.
	if (strncmp(target, "/bin/", 5) == 0 || strcmp(target, "/hostile") == 0 || holding == HELD)
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	// It may have become another program since.
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof target - 1);
	target[length < 0 ? 0 : length] = 0;
	if (strncmp(target, "/bin/", 5) == 0)
		close(fd);
	else
		held[holding++] = fd;
}

static void overwrite(void) {
	for (int n = 0; n < holding; n++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d", held[n]);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, "attacked", 8) == 8)
			say("WRITTEN", n, path);
		if (fd >= 0)
			close(fd);
	}
}

static int watch(const char *canary) {
	unsigned long long own = permitted(getpid());
	say("watching", getpid(), "");
	while (access("/tmp/stop", F_OK) < 0) {
		DIR *list = opendir("/proc");
		for (struct dirent *entry; list && (entry = readdir(list));) {
			int pid = atoi(entry->d_name);
			if (pid <= 0 || pid == getpid())
				continue;
			trace(pid, own);
			environment(pid);
			descriptors(pid, canary);
			program(pid);
		}
		if (list)
			closedir(list);
	}
	overwrite();
	say("over", getpid(), "");
	pause();
	return 0;
}

static int unchroot(const char *canary) {
	mkdir("/tmp/jail", 0755);
	int outside = open("/", O_RDONLY | O_DIRECTORY);
	if (chroot("/tmp/jail") < 0 || fchdir(outside) < 0)
		return 1;
	for (int n = 0; n < 64; n++)
		if (chdir("..") < 0)
			break;
	if (chroot(".") < 0)
		return 1;
	say(access(canary, F_OK) == 0 ? "ESCAPED" : "held", getpid(), "");
	return 0;
}

static int key(const char *name) {
	long found = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0);
	if (found < 0)
		found = syscall(SYS_request_key, "user", name, 0, 0);
	char text[64] = "";
	if (found >= 0)
		syscall(SYS_keyctl, KEYCTL_READ, found, text, sizeof text - 1);
	say(found >= 0 ? "KEY" : "none", getpid(), text);
	return 0;
}

static int with_key(const char *name, char **command) {
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0) < 0)
		return 3;
	if (syscall(SYS_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING) < 0)
		return 3;
	execvp(command[0], command);
	return 127;
}

static int impostor(int pid) {
	pid_t wanted = pid;
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (unsigned long)&wanted, .set_tid_size = 1};
	long child = syscall(SYS_clone3, &args, sizeof args);
	if (child < 0) {
		perror("clone3");
		return 1;
	}
	if (child == 0) {
		pause();
		_exit(0);
	}
	say("born", (int)child, "");
	int status;
	waitpid((pid_t)child, &status, 0);
	say("DEAD", (int)child, "");
	return 0;
}

// Answers nothing, or the first two requests: INIT, and the attributes of the root.
static int fuse(const char *directory, int mute) {
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128], buffer[1 << 17];
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	if (fd < 0 || mount("hostile", directory, "fuse", 0, options) < 0) {
		perror("fuse");
		return 3;
	}
	say("mounted", getpid(), "");
	while (!mute && read(fd, buffer, sizeof buffer) > 0) {
		struct fuse_in_header in;
		memcpy(&in, buffer, sizeof in);
		struct {
			struct fuse_out_header head;
			union {
				struct fuse_init_out init;
				struct fuse_attr_out attr;
			};
		} out = {.head = {.unique = in.unique}};
		size_t length;
		if (in.opcode == FUSE_INIT) {
			out.init.major = FUSE_KERNEL_VERSION;
			out.init.minor = 31;
			out.init.max_write = 4096;
			length = sizeof out.init;
		} else if (in.opcode == FUSE_GETATTR && in.nodeid == 1) {
			out.attr.attr.ino = 1;
			out.attr.attr.mode = S_IFDIR | 0755;
			out.attr.attr.nlink = 2;
			length = sizeof out.attr;
		} else {
			// Taken and never answered: whoever waits for it cannot be killed.
			say("taken", in.opcode, "");
			continue;
		}
		out.head.len = sizeof out.head + length;
		if (write(fd, &out, out.head.len) < 0)
			perror("answer");
	}
	pause();
	return 0;
}

int main(int count, char **args) {
	const char *what = count > 2 ? args[1] : "";
	if (!strcmp(what, "watch"))
		return watch(args[2]);
	if (!strcmp(what, "unchroot"))
		return unchroot(args[2]);
	if (!strcmp(what, "key"))
		return key(args[2]);
	if (!strcmp(what, "with-key") && count > 3)
		return with_key(args[2], args + 3);
	if (!strcmp(what, "impostor"))
		return impostor(atoi(args[2]));
	if (!strcmp(what, "fuse") && count > 3)
		return fuse(args[2], !strcmp(args[3], "mute"));
	return 2;
}
