"""`kerb-edge` on a simulated site: what the contactor does when the agent dies, hangs or loses its meter.

The site is a process of its own, so nothing in the agent can open the relay but a Modbus write or its
dead-man; the car's own integral is the judge of every watt-hour.
"""
import datetime
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

import pytest

from ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).absolute()
# The card's pulse lasts 1 s and the contacts take 15 ms.
DEAD_MAN_SECONDS = 1.05

SITE = """
control: {{port: {control}}}
buses:
  - {{name: control, kind: serial, link: {folder}/control}}
  - {{name: line, kind: serial, link: {folder}/line}}
evses:
  - name: A
    phases: 3
    meter: {{bus: line, unit: 1, model: sdm630, startWattHours: 123456}}
    relay: {{bus: control, unit: 10, coil: 0}}
    pilot: {{bus: control, unit: 11}}
    car: {{isPluggedIn: true}}
"""
EDGE = """
stationID: CS-SITE
csms: {{url: 'ws://127.0.0.1:1/ocpp', securityProfile: 0}}
board: modbus-cabinet
profileDirectory: {root}/hal/profiles
dataDirectory: {folder}/data
allowUnknownTokensOffline: true
tokenReader: {folder}/reader
buses:
  - {{name: control, kind: rtu, device: {folder}/control}}
  - {{name: line, kind: rtu, device: {folder}/line}}
site: {{fuseAmperes: 63}}
evses:
  - connector: 1
    meter: {{profile: sdm630, bus: line, unit: 1}}
    contactor: {{bus: control, unit: 10, coil: 0}}
    pilot: {{bus: control, unit: 11}}
    limits: {{maximumAmperes: 32}}
"""


class Site:
    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        (folder / "data").mkdir()
        (folder / "sim.yaml").write_text(SITE.format(control=self.port, folder=folder))
        (folder / "edge.yaml").write_text(EDGE.format(root=ROOT, folder=folder))
        os.mkfifo(folder / "reader")
        self.processes = []
        self.run("kerb-sim", "site", "--config", folder / "sim.yaml")
        self.until(lambda: self.evse() is not None)

    def run(self, program, *arguments):
        with open(self.folder / f"{program}.log", "ab") as log:
            # As in the packaged unit: a crash is the end, at once.
            process = subprocess.Popen(
                [BIN / program, *arguments], stdout=log, stderr=log,
                env={**os.environ, "SWIFT_BACKTRACE": "enable=no"})
        self.processes.append(process)
        return process

    def edge(self):
        return self.run("kerb-edge", "run", "--config", self.folder / "edge.yaml")

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def evse(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/evses/A", timeout=2) as answer:
                return json.load(answer)
        except OSError:
            return None

    def post(self, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=json.dumps(body or {}).encode(), method="POST")
        urllib.request.urlopen(request, timeout=2).read()

    def until(self, is_so, seconds=20):
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, (self.evse(), self.log()[-2000:])
            time.sleep(0.02)

    def log(self):
        path = self.folder / "kerb-edge.log"
        return path.read_text() if path.exists() else ""

    def show_token(self):
        (self.folder / "reader").write_text("04AABBCC\n")

    def stays_open(self, opened):
        """For as long as any pulse that was on its way could have closed it."""
        def is_past_the_dead_man():
            assert not self.evse()["contactor"]["isClosed"]
            return time.time() > opened + DEAD_MAN_SECONDS

        self.until(is_past_the_dead_man, seconds=5)
        assert self.evse()["contactor"]["closings"] == 1

    def charge(self):
        """An agent that charges: at least 10 Wh have flowed."""
        agent = self.edge()
        self.until(lambda: "status=Preparing" in self.log())
        self.show_token()
        self.until(lambda: self.evse()["meter"]["registerWattHours"] >= 123456 + 10)
        return agent


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.stop()


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# SIGILL is how a Swift program ends that finds itself in the wrong, SIGABRT how a C library does.
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGILL, signal.SIGABRT])
def test_the_relay_opens_within_the_dead_mans_time_when_the_agent_dies_or_hangs(site, how):
    agent = site.charge()
    before = time.time()
    agent.send_signal(how)
    site.until(lambda: not site.evse()["contactor"]["isClosed"], seconds=5)
    opened = instant(site.evse()["contactor"]["openedAt"])
    assert 0 <= opened - before <= DEAD_MAN_SECONDS
    site.stays_open(opened)
    assert site.evse()["milliwatts"] == 0


def test_a_charge_cut_by_kill_9_is_closed_with_the_cars_own_watt_hours(site):
    agent = site.charge()
    agent.kill()
    site.until(lambda: not site.evse()["contactor"]["isClosed"], seconds=5)
    site.edge()
    site.until(lambda: "session ended" in site.log())
    line = [line for line in site.log().splitlines() if "session ended" in line][-1]
    car = site.evse()["car"]["wattHours"]
    assert car >= 10
    assert f"registerWh={123456 + car}" in line, (line, car)
    # The agent that came back closes nothing by itself.
    assert site.evse()["contactor"]["closings"] == 1


def test_a_silent_meter_ends_the_charge_and_never_reads_as_zero(site):
    site.charge()
    site.post("/buses/line/units/1/fault", {"kind": "silence"})
    site.until(lambda: not site.evse()["contactor"]["isClosed"], seconds=20)
    site.until(lambda: "status=Faulted" in site.log())
    site.until(lambda: "session ended" in site.log())
    line = [line for line in site.log().splitlines() if "session ended" in line][-1]
    register = int(line.split("registerWh=")[1].split()[0])
    # The last good register: less than was taken, never zero, never invented.
    assert 123456 < register <= site.evse()["meter"]["registerWattHours"]
    # X1 first, so that the contactor does not open under current.
    assert site.evse()["contactor"]["hotOpenings"] == 0


def test_one_lost_answer_of_the_pilot_controller_opens_nothing_and_its_silence_does(site):
    site.charge()
    for kind in ("silence", "checkSum", "wrongUnit"):
        before = site.evse()["meter"]["registerWattHours"]
        site.post("/buses/control/units/11/fault", {"kind": kind, "requests": 1})
        site.until(lambda: site.evse()["meter"]["registerWattHours"] >= before + 5)
    contactor = site.evse()["contactor"]
    assert (contactor["isClosed"], contactor["closings"], contactor["hotOpenings"]) == (True, 1, 0)
    before = time.time()
    site.post("/buses/control/units/11/fault", {"kind": "silence"})
    site.until(lambda: not site.evse()["contactor"]["isClosed"], seconds=5)
    # A second of bridging, one more try with its quarantine, and the card's pulse.
    assert instant(site.evse()["contactor"]["openedAt"]) - before <= 1 + 0.6 + DEAD_MAN_SECONDS
    site.stays_open(time.time())


@pytest.mark.parametrize("units", [(10,), (10, 11)], ids=["the relay card", "the whole bus"])
def test_a_relay_bus_that_hangs_lets_the_contactor_go_and_ends_the_charge(site, units):
    site.charge()
    before = time.time()
    for unit in units:
        # It neither hears nor answers: no order to open arrives, so the card's own pulse must end.
        site.post(f"/buses/control/units/{unit}/fault", {"kind": "silence"})
    site.until(lambda: not site.evse()["contactor"]["isClosed"], seconds=5)
    opened = instant(site.evse()["contactor"]["openedAt"])
    assert opened - before <= DEAD_MAN_SECONDS + 0.1, "the last renewal may lie just behind the fault"
    site.until(lambda: "session ended" in site.log(), seconds=60)
    assert "status=Faulted" in site.log()
    # Nor does it close by itself when it can be reached again.
    for unit in units:
        site.post(f"/buses/control/units/{unit}/fault", {})
    site.stays_open(time.time())


def test_an_agent_whose_death_would_leave_contactors_closed_does_not_start(site):
    """A relay card without a timed pulse, and nobody who took that upon himself."""
    configuration = site.folder / "edge.yaml"
    text = configuration.read_text().replace("board: modbus-cabinet", "board: modbus-cabinet-no-pulse")
    configuration.write_text(text)
    assert site.edge().wait(20) == 2
    assert "has no dead-man, so a crash would leave contactors closed" in site.log()
    assert site.evse()["contactor"]["closings"] == 0
    configuration.write_text(text + "acceptNoDeadman: true\n")
    site.edge()
    site.until(lambda: "nothing opens the contactors when this program dies" in site.log())
