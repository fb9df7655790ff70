"""pymodbus plays a temperature module and an earth monitor beside a simulated cabinet: what the agent
makes of them, and which wirings `kerb-edge config check` refuses."""
import asyncio
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest
from pymodbus.client import ModbusTcpClient
from pymodbus.datastore import ModbusDeviceContext, ModbusSequentialDataBlock, ModbusServerContext
from pymodbus.server import StartAsyncTcpServer

from edge_site import BIN, ENVIRONMENT, ROOT, EdgeSite, free_port

SENSORS = """\
temperature: {driver: modbus, function: 3, register: 0x0000, type: i16, scale: 0.1, notAvailable: [0x8000]}
protectiveEarth: {function: 1, closedIsGood: true}
"""
PROMISES = "  hasTemperature: true\n  maximumDegrees: 70\n  hasProtectiveEarth: true\n"
WIRING = """\
    temperature: {{bus: sensors, unit: 40}}
    protectiveEarth: {{bus: sensors, unit: 40, input: {input}}}
"""


class Module:
    """Unit 40: register 0 in tenths of a degree, bits 0 and 1 closed while all is well; both can be written."""

    def __init__(self):
        self.port = free_port()
        # A block that begins at 1 serves wire address 0.
        device = ModbusDeviceContext(
            hr=ModbusSequentialDataBlock(1, [253] + [0] * 15), co=ModbusSequentialDataBlock(1, [True] * 16))
        served = ModbusServerContext(devices={40: device}, single=False)
        threading.Thread(
            target=lambda: asyncio.run(StartAsyncTcpServer(served, address=("127.0.0.1", self.port))),
            daemon=True).start()
        until(self.answers, 10)

    def show(self, tenths=None, first_earth=None):
        with ModbusTcpClient("127.0.0.1", port=self.port) as client:
            if tenths is not None:
                assert not client.write_register(0, tenths, device_id=40).isError()
            if first_earth is not None:
                assert not client.write_coil(0, first_earth, device_id=40).isError()

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def write_board(folder, sensors=SENSORS, promises=PROMISES):
    shutil.copytree(ROOT / "hal" / "profiles", folder / "profiles", dirs_exist_ok=True)
    board = (folder / "profiles" / "boards" / "modbus-cabinet.yaml").read_text()
    assert "capabilities:\n" in board
    (folder / "profiles" / "boards" / "with-sensors.yaml").write_text(
        sensors + board.replace("capabilities:\n", "capabilities:\n" + promises))


def write_edge(folder, port):
    """The site of two outlets with the module on a line of its own."""
    path = folder / "edge.yaml"
    text = path.read_text()
    text = text.replace("board: modbus-cabinet", "board: with-sensors")
    text = text.replace(f"{ROOT}/hal/profiles", f"{folder}/profiles")
    text = text.replace("evses:\n", f"  - {{name: sensors, kind: tcp, host: 127.0.0.1, port: {port}}}\nevses:\n")
    for number in (1, 2):
        text = text.replace(
            f"  - connector: {number}\n", f"  - connector: {number}\n" + WIRING.format(input=number - 1))
    path.write_text(text)
    return path


@pytest.fixture
def site(tmp_path):
    module = Module()
    site = EdgeSite(tmp_path, csms_port=1)
    write_board(tmp_path)
    write_edge(tmp_path, module.port)
    site.module = module
    yield site.start()
    site.stop()


def connectors(site):
    done = subprocess.run(
        [BIN / "kerb-edge", "status", "--json", "--config", site.folder / "edge.yaml"],
        capture_output=True, text=True, timeout=30, env=ENVIRONMENT)
    if done.returncode != 0:
        return None
    return {one["connector"]: one for one in json.loads(done.stdout)["connectors"]}


def test_a_temperature_and_a_lost_earth_reach_the_gate(site):
    def state(number, key, value):
        found = connectors(site)
        return found is not None and found[number].get(key) == value

    # 25.3 °C, rounded up.
    until(lambda: state(1, "degrees", 26))
    until(lambda: state(1, "status", "Available") and state(2, "status", "Available"))
    # The contact of the first outlet's monitor opens, or its wire breaks.
    site.module.show(first_earth=False)
    until(lambda: state(1, "errorCode", "GroundFailure"))
    assert state(1, "status", "Faulted") and state(2, "status", "Available"), site.logs()
    site.module.show(first_earth=True)
    until(lambda: state(1, "status", "Available"))
    # 60.1 °C derates, 70.1 °C faults, a broken sensor is no temperature at all.
    site.module.show(tenths=601)
    until(lambda: state(1, "degrees", 61))
    assert connectors(site)[1]["deratedToAmperes"] < 32
    site.module.show(tenths=701)
    until(lambda: state(1, "errorCode", "HighTemperature"))
    site.module.show(tenths=300)
    until(lambda: state(1, "status", "Available"))
    site.module.show(tenths=0x8000)
    until(lambda: state(1, "errorCode", "HighTemperature"))


def check(path):
    done = subprocess.run(
        [BIN / "kerb-edge", "config", "check", path], capture_output=True, text=True, timeout=30, env=ENVIRONMENT)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("part, replacement, mend", [
    ("meter: {profile: sdm630, bus: meter-line, unit: 1}", "meter: {profile: sdm630, bus: control, unit: 1}",
     "a contactor's bus carries no meters"),
    ("temperature: {bus: sensors, unit: 40}", "temperature: {bus: control, unit: 40}",
     "a contactor's bus carries relay cards and pilot controllers only"),
    ("temperature: {bus: sensors, unit: 40}", "temperature: {unit: 40}", "give its `bus:` and `unit:`"),
    ("temperature: {bus: sensors, unit: 40}", "temperature: {bus: sensor, unit: 40}", "no bus is called sensor; known are control"),
    ("bus: sensors, unit: 40, input: 0}", "bus: sensors, unit: 40}", "give its `bus:`, `unit:` and `input:`"),
    ("sim-meters}", "sim-control}", "has this device already"),
    ("board: with-sensors", "board: modbus-cabinet", "nothing that board modbus-cabinet reads"),
])
def test_a_wiring_that_would_not_be_safe_is_refused_with_its_mend(tmp_path, part, replacement, mend):
    EdgeSite(tmp_path, csms_port=1)
    write_board(tmp_path)
    path = write_edge(tmp_path, 1502)
    assert check(path)[0] == 0, check(path)
    text = path.read_text()
    assert part in text
    path.write_text(text.replace(part, replacement, 1))
    code, said = check(path)
    assert code != 0 and mend in said, said


@pytest.mark.parametrize("sensors, promises, mend", [
    ("", PROMISES, "goes with the section `temperature`"),
    (SENSORS, PROMISES.replace("  hasTemperature: true\n", ""), "nothing derates by a temperature that nobody reads"),
    (SENSORS, PROMISES + "  hasDoor: true\n", "needs the line `gpio.lines.door`"),
])
def test_a_board_whose_promise_nobody_keeps_is_refused(tmp_path, sensors, promises, mend):
    EdgeSite(tmp_path, csms_port=1)
    write_board(tmp_path, sensors, promises)
    code, said = check(write_edge(tmp_path, 1502))
    assert code != 0 and mend in said, said
