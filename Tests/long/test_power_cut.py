"""The power goes at any instant, and no step that the journal promised is lost.

User-mode Linux is a kernel that runs as a process: killing it is a power cut, and what its page cache
had not written is gone. The load is the board's real journal.
"""
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

BIN = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).absolute()
HERE = pathlib.Path(__file__).resolve().parent
CUTS = 12
STEPS = 60  # promised before the power may go
LIMIT = 240  # seconds for one boot

pytestmark = pytest.mark.skipif(
    shutil.which("linux.uml") is None, reason="needs the Debian package user-mode-linux")


class Guest:
    """One boot."""

    def __init__(self, folder, run, format_disk=False):
        self.console = folder / "console"
        init = folder / "init"
        shutil.copy(HERE / "uml_guest.sh", init)
        init.chmod(0o755)
        with open(self.console, "wb") as out:
            # A group of its own: the guest's threads are processes of ours.
            self.process = subprocess.Popen(
                ["linux.uml", "mem=256M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}",
                 f"ubd0={folder / 'disk'}", f"uml_dir={folder}", "umid=guest", "con0=null,fd:1", "con=null",
                 "ssl=null", "quiet", f"KERB_FORMAT={int(format_disk)}", f"KERB_RUN={run.replace(' ', '${IFS}')}"],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)

    def text(self):
        return self.console.read_bytes().replace(b"\r", b"").replace(b"\0", b"").decode(errors="replace")

    def committed(self):
        steps = re.findall(r"^COMMITTED (\d+)$", self.text(), re.M)
        return int(steps[-1]) if steps else 0

    def cut_power(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def until(self, is_so):
        deadline = time.monotonic() + LIMIT
        while not is_so():
            assert time.monotonic() < deadline, self.text()[-2000:]
            time.sleep(0.05)

    def wait(self):
        """The exit code of what ran."""
        self.until(lambda: "GUEST ended" in self.text() or self.process.poll() is not None)
        found = re.search(r"GUEST ended with (\d+)", self.text())
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.cut_power()
        assert found, self.text()[-2000:]
        return int(found[1])


@pytest.mark.parametrize("cut", range(CUTS))
def test_a_power_cut_loses_no_step_that_was_promised(tmp_path, cut):
    load = BIN / "journal-load"
    with open(tmp_path / "disk", "wb") as disk:
        disk.truncate(64 << 20)
    guest = Guest(tmp_path, f"{load} write", format_disk=True)
    try:
        guest.until(lambda: guest.committed() >= STEPS or guest.process.poll() is not None)
        assert guest.process.poll() is None, guest.text()[-2000:]
        time.sleep(random.Random(cut).uniform(0.05, 0.9))
    finally:
        if guest.process.poll() is None:
            guest.cut_power()
    promised = guest.committed()
    assert promised >= STEPS
    after = Guest(tmp_path, f"{load} check {promised}")
    assert after.wait() == 0, after.text()[-2000:]


LOSES = """
import os, sqlite3
db = sqlite3.connect('rows.db', isolation_level=None)
db.execute('PRAGMA journal_mode=WAL')
db.execute('PRAGMA synchronous=OFF')
db.execute('CREATE TABLE rows(number INTEGER PRIMARY KEY, body BLOB)')
number = 0
while True:
    number += 1
    db.execute('INSERT INTO rows VALUES(?, randomblob(200))', (number,))
    os.write(1, b'COMMITTED %d\\n' % number)
"""
COUNTS = """
import sqlite3, sys
try:
    count = sqlite3.connect('rows.db').execute('SELECT COUNT(*) FROM rows').fetchone()[0]
except sqlite3.Error:
    count = 0
sys.exit(0 if count >= int(sys.argv[1]) else 1)
"""


def test_the_rig_sees_a_loss(tmp_path):
    """Without syncing, a cut does lose what was promised: else the test above would prove nothing."""
    (tmp_path / "loses.py").write_text(LOSES)
    (tmp_path / "counts.py").write_text(COUNTS)
    lost = 0
    for cut in range(3):
        with open(tmp_path / "disk", "wb") as disk:
            disk.truncate(64 << 20)
        guest = Guest(tmp_path, f"/usr/bin/python3 {tmp_path / 'loses.py'}", format_disk=True)
        try:
            guest.until(lambda: guest.committed() >= STEPS or guest.process.poll() is not None)
        finally:
            guest.cut_power()
        after = Guest(tmp_path, f"/usr/bin/python3 {tmp_path / 'counts.py'} {guest.committed()}")
        lost += after.wait() != 0
    assert lost > 0
