"""Fleets with injected faults from many seeds, on both engines: billed is what the cars took in, to the watt-hour.

Here some charges never get their stop, and the rule that closes them is waited for; all seeds wait together.
`FAULT_SEED=N` runs one seed, `FAULT_SEEDS=N` so many new ones.
"""
import asyncio
import concurrent.futures
import contextlib
import os
import secrets

import figures
import fleet_visit
import pytest
from fault_fleet import EVERYTHING
from postgres_server import PostgresServer, programs

TITLE = "fleets with faults"
# Each found something once.
KNOWN = [20261128, 1, 2, 3]
NEW = int(os.environ.get("FAULT_SEEDS", "4"))
SEEDS = [int(os.environ["FAULT_SEED"])] if "FAULT_SEED" in os.environ \
    else KNOWN + [secrets.randbelow(10 ** 9) for _ in range(NEW)]
STATIONS, CHARGES = 12, 10


@contextlib.contextmanager
def databases(engine):
    """A database for each seed."""
    if engine == "SQLite":
        yield [None] * len(SEEDS)
        return
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    with PostgresServer() as server:
        for number in range(len(SEEDS)):
            server.ask(f"CREATE DATABASE fleet_{number}")
        yield [server.url.replace("/postgres?", f"/fleet_{number}?") for number in range(len(SEEDS))]


async def visits(folder, places):
    # Who waits for the rule holds a thread.
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(4 * len(SEEDS)))
    found = []
    for seed, place in zip(SEEDS, places, strict=True):
        (folder / str(seed)).mkdir()
        found.append(fleet_visit.visit(
            folder / str(seed), seed, STATIONS, CHARGES, database=place, allowed=EVERYTHING | {"never"}))
    return await asyncio.gather(*found, return_exceptions=True)


@pytest.mark.parametrize("engine", ["SQLite", "PostgreSQL"])
def test_what_fleets_with_faults_are_billed_is_what_their_cars_took_in(tmp_path, engine):
    with databases(engine) as places:
        outcomes = asyncio.run(visits(tmp_path, places))
    for seed, outcome in zip(SEEDS, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            raise outcome
        figures.note(TITLE, f"{engine}, seed {seed}", ", ".join(f"{count} {what}" for what, count in outcome.items()))
