"""Three PyPI `ocpp` stations behind one fuse of `kerb-cpo`: what they hold never exceeds it, whoever refuses."""
import asyncio
import contextlib
import datetime
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
import websockets
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import ChargingProfilePurposeType, ChargingProfileStatus, ClearChargingProfileStatus

from cpo_server import Server
from ocpi_emsp import Books, EMSP

FUSE, FULL = 32, 32


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


class Charger(ChargePoint):
    """Keeps its profiles as OCPP 1.6 §3.13 says, of one connector."""

    def __init__(self, name, socket):
        super().__init__(name, socket, response_timeout=20)
        self.profiles, self.refuses, self.transaction = {}, False, None
        self.changed = asyncio.Condition()

    @on("SetChargingProfile")
    async def set_profile(self, connector_id, cs_charging_profiles):
        if self.refuses:
            return call_result.SetChargingProfile(ChargingProfileStatus.rejected)
        profile = cs_charging_profiles
        key = (profile["charging_profile_purpose"], profile["stack_level"])
        self.profiles = {
            number: held for number, held in self.profiles.items()
            if (held["charging_profile_purpose"], held["stack_level"]) != key}
        self.profiles[profile["charging_profile_id"]] = profile
        async with self.changed:
            self.changed.notify_all()
        return call_result.SetChargingProfile(ChargingProfileStatus.accepted)

    @on("ClearChargingProfile")
    async def clear(self, id=None, connector_id=None, **_):
        before = len(self.profiles)
        self.profiles = {} if id is None else {n: p for n, p in self.profiles.items() if n != id}
        async with self.changed:
            self.changed.notify_all()
        same = len(self.profiles) == before
        return call_result.ClearChargingProfile(
            ClearChargingProfileStatus.unknown if same else ClearChargingProfileStatus.accepted)

    @on("GetCompositeSchedule")
    async def composite(self, connector_id, duration, charging_rate_unit=None):
        start = now()
        return call_result.GetCompositeSchedule(
            "Accepted", connector_id=connector_id, schedule_start=start, charging_schedule={
                "duration": duration, "startSchedule": start, "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": self.limit()}]})

    @on("RemoteStartTransaction")
    async def remote_start(self, id_tag, **_):
        return call_result.RemoteStartTransaction("Accepted")

    @after("RemoteStartTransaction")
    async def begin(self, id_tag="DEMO-CARD-1", **_):
        answer = await self.call(call.StartTransaction(1, id_tag, 1000, now()))
        self.transaction = answer.transaction_id

    def limit(self):
        """What a car may draw now, in amperes per phase."""
        found = [
            profile for profile in self.profiles.values()
            if profile["charging_profile_purpose"] == ChargingProfilePurposeType.tx_default_profile]
        own = [
            profile for profile in self.profiles.values()
            if profile["charging_profile_purpose"] == ChargingProfilePurposeType.tx_profile]
        best = max(own or found, key=lambda profile: profile["stack_level"], default=None)
        if best is None:
            return FULL
        return best["charging_schedule"]["charging_schedule_period"][0]["limit"]

    async def holds(self, limit, seconds=25):
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: self.limit() == limit)

    async def end(self):
        await self.call(call.StopTransaction(1500, now(), self.transaction, reason="Local"))


def standings(site):
    return {one["station"]: one for one in site["state"]["connectors"]}


async def seen(server, path, fits, seconds=25):
    """What the API shows once it fits: the server may still read a station's answer when the station has sent it."""
    async with asyncio.timeout(seconds):
        while not fits(shown := await asyncio.to_thread(api, server, "GET", path)):
            await asyncio.sleep(0.05)
        return shown


async def serve(charger):
    with contextlib.suppress(websockets.ConnectionClosed):
        await charger.start()


async def connected(server, name, stack):
    socket = await stack.enter_async_context(
        websockets.connect(server.ws + name, subprotocols=["ocpp1.6"]))
    charger = Charger(name, socket)
    charger.serving = asyncio.create_task(serve(charger))
    await charger.call(call.StatusNotification(1, "NoError", "Available", timestamp=now()))
    return charger


def api(server, method, path, body=None):
    key = (server.folder / "demo-api-key").read_text().strip()
    request = urllib.request.Request(
        server.http + "/api/v1" + path, method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("sites") / "data") as server:
        yield server


def test_stations_share_their_fuse(server):
    async def visit():
        async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
            first = await connected(server, "SITE-1", stack)
            second = await connected(server, "SITE-2", stack)
            site = {
                "nodes": [{"id": "main", "amperes": FUSE}],
                "connectors": [
                    {"station": name, "connector": 1, "node": "main"} for name in ("SITE-1", "SITE-2")]}
            put = await asyncio.to_thread(api, server, "PUT", "/sites/py", site)
            assert put["id"] == "py", put
            await asyncio.gather(first.holds(0), second.holds(0))
            await first.begin()
            await first.holds(FUSE)

            # Its composite schedule is what is expected; once it is another, that is shown.
            await seen(server, "/stations/SITE-1/schedule?connector=1&seconds=600&wait=10",
                       lambda compared: compared["differs"] is False)
            kept, first.profiles = first.profiles, {}
            first.profiles[1] = {
                "charging_profile_purpose": "TxDefaultProfile", "stack_level": 0,
                "charging_schedule": {"charging_schedule_period": [{"start_period": 0, "limit": 9}]}}
            compared = await asyncio.to_thread(
                api, server, "GET", "/stations/SITE-1/schedule?connector=1&seconds=600&wait=10")
            assert compared["differs"] is True
            assert compared["differences"][0] | {"from": 0, "until": 0} == {
                "from": 0, "until": 0, "expected": 32, "reported": 9}
            first.profiles = kept

            # The one is lowered before the other is raised.
            second.raised = asyncio.create_task(second.holds(FUSE / 2))
            await second.begin("DEMO-CARD-2")
            await first.holds(FUSE / 2)
            assert second.limit() == 0
            await second.raised
            assert first.limit() + second.limit() <= FUSE

            # Nothing from elsewhere takes the limit away.
            refused = await asyncio.to_thread(api, server, "POST", "/stations/SITE-1/commands", {
                "action": "ClearChargingProfile", "payload": {}})
            assert refused["status"] == 409 and "shared" in refused["title"], refused

            # A limit of the grid comes at once and is kept by both; who refuses it counts with all.
            first.refuses = True
            limited = await asyncio.to_thread(api, server, "PUT", "/sites/py/nodes/main/limit", {
                "amperes": 12, "source": "DSO",
                "validTo": (datetime.datetime.now(datetime.timezone.utc)
                            + datetime.timedelta(seconds=600)).isoformat(timespec="seconds")})
            assert limited["source"] == "DSO", limited
            await second.holds(0)
            state = (await seen(
                server, "/sites/py", lambda site: standings(site)["SITE-1"]["standing"] == "refused"))["state"]
            assert state["nodes"][0]["limit"] == {"L1": 12, "L2": 12, "L3": 12}
            assert state["nodes"][0]["over"] is True
            assert standings({"state": state})["SITE-1"]["countedAmperes"] == FULL
            await asyncio.to_thread(api, server, "DELETE", "/sites/py/nodes/main/limit")
            await asyncio.to_thread(api, server, "DELETE", "/sites/py")
            await second.holds(FULL)
            assert second.profiles == {}
            await asyncio.gather(first.end(), second.end())
            for charger in (first, second):
                charger.serving.cancel()
    asyncio.run(visit())


def test_a_partner_limits_its_own_charge(server):
    """An eMSP by PyPI `extrawest-ocpi` puts a profile to its charge, hears what holds, and takes it back."""
    async def visit():
        emsp = EMSP().start()
        try:
            async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
                charger = await connected(server, "SITE-3", stack)
                await asyncio.to_thread(
                    emsp.register, json.loads((server.folder / "demo-ocpi-invite").read_text()))
                await profile_comes_and_goes(emsp, charger)
                charger.serving.cancel()
        finally:
            emsp.stop()
    asyncio.run(visit())


async def profile_comes_and_goes(emsp, charger):
    def ask(method, url, body=None):
        status, _, answer = emsp.ask(method, url, body)
        assert (status, answer["status_code"]) == (200, 1000), answer
        return answer["data"]

    def wait(verb, name):
        return Books.wait(lambda call: call[:3] == (verb, "chargingprofiles", name))[3]
    locations = await asyncio.to_thread(emsp.pull, "locations")
    location, evse = next(
        (location, evse) for location in locations for evse in location["evses"]
        if evse["uid"].startswith("DEMO-") and evse["status"] == "AVAILABLE" or "SITE-3" in evse["uid"])
    token = {"country_code": "NL", "party_id": "PYE", "uid": "py-site", "type": "APP_USER",
             "contract_id": "NL-PYE-1", "issuer": "Python eMSP", "valid": True, "whitelist": "NEVER",
             "last_updated": "2026-01-01T00:00:00Z"}
    started = await asyncio.to_thread(ask, "POST", emsp.endpoints["commands"] + "/START_SESSION", {
        "response_url": f"{emsp.url}/emsp/2.2.1/commands/py-site", "token": token,
        "location_id": location["id"], "evse_uid": evse["uid"]})
    assert started["result"] == "ACCEPTED"
    session = (await asyncio.to_thread(Books.wait, lambda call: call[1] == "sessions"))[3]["id"]
    sink = f"{emsp.url}/emsp/2.2.1/chargingprofiles/"
    url = f"{emsp.endpoints['chargingprofiles']}/{session}"
    put = await asyncio.to_thread(ask, "PUT", url, {
        "response_url": f"{sink}?name=put", "charging_profile": {
            "charging_rate_unit": "A", "charging_profile_period": [{"start_period": 0, "limit": 10}]}})
    assert put["result"] == "ACCEPTED", put
    assert (await asyncio.to_thread(wait, "result", "put"))["result"] == "ACCEPTED"
    assert charger.limit() == 10
    active = await asyncio.to_thread(wait, "active", session)
    assert active["charging_profile"]["charging_profile_period"][0]["limit"] == 10
    query = "?" + urllib.parse.urlencode({"duration": 300, "response_url": f"{sink}?name=get"})
    assert (await asyncio.to_thread(ask, "GET", url + query))["result"] == "ACCEPTED"
    told = await asyncio.to_thread(wait, "result", "get")
    assert told["profile"]["charging_profile"]["charging_profile_period"] == [
        {"start_period": 0, "limit": 10}]
    query = "?" + urllib.parse.urlencode({"response_url": f"{sink}?name=clear"})
    assert (await asyncio.to_thread(ask, "DELETE", url + query))["result"] == "ACCEPTED"
    assert (await asyncio.to_thread(wait, "result", "clear"))["result"] == "ACCEPTED"
    assert charger.profiles == {}
