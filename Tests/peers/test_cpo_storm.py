"""Five thousand stations come, lose the server and come back. `Tests/long` does it on both engines, and after an
orderly end as well."""
import asyncio

import storm

STATIONS, JITTER_SECONDS, LIMIT_SECONDS = 5000, 5, 240
# Of the debug build, which keeps more than the release does.
MOST_MEGABYTES = 800


def test_a_storm_is_survived_and_every_station_is_online_again(tmp_path):
    stations = min(STATIONS, storm.most_stations())
    if stations < STATIONS:
        print(f"{stations} stations instead of {STATIONS}: the hard limit of open files allows no more")
    figures = asyncio.run(storm.blow(tmp_path, stations, JITTER_SECONDS, LIMIT_SECONDS, ends=["kill"]))
    print(figures)
    assert figures["resident, MiB"] < MOST_MEGABYTES, figures
