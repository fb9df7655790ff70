"""An operator who makes a station wait, shouts, and asks for the absurd: PyPI `ocpp` and raw sockets
against `kerb-edge run` on simulated hardware. Nothing of it may change what is charged, and each is
answered with the right word.
"""
import asyncio
import contextlib
import datetime
import json
import time

import websockets
from ocpp.routing import on
from ocpp.v16 import call, call_result
from ocpp.v16.enums import RegistrationStatus

from edge_site import EdgeSite
from test_ocpp16_csms import Central, System, now
from test_ocpp16_smart_charging import status

LIMIT = 150  # seconds for the whole visit, whatever happens
ZONE = "Pacific/Auckland"


class Hesitant(Central):
    """Accepts only the third boot."""

    @on("BootNotification")
    def on_boot(self, **fields):
        self.note("BootNotification", at=time.monotonic(), **fields)
        boots = sum(action == "BootNotification" for action, _ in self.system.events)
        word, interval = [
            (RegistrationStatus.rejected, 2), (RegistrationStatus.pending, 1), (RegistrationStatus.accepted, 2),
        ][min(boots, 3) - 1]
        return call_result.BootNotification(current_time=now(), interval=interval, status=word)


def visited(folder, makes, *parts, supply=None, extra=""):
    async def visit():
        system = System()
        system.makes = makes
        async with asyncio.timeout(LIMIT), websockets.serve(
                system.handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
            site = EdgeSite(folder, server.sockets[0].getsockname()[1], **({"supply": supply} if supply else {}))
            with open(folder / "edge.yaml", "a") as file:
                file.write(extra)
            try:
                site.start()
                for part in parts:
                    await part(system, site)
            except BaseException:
                print(site.logs())
                print(*system.events[-30:], sep="\n")
                raise
            finally:
                await asyncio.to_thread(site.stop)
        assert system.capture.check() > 5
    asyncio.run(visit())


def test_a_station_that_is_not_accepted_yet_says_nothing_else_and_asks_again(tmp_path):
    visited(tmp_path, Hesitant, boots_are_repeated_at_their_intervals)


async def boots_are_repeated_at_their_intervals(system, site):
    async with asyncio.timeout(40):
        while sum(action == "BootNotification" for action, _ in system.events) < 3:
            system.moved.clear()
            await system.moved.wait()
    early = [action for action, _ in system.events[:system.events.index(
        [event for event in system.events if event[0] == "BootNotification"][2])]]
    assert set(early) == {"BootNotification"}, "what is not accepted tells nothing. OCPP 1.6 §4.2"
    at = [fields["at"] for action, fields in system.events if action == "BootNotification"]
    assert at[1] - at[0] >= 1.9 and at[2] - at[1] >= 0.9, at
    await system.status(1, "Available")
    await system.until("Heartbeat", lambda f: True)


def test_a_dead_pilot_controller_stops_its_own_outlet_and_no_other(tmp_path):
    visited(tmp_path, Central, the_first_outlet_charges_while_the_seconds_controller_is_dead)


async def the_first_outlet_charges_while_the_seconds_controller_is_dead(system, site):
    """Both controllers and the relay card hang on one bus."""
    async def until(is_so, seconds=30):
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(is_so):
                await asyncio.sleep(0.05)

    await system.until("BootNotification", lambda f: True)
    site.plug_in(1)
    await system.status(1, "Preparing")
    site.show_token("GOOD")
    await until(lambda: site.evse(1)["contactor"]["isClosed"])
    site.site("POST", "/buses/control/units/12/fault", {"kind": "silence"})
    await system.status(2, "Faulted")
    before = site.evse(1)
    # It still counts, and nobody opened and closed it meanwhile.
    await until(lambda: site.evse(1)["meter"]["registerWattHours"] >= before["meter"]["registerWattHours"] + 5)
    after = site.evse(1)
    assert after["contactor"]["isClosed"] and after["contactor"]["closings"] == 1, after["contactor"]
    assert status(site)["connectors"][0]["status"] == "Charging"
    assert not site.evse(2)["contactor"]["isClosed"]
    # Answered again, it is an outlet again.
    since = len(system.events)
    site.site("POST", "/buses/control/units/12/fault", {})
    await system.status(2, "Available", since=since)


def test_frames_triggers_and_profiles_that_are_absurd(tmp_path):
    visited(
        tmp_path, Central, a_frame_too_long_ends_the_link_alone, every_message_is_triggered,
        absurd_profiles_change_nothing, absurd_dates_change_nothing, a_daily_profile_follows_the_clock_of_the_place,
        extra=f"timeZone: {ZONE}\n")


async def a_frame_too_long_ends_the_link_alone(system, site):
    await system.until("BootNotification", lambda f: True)
    await system.status(1, "Available")
    first, since = system.socket, len(system.events)
    with contextlib.suppress(websockets.ConnectionClosed):
        await first.send("[2,\"stray-long\",\"DataTransfer\",{\"vendorId\":\"x\",\"data\":\"" + "A" * (8 << 20) + "\"}]")
    await asyncio.wait_for(first.wait_closed(), 20)
    assert first.close_code == 1009, (first.close_code, first.close_reason)
    async with asyncio.timeout(30):
        while system.socket is first:
            await asyncio.sleep(0.05)
    # Accepted once, it does not boot again; it goes on where it was.
    await system.until("Heartbeat", lambda f: True, since)
    assert site.processes["kerb-edge"].poll() is None


PLAIN = [
    "DiagnosticsStatusNotification", "FirmwareStatusNotification", "Heartbeat", "MeterValues", "StatusNotification"]
EXTENDED = {
    "LogStatusNotification": "LogStatusNotification", "FirmwareStatusNotification": "SignedFirmwareStatusNotification",
    "Heartbeat": "Heartbeat", "MeterValues": "MeterValues", "StatusNotification": "StatusNotification"}


async def every_message_is_triggered(system, site):
    """OCPP 1.6 §5.17 and the security white paper's ExtendedTriggerMessage."""
    for message in PLAIN:
        await triggered(system, call.TriggerMessage(requested_message=message), message)
    for message, told in EXTENDED.items():
        await triggered(system, call.ExtendedTriggerMessage(requested_message=message), told)
    # A station that is accepted does not boot by word alone.
    for order in call.TriggerMessage, call.ExtendedTriggerMessage:
        assert (await system.central.call(order(requested_message="BootNotification"))).status == "Rejected"


async def triggered(system, order, told):
    """Accepted, and then said by the station, whatever this operator has an ear for."""
    since = len(system.capture.sent_by_kerb)
    answer = await system.central.call(order)
    assert answer.status == "Accepted", (order, answer)

    def actions():
        return [frame[2] for frame in map(json.loads, system.capture.sent_by_kerb[since:]) if frame[0] == 2]

    async with asyncio.timeout(20):
        while told not in actions():
            await asyncio.sleep(0.05)


def profile(number, periods, kind="Absolute", purpose="TxDefaultProfile", start="2024-01-01T00:00:00Z", **more):
    return {
        "chargingProfileId": number, "stackLevel": more.pop("level", 0), "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind, **more,
        "chargingSchedule": {
            "chargingRateUnit": "A", "startSchedule": start,
            "chargingSchedulePeriod": [{"startPeriod": at, "limit": limit} for at, limit in periods]},
    }


async def absurd_profiles_change_nothing(system, site):
    before, wrong = json.dumps(status(site)["charging"]["connectors"]), []
    for number, (what, said) in enumerate([
            (profile(1, [(0, -1)]), 4), (profile(2, [(0, 1e300)]), None),
            (profile(4, [(10, 6)]), None), (profile(5, [(0, 6), (0, 7)]), None), (profile(6, [(600, 6), (0, 7)]), None),
            (profile(7, []), None), (profile(8, [(0, 6)] * 2000), None),
            (profile(9, [(0, 6)], validTo="1970-01-01T00:00:00Z"), None),
            (profile(10, [(0, 6)], validFrom="9999-12-31T23:59:59Z", validTo="2000-01-01T00:00:00Z"), None),
            (profile(11, [(0, 6)], start="2024-02-31T00:00:00Z"), 4), (profile(12, [(0, 6)], start="+275760-09-13"), 4),
            (profile(13, [(0, 6)], level=-1), None), (profile(14, [(0, 6)], level=10 ** 9), None),
            (profile(15, [(0, 6)], kind="Recurring"), None)]):
        answer = await system.stray(json.dumps([
            2, f"stray-{number}", "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": what}]))
        if answer[0] != 4 and answer[2].get("status") != "Rejected" or said not in (None, answer[0]):
            wrong.append((what["chargingProfileId"], answer))
    assert not wrong, wrong
    assert json.dumps(status(site)["charging"]["connectors"]) == before
    assert status(site)["charging"]["profiles"] == 0


SIGNED = {"location": "http://127.0.0.1:9/x.deb", "signingCertificate": "none", "signature": "none"}
# What has a date, with a place for it: CALLERROR where it is none at all.
DATED = {
    "ReserveNow": lambda at: {"connectorId": 2, "expiryDate": at, "idTag": "GOOD", "reservationId": 1},
    "UpdateFirmware": lambda at: {"location": "http://127.0.0.1:9/x.deb", "retrieveDate": at},
    "SignedUpdateFirmware": lambda at: {"requestId": 1, "firmware": {**SIGNED, "retrieveDateTime": at}},
    "GetDiagnostics": lambda at: {"location": "ftp://127.0.0.1:9/", "startTime": at},
    "GetLog": lambda at: {
        "requestId": 1, "logType": "SecurityLog", "log": {"remoteLocation": "ftp://127.0.0.1:9/", "latestTimestamp": at}},
}
# An empty date that may be left out is left out, as some systems mean it.
OPTIONAL = {"GetDiagnostics", "GetLog"}
NO_DATES = ["", "soon", "2024-02-31T00:00:00Z", "2024-01-01T25:00:00Z", "+275760-09-13", "0", 1e300, 1767225600]


async def absurd_dates_change_nothing(system, site):
    """A date that is none is no date of ours: no reservation without an end, no update at once, no log without bounds."""
    since, wrong = len(system.capture.sent_by_kerb), []
    for action, payload in DATED.items():
        for number, at in enumerate(NO_DATES):
            if at == "" and action in OPTIONAL:
                continue
            answer = await system.stray(json.dumps([2, f"stray-{action}-{number}", action, payload(at)]))
            if answer[0] != 4 or answer[2] not in ("PropertyConstraintViolation", "TypeConstraintViolation"):
                wrong.append((action, at, answer))
    assert not wrong, wrong
    # A time that is over keeps nothing; one that never comes is a time, kept and taken back.
    for at, word in ("1970-01-01T00:00:00Z", "Rejected"), ("9999-12-31T23:59:59Z", "Accepted"):
        answer = await system.central.call(call.ReserveNow(
            connector_id=2, expiry_date=at, id_tag="GOOD", reservation_id=1))
        assert answer.status == word, (at, answer)
    assert (await system.central.call(call.CancelReservation(reservation_id=1))).status == "Accepted"
    told = {frame[2] for frame in map(json.loads, system.capture.sent_by_kerb[since:]) if frame[0] == 2}
    assert not told & {"FirmwareStatusNotification", "DiagnosticsStatusNotification", "LogStatusNotification"}, told


async def a_daily_profile_follows_the_clock_of_the_place(system, site):
    """10 A from the local hour that began, 20 A from the next; told in UTC, repeated by the wall's clock."""
    import zoneinfo
    place = zoneinfo.ZoneInfo(ZONE)
    local = datetime.datetime.now(place).replace(minute=0, second=0, microsecond=0)
    # A day half a year ago, when the place kept the other time: only its own clock finds the same hour.
    then = (local.replace(tzinfo=None) - datetime.timedelta(days=182)).replace(tzinfo=place)
    assert then.utcoffset() != local.utcoffset()
    start = then.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = profile(20, [(0, 10), (3600, 20)], kind="Recurring", start=start, recurrencyKind="Daily")
    answer = await system.central.call(call.SetChargingProfile(connector_id=1, cs_charging_profiles=made))
    assert answer.status == "Accepted"
    schedule = await system.central.call(call.GetCompositeSchedule(
        connector_id=1, duration=7200, charging_rate_unit="A"))
    assert schedule.status == "Accepted"
    periods = schedule.charging_schedule["charging_schedule_period"]
    assert [period["limit"] for period in periods[:2]] == [10, 20], periods
    asked = datetime.datetime.fromisoformat(schedule.schedule_start.replace("Z", "+00:00"))
    turns = asked + datetime.timedelta(seconds=periods[1]["start_period"])
    assert abs((turns - (local + datetime.timedelta(hours=1))).total_seconds()) <= 1
