"""A machine in QEMU that is spoken to over its second serial port: a line of shell goes in, its output and its
exit status come out. Software emulation (tcg): slower than any board, and it runs everywhere.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent / "board-vm"
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "cpio": "cpio", "make": "make"}


def missing(**more):
    """What is not installed, in words; empty when the machine can be built."""
    return [package for tool, package in {**TOOLS, **more}.items() if not shutil.which(tool)]


def kernel():
    """The folder of Debian's kernel and of the modules it is built without."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = pathlib.Path(cache) / "kerb-board-vm"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([str(HERE / "kernel.sh"), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


def compiled(name, folder):
    """A program of `board-vm`, static, so that it runs in any root."""
    out = pathlib.Path(folder) / name
    subprocess.run(
        ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-static", "-o", str(out), str(HERE / f"{name}.c")], check=True)
    return out


def archive(root, out):
    """A folder as the kernel unpacks it at its start."""
    with open(out, "wb") as file:
        files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=files, stdout=file, check=True)
    return out


class Guest:
    """One boot of one machine; `folder` keeps its console."""

    boot_seconds = 90
    memory = 768
    # Runs before all else on this machine, as a board has its cores for itself; only root may ask for that.
    goes_first = os.environ.get("KERB_VM_FIRST") == "1"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.console = self.folder / "console.log"
        self.process = self.port = None
        self.buffer = b""

    def power_on(self, kernel_folder, initrd, append="", devices=()):
        """Gives the machine's own uptime at the moment it answers."""
        path = self.folder / "port"
        first = ["chrt", "--rr", "1"] if self.goes_first else []
        self.process = subprocess.Popen(
            [*first, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-smp", "2", "-cpu", "max",
             "-m", str(self.memory), "-display", "none", "-no-reboot",
             "-kernel", str(kernel_folder / "vmlinuz"), "-initrd", str(initrd),
             "-append", f"console=ttyS0 quiet panic=-1 {append}",
             "-netdev", "user,id=n0", "-device", "e1000,netdev=n0,romfile=", "-serial", f"file:{self.console}",
             "-chardev", f"socket,id=port,path={path},server=on,wait=off", "-serial", "chardev:port",
             "-qmp", f"unix:{self.folder / 'qmp'},server=on,wait=off", "-monitor", "none", *map(str, devices)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + self.boot_seconds
        while not path.exists():
            assert self.process.poll() is None, self.process.stderr.read().decode()
            assert time.monotonic() < deadline, "QEMU does not start"
            time.sleep(0.05)
        self.port = socket.socket(socket.AF_UNIX)
        self.port.connect(str(path))
        up = self.line(deadline)
        while not up.startswith("BOARD-UP"):
            up = self.line(deadline)
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
            assert got, f"the board is gone: {self.last_words()}"
            self.buffer += got
        text, self.buffer = self.buffer.split(b"\n", 1)
        return text.decode(errors="replace").rstrip("\r")

    def last_words(self):
        self.process.wait(10)
        return self.process.stderr.read().decode() + self.console.read_text(errors="replace")[-2000:]

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
