#!/usr/bin/env bash
# Puts Debian's kernel and the modules of the board into FOLDER, once per kernel version.
#   kernel.sh FOLDER      prints the folder of this version
#
# Debian builds its kernels without GPIO_SIM and IRQ_SIM: both are built here from the kernel's source
# against the installed headers. The image is only unpacked, never installed.
set -euo pipefail
folder=$1
image=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends:/ {print $2; exit}')
[ -n "$image" ] || { echo "apt knows no linux-image-amd64; run apt-get update" >&2; exit 2; }
version=${image#linux-image-}
series=$(cut -d. -f1,2 <<<"$version")
headers=/usr/src/linux-headers-$version
source=/usr/src/linux-source-$series.tar.xz
[ -d "$headers" ] || { echo "apt-get install linux-headers-$version" >&2; exit 2; }
[ -e "$source" ] || { echo "apt-get install linux-source-$series" >&2; exit 2; }
mkdir -p "$folder/$version"
cd "$folder/$version"
exec 9>lock
flock 9
if [ ! -e done-2 ]; then
    rm -rf image build system && mkdir build
    apt-get -qq -o APT::Sandbox::User=root download "$image"
    dpkg-deb -x "${image}"_*.deb image
    for module in fs/configfs/configfs drivers/net/ethernet/intel/e1000/e1000 drivers/input/evdev \
                  drivers/input/misc/uinput; do
        cp "image/lib/modules/$version/kernel/$module.ko" .
    done
    cp "image/boot/vmlinuz-$version" vmlinuz
    # What a Debian with systemd on a disk needs: the tree as modprobe and udev read it.
    for part in kernel/arch/x86/crypto kernel/crypto kernel/lib kernel/drivers/block/virtio_blk.ko kernel/drivers/virtio \
                kernel/drivers/hid kernel/drivers/usb/common kernel/drivers/usb/core kernel/drivers/usb/host \
                kernel/drivers/usb/serial kernel/drivers/input kernel/drivers/net/ethernet/intel/e1000 \
                kernel/fs/configfs kernel/fs/ext4 kernel/fs/jbd2 kernel/fs/mbcache.ko \
                modules.builtin modules.builtin.modinfo modules.order; do
        from=image/lib/modules/$version/$part
        [ -e "$from" ] || continue
        mkdir -p "system/$version/$(dirname "$part")"
        cp -r "$from" "system/$version/$part"
    done
    top=linux-source-$series
    tar -xf "$source" -C build --strip-components=1 --occurrence=1 \
        "$top/drivers/gpio/gpio-sim.c" "$top/drivers/gpio/gpiolib.h" "$top/kernel/irq/irq_sim.c"
    mv build/drivers/gpio/* build/kernel/irq/irq_sim.c build/
    # Modules may not call irq_to_desc(); irq_get_irq_data() leads to the same descriptor.
    sed -i -e 's/irq_to_desc(irqnum)/irq_data_to_desc(irq_get_irq_data(irqnum))/' \
        -e 's|#include <linux/irq.h>|#include <linux/irq.h>\n#include <linux/irqdesc.h>|' build/irq_sim.c
    grep -q MODULE_LICENSE build/irq_sim.c ||
        printf '\n#include <linux/module.h>\nMODULE_LICENSE("GPL");\n' >>build/irq_sim.c
    echo 'obj-m := irq_sim.o gpio-sim.o' >build/Kbuild
    make -s -C "$headers" M="$PWD/build" modules >build.log 2>&1 || { tail -20 build.log >&2; exit 2; }
    strip -g build/*.ko
    mv build/*.ko .
    mkdir "system/$version/extra" && cp gpio-sim.ko irq_sim.ko "system/$version/extra"
    rm -rf image build "${image}"_*.deb
    touch done-2
fi
pwd
