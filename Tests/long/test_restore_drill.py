"""The drill an operator does before he needs it: a backup while stations charge, the machine lost, the backup put
in place on another, and the accounts compared bill by bill. On both engines.

What was acknowledged after the backup is gone from the restored server, and the stations do not send it again:
the drill shows that this is all that is missing, and that what was open is taken up where the stations are.
"""
import asyncio
import csv
import pathlib
import shutil
import subprocess
import sys
import time
import uuid

import figures
import pytest
import websockets
from ocpp.v16 import ChargePoint, call

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))

from cpo_server import BIN, Server  # noqa: E402
from postgres_server import PostgresServer, programs  # noqa: E402

TITLE = "restore drill"
STATIONS, CHARGES_BEFORE, CHARGES_AFTER = 20, 5, 3
LIMIT = 240  # seconds
CONFIGURATION = """
listeners: [{port: 18999}]
party: {countryCode: IN, partyID: KRB, name: Drill}
database: %s
"""


def stamp(second):
    return f"2026-06-01T{10 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


class Station(ChargePoint):
    """Charges 1 kWh at a time; its register outlives every server."""

    register, second, open = 1000, 0, None

    async def boot(self):
        await self.call(call.BootNotification(charge_point_vendor="Drill", charge_point_model="One"))

    async def start(self):
        answer = await self.call(call.StartTransaction(
            connector_id=1, id_tag="DEMO-CARD-1", meter_start=self.register, timestamp=stamp(self.second)))
        assert answer.id_tag_info["status"] == "Accepted"
        self.open = answer.transaction_id

    async def end(self):
        self.register += 1000
        self.second += 60
        await self.call(call.StopTransaction(
            transaction_id=self.open, meter_stop=self.register, timestamp=stamp(self.second), reason="Local"))
        self.open = None
        self.second += 60


class Fleet:
    def __init__(self, server):
        self.server = server
        self.tasks = []

    async def connect(self, former=None):
        self.stations = []
        for number in range(STATIONS):
            wire = await websockets.connect(f"{self.server.ws}DRILL-{number}", subprotocols=["ocpp1.6"])
            station = Station(f"DRILL-{number}", wire)
            if former:
                before = former.stations[number]
                station.register, station.second, station.open = before.register, before.second, before.open
            self.tasks.append(asyncio.create_task(ChargePoint.start(station)))
            await station.boot()
            self.stations.append(station)

    async def charge(self, count):
        for _ in range(count):
            await asyncio.gather(*(station.start() for station in self.stations))
            await asyncio.gather(*(station.end() for station in self.stations))

    async def leave(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def run(*words):
    done = subprocess.run([str(BIN / "kerb-cpo"), *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bills(folder, config):
    """All bills as the accounts get them, by their id."""
    file = folder / f"bills-{uuid.uuid4().hex}.csv"
    run("export", "bills", file, "--unsettled", "--config", config)
    assert file.stat().st_mode & 0o777 == 0o600
    with open(file, newline="", encoding="utf-8") as rows:
        found = list(csv.DictReader(rows))
    assert len({row["bill"] for row in found}) == len(found)
    return {row["bill"]: row for row in found}


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def engine(request, tmp_path):
    """Where rows are: of the server that is lost, and of the one that takes over."""
    if request.param == "SQLite":
        yield None, None
        return
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    with PostgresServer() as server:
        for name in ("lost", "next"):
            server.ask(f"CREATE DATABASE {name}")
        yield [server.url.replace("/postgres?", f"/{name}?") for name in ("lost", "next")]


def configured(folder, database, data):
    file = folder / f"{data.name}.yaml"
    place = database or f"sqlite:{next(iter(data.glob('*.sqlite')), data / 'kerb.sqlite')}"
    file.write_text(CONFIGURATION % place)
    return file


def test_a_backup_taken_under_load_is_put_in_place_and_the_accounts_agree(tmp_path, engine, request):
    asyncio.run(asyncio.wait_for(drill(tmp_path, *engine, request.node.callspec.params["engine"]), LIMIT))


async def drill(folder, lost, following, name):
    first = await asyncio.to_thread(Server(folder / "lost", database=lost).start)
    fleet = Fleet(first)
    await fleet.connect()
    await fleet.charge(CHARGES_BEFORE)
    config = configured(folder, lost, folder / "lost")
    before = await asyncio.to_thread(bills, folder, config)
    assert len(before) == STATIONS * CHARGES_BEFORE
    # Half of the fleet is charging while the copy is made, and goes on.
    for station in fleet.stations[::2]:
        await station.start()
    charging = asyncio.gather(*(station.start() for station in fleet.stations[1::2]))
    began = time.monotonic()
    await asyncio.to_thread(run, "backup", folder / "copy.sqlite", "--config", config)
    figures.note(TITLE, f"{name}: backup under load, s", f"{time.monotonic() - began:.2f}")
    await charging
    await asyncio.gather(*(station.end() for station in fleet.stations))
    last = await asyncio.to_thread(bills, folder, config)
    assert len(last) == STATIONS * (CHARGES_BEFORE + 1)
    # The machine is gone.
    await asyncio.to_thread(first.kill)
    await fleet.leave()
    shutil.rmtree(folder / "lost")

    (folder / "next").mkdir()
    began = time.monotonic()
    config = configured(folder, following, folder / "next")
    said = await asyncio.to_thread(run, "restore", folder / "copy.sqlite", "--config", config)
    assert "restored from" in said
    after = await asyncio.to_thread(bills, folder, config)
    # The same bills to the last character, none twice; those of after the copy are what is missing.
    assert all(after[bill] == row for bill, row in before.items())
    assert set(before) <= set(after) <= set(last)
    for bill in set(after) - set(before):
        assert after[bill] == last[bill]
    second = await asyncio.to_thread(Server(folder / "next", database=following).start)
    try:
        figures.note(TITLE, f"{name}: restored and serving, s", f"{time.monotonic() - began:.2f}")
        again = Fleet(second)
        await again.connect(fleet)
        await again.charge(CHARGES_AFTER)
        final = await asyncio.to_thread(bills, folder, config)
        assert len(final) == len(after) + STATIONS * CHARGES_AFTER
        new = [row for bill, row in final.items() if bill not in after]
        assert sum(int(row["energy_wh"]) for row in new) == STATIONS * CHARGES_AFTER * 1000
        assert not set(row["session"] for row in new) & {row["session"] for row in last.values()}
        figures.note(TITLE, f"{name}: bills before, restored, after", f"{len(last)}, {len(after)}, {len(final)}")
        await again.leave()
    finally:
        await asyncio.to_thread(second.stop)
