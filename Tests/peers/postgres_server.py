"""A PostgreSQL server of its own for one run or one test: in a temporary folder, by an unprivileged user.

    .ci/postgres COMMAND…      runs a command beside one; KERB_TEST_DATABASE names it
"""
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from ports import free_port

START_SECONDS, STOP_SECONDS = 30, 30
LEAST_MEMORY = 1 << 30
PASSWORD = "correct horse battery"


def programs():
    """The folder of the newest server installed, or None. Debian keeps it off the PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    if found:
        return pathlib.Path(found[-1]).parent
    on_path = shutil.which("initdb")
    return pathlib.Path(on_path).resolve().parent if on_path else None


class PostgresServer:
    """`start`, `stop`, `crash` and `start` again; `close` takes everything away."""

    def __init__(self):
        self.bin = programs()
        assert self.bin, "no PostgreSQL server is installed (.ci/setup all installs it)"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kerb-postgres-", dir=self.place()))
        self.data = self.folder / "data"
        self.process = None
        # The server refuses to run as root.
        self.user = []
        if os.getuid() == 0:
            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            entry = names.get("postgres") or names["nobody"]
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            self.user = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        # Neither C nor UTF-8's own order: what depends on the database's collation shows.
        subprocess.run(
            [*self.user, self.bin / "initdb", "-D", self.data, "-U", "kerb", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
             "--locale-provider=icu", "--icu-locale=en-US", "--auth-local=trust", "--auth-host=scram-sha-256",
             "--pwfile", secret], check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.port = free_port()

    @staticmethod
    def place():
        """In memory where there is room: what a process that dies leaves behind is there as on a disk."""
        memory = pathlib.Path("/dev/shm")
        try:
            room = os.statvfs(memory)
        except OSError:
            return "/tmp"
        fits = room.f_bavail * room.f_frsize > LEAST_MEMORY and os.access(memory, os.W_OK)
        return str(memory) if fits else "/tmp"

    @property
    def url(self):
        return f"postgresql://kerb@/postgres?host={self.folder}&port={self.port}"

    @property
    def tcp_url(self):
        return f"postgresql://kerb:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/postgres"

    def start(self):
        self.process = subprocess.Popen(
            # Ends with whoever started it, however that ends.
            ["setpriv", "--pdeathsig", "INT", *self.user[1:], self.bin / "postgres", "-D", self.data, "-k", self.folder,
             "-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "max_wal_size=128MB",
             "-c", "log_min_messages=warning"],
            stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "ab"), stdin=subprocess.DEVNULL, cwd="/")
        deadline = time.monotonic() + START_SECONDS
        ready = [self.bin / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
        while subprocess.run(ready).returncode != 0:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the server is not ready"
            time.sleep(0.05)
        return self

    def stop(self):
        """Ends every session, then the server, as an upgrade of its package does."""
        self._end(signal.SIGINT)

    def crash(self):
        """Ends it as a power cut would: the log is played back at the next start."""
        self._end(signal.SIGQUIT)

    def _end(self, number):
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)

    @property
    def certificate(self):
        return self.folder / "server.pem"

    def protect(self):
        """TLS with a certificate for `localhost` that is its own authority, from now on."""
        key = self.folder / "server-key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key,
             "-out", self.certificate], check=True, capture_output=True)
        key.chmod(0o600)
        for file in (key, self.certificate):
            os.chown(file, os.stat(self.data).st_uid, os.stat(self.data).st_gid)
        with open(self.data / "postgresql.auto.conf", "a") as settings:
            settings.write(f"ssl = on\nssl_cert_file = '{self.certificate}'\nssl_key_file = '{key}'\n")
        self.process.send_signal(signal.SIGHUP)
        while self.ask("SHOW ssl") != [["on"]]:
            time.sleep(0.05)

    def ask(self, sql, database="postgres"):
        """Rows as lists of text, through the server's own client."""
        text = subprocess.run(
            [self.bin / "psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", 
             "-d", self.url.replace("/postgres?", f"/{database}?"), "-c", sql],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        return [line.split("\t") for line in text.splitlines()]

    def close(self):
        if self.process and self.process.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
