#!/bin/sh
# Process 1 of the guest: the machine's own root, read-only, a disk of its own at /run/disk.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir /run/disk
ip link set lo up
if [ "$KERB_FORMAT" = 1 ]; then mkfs.ext4 -q -F /dev/ubda; fi
mount /dev/ubda /run/disk && cd /run/disk && eval "$KERB_RUN"
echo "GUEST ended with $?"
sync
poweroff -f
