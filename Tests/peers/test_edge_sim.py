"""The two commands a newcomer begins with: `kerb-sim site` and `kerb-edge run` on the files in `Config`."""
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
import urllib.request

import pytest

from edge_site import BIN, ENVIRONMENT, ROOT, free_port

# The control interface, the meters' network, an operator who is not there and the page for technicians.
PORTS = {"7070": free_port, "5020": free_port, "8080": free_port, "8071": free_port}


class Site:
    def __init__(self, folder):
        self.folder, self.processes = folder, []
        ports = {old: str(make()) for old, make in PORTS.items()}
        self.control = ports["7070"]
        for file in "sim.yaml", "edge-sim.yaml":
            text = (ROOT / "Config" / file).read_text()
            for old, new in ports.items():
                text = re.sub(rf"\b{old}\b", new, text)
            (folder / file).write_text(text)

    def run(self, program, *words):
        with open(self.folder / f"{program}.log", "ab") as log:
            process = subprocess.Popen(
                [str(BIN / program), *words], cwd=self.folder, stdout=log, stderr=log, env=ENVIRONMENT)
        self.processes.append(process)
        return process

    def edge(self, *words):
        return subprocess.run(
            [str(BIN / "kerb-edge"), *words], cwd=self.folder, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)

    def until(self, is_so, seconds=40):
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)

    def connector(self):
        done = self.edge("status", "--json", "--config", "edge-sim.yaml")
        return json.loads(done.stdout)["connectors"][0] if done.returncode == 0 else {}

    def logs(self):
        return "\n".join(path.read_text()[-4000:] for path in self.folder.glob("*.log"))


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    for process in reversed(site.processes):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


def wear(site):
    journal = sqlite3.connect(f"file:{site.folder}/sim-data/journal.db?mode=ro", uri=True)
    try:
        return journal.execute("SELECT value FROM setting WHERE key = 'contactor.1.life'").fetchone()
    finally:
        journal.close()


def test_a_station_charges_as_its_file_says_and_a_crash_counts_as_wear(site):
    checked = site.edge("config", "check", "edge-sim.yaml")
    assert (checked.returncode, checked.stderr) == (0, "")
    site.run("kerb-sim", "site", "--config", "sim.yaml")
    agent = site.run("kerb-edge", "run", "--config", "edge-sim.yaml")
    site.until(lambda: site.connector().get("status") == "Available")
    assert "ready, waits for a car and an authorisation" in site.edge("status", "--config", "edge-sim.yaml").stdout
    urllib.request.urlopen(urllib.request.Request(
        f"http://localhost:{site.control}/evses/EVSE-1/plug-in", method="POST", data=b""), timeout=5).close()
    site.until(lambda: site.connector().get("pilot") == "B")
    shown = site.edge("token", "04A2F3B1", "--connector", "1", "--config", "edge-sim.yaml")
    assert shown.returncode == 0, shown.stderr
    site.until(lambda: site.connector().get("charge", {}).get("energyWh", 0) > 0)
    assert site.connector()["mirror"] == "closed"
    # Killed under load: the closing is on the disk, and the next start counts the dead-man's opening.
    agent.kill()
    agent.wait()
    assert wear(site)[0] == "1 0 0"
    site.run("kerb-edge", "run", "--config", "edge-sim.yaml")
    site.until(lambda: site.connector().get("contactorLife") == {"closings": 1, "openings": 1, "hotOpenings": 1})
