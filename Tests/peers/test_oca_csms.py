"""The OCA's public test cases for a 1.6 central system, by their ids, with a station in our hands.

Every frame is checked against the official schemas that PyPI `ocpp` ships. `Sources/OCPP.md` says which
test covers which case.
"""
import asyncio
import contextlib
import datetime
import itertools
import json
import urllib.error
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
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


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


# Core: boot, local charges.

def test_001_cold_boot(at_station):
    async def play(station):
        again = await station.boot()
        assert again["status"] == "Accepted" and 54 <= again["interval"] <= 66
        now = datetime.datetime.now(datetime.timezone.utc)
        assert abs((datetime.datetime.fromisoformat(again["currentTime"]) - now).total_seconds()) < 5
        beat = await station.tell("Heartbeat")
        assert abs((datetime.datetime.fromisoformat(beat["currentTime"]) - now).total_seconds()) < 5
        assert (await station.connector())["status"] == "Available"
    at_station(play)


@pytest.mark.parametrize("first", ["plug", "card", "cached"])
def test_003_004_1_007_a_charge_at_the_station(at_station, first):
    async def play(station):
        if first == "plug":
            await station.status("Preparing")
        if first != "cached":
            assert await station.authorize(CARD) == "Accepted"
        if first != "plug":
            await station.status("Preparing")
        transaction, status = await station.start(at=-60)
        assert status == "Accepted" and transaction > 0
        await station.status("Charging")
        assert (await station.sessions())[0]["status"] == "ACTIVE"
        assert await station.tell("MeterValues", connectorId=1, transactionId=transaction, meterValue=[
            {"timestamp": stamp(-30), "sampledValue": [{"value": "1200"}]}]) == {}
        assert (await station.stop(transaction, tag=CARD))["idTagInfo"]["status"] == "Accepted"
        await station.status("Finishing")
        await station.status("Available")
        session = (await station.sessions())[0]
        assert session["status"] == "COMPLETED" and session["energyWh"] == 500
    at_station(play)


def test_004_2_no_plug_comes_after_the_card(at_station):
    async def play(station):
        assert await station.authorize(CARD) == "Accepted"
        await station.status("Preparing")
        await station.status("Available")
        assert await station.sessions() == []
    at_station(play)


def test_005_1_the_cable_is_pulled_at_the_car(at_station):
    async def play(station):
        transaction, _ = await station.start(at=-60)
        await station.status("SuspendedEV")
        assert await station.stop(transaction, reason="EVDisconnected") == {}
        assert (await station.sessions())[0]["stopReason"] == "EVDisconnected"
    at_station(play)


@pytest.mark.parametrize("tag, status", [(STRANGER, "Invalid"), (BLOCKED, "Blocked")])
def test_023_1_023_3_authorize(at_station, tag, status):
    async def play(station):
        assert await station.authorize(tag) == status
    at_station(play)


# Orders from the centre.

@pytest.mark.parametrize("first", ["cable", "order"])
def test_010_011_1_a_remote_start(at_station, first):
    async def play(station):
        if first == "cable":
            await station.status("Preparing")
        made = await station.order("RemoteStartTransaction", command="start", evse=1, token=CARD)
        assert made["state"] == "accepted"
        if first == "order":
            await station.status("Preparing")
        _, status = await station.start()
        assert status == "Accepted"
        seen = await station.command(made)
        assert seen["state"] == "seen" and seen["effect"] == (await station.sessions())[0]["id"]
    at_station(play)


def test_011_2_nobody_plugs_in_after_a_remote_start(at_station):
    async def play(station):
        made = await station.order("RemoteStartTransaction", command="start", evse=1, token=CARD)
        await station.status("Preparing")
        await station.status("Available")
        # It waits until its window is over, and begins nothing; the unit test lets the window pass.
        assert (await station.command(made))["state"] == "accepted"
        assert await station.sessions() == []
    at_station(play)


def test_012_a_remote_stop(at_station):
    async def play(station):
        transaction, _ = await station.start(at=-60)
        session = (await station.sessions())[0]["id"]
        made = await station.order(command="stop", session=session)
        assert await station.heard.get() == ("RemoteStopTransaction", {"transactionId": transaction})
        await station.stop(transaction, reason="Remote")
        assert (await station.command(made))["state"] == "seen"
        assert (await station.sessions())[0]["stopReason"] == "Remote"
    at_station(play)


@pytest.mark.parametrize("kind", ["Hard", "Soft"])
def test_013_014_reset(server, kind):
    async def play():
        async with connected(server, f"OCA-RESET-{kind}") as station:
            transaction, _ = await station.start(at=-60)
            made = await station.order("Reset", command="reset", kind=kind)
            assert made["state"] == "accepted"
            if kind == "Soft":
                await station.stop(transaction, reason="SoftReset")
        async with connected(server, f"OCA-RESET-{kind}") as station:
            if kind == "Hard":
                await station.stop(transaction, reason="HardReset")
            assert (await station.command(made))["state"] == "seen"
            assert (await station.sessions())[0]["stopReason"] == f"{kind}Reset"
    run(play())


@pytest.mark.parametrize("answer, state", [
    ("Unlocked", "seen"), ("UnlockFailed", "rejected"), ("NotSupported", "rejected")])
def test_017_1_017_2_030_031_unlock(at_station, answer, state):
    async def play(station):
        station.script["UnlockConnector"] = {"status": answer}
        made = await station.order("UnlockConnector", command="unlock", evse=1)
        assert (made["state"], made["answer"]) == (state, answer)
    at_station(play)


def test_018_1_unlock_ends_a_charge(at_station):
    async def play(station):
        station.script["UnlockConnector"] = {"status": "Unlocked"}
        transaction, _ = await station.start(at=-60)
        await station.order("UnlockConnector", command="unlock", evse=1)
        await station.stop(transaction, reason="UnlockCommand")
        assert (await station.sessions())[0]["stopReason"] == "UnlockCommand"
    at_station(play)


@pytest.mark.parametrize("keys", [[], ["SupportedFeatureProfiles"]])
def test_019_1_019_2_configuration_is_read(at_station, keys):
    async def play(station):
        entry = {"key": "SupportedFeatureProfiles", "readonly": True, "value": "Core"}
        station.script["GetConfiguration"] = {"configurationKey": [entry]}
        made = await station.order(command="getSettings", keys=keys)
        assert await station.heard.get() == ("GetConfiguration", {"key": keys} if keys else {})
        assert json.loads(made["answer"])["settings"] == [entry]
    at_station(play)


@pytest.mark.parametrize("answer, state", [
    ("Accepted", "seen"), ("RebootRequired", "seen"), ("NotSupported", "rejected"), ("Rejected", "rejected")])
def test_021_040_1_040_2_configuration_is_changed(at_station, answer, state):
    async def play(station):
        station.script["ChangeConfiguration"] = {"status": answer}
        made = await station.order("ChangeConfiguration", command="changeSetting", key="MeterValueSampleInterval", value="10")
        assert (made["state"], made["answer"]) == (state, answer)
    at_station(play)


def test_024_a_lock_fails(at_station):
    async def play(station):
        await station.status("Faulted", error="ConnectorLockFailure")
        connector = await station.connector()
        assert connector["status"] == "Faulted" and connector["errorCode"] == "ConnectorLockFailure"
        with pytest.raises(urllib.error.HTTPError) as refused:
            await station.order(command="start", evse=1, token=CARD)
        assert refused.value.code == 409
    at_station(play)


def test_026_028_remote_orders_are_rejected(at_station):
    async def play(station):
        station.script["RemoteStartTransaction"] = station.script["RemoteStopTransaction"] = {"status": "Rejected"}
        made = await station.order("RemoteStartTransaction", command="start", evse=1, token=CARD)
        assert made["state"] == "rejected"
        await station.start()
        made = await station.order(
            "RemoteStopTransaction", command="stop", session=(await station.sessions())[0]["id"])
        assert made["state"] == "rejected" and (await station.sessions())[0]["status"] == "ACTIVE"
    at_station(play)


def test_061_the_cache_is_cleared(at_station):
    async def play(station):
        assert (await station.order("ClearCache", command="clearCache"))["state"] == "seen"
    at_station(play)


def test_064_data_of_an_unknown_vendor(at_station):
    async def play(station):
        assert await station.tell("DataTransfer", vendorId="org.nobody", messageId="m", data="{}") == {
            "status": "UnknownVendorId"}
    at_station(play)


# Power and line failures.

def test_032_1_power_fails(server):
    async def play():
        async with connected(server, "OCA-POWER") as station:
            transaction, _ = await station.start(at=-60)
        async with connected(server, "OCA-POWER") as station:
            assert await station.stop(transaction, reason="PowerLoss") == {}
            assert (await station.sessions())[0]["stopReason"] == "PowerLoss"
    run(play())


def test_037_1_039_a_charge_without_the_line(server):
    async def play():
        async with connected(server, "OCA-LINE"):
            pass
        async with connected(server, "OCA-LINE", reboots=False) as station:
            transaction, status = await station.start(at=-900)
            assert status == "Accepted"
            await station.tell("MeterValues", connectorId=1, transactionId=transaction, meterValue=[
                {"timestamp": stamp(-600), "sampledValue": [{"value": "1300"}]}])
            await station.stop(transaction, at=-300)
            session = (await station.sessions())[0]
            assert session["status"] == "COMPLETED" and session["energyWh"] == 500
            assert session["startedAt"] == stamp(-900) or session["startedAt"].endswith("Z")
    run(play())


def test_037_3_an_invalid_tag_without_the_line(at_station):
    async def play(station):
        transaction, status = await station.start(tag=STRANGER, at=-60)
        assert status == "Invalid" and transaction > 0
        await station.stop(transaction, register=1010, reason="DeAuthorized")
        page = await station.api("GET", "/suspicions?limit=500")
        codes = {one["code"] for one in page["items"] if one["station"] == station.name}
        assert {"unknownToken", "chargedWhileRefused"} <= codes
    at_station(play)


# Local lists.

@pytest.mark.parametrize("version", [-1, 0])
def test_042_1_042_2_list_versions(at_station, version):
    async def play(station):
        station.script["GetLocalListVersion"] = {"listVersion": version}
        made = await station.order("GetLocalListVersion", command="getLocalListVersion")
        assert json.loads(made["answer"]) == {"listVersion": version}
    at_station(play)


@pytest.mark.parametrize("kind, answer, state", [
    ("Full", "NotSupported", "rejected"), ("Full", "Failed", "rejected"), ("Full", "Accepted", "seen"),
    ("Differential", "Accepted", "seen"), ("Differential", "VersionMismatch", "rejected")])
def test_043_1_043_3_043_4_043_5_lists(at_station, kind, answer, state):
    async def play(station):
        station.script["SendLocalList"] = {"status": answer}
        made = await station.order(command="sendLocalList", kind=kind, version=3, entries=[
            {"token": CARD, "status": "Accepted"}])
        assert await station.heard.get() == ("SendLocalList", {
            "listVersion": 3, "updateType": kind,
            "localAuthorizationList": [{"idTag": CARD, "idTagInfo": {"status": "Accepted"}}]})
        assert (made["state"], made["answer"]) == (state, answer)
    at_station(play)


# Firmware and diagnostics.

@pytest.mark.parametrize("told", [
    ["Downloading", "Downloaded", "Installing", "Installed"], ["Downloading", "DownloadFailed"],
    ["Downloading", "Downloaded", "Installing", "InstallationFailed"]])
def test_044_firmware(at_station, told):
    async def play(station):
        station.script["UpdateFirmware"] = {}
        made = await station.order(
            "UpdateFirmware", command="updateFirmware", location="https://h/f", retrieveAt=stamp())
        assert made["state"] == "accepted"
        for status in told:
            assert await station.tell("FirmwareStatusNotification", status=status) == {}
        seen = await station.command(made)
        assert (seen["state"], seen["effect"]) == ("seen", told[-1])
    at_station(play)


@pytest.mark.parametrize("last, effect", [("Uploaded", "Uploaded"), ("UploadFailed", "UploadFailure")])
def test_045_diagnostics(at_station, last, effect):
    async def play(station):
        station.script["GetDiagnostics"] = {"fileName": "diagnostics.zip"}
        made = await station.order(
            "GetDiagnostics", command="sendLog", kind="DiagnosticsLog", location="https://h/x")
        for status in ("Uploading", last):
            assert await station.tell("DiagnosticsStatusNotification", status=status) == {}
        seen = await station.command(made)
        # 1.6 and its security extension spell it differently; here it is one thing.
        assert (seen["state"], seen["effect"]) == ("seen", effect)
    at_station(play)


# Reservations.

async def reserve(station, evse=1):
    return await station.order(
        "ReserveNow", command="reserve", evse=evse, token=CARD, expires=stamp(600))


@pytest.mark.parametrize("evse", [0, 1])
def test_046_049_a_reserved_connector_is_used(at_station, evse):
    async def play(station):
        made = await reserve(station, evse)
        assert made["state"] == "seen"
        await station.status("Reserved", max(evse, 1))
        _, status = await station.start(reservationId=made["reservation"])
        assert status == "Accepted"
        assert (await station.sessions())[0]["status"] == "ACTIVE"
    at_station(play)


def test_047_a_reservation_expires(at_station):
    async def play(station):
        made = await station.order(
            "ReserveNow", command="reserve", evse=1, token=CARD, expires=stamp(5))
        assert made["state"] == "seen", made
        await station.status("Reserved")
        # No message says that it expired: the status does.
        await station.status("Available")
        assert (await station.connector())["status"] == "Available"
    at_station(play)


@pytest.mark.parametrize("answer", ["Faulted", "Occupied", "Unavailable", "Rejected"])
def test_048_a_reservation_is_refused(at_station, answer):
    async def play(station):
        station.script["ReserveNow"] = {"status": answer}
        made = await reserve(station)
        assert (made["state"], made["answer"]) == ("rejected", answer)
    at_station(play)


@pytest.mark.parametrize("answer, state", [("Accepted", "seen"), ("Rejected", "rejected")])
def test_051_052_a_reservation_is_cancelled(at_station, answer, state):
    async def play(station):
        station.script["CancelReservation"] = {"status": answer}
        made = await reserve(station)
        gone = await station.order(
            "CancelReservation", command="cancelReservation", reservation=made["reservation"])
        assert (gone["state"], gone["answer"]) == (state, answer)
    at_station(play)


# Triggers, profiles.

@pytest.mark.parametrize("message", [
    "BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification", "Heartbeat", "MeterValues",
    "StatusNotification"])
def test_054_triggers(at_station, message):
    async def play(station):
        made = await station.order(command="trigger", message=message, evse=1)
        assert await station.heard.get() == (
            "TriggerMessage", {"connectorId": 1, "requestedMessage": message})
        assert made["state"] == "seen"
    at_station(play)


@pytest.mark.parametrize("answer", ["Rejected", "NotImplemented"])
def test_055_a_trigger_is_rejected(at_station, answer):
    async def play(station):
        station.script["TriggerMessage"] = {"status": answer}
        made = await station.order("TriggerMessage", command="trigger", message="MeterValues")
        assert (made["state"], made["answer"]) == ("rejected", answer)
    at_station(play)


PERIODS = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.5}]}


@pytest.mark.parametrize("purpose", ["TxDefaultProfile", "TxProfile"])
def test_056_057_profiles(at_station, purpose):
    async def play(station):
        profile = {"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": purpose,
                   "chargingProfileKind": "Relative", "chargingSchedule": PERIODS}
        if purpose == "TxProfile":
            profile["transactionId"], _ = await station.start()
        payload = {"connectorId": 1, "csChargingProfiles": profile}
        made = await station.order(action="SetChargingProfile", payload=payload)
        assert await station.heard.get() == ("SetChargingProfile", payload)
        assert made["state"] == "seen"
    at_station(play)


def test_059_a_remote_start_with_a_profile(at_station):
    async def play(station):
        payload = {"connectorId": 1, "idTag": CARD, "chargingProfile": {
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative", "chargingSchedule": PERIODS}}
        await station.order(action="RemoteStartTransaction", payload=payload)
        assert await station.heard.get() == ("RemoteStartTransaction", payload)
        assert (await station.start())[1] == "Accepted"
    at_station(play)


def test_066_the_composite_schedule(at_station):
    async def play(station):
        station.script["GetCompositeSchedule"] = {
            "status": "Accepted", "connectorId": 1, "scheduleStart": stamp(), "chargingSchedule": PERIODS}
        made = await station.order("GetCompositeSchedule", command="getComposite", evse=1, seconds=300)
        assert made["state"] == "seen" and "10.5" in made["answer"]
    at_station(play)


@pytest.mark.parametrize("answer, state", [("Accepted", "seen"), ("Unknown", "rejected")])
def test_067_profiles_are_cleared(at_station, answer, state):
    async def play(station):
        station.script["ClearChargingProfile"] = {"status": answer}
        made = await station.order("ClearChargingProfile", command="clearLimits", evse=1)
        assert (made["state"], made["answer"]) == (state, answer)
    at_station(play)


# Security.

PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("kind", ["ManufacturerRootCertificate", "CentralSystemRootCertificate"])
def test_075_a_root_is_installed(at_station, kind):
    async def play(station):
        made = await station.order(
            "InstallCertificate", command="installRoot", kind=kind, certificate=PEM)
        assert made["state"] == "seen"
        station.script["GetInstalledCertificateIds"] = {"status": "NotFound"}
        made = await station.order("GetInstalledCertificateIds", command="listRoots", kind=kind)
        assert json.loads(made["answer"]) == {"certificates": []}
    at_station(play)


def test_076_a_root_is_deleted(at_station):
    async def play(station):
        for answer, state in [("Accepted", "seen"), ("NotFound", "rejected"), ("Failed", "rejected")]:
            station.script["DeleteCertificate"] = {"status": answer}
            made = await station.order(
                "DeleteCertificate", command="deleteCertificate", algorithm="SHA256", issuerName="aa",
                issuerKey="bb", serial="01")
            assert (made["state"], made["answer"]) == (state, answer)
    at_station(play)


@pytest.mark.parametrize("kind", ["InvalidChargePointCertificate", "InvalidCentralSystemCertificate"])
def test_077_078_a_certificate_is_invalid(at_station, kind):
    async def play(station):
        assert (await station.order(
            "CertificateSigned", command="certificateSigned", chain=PEM))["state"] == "seen"
        assert await station.tell("SecurityEventNotification", type=kind, timestamp=stamp()) == {}
    at_station(play)


def test_079_the_security_log(at_station):
    async def play(station):
        station.script["GetLog"] = {"status": "Accepted", "filename": "security.log"}
        made = await station.order(
            "GetLog", command="sendLog", kind="SecurityLog", request=9, location="https://h/x")
        assert made["state"] == "accepted"
        for status in ("Uploading", "Uploaded"):
            assert await station.tell("LogStatusNotification", status=status, requestId=9) == {}
        assert (await station.command(made))["state"] == "seen"
    at_station(play)


@pytest.mark.parametrize("told", [
    ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"],
    ["Downloading", "Downloaded", "InvalidSignature"]])
def test_080_081_signed_firmware(at_station, told):
    async def play(station):
        made = await station.order(
            "SignedUpdateFirmware", command="updateFirmware", location="https://h/f", retrieveAt=stamp(), request=9,
            certificate=PEM, signature="AA==")
        for status in told:
            assert await station.tell("SignedFirmwareStatusNotification", status=status, requestId=9) == {}
        seen = await station.command(made)
        assert (seen["state"], seen["effect"]) == ("seen", told[-1])
    at_station(play)


def test_083_the_profile_is_raised(server):
    async def play():
        async with connected(server, "OCA-PROFILE") as station:
            made = await station.order(
                "ChangeConfiguration", command="changeSetting", key="SecurityProfile", value="2")
            assert made["state"] == "seen"
            access = (await station.api("GET", "/stations/OCA-PROFILE"))["access"]
            # What it had counts until it came with the new one.
            assert access["securityProfile"] == 2 and access["oldProfileUntil"], access
        async with connected(server, "OCA-PROFILE", reboots=False) as station:
            await station.tell("Heartbeat")
    run(play())
