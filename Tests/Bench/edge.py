"""make bench BENCH=edge: what kerb-edge takes of a small board, against the bounds of its promise.

On simulated hardware behind real Modbus (kerb-sim site) and against a central system over TLS that keeps
nothing. Figures: the stripped program, resident memory with two outlets charging, CPU with four meters read
once a second and no car, and the times from exec. What needs GPIO lines is measured in the board VM, which is
booted here unless `.build/bench/board-vm.json` holds what this very program did in it.
"""
import asyncio
import datetime
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from websockets.asyncio.server import serve

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KERB_BIN") or ROOT / ".build" / "release").absolute()
OUT = ROOT / ".build/bench"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KERB_")}
MOST = {"size": 12_000_000, "memory": 20 * 1024 * 1024, "cpu": 1.0, "start": 50.0, "edge": 5.0}
VM_TOOLS = ("qemu-system-x86_64", "busybox", "cpio", "make", "cc")
IDLE_SECONDS, CHARGE_SECONDS, STARTS, WAIT_SECONDS = 30, 30, 9, 60


def fail(text):
    sys.exit(f"bench: {text}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Operator:
    """A central system that says yes, over TLS, in a thread of its own."""

    def __init__(self, folder):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "ca.pem"],
            check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
        self.port = free_port()
        self.loop = asyncio.new_event_loop()
        self.charges = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        asyncio.set_event_loop(self.loop)

        async def forever():
            async with serve(self.answer, "localhost", self.port, ssl=self.context, subprotocols=["ocpp1.6"]):
                await asyncio.Future()

        self.loop.run_until_complete(forever())

    async def answer(self, link):
        async for message in link:
            frame = json.loads(message)
            if frame[0] == 2:
                await link.send(json.dumps([3, frame[1], self.payload(frame[2])]))

    def payload(self, action):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
        accepted = {"idTagInfo": {"status": "Accepted"}}
        self.charges += action == "StartTransaction"
        return {
            "BootNotification": {"status": "Accepted", "interval": 300, "currentTime": now},
            "Heartbeat": {"currentTime": now}, "Authorize": accepted, "StopTransaction": accepted,
            "StartTransaction": {**accepted, "transactionId": self.charges},
        }.get(action, {})


class Board:
    """`kerb-sim site` with some outlets, and the agent on it."""

    def __init__(self, folder, outlets, operator):
        self.folder, self.outlets, self.processes = folder, outlets, {}
        self.control = free_port()
        folder.mkdir()
        (folder / "password").write_text("bench-bench-bench")
        (folder / "password").chmod(0o600)
        site = [f"control: {{port: {self.control}}}", "buses:"]
        edge = [
            "stationID: BENCH", "board: modbus-cabinet", f"profileDirectory: {ROOT}/hal/profiles",
            f"dataDirectory: {folder}/data", "site: {fuseAmperes: 400}", "meterPollMilliseconds: 1000",
            "meterSampleIntervalSeconds: 60", "csms:", f"  url: wss://localhost:{operator.port}/ocpp",
            "  securityProfile: 2", f"  passwordFile: {folder}/password", f"  caFile: {operator_ca(folder)}", "buses:"]
        for bus in ("control", "meters"):
            site.append(f"  - {{name: {bus}, kind: serial, link: {folder}/{bus}}}")
            edge.append(f"  - {{name: {bus}, kind: rtu, device: {folder}/{bus}, baud: 38400}}")
        site.append("evses:")
        edge.append("evses:")
        for number in range(1, outlets + 1):
            site += [
                f"  - name: E{number}", "    phases: 3",
                f"    meter: {{bus: meters, unit: {number}, model: sdm630, startWattHours: 1000}}",
                f"    relay: {{bus: control, unit: 10, coil: {number - 1}}}",
                f"    pilot: {{bus: control, unit: {20 + number}}}", "    car: {milliamperes: 32000}"]
            edge += [
                f"  - connector: {number}", f"    meter: {{profile: sdm630, bus: meters, unit: {number}}}",
                f"    contactor: {{bus: control, unit: 10, coil: {number - 1}}}",
                f"    pilot: {{bus: control, unit: {20 + number}}}"]
        (folder / "site.yaml").write_text("\n".join(site) + "\n")
        (folder / "edge.yaml").write_text("\n".join(edge) + "\n")

    def __enter__(self):
        self.run("kerb-sim", "site", "--config", self.folder / "site.yaml")
        self.until(lambda: self.site("/site") is not None)
        self.run("kerb-edge", "run", "--config", self.folder / "edge.yaml")
        self.until(lambda: (self.status() or {}).get("registration") == "Accepted")
        self.until(lambda: all("registerWh" in one.get("meter", {}) for one in self.status()["connectors"]))
        return self

    def __exit__(self, *_):
        for program in ("kerb-edge", "kerb-sim"):
            process = self.processes[program]
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(45)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, program, *words):
        with open(OUT / f"{program}.log", "ab") as log:
            self.processes[program] = subprocess.Popen(
                [str(BIN / program), *map(str, words)], stdout=log, stderr=log, env=ENVIRONMENT)

    @property
    def pid(self):
        return self.processes["kerb-edge"].pid

    def edge(self, *words):
        return subprocess.run(
            [str(BIN / "kerb-edge"), *map(str, words), "--config", str(self.folder / "edge.yaml")],
            capture_output=True, text=True, env=ENVIRONMENT)

    def status(self):
        done = self.edge("status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def site(self, path, post=False):
        try:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.control}{path}", data=b"{}" if post else None)
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read()
        except OSError:
            return None

    def until(self, is_so):
        end = time.monotonic() + WAIT_SECONDS
        while not is_so():
            if time.monotonic() > end:
                fail(f"the board is not ready; see {OUT}/kerb-edge.log")
            time.sleep(0.1)

    def charge(self):
        for number in range(1, self.outlets + 1):
            self.site(f"/evses/E{number}/plug-in", post=True)
        self.until(lambda: all(one.get("pilot") in ("B", "C") for one in self.status()["connectors"]))
        for number in range(1, self.outlets + 1):
            self.edge("token", "04AABBCC", "--connector", number)
        self.until(lambda: all(one["status"] == "Charging" for one in self.status()["connectors"]))


def operator_ca(folder):
    return folder.parent / "ca.pem"


def cpu_seconds(pid):
    """User and system time of every thread, in nanosecond steps where the kernel has them."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {key: int(value) * 1024 for key, value in re.findall(r"^(Rss|Pss|Anonymous):\s+(\d+)", text, re.M)}


def program_size():
    copy = OUT / "kerb-edge.stripped"
    subprocess.run(["strip", "-o", copy, BIN / "kerb-edge"], check=True)
    return copy.stat().st_size


def safe_lines_milliseconds(folder):
    """From exec to the opening of the safe-lines file, the first thing a start does; a FIFO in its place tells."""
    found = []
    for number in range(STARTS):
        lines = folder / f"{number}.yaml.safe-lines"
        os.mkfifo(lines)
        begin = time.monotonic()
        process = subprocess.Popen(
            [str(BIN / "kerb-edge"), "run", "--config", str(folder / f"{number}.yaml")], stderr=subprocess.DEVNULL,
            env=ENVIRONMENT)
        with open(lines, "w"):
            found.append((time.monotonic() - begin) * 1000)
        process.wait()
    return found


def board_vm():
    """What this program does on GPIO lines, from a boot of the board VM or its last one; None where there is none."""
    kept = OUT / "board-vm.json"
    program = BIN / "kerb-edge"
    measured = json.loads(kept.read_text()) if kept.exists() else None
    if measured and measured["program"] == hashlib.sha256(program.read_bytes()).hexdigest():
        return {**measured, "isThisProgram": True}
    if not all(shutil.which(tool) for tool in VM_TOOLS):
        return measured and {**measured, "isThisProgram": False}
    print("the board VM measures two hundred edges; this takes about eight minutes", flush=True)
    done = subprocess.run(
        [sys.executable, str(ROOT / "Tests/long/board_figures.py")], env={**os.environ, "EDGE_PROGRAM": str(program)},
        capture_output=True, text=True)
    if done.returncode:
        (OUT / "board-vm.log").write_text(done.stdout + done.stderr)
        fail(f"the board VM ended with {done.returncode}; see {OUT}/board-vm.log")
    return {**json.loads(kept.read_text()), "isThisProgram": True}


def vm_rows(found):
    """Rows of the table, and the lines below it that say how to read them."""
    if not found:
        return [("  GPIO edge to contactor, p99", "–", "5 ms", None)], [
            "not measured: the board VM needs what `.ci/setup long` installs"]
    edge, floor = found["edgeMicroseconds"], found["floorMicroseconds"]
    start, loading = (statistics.median(found[key]) for key in ("startMilliseconds", "loadingMilliseconds"))
    rows = [
        ("  GPIO edge to contactor, p99", f"{edge['p99'] / 1000:.2f} ms", "5 ms", edge["p99"] / 1000 <= MOST["edge"]),
        ("    the least C program, p99", f"{floor['p99'] / 1000:.2f} ms", "", None),
        ("    ours to it", f"{edge['p99'] / max(1, floor['p99']):.1f}", "", None),
        ("  exec to safe outputs", f"{start:.0f} ms", "", None),
        ("    of it loading the program", f"{loading:.0f} ms", "", None),
    ]
    which = "this program" if found["isThisProgram"] else "ANOTHER BUILD of the program"
    notes = [
        f"board VM: {edge['count']} edges by the kernel's stamps, median {edge['median'] / 1000:.2f} ms, longest "
        f"{edge['longest'] / 1000:.2f} ms; measured {found['measuredAt']} with {which}",
        "its processor is emulated, some thirty times slower at what it meets first: the 50 ms are held to above, "
        "without it"]
    if found.get("busyPercent") and found["busyPercent"] > 10:
        notes.append(f"others waited for a core {found['busyPercent']} % of the time while the VM ran")
    return rows, notes


def start_milliseconds(folder):
    """From exec to the first order on the wire that opens a contactor: function 5, off."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    text = (folder / "edge.yaml").read_text()
    text = re.sub(r"\{name: control, .*\}", f"{{name: control, kind: tcp, host: 127.0.0.1, port: {port}}}", text)
    text = re.sub(r"dataDirectory: .*", f"dataDirectory: {folder}/start", text)
    (folder / "start.yaml").write_text(text)
    found = []
    for _ in range(STARTS):
        begin = time.monotonic()
        with open(OUT / "start.log", "ab") as log:
            process = subprocess.Popen(
                [str(BIN / "kerb-edge"), "run", "--config", str(folder / "start.yaml")], stdout=log, stderr=log,
                env=ENVIRONMENT)
        listener.settimeout(10)
        try:
            link, _ = listener.accept()
            link.settimeout(10)
            link.recv(260)
            found.append((time.monotonic() - begin) * 1000)
            link.close()
        except TimeoutError:
            fail(f"kerb-edge opened nothing; see {OUT}/start.log")
        finally:
            process.kill()
            process.wait()
    listener.close()
    return found


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="kerb-bench-"))
    try:
        operator = Operator(folder)
        size = program_size()
        with Board(folder / "idle", 4, operator) as board:
            time.sleep(5)
            before, began = cpu_seconds(board.pid), time.monotonic()
            time.sleep(IDLE_SECONDS)
            idle = (cpu_seconds(board.pid) - before) / (time.monotonic() - began) * 100
        with Board(folder / "charge", 2, operator) as board:
            board.charge()
            time.sleep(CHARGE_SECONDS)
            resident = memory(board.pid)
            charging = cpu_seconds(board.pid)
        starts = start_milliseconds(folder / "charge")
        safe = safe_lines_milliseconds(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    start = statistics.median(safe)
    on_gpio, notes = vm_rows(board_vm())
    rows = [
        ("program, stripped", f"{size / 1e6:.2f} MB", "12 MB", size <= MOST["size"]),
        ("resident, two outlets charging", f"{resident['Rss'] / 1048576:.1f} MiB", "20 MiB",
         resident["Rss"] <= MOST["memory"]),
        ("  of it its own, not shared", f"{resident['Anonymous'] / 1048576:.1f} MiB", "", None),
        ("CPU, four meters at 1 Hz, no car", f"{idle:.2f} %", "1 % of a core", idle <= MOST["cpu"]),
        ("exec to reading safe-lines (GPIO)", f"{start:.1f} ms", "50 ms", start <= MOST["start"]),
        ("exec to opening order (Modbus TCP)", f"{statistics.median(starts):.1f} ms", "", None),
        ("in the board VM (emulated)", "", "", None),
        *on_gpio,
    ]
    head = f"{'kerb-edge':36}{'measured':>12}{'bound':>16}"
    print(head, "-" * len(head), sep="\n")
    for title, value, bound, good in rows:
        print(f"{title:36}{value:>12}{bound:>16}{'' if good is None else '   ok' if good else '   OVER'}")
    busy = re.search(r"some avg10=([\d.]+)", Path("/proc/pressure/cpu").read_text())
    if busy and float(busy.group(1)) > 10:
        print(f"\nothers waited for a core {busy.group(1)} % of the time: run again on a quiet machine")
    print("\nCPU and memory with the link up over TLS", *notes, sep="\n")
    result = {
        "sizeBytes": size, "memory": resident, "idleCPUPercent": idle, "safeLinesMilliseconds": safe,
        "openingOrderMilliseconds": starts,
        "chargingCPUSeconds": charging,
    }
    (OUT / "edge.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    return 0 if all(good is not False for *_, good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
