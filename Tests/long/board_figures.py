"""What GPIO takes in the board VM: from exec to safe outputs, from an input's edge to the open contactor.

    .venv/bin/python Tests/long/board_figures.py     measures, writes .build/bench/board-vm.json (about six minutes)

Everything runs in software emulation. What of a figure is the emulator shows the floor: the least C program,
on the same chip, in the same machine, for the same edges.
"""
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]

import board_vm
import figures
from test_meters_pymodbus import SDM630, f32, tcp_meters

OUTLETS, EDGES, STARTS, FLOOR_EDGES = 8, 208, 5, 200
TITLE = "GPIO in the board VM (emulated)"
IDLE = {address: f32(0.0) for address in (0x0006, 0x0008, 0x000A, 0x000C, 0x000E, 0x0010, 0x0034)}
PROGRAM = []

EDGE = """\
stationID: BOARD-1
csms: {{url: "ws://127.0.0.1:9/ocpp", securityProfile: 0}}
board: edges-board
buses: [{{name: meters, kind: tcp, host: 10.0.2.2, port: {port}}}]
site: {{fuseAmperes: 400, phases: 3}}
freeVend: {{enabled: true}}
meterPollMilliseconds: 2000
dataDirectory: /var/kerb
evses:
"""
OUTLET = "  - {{connector: {n}, meter: {{profile: sdm630, bus: meters, unit: {n}}}, limits: {{maximumAmperes: 16}}}}\n"
LINES = ["ALLOW{n}", "HEARTBEAT{n}", "CP{n}_CONNECTED", "CP{n}_READY", "CP{n}_FAULT", "OFFER{n}_0"]


def edge_program():
    """The release build, as a board gets it; made here when there is none or an old one."""
    given = os.environ.get("EDGE_PROGRAM")
    if given:
        return pathlib.Path(given)
    if not PROGRAM:
        build = subprocess.run(
            ["make", "release", "PROGRAMS=kerb-edge"], cwd=board_vm.ROOT, capture_output=True, text=True)
        assert build.returncode == 0, build.stdout[-3000:] + build.stderr[-3000:]
        PROGRAM.append(board_vm.ROOT / ".build" / "release" / "kerb-edge")
    return PROGRAM[0]


def digest(program):
    return hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()


def summary(values):
    return {
        "count": len(values), "median": figures.percentile(values, 50), "p99": figures.percentile(values, 99),
        "longest": max(values),
    }


def numbers(text):
    return [int(each) for each in re.findall(r"^(\d+)$", text, re.M)]


def run_command(redirect):
    return f"kerb-edge run --config /etc/kerb/edge.yaml {redirect}"


def starts(vm):
    """[(exec to safe outputs, of it loading the program)] in microseconds."""
    found = []
    for _ in range(STARTS):
        loading = numbers(vm.do("hardware runtime /bin/kerb-edge --version"))[0]
        vm.pull("ALLOW1", 1)
        vm.do(f"hardware start ALLOW1 /bin/{run_command('2>> /run/starts.log')} > /run/took & STARTER=$!")
        took = vm.until(lambda: vm.do("cat /run/took"), lambda text: re.fullmatch(r"\d+", text), 20)
        found.append((int(took), loading))
        vm.pull("ALLOW1", 0)
        vm.do("kill -TERM $(pidof kerb-edge); wait $STARTER", check=False)
    return found


def measure(folder, program):
    """Boots a board of eight outlets and gives what `board-vm.json` keeps."""
    lines = [line.format(n=n) for n in range(1, OUTLETS + 1) for line in LINES]
    bus = tcp_meters({n: ("sdm630", 4, {**SDM630, **IDLE}) for n in range(1, OUTLETS + 1)})
    configuration = EDGE.format(port=bus["port"]) + "".join(OUTLET.format(n=n) for n in range(1, OUTLETS + 1))
    vm = board_vm.BoardVM(folder, program, configuration, lines)
    vm.goes_first = os.geteuid() == 0
    try:
        vm.boot()
        vm.do("hardware run > /dev/null 2>&1 & HARDWARE=$!")
        vm.do("kerb-edge config check /etc/kerb/edge.yaml")
        started = starts(vm)
        floor = numbers(vm.do(f"edges floor CP1_FAULT ALLOW1 {FLOOR_EDGES}", seconds=120))
        vm.do(run_command(">> /run/edge.log 2>&1 & EDGE=$!"))
        outside = numbers(vm.do(f"edges trips {OUTLETS} {EDGES}", seconds=1200))
        log = vm.do("cat /run/edge.log", seconds=120)
        vm.do("kill -TERM $EDGE; wait $EDGE", check=False)
        floor += numbers(vm.do(f"edges floor CP1_FAULT ALLOW1 {FLOOR_EDGES}", seconds=120))
    finally:
        vm.stop()
    inside = [int(each) for each in re.findall(r"role=pilotFault.*reactionMicroseconds=(\d+)", log)]
    return {
        "program": digest(program), "busyPercent": figures.busy(), "wentFirst": vm.goes_first,
        "edgeMicroseconds": summary(inside), "handMicroseconds": summary(outside), "floorMicroseconds": summary(floor),
        "startMilliseconds": [took / 1000 for took, _ in started],
        "loadingMilliseconds": [loading / 1000 for _, loading in started],
    }


def note(kept):
    """The figures as a person reads them."""
    for name, key in [
            ("edge to contactor line, by the kernel's stamp, us", "edgeMicroseconds"),
            ("hand to contactor line, seen from outside, us", "handMicroseconds"),
            ("the least C program for the same edge (floor), us", "floorMicroseconds")]:
        figures.note(TITLE, name, "p99 {p99}, median {median}, longest {longest}, of {count}".format(**kept[key]))
    ratio = kept["edgeMicroseconds"]["p99"] / max(1, kept["floorMicroseconds"]["p99"])
    figures.note(TITLE, "p99 to the floor's p99", f"{ratio:.1f}")
    figures.note(TITLE, "exec to safe outputs, ms", ", ".join(f"{one:.0f}" for one in kept["startMilliseconds"]))
    loading = ", ".join(f"{one:.0f}" for one in kept["loadingMilliseconds"])
    figures.note(TITLE, "of it loading the program (--version), ms", loading)


def main():
    with tempfile.TemporaryDirectory(prefix="kerb-board-") as folder:
        kept = measure(folder, edge_program())
    figures.keep("board-vm", kept)
    note(kept)
    for name, value in figures.NOTED[TITLE].items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
