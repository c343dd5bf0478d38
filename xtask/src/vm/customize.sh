#!/bin/sh
# The last hook of mmdebstrap: makes the new root ($1) bootable within seconds, and leaves in $2 what qemu needs: disk,
# vmlinuz, initrd. $3 has the files beside this one. Runs as root, or as what a user namespace takes for root.
set -eu
root=$1 out=$2 here=$3

# An ordinary user with subordinate ids, and delegated controllers as the rootless engines' manuals advise.
chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 user
printf '%s\n' user:100000:65536 root:1000000:65536 containers:2000000:1048576 > "$root/etc/subuid"
cp "$root/etc/subuid" "$root/etc/subgid"
mkdir -p "$root/etc/systemd/system/user@.service.d"
printf '[Service]\nDelegate=cpu cpuset io memory pids\n' > "$root/etc/systemd/system/user@.service.d/delegate.conf"

echo insula-vm > "$root/etc/hostname"
printf '127.0.0.1 localhost insula-vm\n::1 localhost\n' > "$root/etc/hosts"
: > "$root/etc/fstab"
: > "$root/etc/machine-id"
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' > "$root/etc/systemd/journald.conf.d/vm.conf"

# What costs seconds and nothing here needs; the tests start engines of their own.
for unit in apparmor apt-daily.timer apt-daily-upgrade.timer console-setup containerd docker docker.socket \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap fstrim.timer getty-static getty.target getty@tty1 \
    keyboard-setup man-db.timer modprobe@drm modprobe@efi_pstore networking nftables podman podman-auto-update \
    podman-auto-update.timer podman-clean-transient podman-restart podman.socket serial-getty@ttyS0 systemd-binfmt \
    systemd-firstboot systemd-hwdb-update systemd-journal-catalog-update systemd-journal-flush systemd-networkd \
    systemd-pcrphase systemd-pstore systemd-random-seed systemd-rfkill.socket systemd-timesyncd \
    systemd-tmpfiles-clean.timer systemd-udev-trigger systemd-update-done systemd-update-utmp \
    systemd-update-utmp-runlevel; do
    case $unit in *.timer | *.socket | *.target) ;; *) unit=$unit.service ;; esac
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

install -m 644 "$here/insula-vm.service" "$root/etc/systemd/system/insula-vm.service"
install -m 755 "$here/as-user.sh" "$root/usr/local/bin/as-user"

# An initrd with busybox and the modules on the way to the disk.
kernel=$(ls "$root/lib/modules")
cp "$root/boot/vmlinuz-$kernel" "$out/vmlinuz"
initrd=$root/tmp/initrd
mkdir -p "$initrd/modules" "$initrd/dev" "$initrd/root"
cp "$root/bin/busybox" "$initrd/busybox"
install -m 755 "$here/initrd.sh" "$initrd/init"
number=100
for module in virtio_pci virtio_blk ext4 crc32c_generic; do
    chroot "$root" modprobe --set-version "$kernel" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while read -r file; do
    number=$((number + 1))
    cp "$root$file" "$initrd/modules/$number-${file##*/}"
    case $file in *.xz) xz -d "$initrd/modules/$number-${file##*/}" ;; esac
done
chroot "$root" sh -c 'cd /tmp/initrd && find . | cpio --create --format newc --quiet' > "$out/initrd"

rm -rf "$initrd" "$root"/boot/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
# Without what mmdebstrap has mounted in it.
mkdir "$out/root"
mount --bind "$root" "$out/root"
mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -d "$out/root" "$out/disk" 6G
umount "$out/root"
rmdir "$out/root"
chmod a+r "$out"/*
