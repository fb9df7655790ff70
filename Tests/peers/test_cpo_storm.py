"""A thousand stations come, lose the server and come back. `Tests/long` has the five thousand."""
import asyncio

from storm import blow

STATIONS, JITTER_SECONDS, LIMIT_SECONDS = 1000, 1, 60
# Of the debug build, which keeps more than the release does.
MOST_MEGABYTES = 200


def test_a_storm_is_survived_and_every_station_is_online_again(tmp_path):
    figures = asyncio.run(blow(tmp_path, STATIONS, JITTER_SECONDS, LIMIT_SECONDS, ends=["kill"]))
    print(figures)
    assert figures["resident, MiB"] < MOST_MEGABYTES, figures
