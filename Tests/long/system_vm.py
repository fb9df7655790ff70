"""A Debian with a real systemd in QEMU: GPIO lines, two USB serial adapters and a card reader on USB, a disk.

The disk is a root that debootstrap made. What the adapters lead to are terminals of this machine.
"""
import json
import shutil
import socket

from board_vm import LINES
from debian_root import System, depends, run
from guest import HERE, Guest, archive, compiled, kernel

INCLUDE = "systemd,systemd-sysv,udev,kmod,dbus"
NETWORK = """\
[Match]
Name=e*
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
"""
LINES_UNIT = """\
[Unit]
Description=The simulated GPIO chip
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/modprobe -a irq_sim gpio-sim
ExecStart=/usr/local/bin/board-lines
[Install]
WantedBy=multi-user.target
"""
PORT_UNIT = """\
[Unit]
Description=What the test says over the second serial port
After=board-lines.service systemd-networkd.service systemd-udev-trigger.service
[Service]
ExecStart=/usr/local/bin/board-port
KillMode=process
[Install]
WantedBy=multi-user.target
"""
# Which of the two USB adapters leads where, by its serial number and its socket.
CONTROL, METERS = ("KERB0001", "1"), ("KERB0002", "2")


class SystemVM(Guest):
    boot_seconds = 400
    memory = 1024

    def __init__(self, folder, package):
        super().__init__(folder)
        self.kernel = kernel()
        self.version = self.kernel.name
        self.build_root(package)
        self.build_start()
        self.talk = None

    # The disk.

    def build_root(self, package):
        """Debian, what our package needs of it, the world's programs; the package itself only lies there."""
        system = System(self.folder / "disk-root", INCLUDE)
        self.root = system.folder
        system.get(*depends(package))
        (self.root / "usr/sbin/policy-rc.d").unlink()
        modules = self.root / "lib/modules" / self.version
        shutil.copytree(self.kernel / "system" / self.version, modules)
        system.sh(f"depmod {self.version}")
        shutil.copy(package, self.root / "root" / "kerb-edge.deb")
        for name in ["hardware", "sandbox"]:
            shutil.copy(compiled(name, self.folder), self.root / "usr/local/bin" / name)
        for script, name in [("lines.sh", "board-lines"), ("port.sh", "board-port")]:
            shutil.copy(HERE / script, self.root / "usr/local/bin" / name)
            (self.root / "usr/local/bin" / name).chmod(0o755)
        (self.root / "etc/lines").write_text("\n".join(LINES) + "\n")
        (self.root / "etc/hostname").write_text("board\n")
        (self.root / "etc/systemd/network/board.network").write_text(NETWORK)
        for name, unit in [("board-lines", LINES_UNIT), ("board-port", PORT_UNIT)]:
            (self.root / f"etc/systemd/system/{name}.service").write_text(unit)
        system.sh("systemctl enable board-lines board-port systemd-networkd")
        # Nobody logs in and nothing is fetched while a test runs.
        system.sh("systemctl mask serial-getty@ttyS0 getty@tty1 apt-daily.timer apt-daily-upgrade.timer "
                  "dpkg-db-backup.timer e2scrub_all.timer fstrim.timer systemd-networkd-wait-online "
                  "proc-sys-fs-binfmt_misc.automount")
        self.disk = self.folder / "disk"
        with open(self.disk, "wb") as disk:
            disk.truncate(1 << 30)
        run("mke2fs", "-q", "-t", "ext4", "-d", self.root, self.disk)

    def build_start(self):
        """Busybox finds the disk and hands over."""
        start = self.folder / "start"
        for name in ["bin", "lib/modules", "proc", "sys", "dev", "disk"]:
            (start / name).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), start / "bin" / "busybox")
        shutil.copytree(self.root / "lib/modules" / self.version, start / "lib/modules" / self.version)
        shutil.copy(HERE / "disk-init.sh", start / "init")
        (start / "init").chmod(0o755)
        shutil.rmtree(self.root)
        self.start = archive(start, self.folder / "start.cpio")

    # The machine.

    def boot(self, control, meters):
        """`control` and `meters` are terminals of this machine, behind the two adapters."""
        self.terminals = {CONTROL: control, METERS: meters}
        devices = [
            "-drive", f"file={self.disk},format=raw,if=none,id=disk", "-device", "virtio-blk-pci,drive=disk",
            "-device", "qemu-xhci,id=usb", "-device", "usb-kbd,bus=usb.0,port=3,id=reader"]
        for adapter, terminal in self.terminals.items():
            devices += ["-chardev", f"serial,id={adapter[0]},path={terminal}", "-device", self.adapter(adapter)]
        return self.power_on(self.kernel, self.start, "root=/dev/vda systemd.log_color=0", devices)

    @staticmethod
    def adapter(which):
        serial, port = which
        return f"usb-serial,bus=usb.0,port={port},chardev={serial},serial={serial},id=adapter-{serial}"

    def qmp(self, command, **arguments):
        """Says something to the machine itself: pulls a plug, presses a key."""
        if not self.talk:
            link = socket.socket(socket.AF_UNIX)
            link.connect(str(self.folder / "qmp"))
            self.talk = link.makefile("rw")
            self.talk.readline()
            self.qmp("qmp_capabilities")
        self.talk.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.talk.flush()
        while True:
            said = json.loads(self.talk.readline())
            assert "error" not in said, (command, said)
            if "return" in said:
                return said["return"]

    def unplug_adapter(self, which):
        self.qmp("device_del", id=f"adapter-{which[0]}")

    def plug_adapter(self, which, socket_of=None):
        """`socket_of`: the adapter whose socket it goes into; its own when left out."""
        serial, port = which[0], (socket_of or which)[1]
        self.qmp("device_add", driver="usb-serial", bus="usb.0", port=port, chardev=serial, serial=serial,
                 id=f"adapter-{serial}")

    def type(self, digits):
        """The reader types, as one does: in milliseconds, with Enter at its end."""
        for key in [*digits, "ret"]:
            self.qmp("send-key", keys=[{"type": "qcode", "data": key}], **{"hold-time": 20})

    def unit(self, key, unit="kerb-edge"):
        return self.do(f"systemctl show -p {key} --value {unit}").strip()

    def stop(self):
        if self.talk:
            self.talk.close()
        super().stop()
