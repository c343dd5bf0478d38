#!/bin/sh
# The first of the archive on the second disk to run in the machine: runs the script `run` beside it. Its output, the
# files it leaves in /out, and its exit code go back through ports of the machine's serial device.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /in || exit
# Nobody loads modules for devices here: udev is not asked about those that were there before it.
for module in virtio_console virtio_rng overlay veth tun fuse loop dummy bridge bfq rdma_rxe; do
    modprobe --quiet "$module"
done
# A moment passes between a port and its name.
port() {
    tries=0
    until grep --quiet --line-regexp "$1" /sys/class/virtio-ports/*/name 2>/dev/null || [ $tries = 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    for port in /sys/class/virtio-ports/*; do [ "$(cat "$port/name")" != "$1" ] || echo "/dev/${port##*/}"; done
}
# Block I/O weights are of two kinds; this disk has the one of the BFQ scheduler.
echo bfq > /sys/block/vda/queue/scheduler
output=$(port output)
sh ./run > "$output" 2>&1
code=$?
tar -C /out -cf - . > "$(port files)"
journalctl --no-pager --output short-monotonic > "$(port journal)"
echo "$code" > "$(port status)"
systemctl poweroff --force --force
