"""A clean Debian that really boots: systemd as process 1 of its own namespaces, on this machine's kernel and
network. What a chroot cannot show: units, their sandbox, restarts, path units."""
import contextlib
import os
import shutil
import signal
import subprocess
import time

from debian_root import System

BOOT = """\
#!/bin/sh
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t tmpfs run run
mount -t tmpfs dev dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
ln -s /proc/self/fd dev/fd
mkdir dev/shm dev/pts
mount -t cgroup2 none sys/fs/cgroup
exec chroot . /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --log-target=journal --show-status=no
"""


class Booted(System):
    """Made like the chroot of the packages' test, then booted."""

    def __init__(self, folder):
        super().__init__(folder)
        (folder / "usr/sbin/policy-rc.d").unlink()
        (folder / "etc/machine-id").write_text("")
        script = folder.parent / "boot.sh"
        script.write_text(BOOT)
        # In a process group of its own, so that nothing of it is left at the end.
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "sh", script,
             folder], stdin=subprocess.DEVNULL, start_new_session=True)
        self.until(lambda: self.init() is not None, 20)
        self.until(lambda: self.ask("systemctl is-system-running").strip() in ("running", "degraded"), 90)

    def init(self):
        with contextlib.suppress(FileNotFoundError):
            for child in open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read().split():
                if os.readlink(f"/proc/{child}/exe").endswith("/systemd"):
                    return child
        return None

    def ask(self, script):
        """What a line of shell prints, whatever its end."""
        return self.enter(script).stdout

    def sh(self, script):
        if not hasattr(self, "process"):
            return super().sh(script)
        done = self.enter(script)
        assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def enter(self, script):
        return subprocess.run(
            ["nsenter", "-t", self.init(), "-m", "-p", "-u", "-i", "-C", "-r", "-w", "sh", "-ec", script],
            capture_output=True, text=True, timeout=300,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})

    @staticmethod
    def until(is_so, seconds):
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, "too late"
            time.sleep(0.2)

    def stop(self):
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(int(self.init()), signal.SIGKILL)
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
