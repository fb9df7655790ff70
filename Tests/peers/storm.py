"""A storm: thousands of stations that all connect, boot and tell two statuses, lose the server and come back.

A station is a few lines on an asyncio transport, so that a core holds thousands. A run needs a descriptor a station in
this process and one in the server: `ensure_descriptors` raises the soft limit, and says which hard limit is missing.
"""
import asyncio
import contextlib
import json
import pathlib
import random
import resource
import threading
import time
import urllib.request

from cpo_server import ConfiguredServer

SPARE_DESCRIPTORS = 500
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x12\x34\x56\x78"
# A station that was refused, or lost its socket, tries again after so long, spread.
RETRY_SECONDS = (0.5, 2.0)
PROBE_SECONDS = 0.25
# Nothing may fail; how long a probe may take is a bound against standing still, not a measurement.
PROBE_LIMIT_SECONDS = 20
SETTLE_SECONDS = 30
FILES = resource.RLIMIT_NOFILE


def ensure_descriptors(stations):
    """The server inherits the limit."""
    need = stations + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(FILES)
    assert hard == resource.RLIM_INFINITY or hard >= need, \
        f"{stations} stations need `ulimit -n {need}`, here it can be {hard} at most: raise the hard limit"
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(FILES, (need, hard))


def most_stations():
    """What the hard limit of open files allows."""
    _, hard = resource.getrlimit(FILES)
    return 10**9 if hard == resource.RLIM_INFINITY else hard - SPARE_DESCRIPTORS


def greeting(name):
    """The request that opens a station's socket."""
    return (f"GET /ocpp/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n").encode()


def client_frame(kind, payload):
    """A whole frame, masked."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big") if size < 65_536 \
        else b"\xff" + size.to_bytes(8, "big")
    body = int.from_bytes(payload, "big") ^ int.from_bytes((MASK * (size // 4 + 1))[:size], "big")
    return bytes([0x80 | kind]) + length + MASK + body.to_bytes(size, "big")


class Station(asyncio.Protocol):
    """One socket's life: upgrade, boot, statuses; then it only listens."""

    def __init__(self, storm, number):
        self.storm, self.number = storm, number
        self.buffer, self.step, self.is_up = b"", 0, False
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(greeting(f"S{self.number}"))

    def connection_lost(self, _):
        if self.step == len(SCRIPT):
            self.storm.ready -= 1
        if not self.over.done():
            self.over.set_result(None)

    def data_received(self, data):
        self.buffer += data
        if not self.is_up:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.storm.refusals.append(head.split(b"\r\n")[0].decode())
                self.transport.abort()
                return
            self.buffer, self.is_up = rest, True
            self.say()
        while (frame := self.frame()) is not None:
            self.take(*frame)

    def frame(self):
        """Kind and payload of the next whole frame; a server's are not masked."""
        length, head = (self.buffer[1] & 0x7F, 2) if len(self.buffer) > 1 else (0, 3)
        if length == 126:
            length, head = int.from_bytes(self.buffer[2:4], "big"), 4
        if len(self.buffer) < head + length:
            return None
        kind, payload = self.buffer[0] & 15, self.buffer[head:head + length]
        self.buffer = self.buffer[head + length:]
        return kind, payload

    def take(self, kind, payload):
        if kind == 8:
            self.storm.closings.append(int.from_bytes(payload[:2], "big"))
            self.transport.close()
        elif kind == 9:
            self.send(10, payload)
        elif kind == 1:
            frame = json.loads(payload)
            if frame[0] == 2:
                self.send(1, json.dumps([4, frame[1], "NotSupported", "", {}]).encode())
            elif frame[0] == 3 and (self.step > 0 or frame[2]["status"] == "Accepted"):
                self.step += 1
                self.say()
            else:
                self.storm.errors.append(payload.decode())

    def say(self):
        if self.step == len(SCRIPT):
            self.storm.ready += 1
            return
        action, payload = SCRIPT[self.step]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.send(1, f'[2,"{self.number}-{self.step}","{action}",{payload}]'.replace("NOW", at).encode())

    def send(self, kind, payload):
        self.transport.write(client_frame(kind, payload))


STATUS = '{"connectorId":%d,"errorCode":"NoError","status":"Available","timestamp":"NOW"}'
SCRIPT = [("BootNotification", '{"chargePointVendor":"Storm","chargePointModel":"One"}'),
          ("StatusNotification", STATUS % 0), ("StatusNotification", STATUS % 1)]


class Storm:
    """`ready` stations have been answered everything; each comes back until `end`."""

    def __init__(self, server, count, seed):
        self.server, self.count, self.chance = server, count, random.Random(seed)
        self.ready, self.refusals, self.errors, self.closings = 0, [], [], []
        self.tasks = []

    async def live(self, number, jitter):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.chance.random() * jitter)
        while True:
            with contextlib.suppress(OSError):
                _, station = await loop.create_connection(lambda: Station(self, number), "127.0.0.1", self.server.port)
                try:
                    await station.over
                finally:
                    station.transport.abort()
            await asyncio.sleep(self.chance.uniform(*RETRY_SECONDS))

    def begin(self, jitter):
        self.tasks = [asyncio.create_task(self.live(number, jitter)) for number in range(self.count)]

    async def all_ready(self, limit):
        """How long it took."""
        began = time.monotonic()
        while self.ready < self.count:
            assert time.monotonic() - began < limit, \
                f"{self.ready} of {self.count} stations after {limit} s; refused: {self.refusals[:3]}"
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def end(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class Probes:
    """Somebody who looks all the time: the health URL, and an operator's call."""

    def __init__(self, server):
        self.server, self.took, self.problems = server, [], []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        request = urllib.request.Request(
            f"{self.server.http}/api/v1/stations?limit=1", headers={"Authorization": f"Bearer {self.server.key}"})
        while not self.over.wait(PROBE_SECONDS):
            for target in (f"{self.server.http}/healthz", request):
                began = time.monotonic()
                try:
                    with urllib.request.urlopen(target, timeout=PROBE_LIMIT_SECONDS) as answer:
                        answer.read()
                    self.took.append(time.monotonic() - began)
                except OSError as problem:
                    self.problems.append(str(problem))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def resident_megabytes(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) // 1024


def registry(server):
    """All stations as the operator sees them."""
    found, cursor = [], ""
    while cursor is not None:
        status, page = server.api("GET", f"/stations?limit=500&cursor={cursor}")
        assert status == 200, page
        found += page["items"]
        cursor = page["next"]
    return found


async def all_online(storm):
    """The registry is written a moment after the sockets are up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        found = await asyncio.to_thread(registry, storm.server)
        missing = [one["id"] for one in found if not (one["online"] and one["registration"] == "Accepted")]
        if len(found) == storm.count and not missing:
            return found
        assert time.monotonic() < deadline, (len(found), missing[:5])
        await asyncio.sleep(0.2)


async def blow(folder, count, jitter, limit, ends=("stop", "kill"), database=None):
    """A storm at first, and one after each end of the server, orderly or not. What was seen, for people."""
    ensure_descriptors(count)
    server = await asyncio.to_thread(ConfiguredServer(folder / "data", database=database).start)
    storm = Storm(server, count, seed=1)
    figures = {"resident before, MiB": resident_megabytes(server.process)}
    try:
        with Probes(server) as probes:
            storm.begin(jitter)
            figures["first, s"] = await storm.all_ready(limit)
        await all_online(storm)
        seen = list(probes.took)
        assert probes.problems == [], probes.problems[:3]
        for end in ends:
            figures["resident, MiB"] = max(figures.get("resident, MiB", 0), resident_megabytes(server.process))
            await asyncio.to_thread(getattr(server, end))
            await asyncio.to_thread(server.start)
            with Probes(server) as probes:
                figures[f"after a {end}, s"] = await storm.all_ready(limit)
            found = await all_online(storm)
            seen += probes.took
            assert probes.problems == [], probes.problems[:3]
        figures["resident, MiB"] = max(figures["resident, MiB"], resident_megabytes(server.process))
        assert all([(one["number"], one["status"]) for one in station["connectors"]]
                   == [(0, "Available"), (1, "Available")] for station in found), found[0]
        figures["slowest probe, s"] = max(seen)
        figures["probes"] = len(seen)
    finally:
        await storm.end()
        await asyncio.to_thread(server.stop)
    # Not one message was answered with an error, not one handshake with anything but 101.
    assert storm.errors == [] and storm.refusals == [], (storm.errors[:3], storm.refusals[:3])
    assert set(storm.closings) <= {1012}, set(storm.closings)
    return {name: round(value, 2) for name, value in figures.items()}
