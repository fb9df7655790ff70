"""A station of the OCA's test cases in our hands; every frame is checked against the official schemas that
PyPI `ocpp` ships."""
import asyncio
import contextlib
import datetime
import itertools
import json
import time
import urllib.request
from decimal import Decimal

import pytest
import websockets

from cpo_server import Server
from ocpp_schemas import Capture, faults
from test_ocpp16_station import api, run

CARD, BLOCKED, STRANGER = "DEMO-CARD-1", "DEMO-BLOCKED", "NOBODY"
OK = {"status": "Accepted"}
NUMBERS = itertools.count(1)


def stamp(seconds=0):
    """A moment from now; one that was kept stays as it is."""
    if isinstance(seconds, str):
        return seconds
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def journal_line(server, kind, fits):
    """The first line of the journal of this kind that fits; what is not there is waited for in vain."""
    key = (server.folder / "demo-api-key").read_text().strip()
    request = urllib.request.Request(
        f"{server.http}/api/v1/events?after=0&kinds={kind}", headers={"Authorization": f"Bearer {key}"})
    deadline = time.monotonic() + 10
    with urllib.request.urlopen(request, timeout=10) as stream:
        for text in stream:
            assert time.monotonic() < deadline, f"no such line of {kind}"
            line = json.loads(text[5:]) if text.startswith(b"data:") else {}
            if line.get("kind") == kind and fits(line):
                return line
    raise AssertionError(f"the journal ended without such a line of {kind}")


class Station:
    """Answers as it was told to, Accepted otherwise, and remembers what it heard."""

    def __init__(self, server, name, socket):
        self.server, self.name, self.socket = server, name, socket
        self.capture = Capture()
        self.script = {}
        self.heard = asyncio.Queue()
        self.waiting = {}

    async def serve(self):
        async for text in self.socket:
            self.capture.kerb_sent(text)
            frame = json.loads(text)
            if frame[0] == 2:
                answer = self.script.get(frame[2], OK)
                if isinstance(answer, str):
                    await self.socket.send(json.dumps([4, frame[1], answer, "", {}]))
                else:
                    exact = json.loads(json.dumps(answer), parse_float=Decimal)
                    assert faults(frame[2] + "Response", exact) == [], frame
                    await self.socket.send(json.dumps([3, frame[1], answer]))
                self.heard.put_nowait((frame[2], frame[3]))
            else:
                self.waiting.pop(frame[1]).set_result(frame[2])

    async def tell(self, action, **payload):
        assert faults(action, payload) == [], faults(action, payload)
        name = f"{action[:20]}-{id(payload)}"
        self.waiting[name] = asyncio.get_running_loop().create_future()
        answer = self.waiting[name]
        text = json.dumps([2, name, action, payload])
        self.capture.peer_sent(text)
        await self.socket.send(text)
        return await asyncio.wait_for(answer, 10)

    async def boot(self):
        answer = await self.tell("BootNotification", chargePointModel="M", chargePointVendor="V")
        for connector in (0, 1, 2):
            await self.status("Available", connector)
        return answer

    async def status(self, status, connector=1, error="NoError", **more):
        assert await self.tell("StatusNotification", connectorId=connector, errorCode=error, status=status,
                               timestamp=stamp(), **more) == {}

    async def start(self, tag=CARD, register=1000, at=0, connector=1, **more):
        answer = await self.tell("StartTransaction", connectorId=connector, idTag=tag, meterStart=register,
                                 timestamp=stamp(at), **more)
        return answer["transactionId"], answer["idTagInfo"]["status"]

    async def stop(self, transaction, register=1500, at=0, reason="Local", tag=None, **more):
        if tag:
            more["idTag"] = tag
        return await self.tell("StopTransaction", transactionId=transaction, meterStop=register,
                               timestamp=stamp(at), reason=reason, **more)

    async def authorize(self, tag):
        return (await self.tell("Authorize", idTag=tag))["idTagInfo"]["status"]

    async def api(self, method, path, body=None):
        return await asyncio.to_thread(api, self.server, method, path, body)

    async def order(self, heard=None, **body):
        """A command of ours, its row once answered; `heard` is the action it must be."""
        made = await self.api("POST", f"/stations/{self.name}/commands?wait=10", body)
        if heard:
            assert (await self.heard.get())[0] == heard
        return made

    async def command(self, made):
        return await self.api("GET", f"/commands/{made['id']}")

    async def sessions(self):
        return (await self.api("GET", f"/sessions?station={self.name}"))["items"]

    async def reservation(self, made):
        """The row of what a command reserved."""
        rows = (await self.api("GET", f"/reservations?station={self.name}"))["items"]
        return next(row for row in rows if row["reservation"] == made["reservation"])

    async def security_event(self, kind):
        """What the journal keeps of an event that the station told."""
        line = await asyncio.to_thread(
            journal_line, self.server, "station.security",
            lambda line: line["subject"] == self.name and line["body"]["type"] == kind)
        return line["body"]

    async def connector(self, number=1):
        station = await self.api("GET", f"/stations/{self.name}")
        return next(one for one in station["connectors"] if one["number"] == number)


@contextlib.asynccontextmanager
async def connected(server, name, reboots=True):
    async with websockets.connect(server.ws + name, subprotocols=["ocpp1.6"]) as socket:
        station = Station(server, name, socket)
        serving = asyncio.create_task(station.serve())
        try:
            if reboots:
                assert (await station.boot())["status"] == "Accepted"
            yield station
        finally:
            if serving.done():
                serving.result()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            station.capture.check()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("oca") / "data") as server:
        yield server


@pytest.fixture
def at_station(server):
    """Runs a scenario with a station of its own, booted and free."""
    name = f"OCA-{next(NUMBERS)}"

    def play(scenario):
        async def whole():
            async with connected(server, name) as station:
                await scenario(station)
        run(whole())
    play.station = name
    return play
