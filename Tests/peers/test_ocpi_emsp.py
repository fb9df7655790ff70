"""PyPI `extrawest-ocpi` as an eMSP against `kerb-cpo`: hand-shake, pull, push, START_SESSION, the bill."""
import concurrent.futures
import json
import threading
import time
import urllib.error
import urllib.request
from decimal import Decimal

import pytest
from websockets.sync.client import connect

from cpo_server import Server
from ocpi_emsp import Books, EMSP, TOKEN_A

from py_ocpi.modules.cdrs.v_2_2_1.schemas import Cdr
from py_ocpi.modules.locations.v_2_2_1.schemas import Location
from py_ocpi.modules.sessions.v_2_2_1.schemas import Session
from py_ocpi.modules.tariffs.v_2_2_1.schemas import Tariff


class Station:
    """A charger of one plug that does what it is told, OCPP 1.6."""

    def __init__(self, server, name="PY-OCPI"):
        self.socket = connect(server.ws + name, subprotocols=["ocpp1.6"])
        self.answers, self.lock, self.number = {}, threading.Lock(), 0
        self.register, self.transaction = 5000, None
        threading.Thread(target=self.read, daemon=True).start()
        self.call("BootNotification", {"chargePointVendor": "Py", "chargePointModel": "One"})
        self.status("Available")

    def call(self, action, payload):
        with self.lock:
            self.number += 1
            message_id = str(self.number)
        done = self.answers[message_id] = concurrent.futures.Future()
        self.socket.send(json.dumps([2, message_id, action, payload]))
        return done.result(10)

    def status(self, status):
        self.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})

    def read(self):
        try:
            for text in self.socket:
                frame = json.loads(text)
                if frame[0] == 2:
                    self.socket.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
                    handler = {"RemoteStartTransaction": self.begin,
                               "RemoteStopTransaction": self.end}.get(frame[2])
                    if handler:
                        threading.Thread(target=handler, args=(frame[3],), daemon=True).start()
                elif frame[1] in self.answers:
                    self.answers.pop(frame[1]).set_result(frame[2])
        except Exception:  # The socket was closed under us: the test is over.
            pass

    def begin(self, payload):
        self.status("Charging")
        self.transaction = self.call("StartTransaction", {
            "connectorId": 1, "idTag": payload["idTag"], "meterStart": self.register,
            "timestamp": now()})["transactionId"]

    def meter(self, register):
        self.register = register
        self.call("MeterValues", {
            "connectorId": 1, "transactionId": self.transaction, "meterValue": [{
                "timestamp": now(), "sampledValue": [{"value": str(register), "unit": "Wh"}]}]})

    def end(self, _):
        self.call("StopTransaction", {
            "transactionId": self.transaction, "meterStop": self.register, "timestamp": now(),
            "reason": "Remote"})
        self.status("Available")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ocpi") / "demo"
    emsp = EMSP().start()
    with Server(folder) as server:
        station = Station(server)
        emsp.invitation = json.loads((folder / "demo-ocpi-invite").read_text())
        server.key = (folder / "demo-api-key").read_text().strip()
        yield emsp, server, station
        station.socket.close()
    emsp.stop()


def start(emsp, uid, location, evse):
    return emsp.ask("POST", emsp.endpoints["commands"] + "/START_SESSION", {
        "response_url": f"{emsp.url}/emsp/2.2.1/commands/{uid}",
        "token": {"country_code": "NL", "party_id": "PYE", "uid": uid, "type": "APP_USER",
                  "contract_id": "NL-PYE-1", "issuer": "Python eMSP", "valid": True,
                  "whitelist": "NEVER", "last_updated": "2026-01-01T00:00:00Z"},
        "location_id": location, "evse_uid": evse, "authorization_reference": "PY-AUTH-1"})[2]


def test_a_whole_charge(site):
    emsp, server, station = site

    # The hand-shake: TOKEN_A is dead after it, TOKEN_C is good.
    ours = emsp.register(emsp.invitation)
    assert ours["roles"][0]["role"] == "CPO"
    assert emsp.ask("GET", emsp.invitation["versionsURL"], token=emsp.invitation["token"])[0] == 401
    assert set(emsp.endpoints) == {
        "credentials", "locations", "tariffs", "sessions", "cdrs", "tokens", "commands",
        "chargingprofiles"}

    # Pull: every object passes the library's own models.
    tariffs = emsp.pull("tariffs", limit=1)
    for tariff in tariffs:
        Tariff.parse_obj(tariff)
    locations = emsp.pull("locations")
    for location in locations:
        Location.parse_obj(location)
    tied = [(location, evse) for location in locations for evse in location["evses"]
            if evse["status"] == "AVAILABLE"]
    assert tied, locations
    location, evse = tied[0]
    status, _, answer = emsp.ask("GET", emsp.endpoints["sessions"])
    assert (status, answer["status_code"]) == (200, 2001)

    # START_SESSION: an answer at once, the result at the library's endpoint, then the session.
    answer = start(emsp, "py-app-1", location["id"], evse["uid"])
    assert answer["data"]["result"] == "ACCEPTED"
    result = Books.wait(lambda call: call[1] == "commands" and call[2] == "py-app-1")
    assert result[3]["result"] == "ACCEPTED"
    session = Books.wait(lambda call: call[1] == "sessions")[3]
    assert session["cdr_token"]["uid"] == "py-app-1"
    assert session["auth_method"] == "COMMAND"
    assert session["authorization_reference"] == "py-auth-1"
    pushed = Books.wait(lambda call: call[1] == "locations")
    assert pushed is not None
    charging = emsp.pull("sessions", date_from="2020-01-01T00:00:00Z")
    assert [s["status"] for s in charging] == ["ACTIVE"]
    Session.parse_obj(charging[0])

    # Progress arrives as it is metered; a reading within a second of the last push shares it, so the
    # same reading comes again until one is pushed.
    def is_told():
        return any(call[1] == "sessions" and call[3]["kwh"] == 0.7 for call in Books.calls)

    deadline = time.monotonic() + 20
    while not is_told():
        assert time.monotonic() < deadline, [call[:3] for call in Books.calls]
        station.meter(5700)
        with Books.changed:
            Books.changed.wait_for(is_told, 0.2)

    # STOP_SESSION, the final session, the bill.
    answer = emsp.ask("POST", emsp.endpoints["commands"] + "/STOP_SESSION", {
        "response_url": f"{emsp.url}/emsp/2.2.1/commands/stop-1",
        "session_id": charging[0]["id"]})[2]
    assert answer["data"]["result"] == "ACCEPTED"
    assert Books.wait(lambda call: call[2] == "stop-1")[3]["result"] == "ACCEPTED"
    final = Books.wait(lambda call: call[1] == "sessions" and call[3]["status"] == "COMPLETED")[3]
    bill = Books.wait(lambda call: call[1] == "cdrs")[3]
    assert bill["session_id"] == final["id"]
    assert bill["total_energy"] == final["kwh"] == 0.7
    assert bill["total_cost"] == final["total_cost"]
    assert bill["credit"] is None

    # The same bill by pull, and its sums by ourselves.
    cdr = json.loads(json.dumps(emsp.pull("cdrs")[0]), parse_float=Decimal)
    Cdr.parse_obj(cdr)
    assert cdr["id"].lower() == bill["id"]
    energy = sum(d["volume"] for p in cdr["charging_periods"] for d in p["dimensions"]
                 if d["type"] == "ENERGY")
    assert energy == cdr["total_energy"] == Decimal("0.7")
    price = cdr["tariffs"][0]["elements"][0]["price_components"][0]
    assert cdr["total_cost"]["excl_vat"] == (energy * price["price"]).quantize(Decimal("0.01"))
    parts = sum(Decimal(cdr[name]["excl_vat"]) for name in cdr
                if name.endswith("_cost") and name != "total_cost")
    assert parts == cdr["total_cost"]["excl_vat"]


def test_a_driver_is_asked_for(site):
    """Real-time authorisation: NEVER lets nobody charge without the eMSP's word."""
    emsp, _, station = site

    def put(uid, whitelist):
        token = {"country_code": "NL", "party_id": "PYE", "uid": uid, "type": "RFID",
                 "contract_id": f"NL-PYE-{uid}", "issuer": "Python eMSP", "valid": True,
                 "whitelist": whitelist, "last_updated": now()}
        Books.objects[("tokens", uid.lower())] = token
        assert emsp.ask("PUT", f"{emsp.endpoints['tokens']}/NL/PYE/{uid}", token)[0] == 201
        return token

    def shown(uid):
        return station.call("Authorize", {"idTag": uid})["idTagInfo"]["status"]

    token = put("ASKED-1", "NEVER")
    Books.authorizations["asked-1"] = {
        "allowed": "ALLOWED", "token": token, "authorization_reference": "PY-RT-1"}
    assert shown("ASKED-1") == "Accepted"
    asked = Books.wait(lambda call: call[0] == "authorize" and call[2] == "asked-1")
    location = emsp.pull("locations")[0]
    assert asked[3]["location_id"] == location["id"].lower()
    assert set(asked[3]["evse_uids"]) <= {evse["uid"].lower() for evse in location["evses"]}
    station.begin({"idTag": "ASKED-1"})
    session = Books.wait(
        lambda call: call[1] == "sessions" and call[3]["cdr_token"]["uid"] == "asked-1")[3]
    assert session["auth_method"] == "AUTH_REQUEST"
    assert session["authorization_reference"] == "py-rt-1"
    station.end(None)

    put("ASKED-2", "ALLOWED_OFFLINE")
    Books.authorizations["asked-2"] = {"allowed": "NO_CREDIT", "token": token}
    assert shown("ASKED-2") == "Blocked"
    # 2002, not enough information, is no answer: the whitelist decides.
    put("ASKED-3", "NEVER")
    put("ASKED-4", "ALLOWED_OFFLINE")
    assert (shown("ASKED-3"), shown("ASKED-4")) == ("Invalid", "Accepted")


def test_tokens_and_the_end(site):
    emsp, _, _ = site
    url = emsp.endpoints["tokens"] + "/NL/PYE/CARD-9"
    token = {"country_code": "NL", "party_id": "PYE", "uid": "CARD-9", "type": "RFID",
             "contract_id": "NL-PYE-9", "issuer": "Python eMSP", "valid": True,
             "whitelist": "ALWAYS", "last_updated": now()}
    assert emsp.ask("GET", url)[0] == 404
    assert emsp.ask("PUT", url, token)[0] == 201
    assert emsp.ask("GET", url)[2]["data"]["contract_id"] == "NL-PYE-9"
    assert emsp.ask("PATCH", url, {"valid": False, "last_updated": now()})[2]["status_code"] == 1000
    assert emsp.ask("GET", url)[2]["data"]["valid"] is False

    # Rotation: the library is called back with its token again, ours is new.
    old = emsp.token
    status, _, answer = emsp.ask("PUT", emsp.endpoints["credentials"], emsp.credentials())
    assert (status, answer["status_code"]) == (200, 1000), answer
    emsp.token = answer["data"]["token"]
    assert emsp.ask("GET", emsp.endpoints["locations"])[0] == 200
    assert emsp.ask("GET", emsp.endpoints["locations"], token=old)[0] == 401

    assert emsp.ask("DELETE", emsp.endpoints["credentials"])[2]["status_code"] == 1000
    assert emsp.ask("GET", emsp.endpoints["locations"])[0] == 401


def api(server, method, path, body=None):
    request = urllib.request.Request(
        f"{server.http}/api/v1{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def test_the_cpo_registers_and_leaves(site):
    """The hand-shake the other way: the operator has our address and TOKEN_A."""
    emsp, server, station = site
    wrong = {"name": "Python", "versionsURL": f"{emsp.url}/versions", "token": "wrong"}
    status, problem = api(server, "POST", "/ocpi/parties", wrong)
    assert (status, problem["field"]) == (422, "versionsURL")

    status, partner = api(server, "POST", "/ocpi/parties", {**wrong, "token": TOKEN_A})
    assert (status, partner["state"]) == (201, "registered"), partner
    given = Books.objects[("credentials", "cpo")]["credentials"]
    assert given["roles"][0]["role"] == "CPO"
    assert emsp.ask("GET", given["url"], token=given["token"])[0] == 200

    # Pushes come with the token the library gave.
    with Books.changed:
        Books.calls.clear()
    station.status("Unavailable")
    pushed = Books.wait(lambda call: call[1] == "locations")
    assert pushed is not None

    assert api(server, "DELETE", f"/ocpi/parties/{partner['id']}")[0] == 204
    assert emsp.ask("GET", given["url"], token=given["token"])[0] == 401
    assert api(server, "DELETE", "/ocpi/parties/nobody")[0] == 404
