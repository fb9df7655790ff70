"""PyPI `ocpp` plays a central system against `kerb-edge run` with simulated hardware.

The cars and the wires are kerb-sim's, behind real Modbus; every frame the station sends is checked
against the official schemas.
"""
import asyncio
import contextlib
import datetime
import json
import subprocess

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import (
    AvailabilityType, MessageTrigger, RegistrationStatus, ResetType,
)

from edge_site import BIN, ENVIRONMENT, START, EdgeSite
from ocpp_schemas import Capture

LIMIT = 150  # seconds for the whole visit, whatever happens


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Wire:
    """A socket that remembers both directions."""

    def __init__(self, socket, capture):
        self.socket = socket
        self.capture = capture
        self.strays = asyncio.Queue()

    async def send(self, text):
        with contextlib.suppress(ValueError):
            self.capture.peer_sent(text)
        await self.socket.send(text)

    async def recv(self):
        while True:
            text = await self.socket.recv()
            self.capture.kerb_sent(text)
            frame = json.loads(text)
            if frame[0] != 2 and str(frame[1]).startswith("stray"):
                self.strays.put_nowait(frame)
                continue
            return text


class Central(ChargePoint):
    """One connection of the station, with what it told."""

    def __init__(self, system, wire):
        super().__init__("PEER-1", wire, response_timeout=20)
        self.system = system

    def note(self, action, **fields):
        self.system.events.append((action, fields))
        self.system.moved.set()

    @on("BootNotification")
    def on_boot(self, **fields):
        self.note("BootNotification", **fields)
        return call_result.BootNotification(
            current_time=now(), interval=2, status=RegistrationStatus.accepted)

    @on("Heartbeat")
    def on_heartbeat(self):
        self.note("Heartbeat")
        return call_result.Heartbeat(current_time=now())

    @on("StatusNotification")
    def on_status(self, **fields):
        self.note("StatusNotification", **fields)
        return call_result.StatusNotification()

    @on("Authorize")
    def on_authorize(self, id_tag):
        self.note("Authorize", id_tag=id_tag)
        status = "Accepted" if id_tag.startswith("GOOD") else "Invalid"
        return call_result.Authorize(id_tag_info={"status": status})

    @on("FirmwareStatusNotification")
    def on_firmware(self, status):
        self.note("Firmware", status=status)
        return call_result.FirmwareStatusNotification()

    @on("SecurityEventNotification")
    def on_security_event(self, **fields):
        self.note("SecurityEventNotification", **fields)
        return call_result.SecurityEventNotification()

    @on("StartTransaction")
    def on_start(self, **fields):
        self.note("StartTransaction", **fields)
        key = (fields["connector_id"], fields["id_tag"], fields["timestamp"])
        number = self.system.transactions.setdefault(key, 1000 + len(self.system.transactions))
        return call_result.StartTransaction(
            transaction_id=number, id_tag_info={"status": "Accepted"})

    @on("MeterValues")
    def on_meter(self, **fields):
        self.note("MeterValues", **fields)
        return call_result.MeterValues()

    @on("StopTransaction")
    def on_stop(self, **fields):
        self.note("StopTransaction", **fields)
        return call_result.StopTransaction()


class System:
    """The server, and everything any connection told."""

    def __init__(self):
        self.events = []
        self.moved = asyncio.Event()
        self.transactions = {}
        self.capture = Capture()
        self.central = None
        self.connected = asyncio.Event()
        self.refuses = False
        self.makes = Central

    async def handle(self, socket):
        if self.refuses:
            await socket.close(1012)
            return
        assert socket.subprotocol == "ocpp1.6"
        assert socket.request.path == "/ocpp/PEER-1"
        self.central = self.makes(self, Wire(socket, self.capture))
        self.socket = socket
        self.connected.set()
        with contextlib.suppress(websockets.ConnectionClosed):
            await self.central.start()
        self.connected.clear()

    async def until(self, what, fits, since=0, seconds=30):
        """The first event after `since` that fits."""
        async with asyncio.timeout(seconds):
            while True:
                for at in range(since, len(self.events)):
                    action, fields = self.events[at]
                    if action == what and fits(fields):
                        return fields
                self.moved.clear()
                await self.moved.wait()

    async def status(self, connector, status, since=0, seconds=30):
        return await self.until(
            "StatusNotification",
            lambda f: f["connector_id"] == connector and f["status"] == status, since, seconds)

    async def stray(self, text):
        """Sends what the library never would and gives the answer."""
        wire = self.central._connection
        await wire.send(text)
        return await asyncio.wait_for(wire.strays.get(), 10)


def test_a_visit_of_the_whole_station(tmp_path):
    async def visit():
        system = System()
        async with asyncio.timeout(LIMIT), websockets.serve(
                system.handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
            port = server.sockets[0].getsockname()[1]
            site = EdgeSite(tmp_path, port)
            try:
                site.start()
                await station_boots(system)
                await settings_are_read_and_written(system)
                await triggers_are_obeyed(system)
                await nonsense_is_refused(system)
                await the_cache_is_cleared_where_there_is_one(system)
                await a_person_clears_the_security_log(system, site)
                await availability_changes(system)
                await a_remote_charge(system, site)
                await a_local_charge_over_a_lost_link(system, site)
                await a_reset(system, site, 2, ResetType.soft, "SoftReset")
                await a_reset(system, site, 1, ResetType.hard, "HardReset")
            except BaseException:
                print(site.logs())
                print(*system.events[-30:], sep="\n")
                raise
            finally:
                site.stop()
        assert system.capture.check() > 30
    asyncio.run(visit())


async def station_boots(system):
    boot = await system.until("BootNotification", lambda f: True)
    assert boot["charge_point_vendor"] == "Kerb"
    for connector in (0, 1, 2):
        status = await system.status(connector, "Available")
        assert status["error_code"] == "NoError"
    await system.until("Heartbeat", lambda f: True)


async def settings_are_read_and_written(system):
    central = system.central
    everything = await central.call(call.GetConfiguration())
    keys = {entry["key"]: entry for entry in everything.configuration_key}
    # No host is named in this configuration: what is not encrypted would be refused.
    carried = keys["SupportedFileTransferProtocols"]
    assert carried["readonly"] and carried["value"] == "FTPS,HTTPS"
    assert keys["NumberOfConnectors"]["value"] == "2" and keys["NumberOfConnectors"]["readonly"]
    assert "AuthorizationKey" not in keys or "value" not in keys["AuthorizationKey"]
    # `config keys` promises what the station has, no more and no less.
    listed = json.loads(subprocess.run(
        [BIN / "kerb-edge", "config", "keys", "--json"], capture_output=True, check=True, timeout=20).stdout)
    assert {key["key"] for key in listed if key["isOffered"]} == set(keys)
    some = await central.call(call.GetConfiguration(key=["HeartbeatInterval", "NoSuchKey"]))
    assert [entry["key"] for entry in some.configuration_key] == ["HeartbeatInterval"]
    assert some.unknown_key == ["NoSuchKey"]

    async def change(key, value):
        return (await central.call(call.ChangeConfiguration(key=key, value=value))).status

    assert await change("MeterValueSampleInterval", "1") == "Accepted"
    assert await change("NoSuchKey", "1") == "NotSupported"
    assert await change("NumberOfConnectors", "5") == "Rejected"
    assert await change("HeartbeatInterval", "soon") == "Rejected"
    read = await central.call(call.GetConfiguration(key=["MeterValueSampleInterval"]))
    assert read.configuration_key[0]["value"] == "1"


async def triggers_are_obeyed(system):
    for trigger, event in (
            (MessageTrigger.heartbeat, "Heartbeat"),
            (MessageTrigger.status_notification, "StatusNotification"),
            (MessageTrigger.meter_values, "MeterValues")):
        since = len(system.events)
        answer = await system.central.call(call.TriggerMessage(requested_message=trigger))
        assert answer.status == "Accepted"
        await system.until(event, lambda f: True, since)
    answer = await system.central.call(call.TriggerMessage(
        requested_message=MessageTrigger.firmware_status_notification))
    assert answer.status == "Accepted"
    await system.until("Firmware", lambda f: f["status"] == "Idle", since)


async def nonsense_is_refused(system):
    central = system.central
    assert (await central.call(call.UnlockConnector(connector_id=1))).status == "NotSupported"
    assert (await central.call(call.DataTransfer(vendor_id="x"))).status == "UnknownVendorId"
    assert (await central.call(call.RemoteStopTransaction(transaction_id=99))).status == "Rejected"
    assert (await central.call(call.RemoteStartTransaction(
        id_tag="GOOD-1", connector_id=9))).status == "Rejected"
    for number, (text, code) in enumerate([
            ('[2,"stray0","MakeCoffee",{}]', "NotImplemented"),
            ('[2,"stray1","StartTransaction",{}]', "NotSupported"),
            ('[2,"stray2","Reset",{"type":"Warm"}]', "PropertyConstraintViolation"),
            ('[2,"stray3","Reset",{}]', "ProtocolError"),
            ('[2,"stray4","UnlockConnector",{"connectorId":[]}]', "TypeConstraintViolation"),
            ('[2,"stray5","Reset",', "FormationViolation")]):
        answer = await system.stray(text)
        assert answer[:3] == [4, f"stray{number}", code], answer
    # Noise and answers nobody asked for leave the link as it is.
    for noise in ("hello", "[]", '[3,"nobody",{}]', '[4,"nobody","GenericError","",{}]'):
        await system.socket.send(noise)
    since = len(system.events)
    await system.until("Heartbeat", lambda f: True, since)


async def the_cache_is_cleared_where_there_is_one(system):
    async def clear_with(enabled):
        changed = await system.central.call(
            call.ChangeConfiguration(key="AuthorizationCacheEnabled", value=enabled))
        assert changed.status == "Accepted"
        return (await system.central.call(call.ClearCache())).status

    assert (await system.central.call(call.ClearCache())).status == "Accepted"
    # A station that keeps no cache has nothing to clear, and says so. OCPP 1.6 §5.4.
    assert await clear_with("false") == "Rejected"
    assert await clear_with("true") == "Accepted"


async def a_person_clears_the_security_log(system, site):
    since = len(system.events)
    done = await asyncio.to_thread(
        subprocess.run, [BIN / "kerb-edge", "clear", "security-log", "--config", site.folder / "edge.yaml"],
        capture_output=True, text=True, timeout=20, env=ENVIRONMENT)
    assert done.returncode == 0 and "cleared" in done.stdout, done.stderr
    await system.until("SecurityEventNotification", lambda f: f["type"] == "SecurityLogWasCleared", since)


async def availability_changes(system):
    since = len(system.events)
    answer = await system.central.call(
        call.ChangeAvailability(connector_id=2, type=AvailabilityType.inoperative))
    assert answer.status == "Accepted"
    await system.status(2, "Unavailable", since)
    since = len(system.events)
    answer = await system.central.call(
        call.ChangeAvailability(connector_id=2, type=AvailabilityType.operative))
    assert answer.status == "Accepted"
    await system.status(2, "Available", since)
    refused = await system.central.call(
        call.ChangeAvailability(connector_id=9, type=AvailabilityType.inoperative))
    assert refused.status == "Rejected"


def energy(fields):
    """Wh of the import register in a MeterValues."""
    for reading in fields["meter_value"]:
        for sample in reading["sampled_value"]:
            if sample.get("measurand") == "Energy.Active.Import.Register":
                assert sample.get("unit") == "Wh"
                return float(sample["value"])
    return None


async def a_remote_charge(system, site):
    since = len(system.events)
    site.plug_in(1)
    await system.status(1, "Preparing", since)
    answer = await system.central.call(
        call.RemoteStartTransaction(id_tag="GOOD-REMOTE", connector_id=1))
    assert answer.status == "Accepted"
    start = await system.until("StartTransaction", lambda f: f["connector_id"] == 1, since)
    assert start["id_tag"] == "GOOD-REMOTE" and start["meter_start"] == START[1]
    number = list(system.transactions.values())[-1]
    await system.status(1, "Charging", since)
    await system.until(
        "MeterValues",
        lambda f: f.get("transaction_id") == number and (energy(f) or 0) > START[1] + 5, since)
    assert site.evse(1)["contactor"]["isClosed"]
    answer = await system.central.call(call.RemoteStopTransaction(transaction_id=number))
    assert answer.status == "Accepted"
    stop = await system.until("StopTransaction", lambda f: f["transaction_id"] == number, since)
    assert stop["reason"] == "Remote"
    evse = site.evse(1)
    assert not evse["contactor"]["isClosed"], "the relay opened before the stop was reported"
    assert stop["meter_stop"] == evse["meter"]["registerWattHours"] > START[1] + 5
    await system.status(1, "Finishing", since)
    since = len(system.events)
    site.unplug(1)
    await system.status(1, "Available", since)


async def a_local_charge_over_a_lost_link(system, site):
    """An unknown token is refused; a known one charges while the operator is away."""
    since = len(system.events)
    site.plug_in(1)
    await system.status(1, "Preparing", since)
    site.show_token("BAD-1")
    await system.until("Authorize", lambda f: f["id_tag"] == "BAD-1", since)
    site.show_token("GOOD-LOCAL")
    start = await system.until("StartTransaction", lambda f: f["id_tag"] == "GOOD-LOCAL", since)
    assert not [1 for action, f in system.events[since:]
                if action == "StartTransaction" and f["id_tag"] == "BAD-1"]
    number = list(system.transactions.values())[-1]
    await system.status(1, "Charging", since)
    # A charge cut in its first second may have taken no whole watt-hour.
    await system.until(
        "MeterValues", lambda f: f.get("transaction_id") == number
        and (energy(f) or 0) > start["meter_start"], since)
    system.refuses = True
    await system.socket.close(1012)
    site.show_token("GOOD-LOCAL")  # the same card ends it, with nobody to ask
    async with asyncio.timeout(20):
        while site.evse(1)["contactor"]["isClosed"]:
            await asyncio.sleep(0.1)
    away = len(system.events)
    system.refuses = False
    stop = await system.until(
        "StopTransaction", lambda f: f["transaction_id"] == number, since, seconds=60)
    assert stop["reason"] == "Local" and stop["id_tag"] == "GOOD-LOCAL"
    assert stop["meter_stop"] > start["meter_start"]
    # No BootNotification on reconnect: the station did not restart.
    assert not [1 for action, _ in system.events[away:] if action == "BootNotification"]
    stops = [f for action, f in system.events
             if action == "StopTransaction" and f["transaction_id"] == number]
    assert len(stops) == 1
    site.unplug(1)
    await system.status(1, "Available", away)


async def a_reset(system, site, connector, kind, reason):
    since = len(system.events)
    site.plug_in(connector)
    await system.status(connector, "Preparing", since)
    answer = await system.central.call(
        call.RemoteStartTransaction(id_tag=f"GOOD-{connector}", connector_id=connector))
    assert answer.status == "Accepted"
    await system.status(connector, "Charging", since)
    number = list(system.transactions.values())[-1]
    assert (await system.central.call(call.Reset(type=kind))).status == "Accepted"
    stop = await system.until("StopTransaction", lambda f: f["transaction_id"] == number, since)
    assert stop["reason"] == reason
    told = await system.until(
        "SecurityEventNotification", lambda f: f["type"] == "ResetOrReboot", since)
    assert told["tech_info"] == kind.value
    # The program ends; its supervisor, here the test, starts it again.
    assert await asyncio.to_thread(site.processes["kerb-edge"].wait, 30) == 0
    assert not site.evse(connector)["contactor"]["isClosed"]
    since = len(system.events)
    site.start_edge()
    await system.until("BootNotification", lambda f: True, since)
    site.unplug(connector)
    await system.status(connector, "Available", since)
