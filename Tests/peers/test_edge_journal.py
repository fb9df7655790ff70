"""The board's journal as an installer meets it: a full disk, a damaged file, a swapped controller.

`kerb-edge run` with simulated hardware; no operator answers, so everything stays on the board.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess

import pytest

from test_edge_on_site import BIN, Site


def command(site, *words, config="edge.yaml"):
    return subprocess.run(
        [BIN / "kerb-edge", *words, "--config", site.folder / config], capture_output=True, text=True)


def status(site):
    run = command(site, "status", "--json")
    return json.loads(run.stdout) if run.returncode == 0 else None


def stop(agent):
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(40) == 0


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def small_disk(site):
    """The data directory on a disk of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("a small disk needs root")
    data = site.folder / "data"
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(data)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine mounts nothing")
    yield data
    site.stop()
    subprocess.run(["umount", "-l", str(data)], check=True)


def test_a_full_disk_ends_what_runs_lets_nothing_begin_and_recovers(site, small_disk):
    site.charge()
    filler = os.open(small_disk / "filler", os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(filler, bytes(4096))
    os.close(filler)
    site.until(lambda: (status(site) or {}).get("journal", {}).get("trouble") is not None)
    assert site.evse()["contactor"]["isClosed"], "what runs goes on"
    before = site.evse()["meter"]["registerWattHours"]
    site.until(lambda: site.evse()["meter"]["registerWattHours"] > before)
    site.show_token()  # the same token ends it
    site.until(lambda: "session ended" in site.log())
    line = [line for line in site.log().splitlines() if "session ended" in line][-1]
    assert f"registerWh={site.evse()['meter']['registerWattHours']}" in line
    site.until(lambda: status(site)["connectors"][0]["status"] == "Unavailable")
    view = status(site)
    assert "disk of the journal is full" in view["journal"]["trouble"]
    assert "the disk of the journal is full" in view["connectors"][0]["hindrances"]
    assert "no new charge" in command(site, "status").stdout
    site.show_token()
    site.until(lambda: "start abandoned" in site.log())
    assert status(site)["journalDepth"] == view["journalDepth"], "nothing half-written"
    (small_disk / "filler").unlink()
    site.until(lambda: status(site)["connectors"][0]["status"] != "Unavailable")
    site.show_token()
    site.until(lambda: site.evse()["contactor"]["isClosed"])


def test_a_damaged_journal_is_rebuilt_with_its_charges_and_says_so(site):
    agent = site.charge()
    stop(agent)
    owed = site.folder / "data" / "journal.db"
    # The log into the file, so that what is damaged below is all there is.
    with contextlib.closing(sqlite3.connect(owed)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bytes_of = bytearray(owed.read_bytes())
    bytes_of[:4096] = bytes(4096)
    owed.write_bytes(bytes_of)
    site.edge()
    site.until(lambda: status(site) is not None)
    view = status(site)
    assert view["journalDepth"] >= 2, "start and stop are still owed"
    assert len(view["journal"]["notices"]) == 1
    assert "damaged" in command(site, "doctor").stdout
    assert list((site.folder / "data").glob("journal.db.damaged-*"))
    assert command(site, "clear", "journal").returncode == 0
    assert status(site)["journal"]["notices"] == []


def test_a_backup_of_a_running_board_takes_nothing_from_it(site):
    agent = site.charge()
    assert command(site, "backup", site.folder / "board.backup").returncode == 0
    # What another program that opens it leaves behind counts as well.
    with contextlib.closing(sqlite3.connect(site.folder / "data" / "journal.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM charge").fetchone() == (1,)
    descriptors = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{agent.pid}/fd").iterdir()]
    assert [name for name in descriptors if "journal.db" in name and "(deleted)" in name] == []
    site.show_token()
    site.until(lambda: "session ended" in site.log())
    owed = status(site)["journalDepth"]
    assert owed >= 2, "its start and its stop"
    agent.kill()
    agent.wait()
    site.edge()
    site.until(lambda: status(site) is not None)
    assert status(site)["journalDepth"] == owed


def test_a_rebuilding_that_the_power_ends_goes_on_at_the_next_start(site):
    stop(site.charge())
    data = site.folder / "data"
    with contextlib.closing(sqlite3.connect(data / "journal.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = bytearray((data / "journal.db").read_bytes())
    damaged[:4096] = bytes(4096)
    (data / "journal.db").write_bytes(damaged)
    for moment in ["salvage.written.2", "rebuilt.asked.1", "rebuilt.committed.1", "aside.committed.1"]:
        with open(site.folder / "killed.log", "ab") as log:
            killed = subprocess.run(
                [BIN / "kerb-edge", "run", "--config", site.folder / "edge.yaml"], stdout=log, stderr=log,
                env={**os.environ, "JOURNAL_KILL_AT": moment}, timeout=60)
        assert killed.returncode == -signal.SIGKILL, (site.folder / "killed.log").read_text()
    site.edge()
    site.until(lambda: status(site) is not None)
    view = status(site)
    assert view["journalDepth"] >= 2, "start and stop are still owed"
    assert len(view["journal"]["notices"]) == 1
    assert len(list(data.glob("journal.db.damaged-*"))) == 1


def test_a_backup_makes_another_controller_the_same_board(site):
    agent = site.charge()
    secret = site.folder / "password"
    secret.write_text("a-long-enough-password\n")
    text = (site.folder / "edge.yaml").read_text().replace(
        "securityProfile: 0}", f"securityProfile: 1, passwordFile: {secret}}}")
    (site.folder / "edge-1.yaml").write_text(text)
    target = site.folder / "board.backup"
    made = command(site, "backup", target, config="edge-1.yaml")
    assert made.returncode == 0, made.stderr
    assert target.stat().st_mode & 0o777 == 0o600
    again = command(site, "backup", target, config="edge-1.yaml")
    assert again.returncode == 2 and "give another name, or remove it first" in again.stderr
    second = command(site, "run", config="edge-1.yaml")
    assert second.returncode == 4 and "an agent drives this board already" in second.stderr
    assert "systemctl stop kerb-edge" in second.stderr and "errno" not in second.stderr
    assert "Resource temporarily" not in second.stderr
    running = command(site, "restore", target, config="edge-1.yaml")
    assert running.returncode != 0 and "stop it first" in running.stderr
    owed = status(site)["journalDepth"]
    assert owed >= 1
    agent.kill()
    agent.wait()
    # The new controller has the package and nothing else.
    shutil.rmtree(site.folder / "data")
    secret.unlink()
    (site.folder / "edge-1.yaml").unlink()
    missing = command(site, "restore", target, config="edge-1.yaml")
    assert missing.returncode != 0 and "--identity" in missing.stderr
    # A board that is somebody else already is not made this one by a slip of the hand.
    secret.write_text("another-board-s-password\n")
    (site.folder / "edge-1.yaml").write_text(text.replace("stationID: CS-SITE", "stationID: CS-OTHER"))
    refused = command(site, "restore", target, "--identity", config="edge-1.yaml")
    assert refused.returncode == 4 and "this board is CS-OTHER" in refused.stderr and "--replace" in refused.stderr
    assert secret.read_text() == "another-board-s-password\n"
    restored = command(site, "restore", target, "--identity", "--replace", config="edge-1.yaml")
    assert restored.returncode == 0, restored.stderr
    assert f"secret written: {secret}" in restored.stdout
    assert secret.read_text() == "a-long-enough-password\n"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert "1 charges to close" in restored.stdout
    site.edge()
    site.until(lambda: "session ended" in site.log())
    line = [line for line in site.log().splitlines() if "session ended" in line][-1]
    assert f"registerWh={site.evse()['meter']['registerWattHours']}" in line


def test_another_boards_backup_is_refused(site):
    agent = site.edge()
    site.until(lambda: status(site) is not None)
    target = site.folder / "board.backup"
    assert command(site, "backup", target).returncode == 0
    stop(agent)
    text = (site.folder / "edge.yaml").read_text().replace("stationID: CS-SITE", "stationID: CS-2")
    (site.folder / "other.yaml").write_text(text)
    refused = command(site, "restore", target, config="other.yaml")
    assert refused.returncode != 0
    assert "CS-SITE" in refused.stderr and "CS-2" in refused.stderr
    kept = command(site, "restore", target)
    assert kept.returncode == 0, kept.stderr
    assert list((site.folder / "data").glob("journal.db.before-restore-*"))


def test_the_black_box_tells_the_minutes_around_a_fault(site):
    site.charge()
    assert "contactor" in command(site, "blackbox", "--now").stdout
    assert "no fault yet" in command(site, "blackbox").stdout
    site.post("/buses/line/units/1/fault", {"kind": "silence"})
    site.until(lambda: "black box written" in site.log(), seconds=40)
    shown = command(site, "blackbox").stdout
    assert "meterLost" in shown and "contactor  open" in shown and "mirror" in shown
    files = json.loads(command(site, "blackbox", "--json").stdout)
    assert len(files) == 1 and any("what" in line for line in files[0]["lines"] if isinstance(line, dict))
