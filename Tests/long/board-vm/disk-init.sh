#!/bin/busybox sh
# Process 1 until the disk is there; then the disk's own systemd.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in virtio_pci virtio_blk crc32c_generic ext4; do modprobe $module; done
mount -t ext4 /dev/vda /disk || { echo "BOARD: no disk"; poweroff -f; }
mount -o move /proc /disk/proc
mount -o move /sys /disk/sys
mount -o move /dev /disk/dev
exec switch_root /disk /sbin/init
