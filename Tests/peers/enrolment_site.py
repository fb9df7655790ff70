"""An operator with TLS and a board, for what enrols the one with the other."""
import base64
import datetime
import http.client
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect

from edge_site import BIN, ENVIRONMENT, ROOT
from ports import free_port

DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate authority and one server certificate for 127.0.0.1."""

    def __init__(self, folder, name):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256()))
        key = ec.generate_private_key(ec.SECP256R1())
        server = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")]))
            .issuer_name(subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY).not_valid_after(now + DAY)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
            .sign(self.key, hashes.SHA256()))
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.fingerprint = self.certificate.fingerprint(hashes.SHA256()).hex()
        self.ca, self.chain, self.server_key = (folder / f"{name}-{part}.pem" for part in ("ca", "server", "key"))
        self.ca.write_text(self.pem)
        self.chain.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        self.server_key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.server_key.chmod(0o600)


class Operator:
    """A `kerb-cpo serve` with TLS for stations."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder, "operator")
        self.plain, self.port = free_port(), free_port()
        self.configuration = folder / "cpo.yaml"
        self.configuration.write_text(f"""\
listeners:
  - {{name: main, port: {self.plain}, serves: [console, api, ocpp]}}
  - name: stations
    port: {self.port}
    serves: [ocpp]
    tls: {{certificateFile: {self.authority.chain}, keyFile: {self.authority.server_key}}}
database: sqlite:{folder}/kerb.sqlite
party: {{countryCode: IN, partyID: KRB, name: Test}}
ocpp: {{unknownStations: refuse, caFile: {self.authority.ca}}}
drainSeconds: 0
""")
        with open(folder / "cpo.log", "wb") as log:
            self.process = subprocess.Popen(
                [str(BIN / "kerb-cpo"), "serve", "--config", str(self.configuration)], stdout=log, stderr=log,
                env=ENVIRONMENT)
        until(self.is_ready)

    def is_ready(self):
        assert self.process.poll() is None, (self.folder / "cpo.log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def cpo(self, *words):
        return subprocess.run(
            [str(BIN / "kerb-cpo"), *words, "--config", str(self.configuration)], capture_output=True, text=True,
            env=ENVIRONMENT, timeout=60)

    def enrolment(self, station, *words):
        done = self.cpo("station", "enrol", station, "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def redeem(self, code, password, port=None):
        context = ssl.create_default_context(cafile=str(self.authority.ca))
        connection = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=40) if port
            else http.client.HTTPSConnection("127.0.0.1", self.port, timeout=40, context=context))
        connection.request("POST", "/enrol", json.dumps({"code": code, "password": password}))
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body

    def may_connect(self, url, station, password):
        context = ssl.create_default_context(cafile=str(self.authority.ca))
        header = base64.b64encode(f"{station}:{password}".encode()).decode()
        try:
            with connect(f"{url}/{station}", ssl=context, subprotocols=["ocpp1.6"],
                         additional_headers={"Authorization": f"Basic {header}"}):
                return True
        except Exception:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def until(is_so, seconds=30):
    deadline = time.monotonic() + seconds
    while not (value := is_so()):
        assert time.monotonic() < deadline, is_so
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    operator = Operator(tmp_path_factory.mktemp("operator"))
    yield operator
    operator.stop()


def board(folder):
    """A board with the example's configuration."""
    path = folder / "edge.yaml"
    text = (ROOT / "Config" / "edge.yaml").read_text()
    path.write_text(
        text.replace("dataDirectory: /var/lib/kerb-edge", f"dataDirectory: {folder}/data")
        + f"profileDirectory: {ROOT / 'hal' / 'profiles'}\n")
    path.chmod(0o640)
    return path


def enrol(path, *words, text=None):
    return subprocess.run(
        [str(BIN / "kerb-edge"), "enrol", *words, "--config", str(path)], capture_output=True, text=True,
        env=ENVIRONMENT, timeout=60, input=text)


def nothing_changed(path, before):
    return path.read_bytes() == before and [one.name for one in path.parent.iterdir()] == ["edge.yaml"]
