#!/bin/sh
# Does what comes in over the second serial port, a command a line, each answered by its output and its exit status.
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive
stty -F /dev/ttyS1 raw -echo
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
echo "BOARD-UP $(cut -d' ' -f1 /proc/uptime)"
while read -r line; do
    eval "$line"
    echo "BOARD-DONE $?"
done
