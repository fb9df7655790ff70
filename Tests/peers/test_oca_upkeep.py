"""The OCA's public test cases for a 1.6 central system, by their ids: lists, firmware, reservations, triggers,
profiles, security. `Sources/OCPP.md` says which test covers which case.
"""
import asyncio
import datetime
import json

import pytest

from oca_station import CARD, at_station, server, stamp  # noqa: F401 (fixtures)


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
        session = (await station.sessions())[0]
        assert session["status"] == "ACTIVE"
        row = await station.reservation(made)
        assert (row["state"], row.get("session")) == ("used", session["id"])
    at_station(play)


def test_047_a_reservation_expires(at_station):
    async def play(station):
        end = stamp(3)
        made = await station.order("ReserveNow", command="reserve", evse=1, token=CARD, expires=end)
        assert made["state"] == "seen", made
        await station.status("Reserved")
        # No message says that it expired.
        async with asyncio.timeout(30):
            while (row := await station.reservation(made))["state"] == "held":
                await asyncio.sleep(0.1)
        assert (row["state"], row["expires"]) == ("expired", end)
        assert datetime.datetime.now(datetime.timezone.utc) >= datetime.datetime.fromisoformat(end)
        await station.status("Available")
        assert (await station.connector())["status"] == "Available"
    at_station(play)


def test_053_another_card_of_the_group_uses_the_reservation(at_station):
    async def play(station):
        for card, group in [("OCA-MINE", "OCA-FAMILY"), ("OCA-YOURS", "OCA-FAMILY"), ("OCA-LONE", None)]:
            await station.api("PUT", f"/tokens/{card}", {
                "type": "RFID", "contract_id": card, "issuer": "Kerb Demo", "valid": True, "whitelist": "ALLOWED",
                **({"group_id": group} if group else {})})
        end = stamp(600)
        made = await station.order(command="reserve", evse=1, token="OCA-MINE", expires=end)
        assert await station.heard.get() == ("ReserveNow", {
            "connectorId": 1, "expiryDate": end, "idTag": "OCA-MINE", "parentIdTag": "OCA-FAMILY",
            "reservationId": made["reservation"]})
        row = await station.reservation(made)
        assert (row["state"], row["token"], row["group"]) == ("held", "OCA-MINE", "OCA-FAMILY")
        await station.status("Reserved")
        # By its group the station knows who may.
        groups = {card: (await station.tell("Authorize", idTag=card))["idTagInfo"].get("parentIdTag")
                  for card in ("OCA-LONE", "OCA-YOURS")}
        assert groups == {"OCA-LONE": None, "OCA-YOURS": "OCA-FAMILY"}
        _, status = await station.start(tag="OCA-YOURS", reservationId=made["reservation"])
        assert status == "Accepted"
        (session,) = await station.sessions()
        row = await station.reservation(made)
        assert (session["status"], row["state"], row.get("session")) == ("ACTIVE", "used", session["id"])
    at_station(play)


@pytest.mark.parametrize("answer", ["Faulted", "Occupied", "Unavailable", "Rejected"])
def test_048_a_reservation_is_refused(at_station, answer):
    async def play(station):
        station.script["ReserveNow"] = {"status": answer}
        made = await reserve(station)
        assert (made["state"], made["answer"]) == ("rejected", answer)
        assert (await station.reservation(made))["state"] == "refused"
    at_station(play)


@pytest.mark.parametrize("answer, state", [("Accepted", "seen"), ("Rejected", "rejected")])
def test_051_052_a_reservation_is_cancelled(at_station, answer, state):
    async def play(station):
        station.script["CancelReservation"] = {"status": answer}
        made = await reserve(station)
        assert (await station.reservation(made))["state"] == "held"
        gone = await station.order(
            "CancelReservation", command="cancelReservation", reservation=made["reservation"])
        assert (gone["state"], gone["answer"]) == (state, answer)
        # One that the station does not know any more is gone as well.
        assert (await station.reservation(made))["state"] == "cancelled"
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


@pytest.mark.parametrize("action, body, kind", [
    ("CertificateSigned", {"command": "certificateSigned", "chain": PEM}, "InvalidChargePointCertificate"),
    ("InstallCertificate", {"command": "installRoot", "kind": "CentralSystemRootCertificate", "certificate": PEM},
     "InvalidCentralSystemCertificate")])
def test_077_078_a_certificate_is_invalid(at_station, action, body, kind):
    async def play(station):
        station.script[action] = {"status": "Rejected"}
        made = await station.order(action, **body)
        assert (made["state"], made["answer"]) == ("rejected", "Rejected")
        at = stamp(-5)
        assert await station.tell("SecurityEventNotification", type=kind, timestamp=at, techInfo="not signed") == {}
        assert await station.security_event(kind) == {"type": kind, "at": at, "info": "not signed"}
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
