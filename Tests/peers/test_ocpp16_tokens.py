"""PyPI `ocpp` as a station whose local list and cache `kerb-cpo` keeps in step with its tokens.

Every frame Kerb sends is checked against the official schemas.
"""
import asyncio
import datetime
import json
import time
import urllib.error
import urllib.request

import pytest
from ocpp.routing import on
from ocpp.v16 import call, call_result

import test_ocpp16_station
from cpo_server import Server
from test_ocpp16_station import connected, run, stamp


class Lister(test_ocpp16_station.Station):
    """Holds a list of at most four tokens, two in a message."""

    def __init__(self, name, wire):
        super().__init__(name, wire)
        self.version, self.list, self.sent, self.caches = 0, {}, [], 0
        self.changed = asyncio.Condition()

    @on("GetConfiguration")
    def on_get(self, key=None):
        values = {"LocalAuthListEnabled": "true", "LocalAuthListMaxLength": "4",
                  "SendLocalListMaxLength": "2", "LocalPreAuthorize": "false"}
        return call_result.GetConfiguration(
            configuration_key=[{"key": name, "readonly": True, "value": value}
                               for name, value in values.items() if name in key],
            unknown_key=[name for name in key if name not in values])

    @on("GetLocalListVersion")
    def on_version(self):
        return call_result.GetLocalListVersion(self.version)

    @on("SendLocalList")
    async def on_list(self, list_version, update_type, local_authorization_list=()):
        self.sent.append((update_type, list_version))
        if update_type == "Full":
            self.list = {}
        elif list_version <= self.version:
            return call_result.SendLocalList("VersionMismatch")
        for entry in local_authorization_list:
            if "id_tag_info" in entry:
                self.list[entry["id_tag"]] = entry["id_tag_info"]
            else:
                del self.list[entry["id_tag"]]
        assert len(self.list) <= 4 and len(local_authorization_list) <= 2
        self.version = list_version
        await self.tell()
        return call_result.SendLocalList("Accepted")

    @on("ClearCache")
    async def on_clear(self):
        self.caches += 1
        await self.tell()
        return call_result.ClearCache("Accepted")

    async def tell(self):
        async with self.changed:
            self.changed.notify_all()

    async def until(self, fits):
        async with asyncio.timeout(15), self.changed:
            await self.changed.wait_for(fits)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("tokens") / "data") as server:
        yield server


def ask(server, method, path, body=None):
    key = (server.folder / "demo-api-key").read_text().strip()
    request = urllib.request.Request(
        f"{server.http}/api/v1{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def put(server, uid, **more):
    body = {"type": "RFID", "contract_id": uid, "issuer": "Kerb Demo", "valid": True,
            "whitelist": "ALLOWED", **more}
    status, token = ask(server, "PUT", f"/tokens/{uid}", body)
    assert status == 200, token
    return token


def in_step(server, name, version):
    """Waits until the console says so."""
    deadline = time.monotonic() + 15
    while True:
        known = ask(server, "GET", f"/stations/{name}")[1]["localList"]
        if known["state"] == "inStep" and known["version"] == version:
            return known
        assert time.monotonic() < deadline, known
        time.sleep(0.05)


def test_a_list_and_a_cache_are_kept_in_step(server, monkeypatch):
    monkeypatch.setattr(test_ocpp16_station, "Station", Lister)

    async def visit():
        async with connected(server, "LIST-1") as station:
            assert (await station.boot()).status == "Accepted"
            assert ask(server, "GET", "/stations/LIST-1")[1]["localList"]["state"] == "off"
            await asyncio.to_thread(put, server, "LIST-A", group_id="FAMILY")
            status, problem = await asyncio.to_thread(
                ask, server, "PUT", "/stations/LIST-1/local-list", {"kept": "yes"})
            assert (status, problem["field"]) == (422, "kept")
            status, _ = await asyncio.to_thread(
                ask, server, "PUT", "/stations/LIST-1/local-list", {"kept": True})
            assert status == 200
            await station.until(lambda: "LIST-A" in station.list)
            assert station.list["LIST-A"] == {"parent_id_tag": "FAMILY", "status": "Accepted"}
            assert "DEMO-BLOCKED" not in station.list
            assert station.sent[0] == ("Full", 1)
            version = station.version
            known = await asyncio.to_thread(in_step, server, "LIST-1", version)
            assert known["entries"] == len(station.list)

            # Shown, then blocked: off the list, and the cache is cleared.
            answer = await station.call(call.Authorize(id_tag="list-a"))
            assert answer.id_tag_info["status"] == "Accepted"
            await asyncio.to_thread(put, server, "LIST-A", valid=False)
            await station.until(lambda: station.caches == 1 and "LIST-A" not in station.list)
            assert station.sent[-1] == ("Differential", station.version)
            await asyncio.to_thread(in_step, server, "LIST-1", station.version)
            assert not ask(server, "GET", "/stations/LIST-1")[1]["localList"]["awaitsClearCache"]
            answer = await station.call(call.Authorize(id_tag="LIST-A"))
            assert answer.id_tag_info["status"] == "Blocked"
    run(visit())


def test_a_token_has_an_end_and_a_bound(server):
    """023_2; and ConcurrentTx, which only a start may answer."""
    def late(seconds):
        moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    for field, value in (("expires", "tomorrow"), ("max_charges", -1)):
        status, problem = ask(server, "PUT", "/tokens/ENDS-1", {
            "type": "RFID", "contract_id": "E", "issuer": "E", "valid": True,
            "whitelist": "ALLOWED", field: value})
        assert (status, problem["field"]) == (422, field)
    put(server, "ENDS-1", expires=late(-60))
    put(server, "ENDS-2", expires=late(3600), max_charges=1)

    async def visit():
        async with connected(server, "ENDS") as station:
            await station.boot()

            async def shown(tag):
                return (await station.call(call.Authorize(id_tag=tag))).id_tag_info

            async def start(connector, register=1000):
                return await station.call(call.StartTransaction(
                    connector_id=connector, id_tag="ENDS-2", meter_start=register,
                    timestamp=stamp()))

            assert (await shown("ENDS-1"))["status"] == "Expired"
            info = await shown("ENDS-2")
            assert info["status"] == "Accepted" and info["expiry_date"] > late(3000)
            first = await start(1)
            assert first.id_tag_info["status"] == "Accepted"
            second = await start(2)
            assert second.id_tag_info["status"] == "ConcurrentTx"
            assert second.transaction_id > 0
            assert (await shown("ENDS-2"))["status"] == "Accepted"
            for transaction in (first, second):
                await station.call(call.StopTransaction(
                    transaction_id=transaction.transaction_id, meter_stop=1000, timestamp=stamp()))
            assert (await start(2, 1001)).id_tag_info["status"] == "Accepted"
    run(visit())
