# SPDX-License-Identifier: Apache-2.0
"""Makes a namespace in each hiding place, prints "place type inode" for each, and keeps them until its input ends.

Each place is the only thing that keeps its namespace. Needs root; the argument is a directory to mount in.
"""
import array
import ctypes
import os
import signal
import socket
import sys
import threading

FLAGS = {"time": 0x80, "mnt": 0x20000, "uts": 0x4000000, "user": 0x10000000, "net": 0x40000000}
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
libc = ctypes.CDLL(None, use_errno=True)
kept = []  # descriptors and sockets that must stay open


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def unshare(*kinds):
    check(libc.unshare(sum(FLAGS[kind] for kind in kinds)))


def mount(source, target, flags):
    check(libc.mount(source.encode(), target.encode(), None, flags, None))


def found(place, link):
    kind, inode = os.readlink(link).rstrip("]").split(":[")
    print(place, kind, inode, flush=True)


class Child:
    """A process that has done `work` and waits; it ends with its parent."""

    def __init__(self, work):
        ready, done = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            libc.prctl(1, signal.SIGKILL)
            work()
            os.write(done, b".")
            while True:
                signal.pause()
        os.close(done)
        assert os.read(ready, 1) == b".", "a child failed"
        os.close(ready)

    def link(self, kind):
        return f"/proc/{self.pid}/ns/{kind}"

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def descriptor_of(kind, *kinds):
    """A descriptor of a namespace that nothing else keeps."""
    child = Child(lambda: [unshare(one) for one in kinds or (kind,)])
    fd = os.open(child.link(kind), os.O_RDONLY)
    child.end()
    return fd


def bind(fd, target):
    open(target, "w").close()
    mount(f"/proc/self/fd/{fd}", target, MS_BIND)
    os.close(fd)


def main(directory):
    member = Child(lambda: unshare("uts"))
    found("member", member.link("uts"))

    threads = threading.Barrier(2)

    def in_thread():
        unshare("uts")
        found("thread", "/proc/thread-self/ns/uts")
        threads.wait()
        threads.wait()

    threading.Thread(target=in_thread, daemon=True).start()
    threads.wait()

    children = Child(lambda: unshare("time"))
    found("children", children.link("time_for_children"))

    kept.append(descriptor_of("uts"))
    found("descriptor", f"/proc/self/fd/{kept[-1]}")

    def send_socket():
        unshare("net")
        found("socket", "/proc/self/ns/net")
        inside = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        socket.send_fds(theirs, [b"."], [inside.fileno()])

    ours, theirs = socket.socketpair()
    child = Child(send_socket)
    kept.append(socket.recv_fds(ours, 1, 1)[1])
    child.end()

    fd = descriptor_of("uts")
    found("mount", f"/proc/self/fd/{fd}")
    bind(fd, f"{directory}/own mount")

    def bind_elsewhere(place):
        fd = descriptor_of("uts")
        found(place, f"/proc/self/fd/{fd}")
        unshare("mnt")
        mount("none", "/", MS_REC | MS_PRIVATE)
        bind(fd, f"{directory}/{place}")

    elsewhere = Child(lambda: bind_elsewhere("mount-elsewhere"))

    child = Child(lambda: bind_elsewhere("mount-in-descriptor"))
    kept.append(os.open(child.link("mnt"), os.O_RDONLY))
    child.end()

    kept.append(descriptor_of("mnt"))
    found("mount-namespace", f"/proc/self/fd/{kept[-1]}")

    def own_and_end():
        unshare("user")
        found("owner", "/proc/self/ns/user")
        unshare("net")

    child = Child(own_and_end)
    kept.append(os.open(child.link("net"), os.O_RDONLY))
    child.end()

    def nest():
        unshare("user")
        found("parent", "/proc/self/ns/user")
        mapped.wait()
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        unshare("user")

    class Map:
        """Lets a child wait until its parent has mapped its ids."""

        def __init__(self):
            self.pipe = os.pipe()

        def wait(self):
            os.write(asked[1], b".")
            os.read(self.pipe[0], 1)

    asked, mapped = os.pipe(), Map()

    def map_ids():
        os.read(asked[0], 1)
        pid = children_of_self()[-1]
        for ids in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{ids}", "w") as file:
                file.write("0 0 1")
        os.write(mapped.pipe[1], b".")

    def children_of_self():
        with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as file:
            return sorted(map(int, file.read().split()))

    threading.Thread(target=map_ids, daemon=True).start()
    child = Child(nest)
    kept.append(os.open(child.link("user"), os.O_RDONLY))
    child.end()

    in_flight = descriptor_of("uts")
    found("in-flight", f"/proc/self/fd/{in_flight}")
    kept.append(socket.socketpair())
    socket.send_fds(kept[-1][0], [b"."], [in_flight])
    os.close(in_flight)

    print("ready", flush=True)
    sys.stdin.read()
    check(libc.umount2(f"{directory}/own mount".encode(), MNT_DETACH))
    for child in (member, children, elsewhere):
        child.end()


main(sys.argv[1])
