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

from cpo_server import Server
from ocpp_schemas import Capture, faults
from test_ocpp16_station import api, command, run

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

# Action: raw payloads, the station's answer, the neutral command where one needs nothing before it.
COMMANDS = {
    "CancelReservation": ([{"reservationId": 7}], OK, None),
    "ChangeAvailability": ([{"connectorId": 0, "type": "Inoperative"}, {"connectorId": 1, "type": "Operative"}], OK,
                           {"command": "setAvailability", "evse": 1, "operative": True}),
    "ChangeConfiguration": ([{"key": "HeartbeatInterval", "value": "90"}], OK,
                            {"command": "changeSetting", "key": "HeartbeatInterval", "value": "90"}),
    "ClearCache": ([{}], OK, {"command": "clearCache"}),
    "ClearChargingProfile": ([{}, {"id": 1}, {"connectorId": 1, "chargingProfilePurpose": "TxProfile", "stackLevel": 2}],
                             OK, {"command": "clearLimits", "evse": 1}),
    "DataTransfer": ([{"vendorId": "org.kerb"}, {"vendorId": "org.kerb", "messageId": "m", "data": "{}"}], OK,
                     {"command": "data", "vendor": "org.kerb", "message": "m", "data": "d"}),
    "GetCompositeSchedule": ([{"connectorId": 0, "duration": 60}, {"connectorId": 1, "duration": 60, "chargingRateUnit": "W"}],
                             {"status": "Rejected"}, {"command": "getComposite", "evse": 1, "seconds": 60}),
    "GetConfiguration": ([{}, {"key": ["HeartbeatInterval"]}], {"unknownKey": ["X"]}, {"command": "getSettings", "keys": ["X"]}),
    "GetDiagnostics": ([{"location": "ftp://h/"}, {"location": "ftp://h/", "retries": 1, "retryInterval": 5,
                        "startTime": LATER, "stopTime": LATER}], {"fileName": "log.txt"},
                       {"command": "sendLog", "kind": "DiagnosticsLog", "location": "https://h/x"}),
    "GetLocalListVersion": ([{}], {"listVersion": 3}, {"command": "getLocalListVersion"}),
    "RemoteStartTransaction": ([{"idTag": "T"}, {"idTag": "T", "connectorId": 1, "chargingProfile": OWN}], OK,
                               {"command": "start", "evse": 1, "token": "DEMO-CARD-1"}),
    "RemoteStopTransaction": ([{"transactionId": 42}], OK, None),
    "ReserveNow": ([{"connectorId": 1, "expiryDate": LATER, "idTag": "T", "reservationId": 7},
                    {"connectorId": 0, "expiryDate": LATER, "idTag": "T", "parentIdTag": "P", "reservationId": 7}], OK,
                   {"command": "reserve", "evse": 1, "token": "DEMO-CARD-1", "expires": LATER}),
    "Reset": ([{"type": "Soft"}, {"type": "Hard"}], OK, {"command": "reset", "kind": "Soft"}),
    "SendLocalList": ([{"listVersion": 1, "updateType": "Full"},
                       {"listVersion": 2, "updateType": "Differential", "localAuthorizationList": [
                           {"idTag": "A"}, {"idTag": "B", "idTagInfo": {
                               "status": "Accepted", "expiryDate": LATER, "parentIdTag": "P"}}]}], OK,
                      {"command": "sendLocalList", "kind": "Full", "version": 5,
                       "entries": [{"token": "A", "status": "Accepted"}]}),
    "SetChargingProfile": ([{"connectorId": 1, "csChargingProfiles": PROFILE},
                            {"connectorId": 1, "csChargingProfiles": {**OWN, "transactionId": 5}}], OK,
                           {"command": "setLimit", "evse": 1, "amperes": 10.5}),
    "TriggerMessage": ([{"requestedMessage": "MeterValues", "connectorId": 1}, {"requestedMessage": "BootNotification"}], OK,
                       {"command": "trigger", "message": "StatusNotification", "evse": 1}),
    "UnlockConnector": ([{"connectorId": 1}], {"status": "Unlocked"}, {"command": "unlock", "evse": 1}),
    "UpdateFirmware": ([{"location": "https://h/f", "retrieveDate": LATER},
                        {"location": "https://h/f", "retrieveDate": LATER, "retries": 2, "retryInterval": 60}], {},
                       {"command": "updateFirmware", "location": "https://h/f", "retrieveAt": LATER}),
    "CertificateSigned": ([{"certificateChain": PEM}], OK, {"command": "certificateSigned", "chain": PEM}),
    "DeleteCertificate": ([{"certificateHashData": HASH}], OK,
                          {"command": "deleteCertificate", "algorithm": "SHA256", "issuerName": "aa", "issuerKey": "bb",
                           "serial": "01"}),
    "ExtendedTriggerMessage": ([{"requestedMessage": "SignChargePointCertificate"},
                                {"requestedMessage": "MeterValues", "connectorId": 1}], OK,
                               {"command": "extendedTrigger", "message": "LogStatusNotification"}),
    "GetInstalledCertificateIds": ([{"certificateType": "CentralSystemRootCertificate"}],
                                   {"status": "Accepted", "certificateHashData": [HASH]},
                                   {"command": "listRoots", "kind": "ManufacturerRootCertificate"}),
    "GetLog": ([{"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "https://h/"}},
                {"logType": "DiagnosticsLog", "requestId": 2, "retries": 1, "retryInterval": 1,
                 "log": {"remoteLocation": "https://h/", "oldestTimestamp": LATER, "latestTimestamp": LATER}}],
               {"status": "Accepted", "filename": "security.log"},
               {"command": "sendLog", "kind": "SecurityLog", "request": 3, "location": "https://h/x"}),
    "InstallCertificate": ([{"certificateType": "ManufacturerRootCertificate", "certificate": PEM}], OK,
                           {"command": "installRoot", "kind": "CentralSystemRootCertificate", "certificate": PEM}),
    "SignedUpdateFirmware": ([{"requestId": 1, "firmware": {
        "location": "https://h/f", "retrieveDateTime": LATER, "signingCertificate": PEM, "signature": "AA=="}},
        {"requestId": 2, "retries": 1, "retryInterval": 1, "firmware": {
            "location": "https://h/f", "retrieveDateTime": LATER, "installDateTime": LATER,
            "signingCertificate": PEM, "signature": "AA=="}}], OK,
        {"command": "updateFirmware", "location": "https://h/f", "retrieveAt": LATER, "request": 3,
         "certificate": PEM, "signature": "AA=="}),
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
    for action, (payloads, answer, _) in COMMANDS.items():
        for payload in payloads:
            assert faults(action, json.loads(json.dumps(payload), parse_float=Decimal)) == [], action
        assert faults(action + "Response", answer) == [], action


def test_every_action_goes_out_raw(server):
    async def drive():
        async with obedient(server, "RAW-1") as station:
            for action, (payloads, answer, _) in COMMANDS.items():
                for payload in payloads:
                    got = await sent(server, "RAW-1", {"action": action, "payload": payload})
                    assert got["state"] in ("seen", "accepted", "rejected"), (action, got)
                    assert json.loads(got["answer"]) == answer
                    assert await station.told.get() == (action, payload)
    run(drive())


def test_every_neutral_command_becomes_its_action(server):
    async def drive():
        async with obedient(server, "RAW-2") as station:
            for action, (_, _, body) in COMMANDS.items():
                if body is None:
                    continue
                got = await sent(server, "RAW-2", body)
                assert got["state"] in ("seen", "accepted", "rejected"), (action, got)
                assert (await station.told.get())[0] == action
            # What needs something before it.
            reserved = await command(server, "RAW-2", COMMANDS["ReserveNow"][2])
            assert (await station.told.get())[0] == "ReserveNow"
            await command(server, "RAW-2", {
                "command": "cancelReservation", "reservation": reserved["reservation"]})
            assert await station.told.get() == (
                "CancelReservation", {"reservationId": reserved["reservation"]})
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
