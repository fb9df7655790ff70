"""A `kerb-cpo serve --demo` of its own for one test."""
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

from ports import free_port

BIN = pathlib.Path(os.environ.get("KERB_BIN", ".build/debug")).absolute()


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

    def start(self):
        log = open(self.folder.parent / f"{self.folder.name}.log", "ab")
        self.process = subprocess.Popen(
            [str(BIN / "kerb-cpo"), "serve", "--demo", "--data", str(self.folder),
             "--port", str(self.port)], stdout=log, stderr=log, env=self.environment)
        log.close()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "kerb-cpo ended at its start"
            try:
                with urllib.request.urlopen(self.http + "/readyz", timeout=1) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError("kerb-cpo is not ready after 20 s")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                assert self.process.wait(20) == 0
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
