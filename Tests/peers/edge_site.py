"""A `kerb-edge run` on simulated hardware behind real Modbus (`kerb-sim site`), for one test module."""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

from ports import free_port

BIN = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).absolute()
ROOT = pathlib.Path(__file__).resolve().parents[2]
# KERB_… overrides keys of the configuration: KERB_BIN is none of them.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KERB_")}
START = {1: 123456, 2: 654321}

SITE = """\
control:
  port: {control}
buses:
  - {{name: control, kind: serial, link: sim-control}}
  - {{name: meter-line, kind: serial, link: sim-meters}}
  - {{name: meter-lan, kind: tcp, port: {lan}}}
evses:
  - name: EVSE-1
    phases: 3
    volts: 230
    meter: {{bus: meter-line, unit: 1, model: sdm630, startWattHours: 123456}}
    relay: {{bus: control, unit: 10, coil: 0}}
    pilot: {{bus: control, unit: 11}}
    car: {{milliamperes: 32000}}
  - name: EVSE-2
    phases: 1
    meter: {{bus: meter-lan, unit: 1, model: sdm120, startWattHours: 654321}}
    relay: {{bus: control, unit: 10, coil: 1}}
    pilot: {{bus: control, unit: 12}}
    car: {{milliamperes: 32000}}
"""

EDGE = """\
stationID: PEER-1
vendor: Kerb
model: kerb-edge
csms:
  url: ws://127.0.0.1:{csms}/ocpp
  securityProfile: 0
board: modbus-cabinet
profileDirectory: {profiles}
buses:
  - {{name: control, kind: rtu, device: {folder}/sim-control}}
  - {{name: meter-line, kind: rtu, device: {folder}/sim-meters}}
  - {{name: meter-lan, kind: tcp, host: 127.0.0.1, port: {lan}}}
evses:
  - connector: 1
    meter: {{profile: sdm630, bus: meter-line, unit: 1}}
    contactor: {{bus: control, unit: 10, coil: 0}}
    pilot: {{bus: control, unit: 11}}
    limits: {{maximumAmperes: 32}}
    tokenReader: {folder}/reader-1
  - connector: 2
    meter: {{profile: sdm120, bus: meter-lan, unit: 1}}
    contactor: {{bus: control, unit: 10, coil: 1}}
    pilot: {{bus: control, unit: 12}}
    limits: {{maximumAmperes: 32}}
    wiring: L2
site: {{{supply}}}
meterSampleIntervalSeconds: 1
dataDirectory: {folder}/data
"""


class EdgeSite:
    """The hardware's process and the agent's, and nothing left of either at the end."""

    def __init__(self, folder, csms_port, supply="fuseAmperes: 63, phases: 3, raiseSeconds: 1"):
        self.folder = pathlib.Path(folder)
        self.control = free_port()
        lan = free_port()
        self.reader = self.folder / "reader-1"
        os.mkfifo(self.reader)
        (self.folder / "site.yaml").write_text(SITE.format(control=self.control, lan=lan))
        (self.folder / "edge.yaml").write_text(EDGE.format(
            csms=csms_port, lan=lan, folder=self.folder, supply=supply, profiles=ROOT / "hal" / "profiles"))
        self.processes = {}

    def run(self, program, *arguments, **environment):
        with open(self.folder / f"{program}.log", "ab") as log:
            self.processes[program] = subprocess.Popen(
                [str(BIN / program), *arguments], cwd=self.folder, stdout=log, stderr=log,
                env={**ENVIRONMENT, **environment})

    def start(self):
        self.run("kerb-sim", "site", "--config", str(self.folder / "site.yaml"))
        deadline = time.monotonic() + 20
        while True:
            try:
                self.site("GET", "/site")
                break
            except OSError:
                assert time.monotonic() < deadline, "kerb-sim is not ready after 20 s"
                assert self.processes["kerb-sim"].poll() is None, "kerb-sim ended at its start"
                time.sleep(0.05)
        self.start_edge()
        return self

    def start_edge(self, **environment):
        self.run("kerb-edge", "run", "--config", str(self.folder / "edge.yaml"), **environment)

    def kill_edge(self):
        self.processes["kerb-edge"].send_signal(signal.SIGKILL)
        self.processes["kerb-edge"].wait()

    def site(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.control}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def evse(self, number):
        return self.site("GET", f"/evses/EVSE-{number}")

    def plug_in(self, number):
        self.site("POST", f"/evses/EVSE-{number}/plug-in", {})

    def unplug(self, number):
        self.site("POST", f"/evses/EVSE-{number}/unplug", {})

    def show_token(self, token):
        with open(self.reader, "w") as reader:
            reader.write(token + "\n")

    def stop(self):
        for program in ("kerb-edge", "kerb-sim"):
            process = self.processes.get(program)
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    raise

    def logs(self):
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}"
            for path in sorted(self.folder.glob("*.log")))
