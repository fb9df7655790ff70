"""Ten minutes of everything at once: charges at two outlets, a link that is cut, meters that fall silent.

What must not happen slowly: memory, descriptors and threads that grow, a start without its stop, a watt-hour that
is not billed. KERB_SOAK_SECONDS makes it longer.
"""
import asyncio
import datetime
import json
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.request

import board_figures
import edge_site
import figures
import pytest
from websockets.asyncio.server import serve

SECONDS = int(os.environ.get("KERB_SOAK_SECONDS", "600"))
TITLE = f"soak of {SECONDS} s"
# Of its own memory once all had happened a few times. A leak of one small object a message is above it. Pages of
# the program's file come and go with the machine; the bound on all that is resident is the bench's.
MOST_GROWTH = 1 << 20
FAULTS = [{"kind": "silence", "requests": 3}, {"kind": "exception", "requests": 2}, {"kind": "checkSum", "requests": 3}]


class Operator:
    """A central system that says yes, keeps starts and stops, and hangs up when told to."""

    def __init__(self):
        self.port = edge_site.free_port()
        self.starts, self.stops, self.links, self.boots = {}, {}, set(), 0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        asyncio.set_event_loop(self.loop)

        async def forever():
            async with serve(self.answer, "127.0.0.1", self.port, subprotocols=["ocpp1.6"]):
                await asyncio.Future()

        self.loop.run_until_complete(forever())

    async def answer(self, link):
        self.links.add(link)
        try:
            async for message in link:
                frame = json.loads(message)
                if frame[0] == 2:
                    await link.send(json.dumps([3, frame[1], self.payload(frame[2], frame[3])]))
        finally:
            self.links.discard(link)

    def payload(self, action, sent):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
        accepted = {"idTagInfo": {"status": "Accepted"}}
        if action == "BootNotification":
            self.boots += 1
            return {"status": "Accepted", "interval": 60, "currentTime": now}
        if action == "StartTransaction":
            # A start that is sent again, because the link went before our answer, is the same charge.
            key = (sent["connectorId"], sent["timestamp"])
            number = self.starts.setdefault(key, (len(self.starts) + 1, sent["meterStart"]))[0]
            return {**accepted, "transactionId": number}
        if action == "StopTransaction":
            self.stops[sent["transactionId"]] = sent["meterStop"]
            return accepted
        return {"Heartbeat": {"currentTime": now}, "Authorize": accepted}.get(action, {})

    def hang_up(self):
        for link in list(self.links):
            asyncio.run_coroutine_threadsafe(link.close(), self.loop)


class Site(edge_site.EdgeSite):
    """The release build, as a board gets it, on the simulated hardware."""

    def run(self, program, *arguments, **environment):
        if program != "kerb-edge":
            return super().run(program, *arguments, **environment)
        with open(self.folder / "kerb-edge.log", "ab") as log:
            self.processes[program] = subprocess.Popen(
                [str(board_figures.edge_program()), *arguments], cwd=self.folder, stdout=log, stderr=log,
                env=edge_site.ENVIRONMENT)

    def edge(self, *words):
        return subprocess.run(
            [str(board_figures.edge_program()), *words, "--config", str(self.folder / "edge.yaml")],
            capture_output=True, text=True, env=edge_site.ENVIRONMENT)

    def status(self):
        done = self.edge("status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else {"connectors": []}

    def until(self, is_so, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, f"{what} did not come\n{self.status()}\n{self.logs()}"
            time.sleep(0.2)

    def suffer(self, bus, fault):
        """The slave answers wrongly for a while; the call itself answers with nothing."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.control}/buses/{bus}/units/1/fault", data=json.dumps(fault).encode(),
            headers={"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=5).close()

    def all_are(self, *words):
        found = [one["status"] for one in self.status()["connectors"]]
        return len(found) == 2 and all(word in words for word in found)


def taken(pid):
    """(own memory in bytes, descriptors, threads)"""
    folder = pathlib.Path(f"/proc/{pid}")
    own = re.search(r"^RssAnon:\s+(\d+)", (folder / "status").read_text(), re.M)
    return int(own[1]) * 1024, len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))


def median(values):
    return figures.percentile(values, 50)


@pytest.fixture
def site(tmp_path):
    operator = Operator()
    site = Site(tmp_path, operator.port)
    site.operator = operator
    try:
        site.start()
        site.until(lambda: site.all_are("Available"), "an idle station")
        yield site
    finally:
        site.stop()


def play(site, number):
    """One round: both charge, a meter fails, the link is cut while they do, both leave."""
    for outlet in (1, 2):
        site.plug_in(outlet)
    site.until(lambda: site.all_are("Preparing"), "two plugged cars")
    for outlet in ("1", "2"):
        assert site.edge("token", "04AABBCC", "--connector", outlet).returncode == 0
    site.until(lambda: site.all_are("Charging"), "two charges")
    bus = ["meter-line", "meter-lan"][number % 2]
    site.suffer(bus, FAULTS[number % len(FAULTS)])
    boots = site.operator.boots
    site.operator.hang_up()
    site.until(lambda: site.operator.boots > boots or site.operator.links, "the link again", 90)
    site.until(lambda: site.all_are("Charging", "SuspendedEVSE", "SuspendedEV"), "charges that go on")
    for outlet in (1, 2):
        site.unplug(outlet)
    site.until(lambda: site.all_are("Available"), "two free outlets")


def test_nothing_grows_and_nothing_is_lost_in_ten_minutes_of_everything(site):
    pid, began, seen, rounds = site.processes["kerb-edge"].pid, time.monotonic(), [], 0
    while time.monotonic() - began < SECONDS:
        play(site, rounds)
        rounds += 1
        seen.append((time.monotonic() - began, *taken(pid)))
    site.until(lambda: len(site.operator.stops) == len(site.operator.starts), "every stop", 90)
    quarter = len(seen) // 4
    early, late = seen[quarter:2 * quarter], seen[-quarter:]
    growth = median([one[1] for one in late]) - median([one[1] for one in early])
    minutes = (median([one[0] for one in late]) - median([one[0] for one in early])) / 60
    figures.note(TITLE, "rounds, charges", f"{rounds}, {len(site.operator.starts)}")
    resident = re.search(r"^VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    figures.note(TITLE, "own memory, MiB", f"{median([one[1] for one in late]) / 1048576:.1f}")
    figures.note(TITLE, "resident with the program's file, MiB", f"{int(resident[1]) / 1024:.1f}")
    figures.note(TITLE, "its slope, KiB a minute", f"{growth / 1024 / max(minutes, 0.1):.1f}")
    assert rounds >= 8 * SECONDS // 600, "too few rounds to tell"
    assert growth <= MOST_GROWTH, [one[1] for one in seen]
    for index, what in ((2, "descriptors"), (3, "threads")):
        assert max(one[index] for one in late) <= max(one[index] for one in early) + 2, (what, seen)
    assert len(site.operator.starts) == 2 * rounds
    # What the operator was told is what the meters hold: every watt-hour is in one charge.
    for outlet in (1, 2):
        own = [start for (connector, _), start in site.operator.starts.items() if connector == outlet]
        billed = sum(site.operator.stops[number] - start for number, start in own)
        register = site.evse(outlet)["meter"]["registerWattHours"]
        assert billed == register - edge_site.START[outlet], (outlet, billed, register)
