"""A `kerb-cpo serve` of its own for one test: with `--demo`, or with a configuration of the test's."""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

from ports import free_port

BIN = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).absolute()
# A machine that does much at once starts and ends it slowly.
READY_SECONDS, STOP_SECONDS, PROBE_SECONDS = 60, 60, 10


class Server:
    """`database`: where its rows are instead of a SQLite file in the folder."""

    def __init__(self, folder, port=None, database=None):
        self.folder = pathlib.Path(folder)
        self.environment = {**os.environ, **({"KERB_DATABASE": database} if database else {})}
        # The demo takes the next one for TLS.
        self.port = port or free_port(2)
        self.process = None

    @property
    def ws(self):
        return f"ws://127.0.0.1:{self.port}/ocpp/"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    def words(self):
        return ["--demo", "--data", str(self.folder), "--port", str(self.port)]

    def start(self):
        log = open(self.folder.parent / f"{self.folder.name}.log", "ab")
        self.process = subprocess.Popen(
            [str(BIN / "kerb-cpo"), "serve", *self.words()], stdout=log, stderr=log, env=self.environment)
        log.close()
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "kerb-cpo ended at its start"
            try:
                with urllib.request.urlopen(self.http + "/readyz", timeout=PROBE_SECONDS) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"kerb-cpo is not ready after {READY_SECONDS} s")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                assert self.process.wait(STOP_SECONDS) == 0
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


CONFIGURATION = """\
listeners: [{port: %d}]
party: {countryCode: IN, partyID: KRB, name: Test}
currency: INR
database: %s
drainSeconds: 0
ocpp: {unknownStations: adopt, lowestSecurityProfile: 0, messagesPerSecond: 0, connectsAnHour: 0%s}
"""


class ConfiguredServer(Server):
    """Stations come in unasked, as often and as fast as they like; the API is reached with an admin's key.

    `ocpp`: further keys of that section, as in a line of YAML."""

    def __init__(self, folder, database=None, ocpp=""):
        super().__init__(folder, free_port())
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configuration = self.folder / "cpo.yaml"
        place = database or f"sqlite:{self.folder}/kerb.sqlite"
        self.configuration.write_text(CONFIGURATION % (self.port, place, ocpp and f", {ocpp}"))
        self.key = self.run("key", "add", "test", "--role", "admin").split()[-1]

    def words(self):
        return ["--config", str(self.configuration), "--log-level", "warning"]

    def run(self, *words):
        """Another command of the program on the same rows; what it printed."""
        done = subprocess.run([str(BIN / "kerb-cpo"), *map(str, words), "--config", str(self.configuration)],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def table(self, kind, text):
        """Status and body of an import of a CSV table."""
        request = urllib.request.Request(
            f"{self.http}/api/v1/import/{kind}", method="POST", data=text.encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "text/csv"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def api(self, method, path, body=None, timeout=60):
        """Status and body of an answer."""
        request = urllib.request.Request(
            f"{self.http}/api/v1{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)
