"""PyPI `ocpp` as central system drives local lists, reservations, configuration keys (over
a kill), triggers, a charge's limit and clock-aligned values of `kerb-edge run` on simulated hardware.

Every frame the station sends is checked against the official schemas.
"""
import asyncio
import contextlib
import datetime
import json

import websockets
from ocpp.routing import on
from ocpp.v16 import call, call_result
from websockets.frames import Opcode

from edge_site import EdgeSite
from test_ocpp16_csms import Central, System, Wire

LIMIT = 90  # seconds for the whole visit, whatever happens


class Listener(Central):
    @on("DiagnosticsStatusNotification")
    def on_diagnostics(self, **fields):
        self.note("DiagnosticsStatusNotification", **fields)
        return call_result.DiagnosticsStatusNotification()

    @on("FirmwareStatusNotification")
    def on_firmware(self, **fields):
        self.note("FirmwareStatusNotification", **fields)
        return call_result.FirmwareStatusNotification()


class Lists(System):
    def __init__(self):
        super().__init__()
        self.pings = 0

    async def handle(self, socket):
        read = socket.protocol.recv_frame

        def count(frame):
            self.pings += frame.opcode is Opcode.PING
            return read(frame)

        socket.protocol.recv_frame = count
        self.central = Listener(self, Wire(socket, self.capture))
        self.socket = socket
        self.connected.set()
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.central.start()
        self.connected.clear()

    async def ask(self, request):
        return await self.central.call(request, suppress=False)

    async def change(self, key, value):
        return (await self.ask(call.ChangeConfiguration(key=key, value=value))).status


def after(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_lists_reservations_keys_and_triggers(tmp_path):
    async def visit():
        system = Lists()
        async with asyncio.timeout(LIMIT), websockets.serve(
                system.handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"],
                ping_interval=None) as server:
            site = EdgeSite(tmp_path, server.sockets[0].getsockname()[1])
            try:
                site.start()
                for connector in (0, 1, 2):
                    await system.status(connector, "Available")
                await a_list_is_kept_in_step(system)
                await keys_have_their_types_and_bounds(system)
                await triggers_are_all_obeyed(system)
                await makers_messages_are_told_apart(system)
                await a_charge_ends_at_its_limit(system, site)
                await meters_are_read_by_the_clock(system)
                await connectors_are_reserved(system)
                await a_reservation_lasts_over_a_crash_and_is_used(system, site)
            except BaseException:
                print(site.logs())
                print(*system.events[-30:], sep="\n")
                raise
            finally:
                site.stop()
        assert system.capture.check() > 30
    asyncio.run(visit())


def listed(tag, status="Accepted", **more):
    return {"idTag": tag, "idTagInfo": {"status": status, **more}}


async def a_list_is_kept_in_step(system):
    async def version():
        return (await system.ask(call.GetLocalListVersion())).list_version

    async def send(kind, number, entries=None):
        return (await system.ask(call.SendLocalList(
            list_version=number, update_type=kind, local_authorization_list=entries))).status

    assert await version() == 0
    assert await send("Full", 5, [
        listed("GOOD-1", parentIdTag="FAMILY"), listed("GOOD-2"),
        listed("LATE", expiryDate=after(-60))]) == "Accepted"
    assert await version() == 5
    assert await send("Differential", 5, [listed("GOOD-3")]) == "VersionMismatch"
    assert await send("Differential", 6, [listed("GOOD-3", "Blocked"), {"idTag": "GOOD-2"}]) == \
        "Accepted"
    # Twice the same driver, a driver without a word on him, more than fit a message.
    assert await send("Full", 7, [listed("TWICE"), listed("twice")]) == "Failed"
    assert await send("Full", 7, [{"idTag": "NOBODY"}]) == "Failed"
    assert await send("Full", 7, [listed(f"T{number}") for number in range(501)]) == "Failed"
    assert await version() == 6
    assert await system.change("LocalAuthListEnabled", "false") == "Accepted"
    assert await version() == -1
    assert await send("Full", 7, []) == "NotSupported"
    assert await system.change("LocalAuthListEnabled", "true") == "Accepted"
    assert await version() == 6
    answer = await system.stray('[2,"stray-list","SendLocalList",{"listVersion":7}]')
    assert answer[2] == "ProtocolError"


async def keys_have_their_types_and_bounds(system):
    everything = await system.ask(call.GetConfiguration())
    keys = {entry["key"]: entry for entry in everything.configuration_key}
    for key in ("LocalAuthListMaxLength", "SendLocalListMaxLength", "GetConfigurationMaxKeys",
                "MeterValuesSampledDataMaxLength", "ConnectorPhaseRotationMaxLength"):
        assert keys[key]["readonly"] and int(keys[key]["value"]) > 0, key
    assert keys["ReserveConnectorZeroSupported"]["value"] == "true"
    assert {"Core", "LocalAuthListManagement", "Reservation", "RemoteTrigger"} <= set(
        keys["SupportedFeatureProfiles"]["value"].split(","))
    assert keys["ConnectorPhaseRotation"]["value"] == "0.RST,1.RST,2.NotApplicable"
    assert "LightIntensity" not in keys
    for key, value, status in (
            # Wired as the configuration file says: it may be confirmed, and not changed.
            ("ConnectorPhaseRotation", "0.RST,1.STR,2.NotApplicable", "Rejected"),
            ("ConnectorPhaseRotation", "1.RST,0.RST,2.NotApplicable", "Accepted"),
            ("ConnectorPhaseRotation", "9.RST", "Rejected"),
            ("MeterValuesSampledData", "Voltage.L1,SoC", "Rejected"),
            ("MaxEnergyOnInvalidId", "-5", "Rejected"), ("LightIntensity", "5", "NotSupported"),
            ("LocalAuthListMaxLength", "5", "Rejected"), ("ResetRetries", "2", "Accepted"),
            ("WebSocketPingInterval", "1", "Accepted"), ("HeartbeatInterval", "600", "Accepted")):
        assert await system.change(key, value) == status, (key, value)
    most = int(keys["GetConfigurationMaxKeys"]["value"])
    many = json.dumps({"key": [f"Key{number}" for number in range(most + 1)]})
    answer = await system.stray(f'[2,"stray-keys","GetConfiguration",{many}]')
    assert answer[2] == "OccurenceConstraintViolation"
    # The operator is silent now: the station looks whether he is still there.
    since = system.pings
    async with asyncio.timeout(10):
        while system.pings < since + 2:
            await asyncio.sleep(0.1)
    assert await system.change("WebSocketPingInterval", "0") == "Accepted"


async def triggers_are_all_obeyed(system):
    for trigger, connector in (
            ("Heartbeat", None), ("StatusNotification", 2), ("MeterValues", 1),
            ("DiagnosticsStatusNotification", None), ("FirmwareStatusNotification", None)):
        since = len(system.events)
        answer = await system.ask(call.TriggerMessage(
            requested_message=trigger, connector_id=connector))
        assert answer.status == "Accepted", trigger
        fields = await system.until(trigger, lambda f: True, since)
        assert fields.get("connector_id") == connector
    for trigger, connector in (
            ("StatusNotification", 9), ("MeterValues", 9), ("BootNotification", None)):
        answer = await system.ask(call.TriggerMessage(
            requested_message=trigger, connector_id=connector))
        assert answer.status == "Rejected", trigger


async def makers_messages_are_told_apart(system):
    async def transfer(vendor, message=None):
        return await system.ask(call.DataTransfer(vendor_id=vendor, message_id=message))
    assert (await transfer("org.example", "x")).status == "UnknownVendorId"
    assert (await transfer("kerb", "x")).status == "UnknownMessageId"
    status = await transfer("kerb", "Status")
    assert status.status == "Accepted" and json.loads(status.data)["station"] == "PEER-1"


async def a_charge_ends_at_its_limit(system, site):
    async def limit(**order):
        answer = await system.ask(call.DataTransfer(
            vendor_id="kerb", message_id="ChargeLimit", data=json.dumps(order)))
        return answer.status, json.loads(answer.data or "{}").get("reason")

    assert await limit(connectorId=2, energyWh=5) == ("Rejected", "no such charge is running")
    since = len(system.events)
    site.plug_in(2)
    await system.status(2, "Preparing", since)
    assert (await system.ask(call.RemoteStartTransaction(
        id_tag="GOOD-2", connector_id=2))).status == "Accepted"
    start = await system.until("StartTransaction", lambda f: f["connector_id"] == 2, since)
    await system.status(2, "Charging", since)
    number = list(system.transactions.values())[-1]
    status, why = await limit(transactionId=number, energyWh=0)
    assert status == "Rejected" and "energyWh" in why
    assert await limit(transactionId=number, energyWh=5) == ("Accepted", None)
    stop = await system.until("StopTransaction", lambda f: f["transaction_id"] == number, since)
    # OCPP 1.6 has no reason for it: the status after it tells which limit it was.
    assert stop["reason"] == "Local" and stop["meter_stop"] >= start["meter_start"] + 5
    finishing = await system.status(2, "Finishing", since)
    assert finishing["info"] == "energy limit reached" and finishing["error_code"] == "NoError"
    assert not site.evse(2)["contactor"]["isClosed"]
    site.unplug(2)
    await system.status(2, "Available", since)


async def meters_are_read_by_the_clock(system):
    assert await system.change(
        "MeterValuesAlignedData", "Energy.Active.Import.Register,Voltage.L1") == "Accepted"
    since = len(system.events)
    assert await system.change("ClockAlignedDataInterval", "2") == "Accepted"
    fields = await system.until("MeterValues", lambda f: f["connector_id"] == 1, since)
    assert await system.change("ClockAlignedDataInterval", "0") == "Accepted"
    assert "transaction_id" not in fields
    reading = fields["meter_value"][0]
    moment = datetime.datetime.fromisoformat(reading["timestamp"].replace("Z", "+00:00"))
    assert moment.timestamp() % 2 < 1.9
    assert [(s["measurand"], s.get("phase"), s["context"]) for s in reading["sampled_value"]] == [
        ("Energy.Active.Import.Register", None, "Sample.Clock"), ("Voltage", "L1-N", "Sample.Clock")]


async def reserve(system, number, connector, tag, seconds=600, **more):
    return (await system.ask(call.ReserveNow(
        connector_id=connector, expiry_date=after(seconds), id_tag=tag, reservation_id=number,
        **more))).status


async def connectors_are_reserved(system):
    async def cancel(number):
        return (await system.ask(call.CancelReservation(reservation_id=number))).status

    since = len(system.events)
    assert await reserve(system, 11, 1, "GOOD-1", seconds=-5) == "Rejected"
    assert await reserve(system, 11, 9, "GOOD-1") == "Rejected"
    assert await reserve(system, 11, 1, "GOOD-1", seconds=3) == "Accepted"
    await system.status(1, "Reserved", since)
    assert await reserve(system, 12, 1, "GOOD-2") == "Occupied"
    refused = await system.ask(call.RemoteStartTransaction(id_tag="OTHER", connector_id=1))
    assert refused.status == "Rejected"
    # Both connectors: the station's reservation keeps the last one.
    assert await reserve(system, 13, 0, "GOOD-3") == "Accepted"
    await system.status(2, "Reserved", since)
    assert await reserve(system, 14, 0, "GOOD-4") == "Occupied"
    # It ends by its date, and the second connector is free again.
    await system.status(1, "Available", since)
    await system.status(2, "Available", since)
    assert await cancel(13) == "Accepted"
    assert await cancel(13) == "Rejected"
    assert await cancel(11) == "Rejected"


# None of them stands at its standard value; the first was written above.
KEPT = {
    "ResetRetries": "2", "AuthorizationCacheEnabled": "false", "ConnectionTimeOut": "45",
    "TransactionMessageAttempts": "4", "MeterValuesSampledData": "Energy.Active.Import.Register,Voltage.L1",
    "CpoName": "Example & Söhne",
}


async def kept_keys(system):
    answer = await system.ask(call.GetConfiguration(key=[*KEPT, "HeartbeatInterval"]))
    return {entry["key"]: entry["value"] for entry in answer.configuration_key}


async def a_reservation_lasts_over_a_crash_and_is_used(system, site):
    for key, value in list(KEPT.items())[1:]:
        assert await system.change(key, value) == "Accepted", key
    assert await kept_keys(system) == {**KEPT, "HeartbeatInterval": "600"}
    since = len(system.events)
    assert await reserve(system, 21, 1, "GOOD-MINE", parent_id_tag="FAMILY") == "Accepted"
    await system.status(1, "Reserved", since)
    site.kill_edge()
    since = len(system.events)
    site.start_edge()
    await system.status(1, "Reserved", since)
    assert (await system.ask(call.GetLocalListVersion())).list_version == 6
    # The keys last as well, but for the one that the answer to a boot sets. OCPP 1.6 §4.2.
    assert await kept_keys(system) == {**KEPT, "HeartbeatInterval": "2"}
    assert await system.change("MeterValueSampleInterval", "1") == "Accepted"
    assert await system.change(
        "StopTxnSampledData", "Energy.Active.Import.Register") == "Accepted"
    site.plug_in(1)
    # One of the family, whom the list knows, uses it.
    assert await system.change("LocalPreAuthorize", "true") == "Accepted"
    site.show_token("GOOD-1")
    start = await system.until("StartTransaction", lambda f: True, since)
    assert start["id_tag"] == "GOOD-1" and start["reservation_id"] == 21
    await system.status(1, "Charging", since)
    assert not [f for action, f in system.events[since:] if action == "Authorize"]
    await system.until("MeterValues", lambda f: "transaction_id" in f, since)
    site.show_token("GOOD-1")
    stop = await system.until("StopTransaction", lambda f: True, since)
    contexts = [r["sampled_value"][0]["context"] for r in stop["transaction_data"]]
    assert contexts[0] == "Transaction.Begin" and contexts[-1] == "Transaction.End"
    assert "Sample.Periodic" in contexts
    values = [int(r["sampled_value"][0]["value"]) for r in stop["transaction_data"]]
    assert values == sorted(values)
    assert values[0] == start["meter_start"] and values[-1] == stop["meter_stop"]
