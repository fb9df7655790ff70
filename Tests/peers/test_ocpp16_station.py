"""PyPI `ocpp` plays an OCPP 1.6 station against `kerb-cpo serve --demo`.

Everything Kerb sends is checked against the official schemas by the library and, byte for byte as it
came over the wire, by `ocpp_schemas.Capture`.
"""
import asyncio
import contextlib
import datetime
import json
import urllib.request

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import (
    AuthorizationStatus, AvailabilityStatus, ChargePointErrorCode, ChargePointStatus,
    ConfigurationStatus, RegistrationStatus, RemoteStartStopStatus, ResetStatus, UnlockStatus,
)

from cpo_server import Server
from ocpp_schemas import Capture

LIMIT = 60  # seconds for one test, whatever happens


class Wire:
    """A socket that remembers both directions."""

    def __init__(self, socket, capture):
        self.socket = socket
        self.capture = capture

    async def send(self, text):
        with contextlib.suppress(ValueError):
            self.capture.peer_sent(text)
        await self.socket.send(text)

    async def recv(self):
        text = await self.socket.recv()
        self.capture.kerb_sent(text)
        return text


class Station(ChargePoint):
    """A charger that obeys."""

    def __init__(self, name, wire):
        super().__init__(name, wire, response_timeout=10)
        self.told = []
        self.remote_start = asyncio.Queue()
        self.remote_stop = asyncio.Queue()

    @on("RemoteStartTransaction")
    def on_remote_start(self, id_tag, connector_id=None, **_):
        self.remote_start.put_nowait((connector_id, id_tag))
        return call_result.RemoteStartTransaction(RemoteStartStopStatus.accepted)

    @on("RemoteStopTransaction")
    def on_remote_stop(self, transaction_id):
        self.remote_stop.put_nowait(transaction_id)
        return call_result.RemoteStopTransaction(RemoteStartStopStatus.accepted)

    @on("Reset")
    def on_reset(self, type):
        self.told.append(("Reset", type))
        return call_result.Reset(ResetStatus.accepted)

    @on("UnlockConnector")
    def on_unlock(self, connector_id):
        self.told.append(("UnlockConnector", connector_id))
        return call_result.UnlockConnector(UnlockStatus.unlocked)

    @on("ChangeAvailability")
    def on_availability(self, connector_id, type):
        self.told.append(("ChangeAvailability", connector_id, type))
        return call_result.ChangeAvailability(AvailabilityStatus.scheduled)

    @on("ChangeConfiguration")
    def on_change(self, key, value):
        self.told.append(("ChangeConfiguration", key, value))
        return call_result.ChangeConfiguration(ConfigurationStatus.reboot_required)

    @on("GetConfiguration")
    def on_get(self, key=None):
        self.told.append(("GetConfiguration", key))
        return call_result.GetConfiguration(
            configuration_key=[{"key": "HeartbeatInterval", "readonly": False, "value": "60"}],
            unknown_key=["NoSuchKey"])

    @on("ClearCache")
    def on_clear(self):
        self.told.append(("ClearCache",))
        return call_result.ClearCache("Rejected")

    @on("TriggerMessage")
    def on_trigger(self, requested_message, connector_id=None):
        self.told.append(("TriggerMessage", requested_message))
        return call_result.TriggerMessage("Accepted")

    async def boot(self):
        return await self.call(call.BootNotification(
            charge_point_model="Model", charge_point_vendor="Vendor", firmware_version="1.0"))


@contextlib.asynccontextmanager
async def connected(server, name, capture=None, **options):
    capture = capture or Capture()
    async with websockets.connect(server.ws + name, subprotocols=["ocpp1.6"], **options) as socket:
        station = Station(name, Wire(socket, capture))
        serving = asyncio.create_task(station.start())
        try:
            yield station
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            assert capture.check() > 0


@contextlib.asynccontextmanager
async def raw(server, name):
    """A socket without the library, for what it would never send."""
    async with websockets.connect(server.ws + name, subprotocols=["ocpp1.6"]) as socket:
        yield socket


async def ask(socket, text):
    await socket.send(text)
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


def run(coroutine):
    async def limited():
        async with asyncio.timeout(LIMIT):
            await coroutine
    asyncio.run(limited())


def stamp(seconds=0):
    return (datetime.datetime(2026, 6, 1, 10) + datetime.timedelta(seconds=seconds)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("station") / "data") as server:
        yield server


def test_every_message_of_a_charge(server):
    async def charge():
        async with connected(server, "PY-1") as station:
            boot = await station.boot()
            assert boot.status == RegistrationStatus.accepted
            assert 54 <= boot.interval <= 66
            assert (await station.call(call.Heartbeat())).current_time.endswith("Z")
            for connector, status in ((0, "Available"), (1, "Preparing")):
                await station.call(call.StatusNotification(
                    connector_id=connector, error_code=ChargePointErrorCode.no_error,
                    status=ChargePointStatus(status), timestamp=stamp()))
            allowed = await station.call(call.Authorize(id_tag="DEMO-CARD-1"))
            assert allowed.id_tag_info["status"] == AuthorizationStatus.accepted
            started = await station.call(call.StartTransaction(
                connector_id=1, id_tag="DEMO-CARD-1", meter_start=1000, timestamp=stamp()))
            assert started.transaction_id > 0
            assert started.id_tag_info["status"] == AuthorizationStatus.accepted
            await station.call(call.MeterValues(
                connector_id=1, transaction_id=started.transaction_id, meter_value=[{
                    "timestamp": stamp(60), "sampledValue": [
                        {"value": "1100", "measurand": "Energy.Active.Import.Register",
                         "unit": "Wh", "context": "Sample.Periodic"},
                        {"value": "7.2", "measurand": "Power.Active.Import", "unit": "kW"},
                        {"value": "31.3", "measurand": "Current.Import", "unit": "A",
                         "phase": "L1"},
                        {"value": "230.1", "measurand": "Voltage", "phase": "L1-N", "unit": "V"},
                        {"value": "54", "measurand": "SoC", "unit": "Percent",
                         "location": "EV"}]}]))
            stopped = await station.call(call.StopTransaction(
                transaction_id=started.transaction_id, meter_stop=1234, timestamp=stamp(120),
                id_tag="DEMO-CARD-1", reason="Local"))
            assert stopped.id_tag_info["status"] == AuthorizationStatus.accepted
            answer = await station.call(call.DataTransfer(vendor_id="org.example", data="x"))
            assert answer.status == "UnknownVendorId"
            await station.call(call.FirmwareStatusNotification(status="Installed"))
            await station.call(call.DiagnosticsStatusNotification(status="Idle"))
    run(charge())


def test_tokens_nobody_may_use(server):
    async def refuse():
        async with connected(server, "PY-2") as station:
            await station.boot()
            unknown = await station.call(call.Authorize(id_tag="NOBODY"))
            assert unknown.id_tag_info["status"] == AuthorizationStatus.invalid
            blocked = await station.call(call.Authorize(id_tag="DEMO-BLOCKED"))
            assert blocked.id_tag_info["status"] == AuthorizationStatus.blocked
            # A start is never refused by an error: it happened, and it is kept.
            started = await station.call(call.StartTransaction(
                connector_id=1, id_tag="NOBODY", meter_start=0, timestamp=stamp()))
            assert started.id_tag_info["status"] == AuthorizationStatus.invalid
            assert started.transaction_id > 0
            await station.call(call.StopTransaction(
                transaction_id=started.transaction_id, meter_stop=10, timestamp=stamp(30),
                reason="DeAuthorized"))
            stray = await station.call(call.StopTransaction(
                transaction_id=-1, meter_stop=10, timestamp=stamp(60)))
            assert stray is not None
    run(refuse())


def test_a_repeated_start_and_stop_over_a_new_socket(server):
    async def repeat():
        start = call.StartTransaction(
            connector_id=1, id_tag="DEMO-CARD-2", meter_start=500, timestamp=stamp(1000))
        async with connected(server, "PY-3") as station:
            await station.boot()
            first = await station.call(start, unique_id="same-id")
            again = await station.call(start, unique_id="same-id")
            assert again == first
        async with connected(server, "PY-3") as station:
            # No BootNotification on reconnect: that is right, and served.
            assert await station.call(start) == first
            stop = call.StopTransaction(
                transaction_id=first.transaction_id, meter_stop=900, timestamp=stamp(1500),
                reason="EVDisconnected")
            stopped = await station.call(stop)
            assert await station.call(stop) == stopped
    run(repeat())


def test_the_newest_socket_wins(server):
    async def replace():
        async with raw(server, "PY-4") as old:
            assert (await ask(old, '[2,"a","Heartbeat",{}]'))[0] == 3
            async with connected(server, "PY-4") as station:
                await station.boot()
                with pytest.raises(websockets.ConnectionClosed):
                    await asyncio.wait_for(old.recv(), 10)
                assert old.close_code == 4001
                await station.call(call.Heartbeat())
    run(replace())


# What comes in, and the error of 1.6 it must get; None is silence, after which the socket serves.
GARBAGE = [
    ('[2,"1","MakeCoffee",{}]', "NotImplemented"),
    ('[2,"2","ReserveNow",{}]', "NotSupported"),
    ('[2,"3","Reset",{"type":"Hard"}]', "NotSupported"),
    ('[2,"4","StartTransaction",{}]', "ProtocolError"),
    ('[2,"5","Authorize",{"idTag":{"a":1}}]', "TypeConstraintViolation"),
    ('[2,"6","Authorize",{"idTag":', "FormationViolation"),
    ('[2,"7","Authorize",["idTag"]]', "FormationViolation"),
    ('[2,"8"]', "FormationViolation"),
    ('hello', None), ("", None), ("{}", None), ("[]", None), ("[2]", None), ("[7,\"x\"]", None),
    ('[3,"nobody",{}]', None), ('[4,"nobody","InternalError","",{}]', None),
    ("\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), None),
]


def test_garbage_gets_its_error_and_the_socket_stays(server):
    async def throw():
        async with raw(server, "PY-5") as socket:
            await ask(socket, '[2,"b","BootNotification",'
                      '{"chargePointModel":"m","chargePointVendor":"v"}]')
            for number, (text, code) in enumerate(GARBAGE):
                await socket.send(text)
                probe = await ask(socket, f'[2,"probe{number}","Heartbeat",{{}}]')
                if code is not None:
                    assert probe[0] == 4 and probe[2] == code, (text, probe)
                    assert probe[1] == json.loads(text.split(",")[1].rstrip("]")), probe
                    assert probe[4] == {}
                    probe = json.loads(await asyncio.wait_for(socket.recv(), 10))
                assert probe[:2] == [3, f"probe{number}"], (text, probe)
    run(throw())


def test_what_real_chargers_send_is_understood(server):
    async def tolerate():
        async with raw(server, "PY-6") as socket:
            boot = await ask(socket, json.dumps([2, 17, "BootNotification", {
                "chargePointModel": "A model with far too long a name", "chargePointVendor": 5,
                "chargePointSerialNumber": "x" * 30, "unknownField": None}]))
            assert boot[:2] == [3, 17]
            status = await ask(socket, json.dumps([2, "s", "StatusNotification", {
                "connectorId": "1", "errorCode": "Error", "status": "Occupied",
                "timestamp": "0"}]))
            assert status == [3, "s", {}]
            values = await ask(socket, json.dumps([2, "m", "MeterValues", {
                "connectorId": 1, "transactionId": -1, "meterValue": [{
                    "timestamp": "2026-06-01 10:00:00+0530", "sampledValue": [
                        {"value": "NaN"}, {"value": "1,5", "unit": "kwh"}, {"value": 3}]}]}]))
            assert values == [3, "m", {}]
            assert (await ask(socket, '\ufeff[2,"n","Heartbeat",null]\n'))[0] == 3
    run(tolerate())


def test_absurd_figures_hurt_nobody(server):
    async def absurd():
        huge, dawn, dusk = 2 ** 63 - 1, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
        async with raw(server, "PY-ODD") as socket, raw(server, "PY-EVEN") as other:
            numbers = []
            for count, (connector, register, at) in enumerate([
                    (1, huge, dusk), (1, -huge - 1, dawn), (huge, 0, stamp()), (-5, 5, ""),
                    (0, 10 ** 30, stamp())]):
                answer = await ask(socket, json.dumps([2, f"s{count}", "StartTransaction", {
                    "connectorId": connector, "idTag": "DEMO-CARD-1", "meterStart": register,
                    "timestamp": at}]))
                assert answer[0] == 3 or answer[2] == "TypeConstraintViolation", answer
                if answer[0] == 3:
                    numbers.append(answer[2]["transactionId"])
            for count, number in enumerate([*numbers, 0, huge]):
                values = [{"value": value, "unit": unit, "measurand": measurand}
                          for value in ("9" * 36, "-1e36", "1e-36", "1e400", "0." + "1" * 35)
                          for measurand, unit in (("Energy.Active.Import.Register", "kWh"),
                                                  ("Power.Active.Import", "kW"),
                                                  ("Temperature", "Fahrenheit"))]
                answer = await ask(socket, json.dumps([2, f"m{count}", "MeterValues", {
                    "connectorId": 1, "transactionId": number, "meterValue": [
                        {"timestamp": at, "sampledValue": values} for at in (dawn, dusk, "")]}]))
                assert answer == [3, f"m{count}", {}], answer
                answer = await ask(socket, json.dumps([2, f"e{count}", "StopTransaction", {
                    "transactionId": number, "meterStop": huge if count % 2 else -huge,
                    "timestamp": dusk if count % 2 else dawn}]))
                assert answer[0] == 3, answer
            assert (await ask(other, '[2,"h","Heartbeat",{}]'))[0] == 3
    run(absurd())


def test_pipelined_calls_are_answered_in_order(server):
    async def pipeline():
        async with raw(server, "PY-7") as socket:
            for number in range(100):
                payload = {"connectorId": 1, "errorCode": "NoError", "status": "Available",
                           "timestamp": stamp(number)}
                action = "Heartbeat" if number % 2 else "StatusNotification"
                await socket.send(json.dumps(
                    [2, str(number), action, {} if number % 2 else payload]))
            for number in range(100):
                frame = json.loads(await asyncio.wait_for(socket.recv(), 10))
                assert frame[:2] == [3, str(number)]
    run(pipeline())


def test_the_handshake(server):
    async def knock():
        with pytest.raises((websockets.InvalidHandshake, websockets.ConnectionClosed)):
            async with websockets.connect(server.ws + "PY-8", subprotocols=["ocpp9"]) as socket:
                await socket.recv()
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(
                    server.ws + "PY-8",
                    additional_headers={"Authorization": "Basic b3RoZXI6cGFzc3dvcmQ="},
                    subprotocols=["ocpp1.6"]):
                pass
        assert refused.value.response.status_code == 401
        async with websockets.connect(
                server.ws.replace("ws://", "ws://PY-8:a-long-password@") + "PY-8",
                subprotocols=["ocpp1.6"]) as socket:
            assert socket.subprotocol == "ocpp1.6"
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(
                    server.ws.replace("ws://", "ws://PY-8:another-password@") + "PY-8",
                    subprotocols=["ocpp1.6"]):
                pass
        assert refused.value.response.status_code == 401
        # Percent-encoded once, any prefix.
        async with websockets.connect(
                server.ws + "a%20prefix/PY%2D9", subprotocols=["ocpp1.6"]) as socket:
            assert (await ask(socket, '[2,"a","Heartbeat",{}]'))[0] == 3
    run(knock())


def api(server, method, path, body=None):
    """A call of the admin API with the demo's key."""
    key = (server.folder / "demo-api-key").read_text().strip()
    request = urllib.request.Request(
        f"{server.http}/api/v1{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


async def command(server, station, body, wait=10):
    return await asyncio.to_thread(
        api, server, "POST", f"/stations/{station}/commands?wait={wait}", body)


def test_a_remote_start_and_stop_through_the_admin_api(server):
    async def remote():
        async with connected(server, "PY-10") as station:
            await station.boot()
            for connector in (1, 2):
                await station.call(call.StatusNotification(
                    connector_id=connector, error_code=ChargePointErrorCode.no_error,
                    status=ChargePointStatus.available, timestamp=stamp()))
            started = await command(
                server, "PY-10", {"command": "start", "evse": 1, "token": "DEMO-CARD-1"})
            assert started["state"] == "accepted", started
            assert await station.remote_start.get() == (1, "DEMO-CARD-1")
            now = datetime.datetime.now(datetime.timezone.utc)
            transaction = await station.call(call.StartTransaction(
                connector_id=1, id_tag="DEMO-CARD-1", meter_start=100,
                timestamp=now.isoformat()))
            assert transaction.id_tag_info["status"] == AuthorizationStatus.accepted
            seen = await asyncio.to_thread(api, server, "GET", f"/commands/{started['id']}")
            assert seen["state"] == "seen", seen
            session = seen["effect"]
            running = await asyncio.to_thread(api, server, "GET", f"/sessions/{session}")
            assert running["status"] == "ACTIVE" and running["station"] == "PY-10"
            stopped = await command(server, "PY-10", {"command": "stop", "session": session})
            assert stopped["state"] == "accepted", stopped
            assert await station.remote_stop.get() == transaction.transaction_id
            await station.call(call.StopTransaction(
                transaction_id=transaction.transaction_id, meter_stop=350,
                timestamp=(now + datetime.timedelta(seconds=60)).isoformat(), reason="Remote"))
            ended = await asyncio.to_thread(api, server, "GET", f"/sessions/{session}")
            assert ended["status"] == "COMPLETED" and ended["energyWh"] == 250
            assert [point["energyWh"] for point in ended["series"]] == [0, 250]
            seen = await asyncio.to_thread(api, server, "GET", f"/commands/{stopped['id']}")
            assert seen["state"] == "seen"
    run(remote())


def test_every_command_and_its_answer(server):
    async def obey():
        async with connected(server, "PY-11") as station:
            await station.boot()
            for body, state, told in [
                    ({"command": "unlock", "evse": 1}, "seen", ("UnlockConnector", 1)),
                    ({"command": "reset", "kind": "Soft"}, "accepted", ("Reset", "Soft")),
                    ({"command": "setAvailability", "evse": 0, "operative": False}, "accepted",
                     ("ChangeAvailability", 0, "Inoperative")),
                    ({"command": "changeSetting", "key": "HeartbeatInterval", "value": "90"},
                     "seen", ("ChangeConfiguration", "HeartbeatInterval", "90")),
                    ({"command": "getSettings"}, "seen", ("GetConfiguration", None)),
                    ({"command": "clearCache"}, "rejected", ("ClearCache",)),
                    ({"command": "trigger", "message": "Heartbeat"}, "seen",
                     ("TriggerMessage", "Heartbeat")),
                    ({"action": "Reset", "payload": {"type": "Hard"}}, "seen",
                     ("Reset", "Hard")),
            ]:
                answer = await command(server, "PY-11", body)
                assert answer["state"] == state, (body, answer)
                assert station.told[-1] == told
            # The library answers NotImplemented for what it has no handler for.
            answer = await command(
                server, "PY-11", {"action": "GetLocalListVersion", "payload": {}})
            assert answer["state"] == "failed" and "NotImplemented" in answer["answer"]
        log = await asyncio.to_thread(api, server, "GET", "/messages?station=PY-11&limit=50")
        actions = [line["action"] for line in log["items"]]
        assert "BootNotification" in actions and "UnlockConnector" in actions
    run(obey())


def test_a_password_is_rotated_and_never_shown(server):
    old, new = "first-password-1", "30313233343536373839616263646566"

    async def rotate():
        url = server.ws.replace("ws://", f"ws://PY-12:{old}@") + "PY-12"
        capture = Capture()
        async with websockets.connect(url, subprotocols=["ocpp1.6"]) as socket:
            station = Station("PY-12", Wire(socket, capture))
            serving = asyncio.create_task(station.start())
            await station.boot()
            answer = await command(server, "PY-12", {
                "command": "changeSetting", "key": "AuthorizationKey", "value": new})
            assert answer["state"] == "seen", answer
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        with pytest.raises(websockets.InvalidStatus):
            async with websockets.connect(url, subprotocols=["ocpp1.6"]):
                pass
        bytes_of_new = bytes.fromhex(new).decode()
        for password in (bytes_of_new, new):
            again = server.ws.replace("ws://", f"ws://PY-12:{password}@") + "PY-12"
            async with websockets.connect(again, subprotocols=["ocpp1.6"]) as socket:
                assert (await ask(socket, '[2,"h","Heartbeat",{}]'))[0] == 3
        log = await asyncio.to_thread(api, server, "GET", "/messages?station=PY-12&limit=50")
        assert new not in json.dumps(log) and "***" in json.dumps(log)
    run(rotate())
