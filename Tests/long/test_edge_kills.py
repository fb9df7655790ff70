"""kill -9 at every moment of every step of the board's journal, and the bill must still be right.

The agent is the real `kerb-edge` on simulated hardware, the operator PyPI `ocpp`; the car's own integral
is the judge. The debug build ends itself where `JOURNAL_KILL_AT` says; the release build cannot.
"""
import asyncio
import contextlib
import json
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import call, call_result

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
from edge_site import BIN, ENVIRONMENT, START, EdgeSite  # noqa: E402
from test_ocpp16_csms import Central, System, now  # noqa: E402

LIMIT = 120  # seconds for one death and its recovery, whatever happens
MOMENTS = ("asked", "written", "committed")
# The step, its how manieth time, and whether the charge has periodic values.
STEPS = [
    ("opening", 1, False), ("start", 1, False), ("time", 1, False), ("confirmStart", 1, False),
    ("token", 1, False), ("time", 2, False), ("sample", 1, True), ("sample", 2, True),
    ("confirmSample", 1, True), ("stop", 1, False), ("confirmStop", 1, False),
    ("keep", 1, False), ("keep", 2, False), ("refusal", 1, False), ("orphans", 1, False), ("report", 1, False),
]
# What a start of the program writes, with a charge open that it has to close.
AT_START = ("opening.", "orphans.", "report.", "time.asked.1", "time.written.1", "time.committed.1")
# What the operator orders while a charge runs; each must be taken again after the death.
ORDERS = {
    "setting": lambda: call.ChangeConfiguration(key="MeterValueSampleInterval", value="0"),
    "availability": lambda: call.ChangeAvailability(connector_id=2, type="Inoperative"),
    "list": lambda: call.SendLocalList(list_version=7, update_type="Full", local_authorization_list=[
        {"idTag": "GUEST", "idTagInfo": {"status": "Accepted"}}]),
    "profile": lambda: call.SetChargingProfile(connector_id=0, cs_charging_profiles={
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute", "chargingSchedule": {
            "startSchedule": now(), "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 32}]}}),
    "reservation": lambda: call.ReserveNow(
        connector_id=2, expiry_date="2099-01-01T00:00:00Z", id_tag="GOOD-2", reservation_id=5),
    "limits": lambda: call.DataTransfer(
        vendor_id="kerb", message_id="ChargeLimit", data='{"connectorId": 1, "energyWh": 1000000}'),
    # Never due while the test lasts: what is kept is the order.
    "firmware": lambda: call.UpdateFirmware(
        location="http://127.0.0.1:9/kerb.deb", retrieve_date="2099-01-01T00:00:00Z"),
}
# Answers without a word for it.
WORDLESS = ("limits", "firmware")
UPDATES = """\
transfers: {hosts: [127.0.0.1]}
firmware: {installCommand: [/bin/true, "{file}"], acceptUnsigned: true}
"""
# Steps with a test of their own below, and those without any.
ALONE = {"latch"}
REBUILDING = "needs a damaged journal; deaths in and between them are in Tests/peers/test_edge_journal.py"
EXCUSED = {
    "probe": "written only while the disk fails, changes nothing; StationTests/JournalTroubleTests",
    "salvage": REBUILDING, "rebuilt": REBUILDING, "aside": REBUILDING, "replace": REBUILDING,
}


def test_every_step_of_the_journal_is_killed_in_or_excused():
    text = (pathlib.Path(__file__).resolve().parents[2] / "Sources/Station/JournalStep.swift").read_text()
    body = re.sub(r"//.*", "", re.search(r"enum JournalStep\b[^{]*\{(.*?)\n\}", text, re.S)[1])
    cases = re.findall(r"\w+", body)
    steps = {word for word in cases if word != "case"}
    assert len(steps) > 20
    killed = {step for step, _, _ in STEPS} | set(ORDERS) | ALONE
    assert killed | set(EXCUSED) == steps and not killed & set(EXCUSED)


def status(site):
    """What the agent says of itself; None while it does not answer."""
    run = subprocess.run(
        [BIN / "kerb-edge", "status", "--json", "--config", site.folder / "edge.yaml"],
        capture_output=True, text=True, env=ENVIRONMENT)
    return json.loads(run.stdout) if run.returncode == 0 else None


class Watch:
    """Waits for things of a site, and notices that the agent has died."""

    def __init__(self, site):
        self.site = site

    @property
    def is_dead(self):
        return self.site.processes["kerb-edge"].poll() is not None

    async def until(self, is_so, *, alive):
        """False once the agent is dead, where that may happen."""
        while not await asyncio.to_thread(is_so):
            if self.is_dead:
                assert not alive, "the agent died by itself"
                return False
            await asyncio.sleep(0.05)
        return True

    def is_ready(self, number):
        """The operator can be asked about a token, and the car waits for one."""
        return (status(self.site) or {}).get("registration") == "Accepted" and \
            self.connector(number).get("status") in ("Preparing", "Finishing")

    def connector(self, number=1):
        view = status(self.site)
        return next((one for one in (view or {}).get("connectors", []) if one["connector"] == number), {})

    async def begin(self):
        """A charge that has taken 15 Wh; False once the agent is dead."""
        if not await self.until(lambda: self.is_ready(1), alive=False):
            return False
        self.site.show_token("GOOD")
        begun = self.site.evse(1)["car"]["wattHours"]
        return await self.until(
            lambda: self.site.evse(1)["car"]["wattHours"] >= begun + 15, alive=False)

    async def charge(self, *, goes_on=False):
        """A whole charge, or one that nobody ends; ends early with the agent."""
        if not await self.begin():
            return
        if goes_on:
            await self.until(lambda: False, alive=False)
            return
        self.site.show_token("GOOD")
        await self.until(lambda: self.connector().get("status") == "Finishing", alive=False)
        await self.until(lambda: (status(self.site) or {}).get("journalDepth") == 0, alive=False)

    def is_settled(self):
        view = status(self.site)
        return bool(view) and view["journalDepth"] == 0 and "charge" not in view["connectors"][0]


def bill(system):
    """Wh of each transaction that the operator knows; every one of them must be closed, once."""
    starts, stops = {}, {}
    for action, fields in system.events:
        if action == "StartTransaction":
            key = (fields["connector_id"], fields["id_tag"], fields["timestamp"])
            assert starts.setdefault(system.transactions[key], fields) == fields
        if action == "StopTransaction":
            assert stops.setdefault(fields["transaction_id"], fields) == fields
    assert set(starts) == set(stops)
    for number, stop in stops.items():
        assert stop["timestamp"] >= starts[number]["timestamp"]
    return {number: stops[number]["meter_stop"] - starts[number]["meter_start"] for number in starts}


class Doubtful(Central):
    """Refuses as many starts as it is told to, before it takes them."""

    @on("StartTransaction")
    def on_start(self, **fields):
        if self.system.refusals > 0:
            self.system.refusals -= 1
            raise RuntimeError("not now")
        return super().on_start(**fields)


class Books(System):
    def __init__(self):
        super().__init__()
        self.makes = Doubtful
        self.refusals = 0


def visited(folder, change, body, checks=5):
    """Runs `body` with a site, its watch and the operator; what went wrong is shown with the logs."""
    async def visit():
        system = Books()
        async with websockets.serve(
                system.handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
            site = EdgeSite(folder, server.sockets[0].getsockname()[1])
            path = site.folder / "edge.yaml"
            path.write_text(change(path.read_text()))
            watch = Watch(site)
            try:
                site.start()
                await watch.until(lambda: status(site) is not None, alive=True)
                await body(system, site, watch)
            except BaseException:
                print(site.logs())
                print(*system.events[-20:], sep="\n")
                raise
            finally:
                with contextlib.suppress(Exception):
                    site.stop()
        assert system.capture.check() > checks
    asyncio.run(visit())


def sampled(seconds):
    return lambda text: text.replace("meterSampleIntervalSeconds: 1", f"meterSampleIntervalSeconds: {int(seconds)}")


def is_billed_right(system, site):
    car, energies = site.evse(1), bill(system)
    assert sum(energies.values()) == car["car"]["wattHours"]
    assert sum(energies.values()) == car["meter"]["registerWattHours"] - START[1]


@pytest.mark.parametrize("step,time,samples", STEPS)
def test_kill_9_bills_each_charge_once_with_the_cars_own_integral(tmp_path, step, time, samples):
    async def body(system, site, watch):
        # One car for all charges, so that its integral is one figure.
        site.plug_in(1)
        for moment in MOMENTS:
            async with asyncio.timeout(LIMIT):
                system.refusals = int(step == "refusal")
                await die_and_come_back(site, watch, f"{step}.{moment}.{time}")
                is_billed_right(system, site)
    visited(tmp_path, sampled(samples), body)


async def die_and_come_back(site, watch, where):
    if where.startswith(AT_START):
        # What opens has a charge to close.
        assert await watch.begin()
    site.kill_edge()
    site.start_edge(JOURNAL_KILL_AT=where)
    await watch.charge(goes_on=where.startswith("keep"))
    await is_dead(site, 1)
    site.start_edge()
    await watch.until(watch.is_settled, alive=True)


async def is_dead(site, number):
    assert await asyncio.to_thread(site.processes["kerb-edge"].wait, 20) == -signal.SIGKILL
    # Without an agent nothing holds the contactor.
    async with asyncio.timeout(5):
        while site.evse(number)["contactor"]["isClosed"]:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("step", ORDERS)
def test_kill_9_while_an_order_is_written_keeps_the_bill_and_takes_the_order_again(tmp_path, step):
    async def body(system, site, watch):
        site.plug_in(1)
        for moment in MOMENTS:
            async with asyncio.timeout(LIMIT):
                site.kill_edge()
                site.start_edge(JOURNAL_KILL_AT=f"{step}.{moment}.1")
                if await watch.begin():
                    with contextlib.suppress(websockets.ConnectionClosed, asyncio.TimeoutError):
                        await asyncio.wait_for(system.central.call(ORDERS[step]()), 10)
                await is_dead(site, 1)
                before = system.central
                site.start_edge()
                await watch.until(watch.is_settled, alive=True)
                is_billed_right(system, site)
                while system.central is before or not system.connected.is_set():
                    await asyncio.sleep(0.05)
                if step in WORDLESS:
                    await system.central.call(ORDERS[step]())
                else:
                    assert (await system.central.call(ORDERS[step]())).status in ("Accepted", "Scheduled")
    visited(tmp_path, lambda text: sampled(0)(text) + UPDATES, body)


def test_kill_9_while_a_fault_is_latched_bills_the_charge_and_holds_what_was_kept(tmp_path):
    """A contactor that does not follow: stuck until a person clears it, over the death of the agent too."""
    async def body(system, site, watch):
        site.plug_in(1)
        clear = [BIN / "kerb-edge", "clear", "1", "--config", site.folder / "edge.yaml"]
        for number, moment in enumerate(MOMENTS, 1):
            async with asyncio.timeout(LIMIT):
                site.kill_edge()
                site.site("POST", "/evses/EVSE-1/defect", {"stuck": True})
                site.start_edge(JOURNAL_KILL_AT=f"latch.{moment}.1")
                assert await watch.until(lambda: watch.is_ready(1), alive=True)
                site.show_token("GOOD")
                await watch.until(lambda: watch.is_dead, alive=False)
                await is_dead(site, 1)
                site.site("POST", "/evses/EVSE-1/defect", {"stuck": False})
                site.start_edge()
                await watch.until(watch.is_settled, alive=True)
                assert len(bill(system)) == number, "the charge began before the contactor was to close"
                is_billed_right(system, site)
                # A fault that did not reach the disk shows itself again at the next closing.
                is_latched = watch.connector()["status"] == "Faulted"
                assert is_latched == (moment == "committed"), (moment, watch.connector())
                run = await asyncio.to_thread(subprocess.run, clear, capture_output=True, env=ENVIRONMENT)
                assert run.returncode == 0, run
                assert await watch.until(lambda: watch.is_ready(1), alive=True)
    visited(tmp_path, sampled(0), body)


def open_register(site):
    """What the journal holds of the one charge that is open."""
    with contextlib.closing(sqlite3.connect(site.folder / "data" / "journal.db")) as journal:
        rows = journal.execute("SELECT connector, last_register_wh FROM charge WHERE stopped_at IS NULL").fetchall()
    assert len(rows) == 1, rows
    return rows[0]


def test_kill_9_while_a_charge_without_connector_is_closed_bills_what_was_kept(tmp_path):
    """A cabinet that lost an outlet: its open charge is closed by nobody's connector, once."""
    async def body(system, site, watch):
        site.plug_in(2)
        path = site.folder / "edge.yaml"
        whole = path.read_text()
        at = whole.index("  - connector: 2")
        less = whole[:at] + whole[whole.index("site:"):]
        for number, moment in enumerate(MOMENTS, 1):
            async with asyncio.timeout(LIMIT):
                begun = site.evse(2)["car"]["wattHours"]
                assert await watch.until(lambda: watch.is_ready(2), alive=True)
                command = [BIN / "kerb-edge", "token", "GOOD", "--connector", "2", "--config", path]
                assert (await asyncio.to_thread(
                    subprocess.run, command, capture_output=True, env=ENVIRONMENT)).returncode == 0
                assert await watch.until(lambda: site.evse(2)["car"]["wattHours"] >= begun + 3, alive=True)
                site.kill_edge()
                connector, register = open_register(site)
                assert connector == 2
                path.write_text(less)
                site.start_edge(JOURNAL_KILL_AT=f"orphans.{moment}.1")
                await is_dead(site, 2)
                site.start_edge()
                await watch.until(watch.is_settled, alive=True)
                assert len(bill(system)) == number
                stops = [fields for action, fields in system.events if action == "StopTransaction"]
                assert stops[-1]["meter_stop"] == register and stops[-1]["reason"] == "PowerLoss"
                site.kill_edge()
                path.write_text(whole)
                site.start_edge()
    visited(tmp_path, sampled(0), body)
