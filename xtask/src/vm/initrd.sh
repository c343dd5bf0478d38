#!/busybox sh
# The initrd's only program: finds the disk and hands over to its systemd.
/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /busybox insmod "$module"; done
tries=0
until [ -b /dev/vda ] || [ $tries = 400 ]; do /busybox sleep 0.05; tries=$((tries + 1)); done
/busybox mount -t ext4 -o noatime /dev/vda /root
/busybox mount --move /dev /root/dev
exec /busybox switch_root /root /sbin/init
