"""PyPI `ocpp` limits charges of `kerb-edge run`: the simulated car's current follows.

Profiles outlive the link, the program and the charge, or do not, as each kind has it.
"""
import asyncio
import datetime
import json
import re
import socket
import subprocess

import websockets
from ocpp.v16 import call
from ocpp.v16.enums import RemoteStartStopStatus

from edge_site import BIN, EdgeSite
from test_ocpp16_csms import System

LIMIT = 100  # seconds for the whole visit, whatever happens
KEYS = {
    "ChargeProfileMaxStackLevel": "99", "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    "ChargingScheduleMaxPeriods": "200", "MaxChargingProfilesInstalled": "100",
    "ConnectorSwitch3to1PhaseSupported": "false",
}


def profile(number, limit, purpose="TxDefaultProfile", level=0, unit="A", **more):
    periods = limit if isinstance(limit, list) else [(0, limit)]
    schedule = {
        "charging_rate_unit": unit,
        "charging_schedule_period": [{"start_period": at, "limit": value} for at, value in periods],
    }
    kind = more.pop("kind", "Relative")
    if kind != "Relative":
        schedule["start_schedule"] = "2026-01-01T00:00:00Z"
    return {
        "charging_profile_id": number, "stack_level": level, "charging_profile_purpose": purpose,
        "charging_profile_kind": kind, "charging_schedule": schedule, **more}


def test_the_car_follows_the_operators_profiles(tmp_path):
    async def visit():
        system = System()
        async with asyncio.timeout(LIMIT), websockets.serve(
                system.handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
            site = EdgeSite(
                tmp_path, server.sockets[0].getsockname()[1],
                "fuseAmperes: 63, phases: 3, raiseSeconds: 1, safeAmperes: 16, limitFile: limit.json")
            try:
                site.start()
                await system.status(2, "Available")
                await limits_are_told_and_kept(system)
                number = await a_start_brings_its_own_profile(system, site)
                await the_car_follows(system, site, number)
                await profiles_outlive_link_and_program(system, site)
            except BaseException:
                print(site.logs())
                print(*system.events[-30:], sep="\n")
                raise
            finally:
                site.stop()
        assert system.capture.check() > 15
    asyncio.run(visit())


async def drawn(site, number, milliamperes, seconds=20):
    async with asyncio.timeout(seconds):
        while True:
            car = site.evse(number)["car"]
            if car and car["milliamperes"] == milliamperes:
                return
            await asyncio.sleep(0.1)


async def set_profile(system, connector, value):
    answer = await system.central.call(
        call.SetChargingProfile(connector_id=connector, cs_charging_profiles=value))
    return answer.status


def edge(site, *words):
    return subprocess.run(
        [BIN / "kerb-edge", *words, "--config", site.folder / "edge.yaml"],
        check=True, stdout=subprocess.PIPE, timeout=20, text=True).stdout


def status(site):
    return json.loads(edge(site, "status", "--json"))


async def charge_is_closed(site):
    """The agent is up again and has closed what it found open."""
    async with asyncio.timeout(30):
        while True:
            try:
                if "charge" not in status(site)["connectors"][0]:
                    return
            except subprocess.CalledProcessError:
                pass  # not listening yet
            await asyncio.sleep(0.2)


async def limits_are_told_and_kept(system):
    central = system.central
    told = await central.call(call.GetConfiguration(key=[*KEYS, "SupportedFeatureProfiles"]))
    values = {entry["key"]: entry["value"] for entry in told.configuration_key}
    assert "SmartCharging" in values.pop("SupportedFeatureProfiles")
    assert values == KEYS
    assert all(entry["readonly"] for entry in told.configuration_key)
    for connector, refused in (
            (0, profile(1, 10, "TxProfile")), (1, profile(1, 10, "TxProfile")),
            (1, profile(1, 10, "ChargePointMaxProfile", kind="Absolute")), (7, profile(1, 10)),
            (1, profile(1, 10, level=100)), (1, profile(1, [(5, 10)])),
            (1, profile(1, [(n, 10) for n in range(201)]))):
        assert await set_profile(system, connector, refused) == "Rejected", refused
    assert await set_profile(system, 0, profile(1, 12)) == "Accepted"
    assert await set_profile(
        system, 0, profile(2, 20700, "ChargePointMaxProfile", unit="W", kind="Absolute")) == "Accepted"
    unknown = await central.call(call.ClearChargingProfile(id=77))
    assert unknown.status == "Unknown"
    composite = await central.call(call.GetCompositeSchedule(connector_id=2, duration=600))
    assert composite.status == "Accepted" and composite.connector_id == 2
    assert composite.charging_schedule["charging_schedule_period"] == [
        {"start_period": 0, "limit": 12, "number_phases": 1}]
    station = await central.call(
        call.GetCompositeSchedule(connector_id=0, duration=600, charging_rate_unit="A"))
    assert station.charging_schedule["charging_schedule_period"][0]["limit"] == 24
    refused = await central.call(call.GetCompositeSchedule(connector_id=9, duration=600))
    assert refused.status == "Rejected"


async def a_start_brings_its_own_profile(system, site):
    since = len(system.events)
    site.plug_in(1)
    await system.status(1, "Preparing", since)
    answer = await system.central.call(call.RemoteStartTransaction(
        id_tag="GOOD-1", connector_id=1, charging_profile=profile(3, 10.5, "TxProfile")))
    assert answer.status == RemoteStartStopStatus.accepted
    await drawn(site, 1, 10_500)
    await system.until("StartTransaction", lambda f: True, since)
    return list(system.transactions.values())[-1]


async def the_car_follows(system, site, number):
    assert await set_profile(
        system, 1, profile(4, 8, "TxProfile", level=1, transaction_id=number + 1)) == "Rejected"
    steps = profile(
        4, [(0, 8), (1800, 16)], "TxProfile", level=1, transaction_id=number)
    assert await set_profile(system, 1, steps) == "Accepted"
    await drawn(site, 1, 8_000)
    composite = await system.central.call(
        call.GetCompositeSchedule(connector_id=1, duration=3600, charging_rate_unit="W"))
    limits = [p["limit"] for p in composite.charging_schedule["charging_schedule_period"]]
    assert limits == [8 * 690, 16 * 690]
    shown = status(site)
    whose = {entry["whose"]: entry["amperes"] for entry in shown["charging"]["connectors"]["1"]}
    assert whose["profile 4 (TxProfile)"] == 8 and whose["wiring"] == 32
    assert "site" in whose
    cleared = await system.central.call(call.ClearChargingProfile(
        connector_id=1, charging_profile_purpose="TxProfile"))
    assert cleared.status == "Accepted"
    await drawn(site, 1, 12_000)
    # A person's limit on the spot, and one of another program: the least of all counts.
    assert edge(site, "limit", "9").strip() == (
        "9 A on each phase for all outlets together, until `kerb-edge limit off`, over restarts too")
    await drawn(site, 1, 9_000)
    assert "local limit 9 A by `kerb-edge limit`" in edge(site, "status")
    assert edge(site, "limit", "off").strip() == "the local limit is lifted"
    before = datetime.datetime.now(datetime.timezone.utc)
    timed = re.search(r"until (\S+Z)\nwarning: no car can be offered less than 6 A",
                      edge(site, "limit", "5.5", "--seconds", "600"))
    ends = datetime.datetime.fromisoformat(timed[1].replace("Z", "+00:00"))
    assert abs((ends - before).total_seconds() - 600) < 30
    assert edge(site, "limit", "off").strip() == "the local limit is lifted"
    limit = site.folder / "limit.json"
    (site.folder / "limit.new").write_text('{"amperes": [16, 7.5, 16]}')
    (site.folder / "limit.new").rename(limit)
    await drawn(site, 1, 7_500)
    assert "local limit 7.5 A by `site.limitFile`" in edge(site, "status")
    limit.unlink()
    await asyncio.to_thread(orders_are_read_strictly, site)
    await asyncio.to_thread(a_refused_card_is_told_as_such, site)


def a_refused_card_is_told_as_such(site):
    done = subprocess.run(
        [BIN / "kerb-edge", "token", "BAD-1", "--connector", "2", "--config", site.folder / "edge.yaml"],
        capture_output=True, timeout=20, text=True)
    assert done.returncode == 4 and "the operator or his list says Invalid; have the operator add" in done.stderr, done


def orders_are_read_strictly(site):
    """By the command before it asks anybody, and by the agent on its socket."""
    for words, field in (
            (["limit", "16,5"], "AMPERES"), (["limit", "-5"], "AMPERES"), (["limit", "1e1"], "AMPERES"),
            (["limit", "16.55"], "AMPERES"), (["limit", "1000.1"], "AMPERES"), (["limit", "OFF"], "AMPERES"),
            (["limit", "6", "--seconds", "0"], "SECONDS"), (["limit", "6", "--seconds", "1.5"], "SECONDS"),
            (["limit", "off", "--seconds", "60"], "SECONDS"), (["token", "a b"], "UID"),
            (["token", "A" * 21], "UID"), (["token", "GOOD-1", "--connector", "one"], "CONNECTOR")):
        refused = subprocess.run(
            [BIN / "kerb-edge", *words, "--config", site.folder / "edge.yaml"],
            capture_output=True, timeout=20, text=True)
        assert refused.returncode == 2 and f"kerb-edge: {field}: " in refused.stderr, (words, refused)
    for line, field in (
            ("limit", "AMPERES"), ("limit -1", "AMPERES"), ("limit 6 60 x", "AMPERES"), ("limit 6 x", "SECONDS"), ("token", "UID"),
            ("token GOOD-1 9", "CONNECTOR"), ("token GOOD-1 1x", "CONNECTOR"), ("clear", "CONNECTOR"),
            ("clear 9", "CONNECTOR"), ("nonsense", "line"), ("status now", "line")):
        assert asked(site, line)["error"].startswith(f"{field}: "), line
    assert "socketLimitAmperes" not in status(site)["charging"]


def asked(site, line):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        one.connect(str(site.folder / "data" / "status.sock"))
        one.sendall(line.encode() + b"\n")
        return json.loads(one.makefile().readline())


async def profiles_outlive_link_and_program(system, site):
    """The operator is away, the agent is killed: the default still limits the next charge."""
    since = len(system.events)
    # So does a person's limit: below it falls what the default leaves.
    assert edge(site, "limit", "10.5").startswith("10.5 A on each phase")
    system.refuses = True
    await system.socket.close(1012)
    site.kill_edge()
    async with asyncio.timeout(20):
        while site.evse(1)["contactor"]["isClosed"]:
            await asyncio.sleep(0.1)
    site.start_edge()
    await charge_is_closed(site)
    site.show_token("GOOD-1")  # known from before, so that it may charge offline
    await drawn(site, 1, 10_500, 40)
    shown = status(site)["charging"]
    assert shown["profiles"] == 2 and shown["socketLimitAmperes"] == [10.5, 10.5, 10.5]
    assert edge(site, "limit", "off").strip() == "the local limit is lifted"
    await drawn(site, 1, 12_000, 40)
    system.refuses = False
    await system.until("BootNotification", lambda f: True, since)
    stop = await system.until("StopTransaction", lambda f: True, since)
    assert stop["reason"] in ("Reboot", "PowerLoss")
