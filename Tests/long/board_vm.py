"""A controller board in QEMU with a real GPIO character device, driven over its second serial port.

The kernel is Debian's, the GPIO chip the kernel's own gpio-sim, the world outside the terminals is
`board-vm/hardware.c`. Software emulation (tcg): slower than any board, and it runs everywhere.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent / "board-vm"
LINES = [
    "ALLOW1", "HEARTBEAT1", "MIRROR1", "RCD1_TRIP", "RCD1_TEST", "ESTOP", "DOOR", "CP1_CONNECTED", "CP1_READY",
    "CP1_FAULT", "OFFER1_0", "OFFER1_1", "OFFER1_2", "LED1_R", "LED1_G",
]
OUTPUTS = ["ALLOW1", "HEARTBEAT1", "RCD1_TEST", "OFFER1_0", "OFFER1_1", "OFFER1_2", "LED1_R", "LED1_G"]
BOOT_SECONDS = 90


def missing():
    """What is not installed, in words; empty when the board can be built."""
    tools = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "cpio": "cpio", "make": "make"}
    return [package for tool, package in tools.items() if not shutil.which(tool)]


def kernel():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = pathlib.Path(cache) / "kerb-board-vm"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([str(HERE / "kernel.sh"), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


class BoardVM:
    def __init__(self, folder, edge_program, configuration):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        self.kernel = kernel()
        self.build_root(edge_program, configuration)
        self.console = self.folder / "console.log"
        self.process = self.port = None
        self.buffer = b""

    # The root file system: busybox, the agent with its libraries and profiles, the world.

    def add(self, program, name):
        target = self.root / "bin" / name
        shutil.copy(program, target)
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
        for library in re.findall(r"(/[^ )]+)", listed):
            place = self.root / library.lstrip("/")
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(os.path.realpath(library), place)

    def build_root(self, edge_program, configuration):
        for name in ["bin", "etc/kerb", "lib", "modules", "proc", "sys", "dev", "run", "tmp", "var"]:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(shutil.which("busybox"), self.root / "bin" / "busybox")
        hardware = self.folder / "hardware"
        subprocess.run(
            ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-static", "-o", str(hardware),
             str(HERE / "hardware.c")], check=True)
        self.add(hardware, "hardware")
        self.add(edge_program, "kerb-edge")
        for module in self.kernel.glob("*.ko"):
            shutil.copy(module, self.root / "modules")
        shutil.copytree(ROOT / "hal" / "profiles", self.root / "share" / "kerb" / "profiles")
        (self.root / "etc" / "lines").write_text("\n".join(LINES) + "\n")
        (self.root / "etc" / "kerb" / "edge.yaml").write_text(configuration)
        shutil.copy(HERE / "init.sh", self.root / "init")
        (self.root / "init").chmod(0o755)

    def boot(self):
        archive = self.folder / "root.cpio"
        with open(archive, "wb") as out:
            files = subprocess.run(["find", "."], cwd=self.root, capture_output=True, check=True).stdout
            subprocess.run(
                ["cpio", "-o", "-H", "newc", "--quiet"], cwd=self.root, input=files, stdout=out, check=True)
        path = self.folder / "port"
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-smp", "2", "-cpu", "max", "-m", "768",
             "-display", "none", "-monitor", "none", "-no-reboot", "-kernel", str(self.kernel / "vmlinuz"),
             "-initrd", str(archive), "-append", "console=ttyS0 quiet panic=-1",
             "-netdev", "user,id=n0", "-device", "e1000,netdev=n0,romfile=", "-serial", f"file:{self.console}",
             "-chardev", f"socket,id=port,path={path},server=on,wait=off", "-serial", "chardev:port"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + BOOT_SECONDS
        while not path.exists():
            assert self.process.poll() is None, self.process.stderr.read().decode()
            assert time.monotonic() < deadline, "QEMU does not start"
            time.sleep(0.05)
        self.port = socket.socket(socket.AF_UNIX)
        self.port.connect(str(path))
        up = self.line(deadline)
        assert up.startswith("BOARD-UP"), up
        return float(up.split()[1])

    def line(self, deadline):
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            assert left > 0, f"the board is silent; console:\n{self.console.read_text(errors='replace')[-2000:]}"
            self.port.settimeout(left)
            try:
                got = self.port.recv(65536)
            except TimeoutError:
                continue
            assert got, "the board is gone"
            self.buffer += got
        text, self.buffer = self.buffer.split(b"\n", 1)
        return text.decode(errors="replace").rstrip("\r")

    def do(self, command, seconds=60, check=True):
        """Runs a line of shell on the board and gives what it printed."""
        self.port.sendall(command.encode() + b"\n")
        deadline = time.monotonic() + seconds
        out = []
        while True:
            text = self.line(deadline)
            end = re.search(r"BOARD-DONE (\d+)$", text)
            if not end:
                out.append(text)
                continue
            if text != end.group(0):
                out.append(text[:end.start()])
            printed = "\n".join(out)
            assert not check or end.group(1) == "0", f"{command}: {end.group(1)}\n{printed}"
            return printed

    def pull(self, line, level):
        self.do(f"hardware pull {line} {level}")

    def value(self, line):
        return int(self.do(f"hardware value {line}"))

    def relay(self):
        return int(self.do("cat /run/relay 2>/dev/null || echo 0"))

    def until(self, what, wanted, seconds, pause=0.2):
        """Asks again and again; gives the last answer."""
        deadline = time.monotonic() + seconds
        while True:
            got = what()
            if wanted(got) or time.monotonic() > deadline:
                return got
            time.sleep(pause)

    def stop(self):
        if self.port:
            self.port.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
