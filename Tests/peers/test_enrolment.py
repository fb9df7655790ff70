"""First-boot identity by a one-time code: `kerb-cpo` with a Python board, with `kerb-edge`, and with PyPI
`zxing-cpp` for the QR code.
"""
import http.client
import json
import os
import pathlib
import re
import stat
import subprocess
import time

import pytest
import yaml
import zxingcpp

from edge_site import BIN, ENVIRONMENT
from enrolment_site import Operator, board, enrol, nothing_changed, operator  # noqa: F401 (a fixture)


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
    # Of every kind of code, it sometimes finds a bar code among the modules as well.
    return [found.text for found in zxingcpp.read_barcodes(
        memoryview(b"".join(dots)).cast("B", (side * 8, side * 8)), formats=zxingcpp.BarcodeFormat.QRCode)]


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
    for file in filter(pathlib.Path.is_file, operator.folder.rglob("*")):
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
    ("board: [\n", "is not closed before here"),
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
