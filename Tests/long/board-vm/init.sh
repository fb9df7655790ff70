#!/bin/busybox sh
# Process 1 of the simulated board: mounts, loads modules, names the lines, then does what comes in over
# the second serial port, a command a line, each answered by its output and its exit status.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
for module in configfs irq_sim gpio-sim e1000 evdev uinput; do
    insmod /modules/$module.ko || echo "BOARD: $module is missing"
done
board-lines
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
stty -F /dev/ttyS1 raw -echo
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
echo "BOARD-UP $(cut -d' ' -f1 /proc/uptime)"
while read -r line; do
    eval "$line"
    echo "BOARD-DONE $?"
done
poweroff -f
