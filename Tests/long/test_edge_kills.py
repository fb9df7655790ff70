"""kill -9 at every moment of every step of the board's journal, and the bill must still be right.

The agent is the real `kerb-edge` on simulated hardware, the operator PyPI `ocpp`; the car's own integral
is the judge. The debug build ends itself where `JOURNAL_KILL_AT` says; the release build cannot.
"""
import asyncio
import contextlib
import json
import pathlib
import signal
import subprocess
import sys

import pytest
import websockets

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from edge_site import BIN, ENVIRONMENT, START, EdgeSite  # noqa: E402
from test_ocpp16_csms import System  # noqa: E402

LIMIT = 120  # seconds for one death and its recovery, whatever happens
MOMENTS = ("asked", "written", "committed")
# The step, its how manieth time, and whether the charge has periodic values.
STEPS = [
    ("opening", 1, False), ("start", 1, False), ("time", 1, False), ("confirmStart", 1, False),
    ("token", 1, False), ("time", 2, False), ("sample", 1, True), ("sample", 2, True),
    ("confirmSample", 1, True), ("stop", 1, False), ("confirmStop", 1, False),
]


def status(site):
    """What the agent says of itself; None while it does not answer."""
    run = subprocess.run(
        [BIN / "kerb-edge", "status", "--json", "--config", site.folder / "edge.yaml"],
        capture_output=True, text=True, env=ENVIRONMENT)
    return json.loads(run.stdout) if run.returncode == 0 else None


class Watch:
    """Waits for things of a site, and notices that the agent has died."""

    def __init__(self, site):
        self.site = site

    @property
    def is_dead(self):
        return self.site.processes["kerb-edge"].poll() is not None

    async def until(self, is_so, *, alive):
        """False once the agent is dead, where that may happen."""
        while not await asyncio.to_thread(is_so):
            if self.is_dead:
                assert not alive, "the agent died by itself"
                return False
            await asyncio.sleep(0.05)
        return True

    def connector(self):
        view = status(self.site)
        return view["connectors"][0] if view else {}

    async def charge(self):
        """A charge from plug to plug; ends early with the agent."""
        if not await self.until(lambda: self.connector().get("status") == "Preparing", alive=False):
            return
        self.site.show_token("GOOD")
        begun = self.site.evse(1)["car"]["wattHours"]
        if not await self.until(
                lambda: self.site.evse(1)["car"]["wattHours"] >= begun + 15, alive=False):
            return
        self.site.show_token("GOOD")
        await self.until(lambda: self.connector().get("status") == "Finishing", alive=False)
        await self.until(lambda: (status(self.site) or {}).get("journalDepth") == 0, alive=False)

    def is_settled(self):
        view = status(self.site)
        return bool(view) and view["journalDepth"] == 0 and "charge" not in view["connectors"][0]


def bill(system):
    """Wh of each transaction that the operator knows; every one of them must be closed, once."""
    starts, stops = {}, {}
    for action, fields in system.events:
        if action == "StartTransaction":
            key = (fields["connector_id"], fields["id_tag"], fields["timestamp"])
            assert starts.setdefault(system.transactions[key], fields) == fields
        if action == "StopTransaction":
            assert stops.setdefault(fields["transaction_id"], fields) == fields
    assert set(starts) == set(stops)
    for number, stop in stops.items():
        assert stop["timestamp"] >= starts[number]["timestamp"]
    return {number: stops[number]["meter_stop"] - starts[number]["meter_start"] for number in starts}


@pytest.mark.parametrize("step,time,samples", STEPS)
def test_kill_9_bills_each_charge_once_with_the_cars_own_integral(tmp_path, step, time, samples):
    async def visit():
        system = System()
        async with websockets.serve(
                system.handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
            site = EdgeSite(tmp_path, server.sockets[0].getsockname()[1])
            text = (site.folder / "edge.yaml").read_text()
            (site.folder / "edge.yaml").write_text(text.replace(
                "meterSampleIntervalSeconds: 1", f"meterSampleIntervalSeconds: {int(samples)}"))
            watch = Watch(site)
            try:
                site.start()
                await watch.until(lambda: status(site) is not None, alive=True)
                # One car for all charges, so that its integral is one figure.
                site.plug_in(1)
                for moment in MOMENTS:
                    async with asyncio.timeout(LIMIT):
                        await die_and_come_back(site, watch, f"{step}.{moment}.{time}")
                        car = site.evse(1)
                        energies = bill(system)
                        assert sum(energies.values()) == car["car"]["wattHours"]
                        assert sum(energies.values()) == car["meter"]["registerWattHours"] - START[1]
            except BaseException:
                print(site.logs())
                print(*system.events[-20:], sep="\n")
                raise
            finally:
                with contextlib.suppress(Exception):
                    site.stop()
        assert system.capture.check() > 5
    asyncio.run(visit())


async def die_and_come_back(site, watch, where):
    site.kill_edge()
    site.start_edge(JOURNAL_KILL_AT=where)
    await watch.charge()
    assert await asyncio.to_thread(site.processes["kerb-edge"].wait, 20) == -signal.SIGKILL
    # Without an agent nothing holds the contactor.
    async with asyncio.timeout(5):
        while site.evse(1)["contactor"]["isClosed"]:
            await asyncio.sleep(0.05)
    site.start_edge()
    await watch.until(watch.is_settled, alive=True)
