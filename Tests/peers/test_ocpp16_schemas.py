"""Every OCPP 1.6 payload Kerb can emit, against the official schemas.

The Swift suite `The 1.6 dialect` writes them down in all combinations of what may be absent.
"""
import json
import os
import pathlib
from decimal import Decimal

import ocpp_schemas

FRAMES = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).parent / "ocpp16-frames.tsv"

# What the issue names, both ways: a sample that is missing here was forgotten in the Swift suite.
ACTIONS = [
    "Authorize", "BootNotification", "CancelReservation", "ChangeAvailability",
    "ChangeConfiguration", "ClearCache", "ClearChargingProfile", "DataTransfer",
    "GetCompositeSchedule", "GetConfiguration", "GetLocalListVersion", "Heartbeat", "MeterValues",
    "RemoteStartTransaction", "RemoteStopTransaction", "ReserveNow", "Reset", "SendLocalList",
    "SetChargingProfile", "StartTransaction",
    "StatusNotification", "StopTransaction", "TriggerMessage", "UnlockConnector",
    "UpdateFirmware", "FirmwareStatusNotification", "GetDiagnostics",
    "DiagnosticsStatusNotification", "SignedUpdateFirmware", "SignedFirmwareStatusNotification",
    "GetLog", "LogStatusNotification", "SecurityEventNotification", "SignCertificate",
    "CertificateSigned", "InstallCertificate", "DeleteCertificate", "GetInstalledCertificateIds",
    "ExtendedTriggerMessage",
]


def frames():
    assert FRAMES.exists(), f"{FRAMES} is missing: run the Swift tests first"
    for line in FRAMES.read_text("utf-8").splitlines():
        schema, payload = line.split("\t", 1)
        yield schema, payload


def test_every_emitted_payload_validates():
    wrong = []
    for schema, payload in frames():
        found = ocpp_schemas.faults(schema, json.loads(payload, parse_float=Decimal))
        if found:
            wrong.append((schema, payload, found))
    assert wrong == []


def test_keys_are_sorted():
    for _, payload in frames():
        ocpp_schemas.assert_sorted(json.loads(payload, object_pairs_hook=lambda p: p), payload)


def test_every_action_is_emitted_both_ways():
    seen = {schema for schema, _ in frames()}
    assert [name for name in ACTIONS if name not in seen] == []
    assert [name for name in ACTIONS if name + "Response" not in seen] == []


def test_the_check_can_fail():
    assert ocpp_schemas.faults("Heartbeat", {"extra": 1}) != []
    assert ocpp_schemas.faults("HeartbeatResponse", {"currentTime": "yesterday"}) != []
