"""`kerb-cpo restore`: what it refuses, what it keeps, and what a server that goes on from a backup believes."""
import asyncio
import contextlib
import datetime
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result

from cpo_server import BIN, ConfiguredServer
from fleet_visit import TOKEN
from postgres_server import PostgresServer, programs

FUSE = 32
REFUSED, NOBODY = 4, 65534


@pytest.fixture
def house(tmp_path):
    """A server's folder with a database that knows what it is, and a backup of it that is named otherwise."""
    server = ConfiguredServer(tmp_path / "data")
    mark(server, "of the backup")
    server.run("backup", tmp_path / "copy.sqlite")
    mark(server, "of today")
    server.backup = tmp_path / "copy.sqlite"
    return server


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request):
    if request.param == "SQLite":
        yield None
        return
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    with PostgresServer() as server:
        # Its socket is in there, and not only its own user and root come.
        server.folder.chmod(0o711)
        yield server.url


def place(server):
    return server.folder / "kerb.sqlite"


def mark(server, text):
    """Tells one database from another."""
    with contextlib.closing(sqlite3.connect(place(server))) as rows, rows:
        rows.execute("DELETE FROM sequence WHERE name LIKE 'mark %'")
        rows.execute("INSERT INTO sequence VALUES (?, 1)", [f"mark {text}"])


def marked(path):
    with contextlib.closing(sqlite3.connect(path)) as rows:
        return rows.execute("SELECT name FROM sequence WHERE name LIKE 'mark %'").fetchone()[0].removeprefix("mark ")


def restore(server, backup=None):
    return subprocess.run(
        [str(BIN / "kerb-cpo"), "restore", str(backup or server.backup), "--config", str(server.configuration)],
        capture_output=True, text=True, timeout=60)


def kept(server):
    return [path for path in sorted(server.folder.glob("kerb.sqlite.before-restore-*")) if path.name[-1].isdigit()]


def test_each_restore_keeps_what_was_there(house):
    for text in "of today", "of tomorrow":
        mark(house, text)
        done = restore(house)
        assert done.returncode == 0, done.stderr
        assert marked(place(house)) == "of the backup"
        assert str(kept(house)[-1]) in done.stdout
    assert [marked(path) for path in kept(house)] == ["of today", "of tomorrow"]
    assert not list(house.folder.glob("*.restoring*"))


def test_a_server_that_runs_is_refused_and_one_that_was_killed_is_not(house):
    with house:
        inode = place(house).stat().st_ino
        refused = restore(house)
        assert refused.returncode == REFUSED and "stop it first" in refused.stderr, refused
        second = subprocess.run([str(BIN / "kerb-cpo"), "serve", *house.words()], capture_output=True, text=True, timeout=60)
        assert second.returncode == 1 and "another program holds the database" in second.stderr, second
        assert place(house).stat().st_ino == inode and not kept(house)
        house.kill()
    # What a kill leaves behind.
    with contextlib.closing(sqlite3.connect(place(house))) as rows, rows:
        rows.execute(
            "INSERT INTO station (id, folded, registration, is_online, link_epoch, created_at)"
            " VALUES ('CS-1', 'cs-1', 'Accepted', 1, 1, 1)")
    done = restore(house)
    assert done.returncode == 0 and marked(place(house)) == "of the backup", done
    with house:
        pass


def test_a_damaged_database_is_put_aside(house):
    place(house).write_bytes(b"no database " * 1000)
    done = restore(house)
    assert done.returncode == 0 and "cannot be read, so erasures" in done.stdout, done
    assert marked(place(house)) == "of the backup"
    assert [path.read_bytes()[:11] for path in kept(house)] == [b"no database"]


def test_what_is_no_backup_of_ours_changes_nothing(house, tmp_path):
    newer, other, empty, text = (tmp_path / name for name in ("newer", "other", "empty", "text"))
    shutil.copy(house.backup, newer)
    with contextlib.closing(sqlite3.connect(newer)) as rows, rows:
        rows.execute("INSERT INTO schema_migration VALUES (9999, 'of tomorrow', 'x', 1)")
    with contextlib.closing(sqlite3.connect(other)) as rows, rows:
        rows.execute("CREATE TABLE bookmark (url TEXT)")
    empty.touch()
    text.write_text("a note about the backup\n" * 1000)
    for file, said in ((newer, "a newer program has been here"), (other, "is no backup of kerb-cpo"),
                       (empty, "is no backup of kerb-cpo"), (text, "damaged, or no database")):
        before = file.read_bytes()
        refused = restore(house, file)
        assert refused.returncode == 1 and f"{file}: " in refused.stderr and said in refused.stderr, refused
        assert file.read_bytes() == before
    assert marked(place(house)) == "of today" and not kept(house)
    assert not list(house.folder.glob("*.restoring*"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_backup_on_a_medium_that_cannot_be_written_is_restored(house, database):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        medium = root / "medium"
        medium.mkdir()
        backup = medium / "copy.sqlite"
        shutil.copy(house.backup, backup)
        # As a backup of PostgreSQL is: with a log beside it while it is open.
        with contextlib.closing(sqlite3.connect(backup)) as rows:
            rows.execute("PRAGMA journal_mode = WAL")
        backup.chmod(0o444)
        medium.chmod(0o555)
        names = sorted(medium.iterdir())
        program = shutil.copy(BIN / "kerb-cpo", root)
        server = ConfiguredServer(root / "data", database=database)
        for path in (server.folder, *server.folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        done = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", program, "restore", str(backup),
             "--config", str(server.configuration)], capture_output=True, text=True, timeout=60, cwd=server.folder)
        assert done.returncode == 0 and sorted(medium.iterdir()) == names, done
        if database:
            # Where the caller stands, because beside the backup nothing can be written.
            copies = list(server.folder.glob("copy.sqlite.before-restore-*"))
            assert len(copies) == 1 and f"is in {copies[0].name}" in done.stdout, done
            return
        assert marked(place(server)) == "of the backup"
        # By root, who restores for a server that is somebody else: it can open what it finds.
        place(server).unlink()
        done = restore(server, backup)
        assert done.returncode == 0, done
        assert {path.stat().st_uid for path in server.folder.glob("kerb.sqlite*")} == {NOBODY}


class Twin(ChargePoint):
    """Two connectors that hold one limit each."""

    limits = {1: FUSE, 2: FUSE}

    def __init__(self, name, socket, changed):
        super().__init__(name, socket, response_timeout=20)
        self.changed = changed

    @on("SetChargingProfile")
    async def set_profile(self, connector_id, cs_charging_profiles):
        limit = cs_charging_profiles["charging_schedule"]["charging_schedule_period"][0]["limit"]
        return await self.hold(connector_id, limit, call_result.SetChargingProfile("Accepted"))

    @on("ClearChargingProfile")
    async def clear(self, connector_id=0, **_):
        return await self.hold(connector_id, FUSE, call_result.ClearChargingProfile("Accepted"))

    async def hold(self, connector, limit, answer):
        if connector:
            self.limits[connector] = limit
            async with self.changed:
                self.changed.notify_all()
        return answer

    async def holds(self, *limits):
        async with asyncio.timeout(40), self.changed:
            await self.changed.wait_for(lambda: tuple(self.limits.values()) == limits)

    async def begin(self, connector, register):
        answer = await self.call(call.StartTransaction(connector, "CARD-1", register, now()))
        return answer.transaction_id

    async def end(self, number, register):
        await self.call(call.StopTransaction(register, now(), number, reason="Local"))


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


@contextlib.asynccontextmanager
async def connected(server, limits):
    async with websockets.connect(server.ws + "TWIN", subprotocols=["ocpp1.6"]) as socket:
        twin = Twin("TWIN", socket, asyncio.Condition())
        twin.limits = limits
        serving = asyncio.create_task(twin.start())
        try:
            for connector in 1, 2:
                await twin.call(call.StatusNotification(connector, "NoError", "Available", timestamp=now()))
            yield twin
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


def test_what_happened_since_the_backup_is_not_believed_away(tmp_path, database):
    """Its connector 1 took the whole fuse after the backup, and charges under a number the backup knows nothing of."""
    server = ConfiguredServer(tmp_path / "data", database=database)
    backup = tmp_path / "copy.sqlite"

    async def visit():
        api = lambda *words: asyncio.to_thread(server.api, *words)  # noqa: E731
        limits = {1: FUSE, 2: FUSE}
        async with connected(server, limits) as twin:
            assert (await api("PUT", "/tokens/CARD-1", {**TOKEN, "contract_id": "CONTRACT-1"}))[0] == 200
            status, site = await api("PUT", "/sites/yard", {
                "nodes": [{"id": "main", "amperes": FUSE}],
                "connectors": [{"station": "TWIN", "connector": number, "node": "main"} for number in (1, 2)]})
            assert status == 200, site
            await twin.end(await twin.begin(1, 0), 1000)
            await twin.holds(0, 0)
            await asyncio.to_thread(server.run, "backup", backup)
            running = await twin.begin(1, 1000)
            await twin.holds(FUSE, 0)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.run, "restore", backup)
        await asyncio.to_thread(server.start)
        async with connected(server, limits) as twin:
            other = await twin.begin(2, 0)
            assert other > running
            await twin.holds(0, FUSE)
            await twin.end(running, 9000)
            status, sessions = await api("GET", "/sessions?state=ACTIVE")
            assert status == 200 and [one["energyWh"] for one in sessions["items"]] == [0], sessions
            await twin.end(other, 500)
            status, sessions = await api("GET", "/sessions?station=TWIN")
            assert sorted(one["energyWh"] for one in sessions["items"]) == [500, 1000], sessions

    with server:
        asyncio.run(asyncio.wait_for(visit(), 120))
