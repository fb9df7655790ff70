"""PyPI `ocpp` stations are sent firmware by `kerb-cpo` and send logs to it, over its one-time addresses."""
import asyncio
import datetime
import hashlib
import http.client
import json
import os
import urllib.parse

import pytest
import websockets
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result

from cpo_server import Server

LIMIT = 60
OLD = b"old firmware" * 1000
# More than sockets hold, so that it comes in pieces.
NEW = os.urandom(3_000_000)
EVENTS = b"2026-01-01T00:00:00Z StartupOfTheDevice\n"


class Station(ChargePoint):
    """Fetches what it is told to, breaking off once in the middle, and runs it from then on."""

    def __init__(self, name, socket):
        super().__init__(name, socket)
        self.settings = {"HeartbeatInterval": "60", "SecretThing": None}
        self.firmware, self.taken, self.breaks = "1.0", [], True
        self.locations = []

    async def boot(self):
        answer = await self.call(call.BootNotification(
            charge_point_model="M1", charge_point_vendor="Peer", firmware_version=self.firmware))
        assert answer.status == "Accepted"

    @on("UpdateFirmware")
    def on_update(self, location, retrieve_date, **_):
        self.locations.append(location)
        return call_result.UpdateFirmware()

    @after("UpdateFirmware")
    async def update(self, location, retrieve_date, **_):
        async def told(status):
            await self.call(call.FirmwareStatusNotification(status=status))
        await told("Downloading")
        image = await asyncio.to_thread(self.fetch, location)
        self.taken.append(image)
        await told("Downloaded")
        await told("Installing")
        await told("Installed")
        self.firmware = {OLD: "1.0", NEW: "2.0"}[image]
        await self.boot()

    def fetch(self, location):
        image, tag = b"", None
        while True:
            place = urllib.parse.urlsplit(location)
            connection = http.client.HTTPConnection(place.netloc, timeout=20)
            connection.request("GET", place.path, headers={"Range": f"bytes={len(image)}-", "If-Range": tag} if image else {})
            answer = connection.getresponse()
            assert answer.status == (206 if image else 200)
            tag = answer.headers["ETag"]
            if self.breaks and not image:
                self.breaks = False
                image += answer.read(2000)
                connection.close()
                continue
            return image + answer.read()

    @on("GetLog")
    def on_log(self, log, log_type, request_id, **_):
        return call_result.GetLog(status="Accepted", filename="security.txt")

    @after("GetLog")
    async def send_log(self, log, log_type, request_id, **_):
        await self.call(call.LogStatusNotification(status="Uploading", request_id=request_id))
        assert await asyncio.to_thread(send, "PUT", log["remote_location"] + "/security.txt", EVENTS) == 201
        await self.call(call.LogStatusNotification(status="Uploaded", request_id=request_id))

    @on("GetDiagnostics")
    def on_diagnostics(self, location, **_):
        return call_result.GetDiagnostics(file_name="all.tar")

    @after("GetDiagnostics")
    async def send_diagnostics(self, location, **_):
        # As curl's --form does it would be another file: this one posts the bytes.
        assert await asyncio.to_thread(send, "POST", location, EVENTS * 40_000) == 201
        await self.call(call.DiagnosticsStatusNotification(status="Uploaded"))

    @on("GetConfiguration")
    def on_settings(self, key=None, **_):
        known = [name for name in key or self.settings if name in self.settings]
        return call_result.GetConfiguration(
            configuration_key=[{"key": name, "readonly": False, "value": self.settings[name] or ""} for name in known],
            unknown_key=[name for name in key or [] if name not in self.settings])

    @on("ChangeConfiguration")
    def on_change(self, key, value):
        self.settings[key] = value
        return call_result.ChangeConfiguration(status="Accepted")


def send(method, location, body):
    place = urllib.parse.urlsplit(location)
    connection = http.client.HTTPConnection(place.netloc, timeout=20)
    connection.request(method, place.path, body)
    return connection.getresponse().status


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("files") / "data") as server:
        yield server


class Desk:
    def __init__(self, server):
        self.server = server
        self.key = (server.folder / "demo-api-key").read_text().strip()

    def raw(self, method, path, body=None, key=True):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        connection.request(method, path, body, {"Authorization": f"Bearer {self.key}"} if key else {})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def call(self, method, path, body=None):
        status, answer = self.raw(method, "/api/v1" + path, None if body is None else json.dumps(body))
        assert status < 300, answer
        return json.loads(answer) if answer else None

    def image(self, name, version, content):
        made = self.call("POST", "/firmware", {
            "name": name, "vendor": "Peer", "model": "M1", "version": version,
            "sha256": hashlib.sha256(content).hexdigest()})
        status, answer = self.raw("PUT", made["upload"]["path"], content, key=False)
        assert status == 201, answer
        return made["id"]

    async def until(self, is_so):
        async with asyncio.timeout(30):
            while not (found := await asyncio.to_thread(is_so)):
                await asyncio.sleep(0.1)
            return found


@pytest.fixture
def desk(server):
    return Desk(server)


def with_stations(server, names, visit):
    async def run():
        async with asyncio.timeout(LIMIT):
            stations, tasks, sockets = [], [], []
            for name in names:
                socket = await websockets.connect(server.ws + name, subprotocols=["ocpp1.6"])
                station = Station(name, socket)
                sockets.append(socket)
                stations.append(station)
                tasks.append(asyncio.create_task(station.start()))
                await station.boot()
            try:
                await visit(*stations)
            finally:
                for task in tasks:
                    task.cancel()
                for socket in sockets:
                    await socket.close()
    asyncio.run(run())


def test_a_campaign_goes_through_the_fleet_and_back(server, desk):
    async def visit(one, two):
        old = await asyncio.to_thread(desk.image, "one.bin", "1.0", OLD)
        new = await asyncio.to_thread(desk.image, "two.bin", "2.0", NEW)
        made = await asyncio.to_thread(desk.call, "POST", "/campaigns", {"name": "two", "image": new, "vendor": "peer", "waves": [1]})
        assert [s["station"] for s in made["stations"]] == ["PEER-1", "PEER-2"]
        path = f"/campaigns/{made['id']}"

        def ended():
            found = desk.call("GET", path)
            return found if found["state"] == "done" else None
        found = await desk.until(ended)
        assert [s["state"] for s in found["stations"]] == ["done", "done"]
        assert one.taken == [NEW] and two.taken == [NEW]
        # Each has an address of its own, and none is left where others read.
        assert one.locations[0].split("/")[4] != two.locations[0].split("/")[4]
        token = one.locations[0].split("/")[4]
        for place in ("/commands", "/messages?station=PEER-1&limit=500"):
            assert token not in json.dumps(await asyncio.to_thread(desk.call, "GET", place))
        assert (await asyncio.to_thread(desk.raw, "DELETE", f"/api/v1/files/{new}"))[0] == 204
        assert await asyncio.to_thread(desk.raw, "GET", urllib.parse.urlsplit(one.locations[0]).path, None, False) == (
            404, b'{"status":404,"title":"not found"}')
        back = await asyncio.to_thread(desk.call, "POST", path + "/rollback")
        assert back["image"] == old
        path = f"/campaigns/{back['id']}"
        await desk.until(ended)
        assert one.taken == [NEW, OLD] and two.firmware == "1.0"
    with_stations(server, ["PEER-1", "PEER-2"], visit)


def test_a_campaign_goes_on_without_a_station_that_is_away(server, desk):
    async def visit(_):
        image = await asyncio.to_thread(desk.image, "two.bin", "2.0", NEW)
        made = await asyncio.to_thread(desk.call, "POST", "/campaigns", {
            "name": "away", "image": image, "stations": ["PEER-6", "PEER-5"], "waves": [1], "waitHours": 24})
        path = f"/campaigns/{made['id']}"
        first = (await asyncio.to_thread(desk.call, "GET", path))["stations"][0]
        assert made["waitHours"] == 24 and (first["state"], first["waitsFor"]) == ("waiting", "away")
        refused = await asyncio.to_thread(desk.raw, "POST", f"/api/v1{path}/skip", "{}")
        assert refused[0] == 422 and json.loads(refused[1])["field"] == "station"
        await asyncio.to_thread(desk.call, "POST", path + "/skip", {"station": "PEER-6"})
        found = await desk.until(lambda: (one := desk.call("GET", path))["state"] == "done" and one)
        assert [one["state"] for one in found["stations"]] == ["cancelled", "done"]
        refused = await asyncio.to_thread(desk.raw, "POST", f"/api/v1{path}/skip", '{"station": "PEER-5"}')
        assert refused[0] == 409

    async def nothing(_):
        pass
    with_stations(server, ["PEER-6"], nothing)
    with_stations(server, ["PEER-5"], visit)


def test_logs_come_and_can_be_had(server, desk):
    async def visit(station):
        for body, wanted in (({"kind": "SecurityLog"}, EVENTS), ({}, EVENTS * 40_000)):
            order = await asyncio.to_thread(desk.call, "POST", "/stations/PEER-3/logs", body)
            await desk.until(lambda: desk.call("GET", f"/commands/{order['id']}")["state"] == "seen")
            files = await asyncio.to_thread(desk.call, "GET", "/stations/PEER-3/files")
            found = next(file for file in files["items"] if file["command"] == order["id"])
            assert found["size"] == len(wanted) and found["sha256"] == hashlib.sha256(wanted).hexdigest()
            assert await asyncio.to_thread(desk.raw, "GET", f"/api/v1/files/{found['id']}/content") == (200, wanted)
            assert (await asyncio.to_thread(desk.raw, "GET", f"/api/v1/files/{found['id']}/content", None, False))[0] == 401
    with_stations(server, ["PEER-3"], visit)


def test_settings_drift_and_are_put_right(server, desk):
    async def visit(station):
        await asyncio.to_thread(desk.call, "PUT", "/templates/peer", {"vendor": "Peer", "model": "M1", "settings": [
            {"key": "HeartbeatInterval", "value": "300"}, {"key": "Unknown", "value": "1"}]})
        await asyncio.to_thread(desk.call, "POST", "/stations/PEER-4/settings/read")

        def states():
            found = desk.call("GET", "/stations/PEER-4/settings")
            return {one["key"]: one["state"] for one in found["settings"]}
        await desk.until(lambda: states() == {"HeartbeatInterval": "differs", "Unknown": "notSupported"})
        sent = await asyncio.to_thread(desk.call, "POST", "/stations/PEER-4/settings/apply")
        assert len(sent["commands"]) == 1
        await desk.until(lambda: states()["HeartbeatInterval"] == "same")
        assert station.settings["HeartbeatInterval"] == "300"
    with_stations(server, ["PEER-4"], visit)


def test_memory_stays_flat_over_large_files(server, desk):
    def resident():
        status = open(f"/proc/{server.process.pid}/status").read()
        return int(status.split("VmRSS:")[1].split()[0])
    desk.image("warm.bin", "w", os.urandom(1 << 20))
    before = resident()
    content = os.urandom(50 << 20)
    made = desk.image("large.bin", "l", content)
    status, body = desk.raw("GET", f"/api/v1/files/{made}/content")
    assert status == 200 and body == content
    assert resident() - before < 20_000  # KiB, of 100 MiB that went through
