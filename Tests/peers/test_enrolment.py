"""First-boot identity by a one-time code: `kerb-cpo` and `kerb-edge` with each other, and each with a
counterpart that is not ours (a Python board, a Python operator, PyPI `zxing-cpp` for the QR code).
"""
import base64
import datetime
import http.client
import http.server
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest
import yaml
import zxingcpp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect

from edge_site import BIN, ENVIRONMENT, ROOT, free_port

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


# The operator's program and a board in Python.

def test_a_python_board_gets_its_identity_once(operator):
    made = operator.enrolment("PY-1")
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", made["code"])
    password = "python-board-password"
    status, body = operator.redeem(made["code"], password)
    assert status == 200
    assert body["station"] == "PY-1" and body["url"] == f"wss://127.0.0.1:{operator.port}/ocpp"
    assert body["ca"].strip() == operator.authority.pem.strip()
    assert operator.may_connect(body["url"], "PY-1", password)
    # The first answer may have been lost; another board gets nothing.
    assert operator.redeem(made["code"].lower().replace("-", " "), password)[0] == 200
    status, body = operator.redeem(made["code"], "another-board-password")
    assert status == 410 and body["title"] == "the code was used already"
    assert operator.may_connect(f"wss://127.0.0.1:{operator.port}/ocpp", "PY-1", password)


def test_a_code_never_travels_in_the_open(operator):
    made = operator.enrolment("PY-2")
    status, body = operator.redeem(made["code"], "python-board-password", port=operator.plain)
    assert status == 403 and "TLS" in body["detail"]
    assert operator.redeem(made["code"], "python-board-password")[0] == 200


def test_whoever_guesses_codes_has_to_wait(tmp_path):
    operator = Operator(tmp_path)
    try:
        made = operator.enrolment("PY-3")
        answers = [operator.redeem("0000-0000-0000-0000", "python-board-password")[0] for _ in range(11)]
        assert answers == [404] * 10 + [429]
        assert operator.redeem(made["code"], "python-board-password")[0] == 429
    finally:
        operator.stop()


def read(picture):
    """What a reader sees in an SVG of one path of rows, eight dots a module."""
    side = int(re.search(r'viewBox="0 0 (\d+) \1"', picture).group(1))
    dots = [bytearray(b"\xff" * side * 8) for _ in range(side * 8)]
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", re.findall(r' d="([^"]*)"', picture)[1]):
        for row in dots[int(y) * 8:int(y) * 8 + 8]:
            row[int(x) * 8:(int(x) + int(width)) * 8] = bytes(int(width) * 8)
    return [found.text for found in zxingcpp.read_barcodes(
        memoryview(b"".join(dots)).cast("B", (side * 8, side * 8)))]


@pytest.mark.parametrize("station", ["CS-1", "a", "ÄÖÜ-" + "x" * 40, "CS_" + "9" * 45, "Ж" * 30])
def test_the_qr_code_can_be_read(operator, tmp_path, station):
    picture = tmp_path / "code.svg"
    made = operator.enrolment(station, "--svg", str(picture))
    assert read(picture.read_text()) == [made["uri"]]
    assert f' d="{made["qr"]["path"]}"' in picture.read_text()


def test_the_code_is_drawn_and_said_and_kept_nowhere(operator):
    done = operator.cpo("station", "enrol", "CS-9", "--minutes", "5")
    assert done.returncode == 0
    assert "█" in done.stdout and "\x1b" not in done.stdout
    code = re.search(r"^code +(\S+)  \(once, until \d{4}-", done.stdout, re.M).group(1)
    uri = re.search(r"kerb-edge enrol '([^']+)'", done.stdout).group(1)
    assert uri == (f"kerb:enrol?cpo=https://127.0.0.1:{operator.port}&id=CS-9&code={code}"
                   f"&ca={operator.authority.fingerprint}")
    for file in operator.folder.iterdir():
        assert code.encode() not in file.read_bytes(), file
    for words in (["a/b"], ["x" * 49], ["CS-9", "--minutes", "0"]):
        assert operator.cpo("station", "enrol", *words).returncode == 2


def test_the_console_makes_codes_for_operators_alone(operator):
    def post(role, station, body):
        key = operator.cpo("key", "add", f"{role}-{time.monotonic_ns()}", "--role", role).stdout.strip()
        connection = http.client.HTTPConnection("127.0.0.1", operator.plain, timeout=40)
        connection.request("POST", f"/api/v1/stations/{station}/enrolment", json.dumps(body),
                           {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    assert post("viewer", "CS-11", {})[0] == 403
    status, made = post("operator", "CS-11", {"minutes": 5})
    assert status == 200 and made["uri"].startswith("kerb:enrol?")
    assert operator.redeem(made["code"], "python-board-password")[1]["station"] == "CS-11"
    assert post("operator", "CS-11", {"minutes": 0})[1]["field"] == "minutes"


# Both programs.

@pytest.mark.parametrize("by", ["uri", "code", "stdin"])
def test_a_board_enrols_and_connects_with_what_it_got(operator, tmp_path, by):
    station = f"EDGE-{by}"
    made = operator.enrolment(station)
    path = board(tmp_path)
    before = path.read_text()
    if by == "uri":
        done = enrol(path, made["uri"])
    elif by == "stdin":
        done = enrol(path, "-", text=made["uri"] + "\n")
    else:
        done = enrol(path, made["code"], "--cpo", f"https://127.0.0.1:{operator.port}",
                     "--ca", operator.authority.fingerprint.upper())
    assert done.returncode == 0, done.stderr
    settings = yaml.safe_load(path.read_text())
    assert settings["stationID"] == station
    assert settings["csms"]["url"] == f"wss://127.0.0.1:{operator.port}/ocpp"
    assert settings["csms"]["securityProfile"] == 2
    secret = settings["csms"]["passwordFile"]
    assert stat.S_IMODE(os.stat(secret).st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    password = open(secret).read().strip()
    assert len(password) == 20 and password not in done.stdout + done.stderr
    assert open(settings["csms"]["caFile"]).read().strip() == operator.authority.pem.strip()
    assert operator.may_connect(settings["csms"]["url"], station, password)
    # What the installer wrote stays, comments included.
    lost = [line for line in before.splitlines() if line not in path.read_text().splitlines()]
    assert all(line.lstrip().startswith(("stationID:", "url:", "securityProfile:", "passwordFile:"))
               for line in lost), lost
    checked = subprocess.run(
        [str(BIN / "kerb-edge"), "config", "check", str(path)], capture_output=True, text=True, env=ENVIRONMENT)
    assert "csms" not in checked.stderr and "password" not in checked.stderr, checked.stderr


def test_an_identity_is_replaced_only_when_asked(operator, tmp_path):
    path = board(tmp_path)
    assert enrol(path, operator.enrolment("EDGE-A")["uri"]).returncode == 0
    before, names = path.read_bytes(), sorted(one.name for one in tmp_path.iterdir())
    made = operator.enrolment("EDGE-B")
    done = enrol(path, made["uri"])
    assert done.returncode == 4 and "EDGE-A already; --replace" in done.stderr
    assert path.read_bytes() == before and sorted(one.name for one in tmp_path.iterdir()) == names
    assert enrol(path, made["uri"], "--replace").returncode == 0
    assert yaml.safe_load(path.read_text())["stationID"] == "EDGE-B"


def test_the_identity_before_stays_until_the_operator_has_accepted_the_new_one(operator, tmp_path):
    path = board(tmp_path)
    data = pathlib.Path(yaml.safe_load(path.read_text())["dataDirectory"])
    data.mkdir(exist_ok=True)
    before = tmp_path / "edge.yaml.before-enrolment"
    if os.geteuid() == 0:
        # As the package leaves it: root's, read by the agent's group.
        os.chown(path, 0, 12345)

    def secrets():
        return {one.name for one in tmp_path.iterdir() if one.name.startswith("enrolled-")}

    def becomes(station):
        done = enrol(path, operator.enrolment(station)["uri"], "--replace")
        assert done.returncode == 0, done.stderr
        settings = yaml.safe_load(path.read_text())
        assert settings["stationID"] == station
        return done, {pathlib.Path(settings["csms"][key]).name for key in ("passwordFile", "caFile")}

    def accepted():
        """As the agent leaves it once its boot was accepted."""
        secret = yaml.safe_load(path.read_text())["csms"]["passwordFile"]
        (data / "identity-accepted").write_text(secret + "\n")

    _, first = becomes("EDGE-1")
    assert not before.exists()
    accepted()
    done, second = becomes("EDGE-2")
    assert secrets() == first | second
    assert before.stat().st_gid == path.stat().st_gid
    assert yaml.safe_load(before.read_text())["stationID"] == "EDGE-1" and f"mv {before} {path}" in done.stdout
    # EDGE-2 was never accepted: it is nothing to go back to.
    _, third = becomes("EDGE-3")
    assert secrets() == first | second | third
    assert yaml.safe_load(before.read_text())["stationID"] == "EDGE-1"
    assert all((tmp_path / name).exists() for name in first)
    accepted()
    _, fourth = becomes("EDGE-4")
    assert secrets() == third | fourth
    assert yaml.safe_load(before.read_text())["stationID"] == "EDGE-3"


def test_a_used_code_leaves_the_board_as_it_was(operator, tmp_path):
    made = operator.enrolment("EDGE-C")
    assert operator.redeem(made["code"], "another-board-password")[0] == 200
    path = board(tmp_path)
    before = path.read_bytes()
    done = enrol(path, made["uri"])
    assert done.returncode == 4 and "the code was used already" in done.stderr
    assert nothing_changed(path, before)


@pytest.mark.parametrize("text, said", [
    ("csms: {url: a}\n", "one key a line"),
    ("board: [\n", "check indentation"),
])
def test_a_configuration_that_cannot_take_it_does_not_cost_the_code(operator, tmp_path, text, said):
    made = operator.enrolment("EDGE-D")
    path = tmp_path / "edge.yaml"
    path.write_text(text)
    done = enrol(path, made["uri"])
    assert done.returncode == 2 and said in done.stderr
    assert nothing_changed(path, text.encode())
    assert operator.redeem(made["code"], "python-board-password")[0] == 200


@pytest.mark.parametrize("words, said", [
    (["kerb:enrol?cpo=http://a&code=0000-0000-0000-0000"], "neither a text like"),
    (["0000-0000-0000"], "neither a text like"),
    (["0000-0000-0000-0000"], "needs --cpo"),
    (["0000-0000-0000-0000", "--cpo", "http://a"], "needs --cpo"),
    (["0000-0000-0000-0000", "--cpo", "https://a", "--ca", "12"], "64 hexadecimal digits"),
])
def test_a_wrong_command_line_says_what_is_right(tmp_path, words, said):
    path = board(tmp_path)
    done = enrol(path, *words)
    assert done.returncode == 2 and said in done.stderr


# The board's program and operators in Python.

class Impostor(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(self.server.shows.pem.encode())

    def do_POST(self):
        self.server.heard.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(self.server.identity)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(authority, shows=None, identity=b"{}"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.chain, authority.server_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.shows, server.identity, server.heard = shows or authority, identity, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "good"), Authority(folder, "evil")


def uri(server, authority):
    return f"kerb:enrol?cpo=https://127.0.0.1:{server.server_port}&code=0000-0000-0000-0000&ca={authority.fingerprint}"


def test_a_python_operator_enrols_the_board(authorities, tmp_path):
    good, _ = authorities
    server = serve(good, identity=json.dumps({"station": "PY", "url": "wss://cpo.example.com/ocpp"}).encode())
    path = board(tmp_path)
    done = enrol(path, uri(server, good), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["station"] == "PY" and yaml.safe_load(path.read_text())["csms"]["url"] == told["url"]
    sent = json.loads(server.heard[0])
    assert sent == {"code": "0000-0000-0000-0000", "password": open(told["passwordFile"]).read().strip()}
    server.shutdown()


@pytest.mark.parametrize("shows", ["own", "stolen"])
def test_nothing_is_sent_to_one_with_another_authority(authorities, tmp_path, shows):
    """His own authority has another fingerprint; with the right one his certificate does not fit."""
    good, evil = authorities
    server = serve(evil, shows=evil if shows == "own" else good)
    path = board(tmp_path)
    before = path.read_bytes()
    done = enrol(path, uri(server, good))
    assert done.returncode == 4, done.stderr
    assert server.heard == [] and nothing_changed(path, before)
    server.shutdown()


@pytest.mark.parametrize("identity", [
    b"", b"{", b"[]", b'{"station":"X"}', b'{"station":"X","url":"ws://open/ocpp"}',
    b'{"station":"a b","url":"wss://a/ocpp"}', b'{"station":"X","url":"wss://a/ocpp\\nboard: none"}',
])
def test_an_identity_that_is_none_changes_nothing(authorities, tmp_path, identity):
    good, _ = authorities
    server = serve(good, identity=identity)
    path = board(tmp_path)
    before = path.read_bytes()
    done = enrol(path, uri(server, good))
    assert done.returncode in (1, 2), (done.stdout, done.stderr)
    assert nothing_changed(path, before)
    server.shutdown()


def test_nobody_at_the_address_is_said_as_such(tmp_path):
    path = board(tmp_path)
    before = path.read_bytes()
    done = enrol(path, f"kerb:enrol?cpo=https://127.0.0.1:{free_port()}&code=0000-0000-0000-0000")
    assert done.returncode == 3 and "nobody answers there" in done.stderr
    assert nothing_changed(path, before)
