"""A controller board in QEMU with a real GPIO character device, driven over its second serial port.

The kernel is Debian's, the GPIO chip the kernel's own gpio-sim, the world outside the terminals is
`board-vm/hardware.c`. Its third serial port leads to whatever the test puts there.
"""
import os
import re
import shutil
import subprocess

from guest import HERE, ROOT, Guest, archive, compiled, kernel, missing  # noqa: F401  (missing is our callers')

LINES = [
    "ALLOW1", "HEARTBEAT1", "MIRROR1", "RCD1_TRIP", "RCD1_TEST", "ESTOP", "DOOR", "CP1_CONNECTED", "CP1_READY",
    "CP1_FAULT", "OFFER1_0", "OFFER1_1", "OFFER1_2", "LED1_R", "LED1_G",
]
OUTPUTS = ["ALLOW1", "HEARTBEAT1", "RCD1_TEST", "OFFER1_0", "OFFER1_1", "OFFER1_2", "LED1_R", "LED1_G"]


# A thread that ends makes the C library load this one; Debian's libc6 depends on it, and `ldd` does not show it.
LOADED_LATER = ["/lib/x86_64-linux-gnu/libgcc_s.so.1"]


class BoardVM(Guest):
    """Busybox, the agent with its libraries and profiles, the world; all of it in memory."""

    def __init__(self, folder, edge_program, configuration, lines=LINES):
        super().__init__(folder)
        self.root = self.folder / "root"
        self.kernel = kernel()
        self.build_root(edge_program, configuration, lines)

    def add(self, program, name):
        target = self.root / "bin" / name
        shutil.copy(program, target)
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
        for library in re.findall(r"(/[^ )]+)", listed) + LOADED_LATER:
            place = self.root / library.lstrip("/")
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(os.path.realpath(library), place)

    def build_root(self, edge_program, configuration, lines):
        for name in ["bin", "etc/kerb", "lib", "modules", "proc", "sys", "dev", "run", "tmp", "var"]:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(shutil.which("busybox"), self.root / "bin" / "busybox")
        for name in ["hardware", "edges"]:
            self.add(compiled(name, self.folder), name)
        self.add(edge_program, "kerb-edge")
        for module in self.kernel.glob("*.ko"):
            shutil.copy(module, self.root / "modules")
        profiles = self.root / "share" / "kerb" / "profiles"
        shutil.copytree(ROOT / "hal" / "profiles", profiles)
        shutil.copy(HERE / "edges-board.yaml", profiles / "boards")
        (self.root / "etc" / "lines").write_text("\n".join(lines) + "\n")
        (self.root / "etc" / "kerb" / "edge.yaml").write_text(configuration)
        shutil.copy(HERE / "lines.sh", self.root / "bin" / "board-lines")
        shutil.copy(HERE / "init.sh", self.root / "init")
        for program in ["init", "bin/board-lines"]:
            (self.root / program).chmod(0o755)

    def boot(self, serial=None):
        """`serial` is the far end of /dev/ttyS2: a terminal's path on this machine."""
        devices = ["-chardev", f"serial,id=rtu,path={serial}", "-serial", "chardev:rtu"] if serial else []
        return self.power_on(self.kernel, archive(self.root, self.folder / "root.cpio"), devices=devices)
