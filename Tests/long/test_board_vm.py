"""The real `kerb-edge` on a real GPIO character device: start, trip, stop, kill, hang, weld.

What the lines do is said by `board-vm/hardware.c`, which plays the safety controller, the relay and the
mirror contact; what the serial port leads to is pymodbus. Figures come from software emulation on a shared
machine: the limits here are wide, and the figures of a board are a board's.
"""
import json
import os
import re
import statistics
import struct
import subprocess
import time

import board_figures
import board_vm
import edge_site
import figures
import pytest
from fault_wire import FaultyWire, replaced, silence
from pymodbus import FramerType
from pymodbus.server import StartAsyncSerialServer
from test_meters_pymodbus import SDM630, context, down, f32, in_background, stored

FIGURES = figures.NOTED.setdefault("board VM (emulated)", {})
TRIPS = 3
# No car draws anything here: the relay leads nowhere.
METER = {**SDM630, **board_figures.IDLE}
REGISTER, NEXT_REGISTER = (down(stored(value)) for value in (812.3457, 812.3487))

EDGE = """\
stationID: BOARD-1
csms: {url: "ws://127.0.0.1:9/ocpp", securityProfile: 0}
board: split-safety-mcu
buses:
  - {name: meter-line, kind: rtu, device: /dev/ttyS2, baud: 9600}
evses:
  - connector: 1
    meter: {profile: sdm630, bus: meter-line, unit: 1}
    limits: {maximumAmperes: 16}
    tokenReader: /run/reader
site: {fuseAmperes: 32, phases: 3}
allowUnknownTokensOffline: true
dataDirectory: /var/kerb
"""


@pytest.fixture(scope="module")
def meter(tmp_path_factory):
    """pymodbus behind a serial line that can be cut."""
    wire = FaultyWire(tmp_path_factory.mktemp("wire"))
    served = context({1: ("sdm630", 4, METER)})
    in_background(lambda: StartAsyncSerialServer(
        served, framer=FramerType.RTU, port=str(wire.theirs), baudrate=9600, parity="N", stopbits=1))
    yield wire
    wire.stop()


@pytest.fixture(scope="module")
def board(meter, tmp_path_factory):
    packages = board_vm.missing()
    assert not packages, f"not installed: {' '.join(packages)}; `make setup` with `.ci/setup long` installs them"
    vm = board_vm.BoardVM(tmp_path_factory.mktemp("board"), board_figures.edge_program(), EDGE)
    try:
        FIGURES["board up after, s"] = vm.boot(serial=meter.ours)
        vm.do("hardware run > /dev/null 2>&1 & HARDWARE=$!")
        vm.do("kerb-edge config check /etc/kerb/edge.yaml")
        yield vm
    finally:
        vm.stop()


def status(vm):
    text = vm.do("kerb-edge status --json --config /etc/kerb/edge.yaml 2>/dev/null", check=False)
    try:
        return json.loads(text)["connectors"][0]
    except ValueError:
        return {}


def log(vm):
    return vm.do("cat /run/edge.log")


def start(vm):
    vm.do("kerb-edge run --config /etc/kerb/edge.yaml >> /run/edge.log 2>&1 & EDGE=$!")
    found = vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60)
    assert found == "Available", f"{status(vm)}\n{log(vm)}"


def end(vm):
    vm.do("kill -TERM $EDGE; wait $EDGE", check=False)


def unplug(vm):
    for line in ["CP1_READY", "CP1_CONNECTED"]:
        vm.pull(line, 0)


def charge(vm):
    """A car that wants energy, a token, and the relay closes."""
    vm.pull("CP1_CONNECTED", 1)
    vm.until(lambda: status(vm).get("status"), lambda word: word == "Preparing", 10)
    vm.do("kerb-edge token 04A2B3C4 --config /etc/kerb/edge.yaml")
    vm.until(lambda: vm.value("OFFER1_2"), lambda bit: bit == 1, 20)
    vm.pull("CP1_READY", 1)
    assert vm.until(lambda: vm.relay(), lambda closed: closed == 1, 30) == 1, f"{status(vm)}\n{log(vm)}"


def stop_charge(vm):
    unplug(vm)
    vm.until(lambda: vm.relay(), lambda closed: closed == 0, 10)
    assert vm.relay() == 0
    # After a fault the outlet rests for half a minute.
    found = vm.until(lambda: status(vm).get("status"), lambda word: word == "Available", 60)
    assert found == "Available", f"{status(vm)}\n{log(vm)}"


def held(vm):
    return vm.do("gpioinfo 2>/dev/null || true")


def test_config_check_leaves_the_outputs_beside_the_configuration(board):
    lines = board.do("cat /etc/kerb/edge.yaml.safe-lines").splitlines()
    assert lines[0].startswith("# kerb-edge safe-lines 1")
    assert sorted(line.split("\t")[1] for line in lines[1:]) == sorted(board_vm.OUTPUTS)
    assert all(line.split("\t")[2] == "low" for line in lines[1:])


def test_config_check_names_a_wrong_line_with_the_mend(board):
    board.do("sed 's/^    limits:/    lines: {mirror: MIROR1}\\n    limits:/' /etc/kerb/edge.yaml > /tmp/wrong.yaml")
    text = board.do("kerb-edge config check /tmp/wrong.yaml 2>&1", check=False)
    assert "no GPIO line is called `MIROR1` on chip evse-io; did you mean `MIRROR1`?" in text


def test_outputs_are_safe_while_the_configuration_cannot_even_be_read(board):
    # Pulled up from outside, as a board without pull-down would: only a request makes them low. Nobody ever
    # writes into this configuration.
    board.do("mkfifo /tmp/silent.yaml; cp /etc/kerb/edge.yaml.safe-lines /tmp/silent.yaml.safe-lines")
    for line in board_vm.OUTPUTS:
        board.pull(line, 1)
        assert board.value(line) == 1
    board.do("kerb-edge run --config /tmp/silent.yaml & SILENT=$!")
    assert board.until(lambda: board.value("ALLOW1"), lambda level: level == 0, 10) == 0
    assert [board.value(line) for line in board_vm.OUTPUTS] == [0] * len(board_vm.OUTPUTS)
    board.do("kill -KILL $SILENT; wait $SILENT", check=False)
    assert board.value("ALLOW1") == 1
    for line in board_vm.OUTPUTS:
        board.pull(line, 0)


def test_outputs_are_safe_soon_after_exec_and_do_not_move_when_the_drivers_take_them_over(board):
    took, loader = [], []
    for _ in range(5):
        loader.append(float(board.do("hardware runtime /bin/kerb-edge --version")) / 1000)
        board.pull("ALLOW1", 1)
        board.do("hardware start ALLOW1 /bin/kerb-edge run --config /etc/kerb/edge.yaml > /run/took 2>> /run/edge.log &"
                 " STARTER=$!")
        found = board.until(lambda: board.do("cat /run/took"), lambda text: re.fullmatch(r"\d+", text), 20)
        took.append(int(found) / 1000)
        board.pull("ALLOW1", 0)
        edges = int(board.do("hardware edges ALLOW1 1500"))
        assert edges == 0, "a gap between the safe lines and the drivers"
        board.do("kill -TERM $(pidof kerb-edge); wait $STARTER", check=False)
    own = [int(each) / 1000 for each in re.findall(r"tookMicroseconds=(\d+)", log(board))]
    FIGURES["exec to safe outputs, ms"] = ", ".join(f"{each:.1f}" for each in took)
    FIGURES["of which loading the program (kerb-edge --version), ms"] = ", ".join(f"{each:.1f}" for each in loader)
    FIGURES["of which finding and taking the lines, ms"] = ", ".join(f"{each:.1f}" for each in own)
    # Loading is the emulator's: it runs what it meets for the first time some thirty times slower than a board. Here
    # a load that waits for something would show, and below it is held to the 50 ms, on this machine.
    assert min(took) <= 5_000, FIGURES
    # The agent's own part, finding the lines and taking them, keeps within the 50 ms even emulated (20 to 37 ms). While
    # others keep the cores it says little: then one that waits would show.
    is_quiet = (figures.busy() or 0) < 10
    assert statistics.median(own) <= 50 if is_quiet else min(own) <= 500, FIGURES


def test_safe_lines_are_read_within_50_ms_of_exec_on_this_machine(tmp_path):
    """The same start without emulation: a FIFO in the place of the file tells when it is opened."""
    took, spent = [], []
    for number in range(11):
        lines = tmp_path / f"{number}.yaml.safe-lines"
        os.mkfifo(lines)
        start = time.monotonic()
        agent = subprocess.Popen(
            [str(board_figures.edge_program()), "run", "--config", str(tmp_path / f"{number}.yaml")],
            stderr=subprocess.DEVNULL, env=edge_site.ENVIRONMENT)
        # Opening waits until the agent opens its end.
        with open(lines, "w"):
            took.append((time.monotonic() - start) * 1000)
        _, _, usage = os.wait4(agent.pid, 0)
        agent.returncode = 0
        spent.append((usage.ru_utime + usage.ru_stime) * 1000)
    FIGURES["exec to reading safe-lines on this machine, ms"] = (
        f"median {statistics.median(took):.1f}, max {max(took):.1f}; CPU of the whole run "
        f"{statistics.median(spent):.1f}")
    # Where others keep the cores, the wall clock shows their work; what the program itself takes, to its end, does not.
    is_quiet = (figures.busy() or 0) < 10
    assert statistics.median(took if is_quiet else spent) <= 50, (took, spent)


def test_the_doctor_finds_every_line_where_the_board_has_it(board):
    found = json.loads(board.do("kerb-edge doctor --json --config /etc/kerb/edge.yaml 2>/dev/null", check=False))
    lines = {one["topic"]: one for one in found if one["topic"].startswith("line ")}
    assert set(lines) == {f"line {name}" for name in board_vm.LINES}
    assert {one["verdict"] for one in lines.values()} == {"ok"}
    assert "free" in lines["line MIRROR1"]["found"]
    text = board.do("kerb-edge doctor --json --config /tmp/wrong.yaml 2>/dev/null", check=False)
    wrong = [one for one in json.loads(text) if one["topic"] == "line MIROR1"]
    assert [one["verdict"] for one in wrong] == ["BAD"] and "did you mean `MIRROR1`?" in wrong[0]["found"]
    assert "gpioinfo" in wrong[0]["mend"]


def test_the_meter_on_the_serial_port_is_read_to_the_watt_hour(board, meter):
    start(board)
    assert status(board)["meter"]["registerWh"] == REGISTER
    meter.fault = replaced([(struct.pack(">2H", *f32(812.3457)), struct.pack(">2H", *f32(812.3487)))])
    found = board.until(lambda: status(board)["meter"].get("registerWh"), lambda value: value != REGISTER, 20)
    assert found == NEXT_REGISTER


def test_a_serial_line_that_falls_silent_is_an_error_until_it_speaks_again(board, meter):
    counted, meter.fault = meter.fault, silence
    try:
        row = board.until(lambda: status(board).get("meter", {}), lambda row: "error" in row, 30)
        assert "does not answer" in row.get("error", ""), row
        # The last reading stands there with its age, and nothing may close on it.
        row = board.until(
            lambda: status(board), lambda row: any(why.startswith("meter") for why in row.get("hindrances", [])), 30)
        assert row["energyAllowed"] is False and "meter" in " ".join(row["hindrances"]), row
        assert (row["meter"]["quality"], row["meter"]["registerWh"]) == ("stale", NEXT_REGISTER), row
    finally:
        meter.fault = counted
    row = board.until(lambda: status(board).get("meter", {}), lambda row: row.get("quality") == "good", 60)
    assert row.get("registerWh") == NEXT_REGISTER, row


def lit(vm):
    """(red, green) of the light, one reading."""
    return vm.value("LED1_R"), vm.value("LED1_G")


def test_the_doctor_knows_the_lines_that_the_agent_holds(board):
    found = json.loads(board.do("kerb-edge doctor --json --config /etc/kerb/edge.yaml 2>/dev/null", check=False))
    held = {one["topic"] for one in found if "held by the agent" in one["found"]}
    assert held == {f"line {name}" for name in board_vm.LINES}


def test_a_charge_closes_the_relay_with_a_beating_heart(board):
    assert board.until(lambda: lit(board), lambda light: light == (0, 1), 10) == (0, 1), "green: free"
    charge(board)
    # Green that breathes: three seconds up and down.
    assert int(board.do("hardware edges LED1_G 6500")) >= 3
    assert board.value("LED1_R") == 0
    # 16 A is the fourth of the offers; its code is 100 in binary.
    assert [board.value(f"OFFER1_{bit}") for bit in range(3)] == [0, 0, 1]
    beats = int(board.do("hardware edges HEARTBEAT1 1000"))
    assert 10 <= beats <= 22, beats
    stop_charge(board)


def test_a_car_that_goes_from_c_to_b_opens_within_its_time(board):
    """IEC 61851-1 Table A.6 sequence 8.1, with the safety controller's lines as the pilot: no edge opens here, the
    agent looks every 50 ms. A pilot by PWM and ADC is no part of this VM: its kernel has neither."""
    outside = []
    for _ in range(TRIPS):
        charge(board)
        outside.append(int(board.do("hardware react CP1_READY 0 ALLOW1 0")))
        assert board.until(lambda: board.relay(), lambda closed: closed == 0, 2) == 0
        stop_charge(board)
    FIGURES["C to B seen from outside to the relay line, us"] = (
        f"median {statistics.median(outside):.0f}, max {max(outside)}")
    # One look, 50 ms apart, sees it: half of all trips and more must keep the bound. An emulated board waits for its
    # turn as well, so the last of them is held to the dead-man's second.
    assert statistics.median(outside) <= 100_000 and max(outside) <= 1_000_000, outside


def test_the_emergency_stop_opens_at_its_edge(board):
    outside = []
    for _ in range(TRIPS):
        charge(board)
        outside.append(int(board.do("hardware react ESTOP 1 ALLOW1 0")))
        assert int(board.do("hardware edges HEARTBEAT1 300")) == 0
        assert board.until(lambda: status(board).get("status"), lambda word: word == "Faulted", 5) == "Faulted"
        assert board.until(lambda: lit(board), lambda light: light == (1, 0), 5) == (1, 0), "red: out of order"
        board.pull("ESTOP", 0)
        stop_charge(board)
    inside = sorted(int(each) for each in re.findall(r"role=emergencyStop.*reactionMicroseconds=(\d+)", log(board)))
    FIGURES["edge to relay line by the kernel's stamp, us"] = (
        f"median {statistics.median(inside):.0f}, max {inside[-1]}")
    FIGURES["hand to relay line seen from outside, us"] = f"median {statistics.median(outside):.0f}, max {max(outside)}"
    # Now and then the poll of the 50 ms sees the button before its edge is taken, and opens as well.
    assert len(inside) >= TRIPS // 2
    # The limit of a board is 5 ms; an emulated one waits for its turn on this machine as well.
    assert min(inside) <= 5_000 and inside[-1] <= 50_000, inside


def test_a_trip_of_the_residual_current_device_opens_and_stays_until_a_person_clears_it(board):
    charge(board)
    FIGURES["RCD trip to relay line from outside, us"] = int(board.do("hardware react RCD1_TRIP 1 ALLOW1 0"))
    board.pull("RCD1_TRIP", 0)
    assert board.until(lambda: status(board).get("status"), lambda word: word == "Faulted", 5) == "Faulted"
    time.sleep(12)
    assert board.relay() == 0
    unplug(board)
    board.do("kerb-edge clear 1 --config /etc/kerb/edge.yaml")
    assert board.until(
        lambda: status(board).get("status"), lambda word: word == "Available", 40) == "Available", status(board)


def test_the_sensor_is_tested_at_the_start_and_after_a_charge(board):
    assert "residualCurrentTest" not in log(board), "no test failed"
    board.do("hardware edges RCD1_TEST 100")
    charge(board)
    board.do("hardware edges RCD1_TEST 8000 > /run/tests & COUNTER=$!")
    unplug(board)
    board.do("wait $COUNTER", seconds=30)
    assert board.do("cat /run/tests") == "2"


def test_an_open_door_opens_the_relay(board):
    board.until(lambda: status(board).get("status"), lambda word: word == "Available", 30)
    charge(board)
    board.pull("DOOR", 1)
    assert board.until(lambda: board.relay(), lambda closed: closed == 0, 2) == 0
    assert board.until(lambda: status(board).get("status"), lambda word: word == "Faulted", 5) == "Faulted"
    board.pull("DOOR", 0)
    stop_charge(board)


def test_sigstop_stops_the_heartbeat_and_the_relay_opens_by_itself(board):
    charge(board)
    board.do("kill -STOP $EDGE; cut -d' ' -f1 /proc/uptime > /run/stopped")
    assert board.until(lambda: board.relay(), lambda closed: closed == 0, 3, pause=0.05) == 0
    stopped = float(board.do("cat /run/stopped"))
    opened = int(board.do("tail -1 /run/relay.log").split()[0]) / 1e6
    FIGURES["SIGSTOP to open relay, ms"] = f"{(opened - stopped) * 1000:.0f}"
    assert opened - stopped < 1.0
    time.sleep(2)
    board.do("kill -CONT $EDGE")
    # The renewal of before must not close it: a new closing takes its ten seconds, or thirty after a fault.
    assert int(board.do("sleep 3; cat /run/relay")) == 0
    found = board.until(lambda: board.relay(), lambda closed: closed == 1, 60)
    assert found == 1, f"{status(board)}\n{log(board)[-3000:]}"
    stop_charge(board)


def test_sigkill_opens_the_relay_and_the_next_start_begins_open(board):
    charge(board)
    board.do("kill -KILL $EDGE; cut -d' ' -f1 /proc/uptime > /run/killed; wait $EDGE", check=False)
    assert board.until(lambda: board.relay(), lambda closed: closed == 0, 2, pause=0.05) == 0
    killed = float(board.do("cat /run/killed"))
    opened = int(board.do("tail -1 /run/relay.log").split()[0]) / 1e6
    FIGURES["SIGKILL to open relay, ms"] = f"{max(0.0, opened - killed) * 1000:.0f}"
    assert opened - killed < 1.0
    unplug(board)
    start(board)
    assert board.relay() == 0


def test_a_welded_contactor_is_seen_by_its_mirror_and_latched(board):
    assert board.until(
        lambda: status(board).get("status"), lambda word: word == "Available", 40) == "Available", status(board)
    charge(board)
    board.do("touch /run/weld")
    unplug(board)
    found = board.until(lambda: status(board).get("status"), lambda word: word == "Faulted", 10)
    assert found == "Faulted"
    assert "mirror says closed" in json.dumps(status(board))
    board.do("rm /run/weld")
    time.sleep(2)
    assert status(board).get("status") == "Faulted", "only a person ends it"
    board.do("kerb-edge clear 1 --config /etc/kerb/edge.yaml")


def test_a_reader_that_types_starts_a_charge(board):
    assert board.until(
        lambda: status(board).get("status"), lambda word: word == "Available", 40) == "Available", status(board)
    board.pull("CP1_CONNECTED", 1)
    board.until(lambda: status(board).get("status"), lambda word: word == "Preparing", 10)
    board.do("hardware type 0412345678", seconds=30)
    board.until(lambda: board.value("OFFER1_2"), lambda bit: bit == 1, 20)
    board.pull("CP1_READY", 1)
    assert board.until(lambda: board.relay(), lambda closed: closed == 1, 30) == 1, log(board)
    stop_charge(board)
    end(board)
