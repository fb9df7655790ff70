"""Every 1.6 action that goes to a station, raw and in neutral words, as it came over the wire.

The frames are checked against the official schemas that PyPI `ocpp` ships, keys sorted; what is wrong
is refused by the API with its field, and nothing of it reaches the station.
"""
import asyncio
import contextlib
import datetime
import importlib.resources
import json
import urllib.error
from decimal import Decimal

import pytest
import websockets
from ocpp.v16 import call

from cpo_server import Server
from ocpp_schemas import Capture, faults
from test_ocpp16_station import api, command, connected, run

# What goes the other way. DataTransfer goes both.
FROM_STATION = {
    "Authorize", "BootNotification", "DiagnosticsStatusNotification",
    "FirmwareStatusNotification", "Heartbeat", "LogStatusNotification", "MeterValues",
    "SecurityEventNotification", "SignCertificate", "SignedFirmwareStatusNotification",
    "StartTransaction", "StatusNotification", "StopTransaction",
}
LATER = "2031-01-31T12:00:00Z"
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
OK = {"status": "Accepted"}
PERIODS = {"chargingRateUnit": "A", "chargingSchedulePeriod": [
    {"startPeriod": 0, "limit": 16.5, "numberPhases": 3}, {"startPeriod": 60, "limit": 6.1}]}
PROFILE = {
    "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "validFrom": "2030-01-31T12:00:00Z", "validTo": LATER,
    "chargingSchedule": {**PERIODS, "duration": 3600, "startSchedule": LATER, "minChargingRate": 6.1},
}
OWN = {**{key: PROFILE[key] for key in ("chargingProfileId", "stackLevel")},
       "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative", "chargingSchedule": PERIODS}
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "01"}

# Action: raw payloads and the station's answer.
COMMANDS = {
    "CancelReservation": ([{"reservationId": 7}], OK),
    "ChangeAvailability": ([{"connectorId": 0, "type": "Inoperative"}, {"connectorId": 1, "type": "Operative"}], OK),
    "ChangeConfiguration": ([{"key": "HeartbeatInterval", "value": "90"}], OK),
    "ClearCache": ([{}], OK),
    "ClearChargingProfile": ([{}, {"id": 1}, {"connectorId": 1, "chargingProfilePurpose": "TxProfile", "stackLevel": 2}], OK),
    "DataTransfer": ([{"vendorId": "org.kerb"}, {"vendorId": "org.kerb", "messageId": "m", "data": "{}"}], OK),
    "GetCompositeSchedule": ([{"connectorId": 0, "duration": 60}, {"connectorId": 1, "duration": 60, "chargingRateUnit": "W"}],
                             {"status": "Rejected"}),
    "GetConfiguration": ([{}, {"key": ["HeartbeatInterval"]}], {"unknownKey": ["X"]}),
    "GetDiagnostics": ([{"location": "ftp://h/"}, {"location": "ftp://h/", "retries": 1, "retryInterval": 5,
                        "startTime": LATER, "stopTime": LATER}], {"fileName": "log.txt"}),
    "GetLocalListVersion": ([{}], {"listVersion": 3}),
    "RemoteStartTransaction": ([{"idTag": "T"}, {"idTag": "T", "connectorId": 1, "chargingProfile": OWN}], OK),
    "RemoteStopTransaction": ([{"transactionId": 42}], OK),
    "ReserveNow": ([{"connectorId": 1, "expiryDate": LATER, "idTag": "T", "reservationId": 7},
                    {"connectorId": 0, "expiryDate": LATER, "idTag": "T", "parentIdTag": "P", "reservationId": 7}], OK),
    "Reset": ([{"type": "Soft"}, {"type": "Hard"}], OK),
    "SendLocalList": ([{"listVersion": 1, "updateType": "Full"},
                       {"listVersion": 2, "updateType": "Differential", "localAuthorizationList": [
                           {"idTag": "A"}, {"idTag": "B", "idTagInfo": {
                               "status": "Accepted", "expiryDate": LATER, "parentIdTag": "P"}}]}], OK),
    "SetChargingProfile": ([{"connectorId": 1, "csChargingProfiles": PROFILE},
                            {"connectorId": 1, "csChargingProfiles": {**OWN, "transactionId": 5}}], OK),
    "TriggerMessage": ([{"requestedMessage": "MeterValues", "connectorId": 1}, {"requestedMessage": "BootNotification"}], OK),
    "UnlockConnector": ([{"connectorId": 1}], {"status": "Unlocked"}),
    "UpdateFirmware": ([{"location": "https://h/f", "retrieveDate": LATER},
                        {"location": "https://h/f", "retrieveDate": LATER, "retries": 2, "retryInterval": 60}], {}),
    "CertificateSigned": ([{"certificateChain": PEM}], OK),
    "DeleteCertificate": ([{"certificateHashData": HASH}], OK),
    "ExtendedTriggerMessage": ([{"requestedMessage": "SignChargePointCertificate"},
                                {"requestedMessage": "MeterValues", "connectorId": 1}], OK),
    "GetInstalledCertificateIds": ([{"certificateType": "CentralSystemRootCertificate"}],
                                   {"status": "Accepted", "certificateHashData": [HASH]}),
    "GetLog": ([{"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "https://h/"}},
                {"logType": "DiagnosticsLog", "requestId": 2, "retries": 1, "retryInterval": 1,
                 "log": {"remoteLocation": "https://h/", "oldestTimestamp": LATER, "latestTimestamp": LATER}}],
               {"status": "Accepted", "filename": "security.log"}),
    "InstallCertificate": ([{"certificateType": "ManufacturerRootCertificate", "certificate": PEM}], OK),
    "SignedUpdateFirmware": ([{"requestId": 1, "firmware": {
        "location": "https://h/f", "retrieveDateTime": LATER, "signingCertificate": PEM, "signature": "AA=="}},
        {"requestId": 2, "retries": 1, "retryInterval": 1, "firmware": {
            "location": "https://h/f", "retrieveDateTime": LATER, "installDateTime": LATER,
            "signingCertificate": PEM, "signature": "AA=="}}], OK),
}


class Recent:
    """Equals the time of a moment ago."""

    def __eq__(self, text):
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(text)
        return abs(age.total_seconds()) < 60


# Action: its neutral command, what goes out for it, and its state once the station answered as the table says.
# CancelReservation and RemoteStopTransaction need something before them.
NEUTRAL = {
    "ChangeAvailability": ({"command": "setAvailability", "evse": 1, "operative": True},
                           {"connectorId": 1, "type": "Operative"}, "seen"),
    "ChangeConfiguration": ({"command": "changeSetting", "key": "HeartbeatInterval", "value": "90"},
                            {"key": "HeartbeatInterval", "value": "90"}, "seen"),
    "ClearCache": ({"command": "clearCache"}, {}, "seen"),
    # The number under which setLimit's profile of the connector is known.
    "ClearChargingProfile": ({"command": "clearLimits", "evse": 1}, {"id": 990_001}, "seen"),
    "DataTransfer": ({"command": "data", "vendor": "org.kerb", "message": "m", "data": "d"},
                     {"vendorId": "org.kerb", "messageId": "m", "data": "d"}, "seen"),
    "GetCompositeSchedule": ({"command": "getComposite", "evse": 1, "seconds": 60, "unit": "W"},
                             {"connectorId": 1, "duration": 60, "chargingRateUnit": "W"}, "rejected"),
    "GetConfiguration": ({"command": "getSettings", "keys": ["X"]}, {"key": ["X"]}, "seen"),
    "GetDiagnostics": ({"command": "sendLog", "kind": "DiagnosticsLog", "location": "https://h/x"},
                       {"location": "https://h/x"}, "accepted"),
    "GetLocalListVersion": ({"command": "getLocalListVersion"}, {}, "seen"),
    "RemoteStartTransaction": ({"command": "start", "evse": 1, "token": "DEMO-CARD-1"},
                               {"connectorId": 1, "idTag": "DEMO-CARD-1"}, "accepted"),
    "ReserveNow": ({"command": "reserve", "evse": 1, "token": "DEMO-CARD-1", "expires": LATER},
                   {"connectorId": 1, "expiryDate": LATER, "idTag": "DEMO-CARD-1"}, "seen"),
    "Reset": ({"command": "reset", "kind": "Soft"}, {"type": "Soft"}, "accepted"),
    "SendLocalList": ({"command": "sendLocalList", "kind": "Full", "version": 5,
                       "entries": [{"token": "A", "status": "Accepted", "group": "P", "expires": LATER}]},
                      {"listVersion": 5, "updateType": "Full", "localAuthorizationList": [{"idTag": "A", "idTagInfo": {
                          "status": "Accepted", "parentIdTag": "P", "expiryDate": LATER}}]}, "seen"),
    "SetChargingProfile": ({"command": "setLimit", "evse": 1, "amperes": 10.5, "until": LATER, "stackLevel": 2},
                           {"connectorId": 1, "csChargingProfiles": {
                               "chargingProfileId": 990_001, "stackLevel": 2, "chargingProfilePurpose": "TxDefaultProfile",
                               "chargingProfileKind": "Absolute", "validTo": LATER, "chargingSchedule": {
                                   "chargingRateUnit": "A", "startSchedule": Recent(),
                                   "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.5}]}}}, "seen"),
    "TriggerMessage": ({"command": "trigger", "message": "StatusNotification", "evse": 1},
                       {"requestedMessage": "StatusNotification", "connectorId": 1}, "seen"),
    "UnlockConnector": ({"command": "unlock", "evse": 1}, {"connectorId": 1}, "seen"),
    "UpdateFirmware": ({"command": "updateFirmware", "location": "https://h/f", "retrieveAt": LATER},
                       {"location": "https://h/f", "retrieveDate": LATER}, "accepted"),
    "CertificateSigned": ({"command": "certificateSigned", "chain": PEM}, {"certificateChain": PEM}, "seen"),
    "DeleteCertificate": ({"command": "deleteCertificate", "algorithm": "SHA256", "issuerName": "aa", "issuerKey": "bb",
                           "serial": "01"}, {"certificateHashData": HASH}, "seen"),
    "ExtendedTriggerMessage": ({"command": "extendedTrigger", "message": "LogStatusNotification"},
                               {"requestedMessage": "LogStatusNotification"}, "seen"),
    "GetInstalledCertificateIds": ({"command": "listRoots", "kind": "ManufacturerRootCertificate"},
                                   {"certificateType": "ManufacturerRootCertificate"}, "seen"),
    "GetLog": ({"command": "sendLog", "kind": "SecurityLog", "request": 3, "location": "https://h/x"},
               {"logType": "SecurityLog", "requestId": 3, "log": {"remoteLocation": "https://h/x"}}, "accepted"),
    "InstallCertificate": ({"command": "installRoot", "kind": "CentralSystemRootCertificate", "certificate": PEM},
                           {"certificateType": "CentralSystemRootCertificate", "certificate": PEM}, "seen"),
    "SignedUpdateFirmware": ({"command": "updateFirmware", "location": "https://h/f", "retrieveAt": LATER, "request": 3,
                              "certificate": PEM, "signature": "AA=="},
                             {"requestId": 3, "firmware": {"location": "https://h/f", "retrieveDateTime": LATER,
                                                           "signingCertificate": PEM, "signature": "AA=="}}, "accepted"),
}


class Obedient:
    """A station that gives the answer of the table and remembers what it was told."""

    def __init__(self, socket):
        self.socket = socket
        self.capture = Capture()
        self.told = asyncio.Queue()
        self.answers = {}

    async def serve(self):
        async for text in self.socket:
            self.capture.kerb_sent(text)
            frame = json.loads(text)
            if frame[0] == 2:
                await self.socket.send(json.dumps([3, frame[1], COMMANDS[frame[2]][1]]))
                self.told.put_nowait((frame[2], frame[3]))
            else:
                self.answers[frame[1]].set_result(frame[2])

    async def call(self, action, payload):
        name = f"{action}-{len(self.answers)}"
        self.answers[name] = asyncio.get_running_loop().create_future()
        text = json.dumps([2, name, action, payload])
        self.capture.peer_sent(text)
        await self.socket.send(text)
        return await asyncio.wait_for(self.answers[name], 10)


@contextlib.asynccontextmanager
async def obedient(server, name):
    async with websockets.connect(server.ws + name, subprotocols=["ocpp1.6"]) as socket:
        station = Obedient(socket)
        serving = asyncio.create_task(station.serve())
        try:
            boot = await station.call(
                "BootNotification", {"chargePointModel": "M", "chargePointVendor": "V"})
            assert boot["status"] == "Accepted"
            for connector in (0, 1):
                await station.call("StatusNotification", {
                    "connectorId": connector, "errorCode": "NoError", "status": "Available",
                    "timestamp": now()})
            yield station
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            assert station.capture.check() > 0


async def sent(server, station, body):
    try:
        return await command(server, station, body)
    except urllib.error.HTTPError as refused:
        pytest.fail(f"{body}: {refused.read().decode()}")


def now(seconds=0):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.isoformat()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("commands") / "data") as server:
        yield server


def test_the_table_has_every_action_to_a_station():
    names = {path.name.removesuffix(".json")
             for path in importlib.resources.files("ocpp").joinpath("v16/schemas").iterdir()
             if path.name.endswith(".json") and not path.name.endswith("Response.json")}
    assert len(names) == 39
    assert set(COMMANDS) == names - FROM_STATION
    assert set(COMMANDS) - set(NEUTRAL) == {"CancelReservation", "RemoteStopTransaction"}
    for action, (payloads, answer) in COMMANDS.items():
        for payload in payloads:
            assert faults(action, json.loads(json.dumps(payload), parse_float=Decimal)) == [], action
        assert faults(action + "Response", answer) == [], action


def test_every_action_goes_out_raw(server):
    async def drive():
        async with obedient(server, "RAW-1") as station:
            for action, (payloads, answer) in COMMANDS.items():
                for payload in payloads:
                    got = await sent(server, "RAW-1", {"action": action, "payload": payload})
                    # What a raw one does is not known: its answer is all there is to see.
                    assert got["state"] == ("rejected" if answer == {"status": "Rejected"} else "seen"), (action, got)
                    assert json.loads(got["answer"]) == answer
                    assert await station.told.get() == (action, payload)
    run(drive())


def test_every_neutral_command_becomes_its_action(server):
    async def drive():
        async with obedient(server, "RAW-2") as station:
            for action, (body, payload, state) in NEUTRAL.items():
                got = await sent(server, "RAW-2", body)
                if action == "ReserveNow":
                    reservation = got["reservation"]
                    payload = {**payload, "reservationId": reservation}
                assert await station.told.get() == (action, payload)
                assert got["state"] == state, (action, got)
            # What needs something before it.
            await command(server, "RAW-2", {"command": "cancelReservation", "reservation": reservation})
            assert await station.told.get() == ("CancelReservation", {"reservationId": reservation})
            started = await station.call("StartTransaction", {
                "connectorId": 1, "idTag": "DEMO-CARD-1", "meterStart": 0, "timestamp": now()})
            page = await asyncio.to_thread(api, server, "GET", "/sessions?station=RAW-2")
            await command(server, "RAW-2", {"command": "stop", "session": page["items"][0]["id"]})
            assert await station.told.get() == (
                "RemoteStopTransaction", {"transactionId": started["transactionId"]})
    run(drive())


@pytest.mark.parametrize("body, field", [
    ({"action": "Reset", "payload": {"type": "Softly"}}, "payload.type"),
    ({"action": "Reset", "payload": {"type": "Soft", "at": "noon"}}, "payload.at"),
    ({"action": "Reset"}, "payload.type"),
    ({"action": "Reboot", "payload": {}}, "action"),
    ({"action": "BootNotification", "payload": {}}, "action"),
    ({"action": "ChangeConfiguration", "payload": {"key": "k", "value": 5}}, "payload.value"),
    ({"action": "UnlockConnector", "payload": {"connectorId": "1"}}, "payload.connectorId"),
    ({"action": "SendLocalList", "payload": {"listVersion": 1, "updateType": "Half"}}, "payload.updateType"),
    ({"command": "changeSetting", "key": "k" * 51, "value": "1"}, "key"),
    ({"command": "trigger", "message": "Everything"}, "requestedMessage"),
])
def test_what_is_wrong_is_refused_with_its_field(server, body, field):
    async def refuse():
        async with obedient(server, "RAW-3") as station:
            with pytest.raises(urllib.error.HTTPError) as refused:
                await command(server, "RAW-3", body)
            problem = json.load(refused.value)
            assert refused.value.code == 422 and problem["field"] == field, problem
            assert problem["detail"]
            assert station.told.empty()
    run(refuse())


def test_an_availability_that_is_scheduled_is_seen_when_the_charge_is_over(server):
    async def schedule():
        async with connected(server, "RAW-4") as station:
            await station.boot()

            async def status(word):
                await station.call(call.StatusNotification(
                    connector_id=1, error_code="NoError", status=word, timestamp=now()))

            await status("Charging")
            started = await station.call(call.StartTransaction(
                connector_id=1, id_tag="DEMO-CARD-1", meter_start=0, timestamp=now(-60)))
            made = await sent(server, "RAW-4", {"command": "setAvailability", "evse": 1, "operative": False})
            assert station.told[-1] == ("ChangeAvailability", 1, "Inoperative")
            assert (made["state"], made["answer"]) == ("accepted", "Scheduled")

            async def shown():
                found = await asyncio.to_thread(api, server, "GET", f"/commands/{made['id']}")
                return found["state"], found.get("effect")

            await station.call(call.StopTransaction(
                transaction_id=started.transaction_id, meter_stop=100, timestamp=now(), reason="Local"))
            # Over, and still in service: it waits on.
            await status("Finishing")
            assert await shown() == ("accepted", None)
            await status("Unavailable")
            assert await shown() == ("seen", "Unavailable")
            known = await asyncio.to_thread(api, server, "GET", "/stations/RAW-4")
            assert known["connectors"][0]["status"] == "Unavailable"
    run(schedule())
