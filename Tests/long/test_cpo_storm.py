"""Five thousand stations come, lose the server in two ways and come back, on both engines."""
import asyncio

import figures
import pytest
import storm
from postgres_server import PostgresServer, programs

TITLE = "storm of stations"
STATIONS, JITTER_SECONDS, LIMIT_SECONDS = 5000, 5, 240
MOST_MEGABYTES = 800


@pytest.mark.parametrize("engine", ["SQLite", "PostgreSQL"])
def test_five_thousand_stations_come_back(tmp_path, engine):
    if engine == "SQLite":
        seen = asyncio.run(storm.blow(tmp_path, STATIONS, JITTER_SECONDS, LIMIT_SECONDS))
    elif programs() is None:
        pytest.skip("no PostgreSQL server is installed")
    else:
        with PostgresServer() as server:
            seen = asyncio.run(storm.blow(tmp_path, STATIONS, JITTER_SECONDS, LIMIT_SECONDS, database=server.url))
    figures.note(TITLE, f"{engine}, {STATIONS} stations", ", ".join(f"{name}: {value}" for name, value in seen.items()))
    assert seen["resident, MiB"] < MOST_MEGABYTES, seen
