"""kill -9 of the server at random moments while a fleet starts, meters and stops, on both engines; on PostgreSQL also
of its server and of single sessions' processes. Whatever was acknowledged has its effect, once.

`FAULT_SEED=N` runs a seed again.
"""
import asyncio
import contextlib
import os
import pathlib
import random
import secrets
import signal
import sqlite3

import figures
import pytest
from cpo_server import ConfiguredServer
from fault_fleet import Fleet
from fleet_books import judge
from fleet_visit import put_tokens
from postgres_server import PostgresServer, programs

TITLE = "kill -9 under load"
KILLS = 24
# Of the database's server, whole and a session's process, in between.
SERVER_KILLS, SESSION_KILLS = 4, 4
STATIONS, MOST_CHARGES = 24, 10_000
# Seconds of load before the next death; each start takes about one.
LIFE = (0.05, 1.5)
LIMIT_SECONDS = 600
SEED = int(os.environ.get("FAULT_SEED", secrets.randbelow(10 ** 9)))


class SQLiteRows:
    """Where the rows are, and what can be done to them from outside."""

    deaths = []

    def __init__(self, folder):
        self.file, self.url = folder / "data" / "kerb.sqlite", None

    def rows(self, sql):
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            return [tuple(map(str, row)) for row in database.execute(sql)]

    def is_sound(self):
        return self.rows("PRAGMA integrity_check") == [("ok",)] and self.rows("PRAGMA foreign_key_check") == []


class PostgresRows:
    deaths = ["server"] * SERVER_KILLS + ["session"] * SESSION_KILLS

    def __init__(self, server):
        self.server = server
        server.ask("CREATE DATABASE kills")
        self.url = server.url.replace("/postgres?", "/kills?")

    def rows(self, sql):
        return [tuple(row) for row in self.server.ask(sql, "kills")]

    def is_sound(self):
        """Every page of every table and index is read and held against its check sum's or its own order."""
        self.rows("CREATE EXTENSION IF NOT EXISTS amcheck")
        self.rows("""SELECT bt_index_parent_check(c.oid, true) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     JOIN pg_am a ON a.oid = c.relam WHERE c.relkind = 'i' AND a.amname = 'btree'
                     AND n.nspname = 'public'""")
        return self.rows("""SELECT * FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
                            LATERAL verify_heapam(c.oid) WHERE c.relkind = 'r' AND n.nspname = 'public'""") == []

    def strike(self, what):
        if what == "session":
            found = self.server.ask("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'kerb-cpo %'")
            if found:
                os.kill(int(random.choice(found)[0]), signal.SIGKILL)
            return
        # All of its processes: those that live on would hold the memory that the next one needs.
        first = self.server.process.pid
        family = [first, *map(int, pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split())]
        for process in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.server.process.wait()
        self.server.start()


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def engine(request, tmp_path):
    if request.param == "SQLite":
        yield request.param, SQLiteRows(tmp_path)
        return
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    with PostgresServer() as server:
        yield request.param, PostgresRows(server)


async def deaths(server, fleet, rows, chance):
    """Kills at random moments; the order of what is killed is drawn, too."""
    order = ["program"] * KILLS + rows.deaths
    chance.shuffle(order)
    for what in order:
        await asyncio.sleep(chance.uniform(*LIFE))
        if what == "program":
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        else:
            # In this thread: the server ends with the one that started it.
            rows.strike(what)
    await asyncio.sleep(LIFE[1])
    fleet.enough.set()


def effects(fleet, rows):
    """Everything that was acknowledged is in the rows: once, closed where it was stopped."""
    found = {(station, int(register)): (int(key), closure) for key, station, register, closure in rows.rows(
        "SELECT key, station, meter_start_wh, closure FROM session")}
    readings = {}
    for key, register, count in rows.rows(
            "SELECT session, register_wh, COUNT(*) FROM meter_reading WHERE session <> 0 GROUP BY session, register_wh"):
        readings.setdefault(int(key), {})[int(register)] = int(count)
    for charge in fleet.charges:
        key, closure = found[(charge.station, charge.meter_start)]
        assert key == charge.number, charge
        assert closure == "closed" and charge.stop_told, (charge, closure)
        assert readings.get(key, {}) == dict.fromkeys(charge.readings_told, 1), (charge, readings.get(key))
    assert rows.rows("SELECT code, detail FROM suspicion") == []


async def visit(folder, name, rows):
    server = await asyncio.to_thread(ConfiguredServer(folder / "data", database=rows.url).start)
    try:
        await asyncio.to_thread(put_tokens, server)
        fleet = Fleet(server.ws, SEED, STATIONS, MOST_CHARGES, allowed=frozenset(), faults={})
        async with asyncio.timeout(LIMIT_SECONDS):
            await asyncio.gather(fleet.run(), deaths(server, fleet, rows, random.Random(SEED)))
        outcome = await asyncio.to_thread(judge, fleet, server)
        assert "database: sound" in await asyncio.to_thread(server.run, "doctor")
    finally:
        await asyncio.to_thread(server.stop)
    effects(fleet, rows)
    assert rows.is_sound()
    refused = sum(station.line.refused for station in fleet.stations)
    figures.note(TITLE, f"{name}, seed {SEED}",
                 f"{KILLS} deaths of the server, {len(rows.deaths)} of the database's, {outcome['charges']} charges, "
                 f"{sum(len(one.readings_told) + 2 for one in fleet.charges)} messages, {refused} refused and repeated")


def test_kill_9_under_load_loses_and_doubles_nothing(tmp_path, engine):
    name, rows = engine
    try:
        asyncio.run(visit(tmp_path, name, rows))
    except BaseException:
        print(f"to run it again: FAULT_SEED={SEED}")
        raise
