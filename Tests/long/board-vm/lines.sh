#!/bin/sh
# Makes the simulated GPIO chip: lines as named in /etc/lines, its folder in sysfs into /run/chip.
set -e
grep -q /sys/kernel/config /proc/mounts || mount -t configfs none /sys/kernel/config
bank=/sys/kernel/config/gpio-sim/board/bank0
mkdir -p $bank
set -- $(cat /etc/lines)
echo $# > $bank/num_lines
echo evse-io > $bank/label
number=0
for name; do
    mkdir $bank/line$number
    echo "$name" > $bank/line$number/name
    number=$((number + 1))
done
echo 1 > /sys/kernel/config/gpio-sim/board/live
echo "/sys/devices/platform/$(cat /sys/kernel/config/gpio-sim/board/dev_name)/$(cat $bank/chip_name)" > /run/chip
