"""`config check` of both programs: each mistake is told at its key's line, with key and mend."""
import datetime
import os
import pathlib
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_site import BIN, ENVIRONMENT, ROOT

EDGE = """\
stationID: CS-1
csms:
  url: wss://cpo.example.com/ocpp
  passwordFile: password
  caFile: ca.pem
board: modbus-cabinet
profileDirectory: PROFILES
buses:
  - {name: control, kind: rtu, device: /dev/kerb-a}
  - {name: meters, kind: rtu, device: /dev/kerb-b}
evses:
  - connector: 1
    meter: {profile: sdm630, bus: meters, unit: 1}
    contactor:
      bus: control
      unit: 1
      coil: 0
    pilot:
      bus: control
      unit: 11
  - connector: 2
    meter: {profile: sdm120, bus: meters, unit: 2}
    wiring: L2
    contactor:
      bus: control
      unit: 1
      coil: 1
    pilot:
      bus: control
      unit: 12
site:
  fuseAmperes: 63
"""

CPO = """\
listeners:
  - name: people
    port: 8080
  - name: stations
    address: 0.0.0.0
    port: 8443
    tls:
      certificateFile: server.pem
      keyFile: key.pem
party: {countryCode: IN, partyID: KRB, name: Test}
ocpp:
  caFile: ca.pem
"""


@pytest.fixture
def folder(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256()))
    for file in ("ca.pem", "server.pem"):
        (tmp_path / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "password").write_text("correct-horse\n")
    (tmp_path / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    for file in ("password", "key.pem"):
        (tmp_path / file).chmod(0o600)
    return tmp_path


def check(program, file):
    return subprocess.run(
        [str(BIN / program), "config", "check", str(file)], capture_output=True, text=True, env=ENVIRONMENT, timeout=30)


def place(text, marker):
    """Line and column of the marker, as an editor counts them."""
    before = text[:text.index(marker)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def edge_text(change=lambda text: text):
    return change(EDGE).replace("PROFILES", str(ROOT / "hal" / "profiles"))


def replaced(old, new):
    assert old in EDGE + CPO
    return lambda text: text.replace(old, new, 1)


def last(old, new):
    return lambda text: new.join(text.rsplit(old, 1))


def test_the_good_ones_are_good(folder):
    (folder / "edge.yaml").write_text(edge_text())
    (folder / "cpo.yaml").write_text(CPO)
    for program, file in (("kerb-edge", "edge.yaml"), ("kerb-cpo", "cpo.yaml")):
        done = check(program, folder / file)
        assert done.returncode == 0, done.stderr


# What is changed, where the mistake is told (the text that stands there), what is said.
EDGE_MISTAKES = {
    "two buses on one device": (
        replaced("/dev/kerb-b", "/dev/kerb-a"), "/dev/kerb-a}\nevses",
        "`buses[1].device`: bus control has this device already"),
    "two buses of one name": (
        replaced("name: meters", "name: control"), "control, kind: rtu, device: /dev/kerb-b",
        "`buses[1].name`: another bus is called control too"),
    "pilot and relay on one unit": (
        replaced("unit: 11", "unit: 1"), "1\n  - connector: 2",
        "`evses[0].pilot.unit`: unit 1 of bus control is the relay card of connector 1 already"),
    "a unit of TCP on a serial bus": (
        replaced("unit: 11", "unit: 255"), "255\n  - connector: 2",
        "`evses[0].pilot.unit`: 255 is for a tcp bus; a serial one has 1 to 247"),
    "a temperature sensor's unit of TCP on a serial bus": (
        replaced("  - connector: 2", "    temperature: {bus: meters, unit: 255}\n  - connector: 2"),
        "255}", "`evses[0].temperature.unit`: 255 is for a tcp bus; a serial one has 1 to 247"),
    "a reserved unit": (
        replaced("unit: 11", "unit: 250"), "250\n  - connector: 2",
        "`evses[0].pilot.unit`: 250 is reserved; give 1 to 247, or 255 on a tcp bus"),
    "two pilots on one unit": (
        last("unit: 12", "unit: 11"), "11\nsite", "have one pilot controller with one unit"),
    "two contactors on one coil": (
        last("coil: 1", "coil: 0"), "0\n    pilot:\n      bus: control\n      unit: 12",
        "`evses[1].contactor.coil`: connectors 1 and 2 have one relay card with one coil"),
    "two meters on one unit": (
        replaced("bus: meters, unit: 2", "bus: meters, unit: 1"), "1}\n    wiring: L2",
        "`evses[1].meter.unit`: connectors 1 and 2 have one meter"),
    "an outlet of an unknown bus": (
        replaced("sdm120, bus: meters", "sdm120, bus: metres"), "metres",
        "`evses[1].meter.bus`: no bus is called metres; known are control, meters"),
    "a meter on a contactor's bus": (
        replaced("sdm120, bus: meters", "sdm120, bus: control"), "control, unit: 2",
        "`evses[1].meter.bus`: a contactor's bus carries no meters"),
    "an outlet's number twice": (
        replaced("connector: 2", "connector: 1"), "1\n    meter: {profile: sdm120",
        "`evses[1].connector`: another outlet is 1 too"),
    "a gap in the numbers": (
        replaced("connector: 2", "connector: 3"), "evses:", "numbered 1, 2, … without gap"),
    "an unknown meter": (
        replaced("sdm630", "sdm631"), "sdm631", "`evses[0].meter.profile`: there is no profile sdm631; known are "),
    "an unknown board": (
        replaced("board: modbus-cabinet", "board: modbus"), "modbus\n", "`board`: there is no profile modbus; known are "),
    "a board without hardware": (
        replaced("board: modbus-cabinet", "board: simulator"), "simulator\n", "`board`: simulator has no hardware"),
    "a board without dead-man": (
        replaced("board: modbus-cabinet", "board: modbus-cabinet-no-pulse"), "modbus-cabinet-no-pulse",
        "or say `acceptNoDeadman: true`"),
    "a coil that is missing": (
        replaced("      coil: 0\n", ""), "bus: control\n      unit: 1\n    pilot", "give its coil"),
    "a pilot that is missing": (
        replaced("    pilot:\n      bus: control\n      unit: 11\n", ""), "connector: 1\n    meter",
        "`evses[0].pilot.bus`: board modbus-cabinet has its pilots on controllers"),
    "lines that the board does not have": (
        replaced("    pilot:\n", "    lines: {lock: GPIO4}\n    pilot:\n"), "GPIO4", "`evses[0].lines.lock`: board modbus-cabinet has no such line"),
    "a supply of one phase, and nobody says otherwise": (
        lambda text: replaced("  fuseAmperes: 63", "  fuseAmperes: 63\n  phases: 1")(text).replace("    wiring: L2\n", ""),
        None, None),
    "a meter of one phase on three": (
        replaced("wiring: L2", "wiring: STR"), "STR",
        "`evses[1].wiring`: the meter sdm120 sees one phase, and the outlet has STR: what flows on the others would not"),
    "an address with a user": (replaced("cpo.example.com", "me@cpo.example.com"), "wss://me", "`csms.url`: is no address; write wss://HOST"),
    "an address of five numbers": (
        replaced("cpo.example.com", "192.168.1.300"), "wss://192", "`csms.url`: `192.168.1.300` is no IPv4 address: four numbers"),
    "a name with two dots": (replaced("cpo.example", "cpo..example"), "wss://cpo", "`cpo..example.com` is no host's name"),
    "a name with letters of its own": (
        replaced("cpo.example", "zähler.example"), "wss://z", "is no address"),
    "a port within the host": (
        replaced("kind: rtu, device: /dev/kerb-b", "kind: tcp, host: 10.0.0.5:502"), "10.0.0.5", "`buses[1].host`: the colon is no part of a host"),
    "a scheme within the host": (
        replaced("kind: rtu, device: /dev/kerb-b", "kind: tcp, host: tcp://10.0.0.5"), "tcp://", "write the host alone, without `tcp://`"),
    "a speed that no line has": (
        replaced("device: /dev/kerb-b", "device: /dev/kerb-b, baud: 19000"), "19000", "`buses[1].baud`: 19000 is no speed of a serial line; did you mean 19200?"),
    "one reader for two outlets": (
        lambda text: replaced("wiring: L2", "wiring: L2\n    tokenReader: /dev/kerb-r")(text).replace(
            "    meter: {profile: sdm630", "    tokenReader: /dev/kerb-r\n    meter: {profile: sdm630"),
        "/dev/kerb-r\n    contactor", "`evses[1].tokenReader`: is the reader of connector 1 already"),
    "one meter by two names of its line": (
        lambda text: text.replace("kind: rtu, device: /dev/kerb-b}", "kind: tcp, host: 10.0.0.5}\n  - {name: again, kind: tcp, host: 10.0.0.5}").replace(
            "sdm120, bus: meters, unit: 2", "sdm120, bus: again, unit: 1"),
        "1}\n    wiring", "`evses[1].meter.unit`: connectors 1 and 2 have one meter"),
    "one coil by two names of its line": (
        lambda text: text.replace("kind: rtu, device: /dev/kerb-a}", "kind: tcp, host: 10.0.0.5}\n  - {name: again, kind: tcp, host: 10.0.0.5}").replace(
            "      bus: control\n      unit: 1\n      coil: 1", "      bus: again\n      unit: 1\n      coil: 0"),
        "10.0.0.5}\n  - {name: meters", "`buses[1].host`: bus control has this address already, and one of them carries a contactor"),
    "a site meter of an unknown bus": (
        replaced("  fuseAmperes: 63", "  fuseAmperes: 63\n  safeAmperes: 6\n  meter: {profile: sdm630, bus: x}"), "x}",
        "`site.meter.bus`: no bus is called x"),
    "a site meter of an unknown profile": (
        replaced("  fuseAmperes: 63", "  fuseAmperes: 63\n  safeAmperes: 6\n  meter: {profile: x, bus: meters, unit: 9}"),
        "x, bus", "`site.meter.profile`: there is no profile x"),
    "a safe share above the fuse": (
        replaced("  fuseAmperes: 63", "  fuseAmperes: 63\n  safeAmperes: 64"), "64", "`site.safeAmperes`: is above fuseAmperes"),
}


@pytest.mark.parametrize("name", EDGE_MISTAKES)
def test_kerb_edge_tells_a_mistake_at_its_key(folder, name):
    change, marker, said = EDGE_MISTAKES[name]
    file = folder / "edge.yaml"
    text = edge_text(change)
    file.write_text(text)
    done = check("kerb-edge", file)
    if said is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2, done.stdout
    # What follows from the mistake may be told too, behind it.
    line = done.stderr.splitlines()[0]
    assert said in line, done.stderr
    assert line.startswith(f"{file}:{place(text, marker)}: "), (done.stderr, place(text, marker))


def test_the_file_may_be_named_as_to_every_other_command(folder):
    (folder / "edge.yaml").write_text(edge_text())
    done = subprocess.run(
        [str(BIN / "kerb-edge"), "config", "check", "--config", str(folder / "edge.yaml")], capture_output=True, text=True,
        env=ENVIRONMENT, timeout=30)
    assert done.returncode == 0, done.stderr


# What stands in the file, where the mistake is told, what is said: no word of libyaml's.
YAML_MISTAKES = {
    "typographic quotes": (replaced("CS-1", "“CS-1”"), "“", "the typographic quote “ (U+201C) quotes nothing in YAML; type"),
    "a typographic quote at the end of a key": (replaced("stationID", "stationID’"), "’", "the typographic quote ’ (U+2019)"),
    "a blank that is none": (replaced("  passwordFile", "\u00a0 passwordFile"), "\u00a0", "U+00A0, which nobody sees, is no blank to YAML"),
    "a tab": (replaced("  passwordFile", "\tpasswordFile"), "\t", "a tab cannot indent; type blanks"),
    "a sign": (replaced("CS-1", "@CS-1"), "@", "no value begins with `@`; put it in quotes"),
    "an open quote": (replaced("CS-1", '"CS-1'), '"', "the quote that opens here is never closed"),
    "an open brace": (replaced("unit: 1}", "unit: 1"), ":\n      bus: control", "the `{` of line 13 is not closed before here; a `,` or `}` is missing"),
    "no colon": (replaced("stationID: CS-1", "stationID CS-1"), ":\n  url", "the line before lacks its `:`"),
    "too deep": (replaced("  passwordFile:", "    passwordFile:"), ": password\n", "no `key: value` can stand here"),
    "too shallow": (replaced("  passwordFile", " passwordFile"), "passwordFile", "neither beside the keys above nor below them"),
    "a list beside its key": (replaced("buses:\n", "buses: - {name: x}\n"), "- {name: x}", "begins on a line of its own"),
    "a backslash": (replaced("CS-1", '"C\\K"'), "\\", "use single quotes"),
}


@pytest.mark.parametrize("name", YAML_MISTAKES)
def test_what_is_no_yaml_is_told_in_words_that_mend_it(folder, name):
    change, marker, said = YAML_MISTAKES[name]
    file = folder / "edge.yaml"
    text = edge_text(change)
    file.write_text(text)
    done = check("kerb-edge", file)
    assert done.returncode == 2, done.stdout
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr, done.stderr
    assert done.stderr.startswith(f"{file}:{place(text, marker)}: "), (done.stderr, place(text, marker))


@pytest.mark.parametrize("byte, said", [
    (b"\x93", "the byte 0x93 is no UTF-8, but Windows' typographic quote “; type"), (b"\xff", "the byte 0xFF is no UTF-8; save"),
    (b"\x01", "the control character U+1 is no text; remove it")])
def test_bytes_that_are_no_text_are_told_where_they_stand(folder, byte, said):
    file = folder / "edge.yaml"
    file.write_bytes(edge_text(replaced("board: ", "board: ä@")).encode().replace(b"@", byte))
    done = check("kerb-edge", file)
    assert done.returncode == 2 and done.stderr.startswith(f"{file}:6:9: {said}"), done.stderr


WARNINGS = {
    "three phases on a supply of one": (
        lambda text: replaced("  fuseAmperes: 63", "  fuseAmperes: 63\n  phases: 1")(text).replace("wiring: L2", "wiring: RST"),
        "RST", "`evses[1].wiring`: RST needs three phases, and `site.phases` is 1, so it is taken for L1; write L1"),
    "more amperes than the board carries": (
        replaced("    pilot:\n", "    limits: {maximumAmperes: 40}\n    pilot:\n"), "40}",
        "`evses[0].limits.maximumAmperes`: 40 A is more than the 32 A that board modbus-cabinet carries, and 32 A is what counts"),
    "an address that ends with the identity": (
        replaced("com/ocpp", "com/ocpp/CS-1"), "wss://cpo",
        "`csms.url`: ends with the station's identity, which is added by itself: the board asks for "
        "wss://cpo.example.com/ocpp/CS-1/CS-1; write wss://cpo.example.com/ocpp"),
    "a host that is called as the station is": (
        lambda text: text.replace("stationID: CS-1", "stationID: kerb").replace("cpo.example.com/ocpp", "kerb"), None, None),
    "an address with a query": (replaced("com/ocpp", "com/ocpp?id=1"), "wss://cpo", "`csms.url`: the station's identity goes to its end"),
    "a host with its interface": (replaced("cpo.example.com", "[fe80::1%eth0]"), None, None),
    "a speed left over from a serial line": (
        replaced("kind: rtu, device: /dev/kerb-b", "kind: tcp, host: 10.0.0.5, baud: 19000"), "19000",
        "`buses[1].baud`: a tcp bus has no speed; remove it"),
    "one reader for the only outlet, twice": (
        lambda text: (text[:text.index("  - connector: 2")] + text[text.index("site:"):]).replace(
            "    meter: {profile: sdm630", "    tokenReader: /dev/kerb-r\n    meter: {profile: sdm630") + "tokenReader: /dev/kerb-r\n",
        "/dev/kerb-r\n    meter", "`evses[0].tokenReader`: is the reader of all outlets already; one of the two is enough"),
    "two parts on one unit by two names of its line": (
        lambda text: text.replace("kind: rtu, device: /dev/kerb-b}", "kind: tcp, host: 10.0.0.5}\n  - {name: again, kind: tcp, host: 10.0.0.5}").replace(
            "      bus: control\n      unit: 11", "      bus: again\n      unit: 1"),
        "1\n  - connector: 2", "`evses[0].pilot.unit`: unit 1 of bus again is the meter of connector 1 already"),
    "quotes in the name of a vendor": (replaced("stationID: CS-1", "stationID: CS-1\nvendor: Stadtwerke „Nord“"), None, None),
    "a blank that is none behind a vendor": (replaced("stationID: CS-1", "stationID: CS-1\nvendor: Nord\u00a0"), None, None),
    "a meter of one phase, and three by default": (
        replaced("    wiring: L2\n", ""), "sdm120",
        "`evses[1].meter.profile`: the meter sdm120 sees one phase, and the outlet has RST (the default)"),
    "a password on the way": (
        replaced("url: wss://cpo.example.com/ocpp", "url: ws://cpo.example.com/ocpp\n  securityProfile: 1"),
        "ws://", "`csms.url`: ws:// shows the station's password"),
    "none in a house": (replaced("url: wss://cpo.example.com/ocpp", "url: ws://192.168.1.5/ocpp\n  securityProfile: 1"), None, None),
    "none by a name of a house": (replaced("url: wss://cpo.example.com/ocpp", "url: ws://cpo.lan/ocpp\n  securityProfile: 1"), None, None),
    "a page for everybody": (
        replaced("site:\n", "localPage: {address: 203.0.113.7}\nsite:\n"), "203", "`localPage.address`: 203.0.113.7 is a public address"),
    "a page for a house": (replaced("site:\n", "localPage: {address: 192.168.4.1}\nsite:\n"), None, None),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_works_and_is_unwise_is_told_and_stops_nothing(folder, name):
    change, marker, said = WARNINGS[name]
    file = folder / "edge.yaml"
    text = edge_text(change)
    file.write_text(text)
    done = check("kerb-edge", file)
    assert done.returncode == 0, done.stderr
    if said is None:
        assert done.stderr == ""
    else:
        assert done.stderr.startswith(f"warning: {file}:{place(text, marker)}: {said}"), done.stderr


def write(folder, file, content, mode=0o600):
    (folder / file).write_bytes(content)
    (folder / file).chmod(mode)


FILE_MISTAKES = {
    "an empty password": (
        "kerb-edge", lambda folder: write(folder, "password", b"\r\n"), "`csms.passwordFile`: ", "is empty; write the secret"),
    "a password for everybody": (
        "kerb-edge", lambda folder: write(folder, "password", b"x" * 20, 0o644), "`csms.passwordFile`: ", "; chmod 600 "),
    "no password": (
        "kerb-edge", lambda folder: (folder / "password").unlink(), "`csms.passwordFile`: ", "no such file"),
    "an authority that is none": (
        "kerb-edge", lambda folder: write(folder, "ca.pem", b"nothing"), "`csms.caFile`: ", "holds no certificate"),
    "a broken authority": (
        "kerb-edge", lambda folder: write(
            folder, "ca.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "`csms.caFile`: ",
        "holds no certificate"),
    "no certificate": (
        "kerb-cpo", lambda folder: (folder / "server.pem").unlink(), "`listeners[1].tls.certificateFile`: ", "no such file"),
    "a certificate that is none": (
        "kerb-cpo", lambda folder: shutil.copy(folder / "key.pem", folder / "server.pem"),
        "`listeners[1].tls.certificateFile`: ", "holds no certificate"),
    "a key for everybody": (
        "kerb-cpo", lambda folder: (folder / "key.pem").chmod(0o644), "`listeners[1].tls.keyFile`: ", "; chmod 600 "),
    "no authority for boards": (
        "kerb-cpo", lambda folder: (folder / "ca.pem").unlink(), "`ocpp.caFile`: ", "no such file"),
}


@pytest.mark.parametrize("name", FILE_MISTAKES)
def test_files_that_are_named_are_looked_at(folder, name):
    program, change, key, said = FILE_MISTAKES[name]
    file, text = (
        (folder / "edge.yaml", edge_text()) if program == "kerb-edge" else (folder / "cpo.yaml", CPO))
    file.write_text(text)
    change(folder)
    done = check(program, file)
    assert done.returncode == 2
    leaf = key.strip("`: ").rsplit(".", 1)[1]
    value = {"passwordFile": "password\n", "caFile": "ca.pem", "certificateFile": "server.pem", "keyFile": "key.pem"}[leaf]
    assert done.stderr.startswith(f"{file}:{place(text, value)}: {key}"), done.stderr
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_profile_that_is_wrong_names_its_own_file_too(folder):
    profiles = folder / "profiles"
    shutil.copytree(ROOT / "hal" / "profiles", profiles)
    broken = profiles / "meters" / "sdm120.yaml"
    broken.write_text(broken.read_text() + "colour: red\n")
    file = folder / "edge.yaml"
    text = EDGE.replace("PROFILES", "profiles")
    file.write_text(text)
    done = check("kerb-edge", file)
    assert done.returncode == 2
    line = len(broken.read_text().splitlines())
    assert done.stderr.startswith(
        f"{file}:{place(text, 'sdm120')}: `evses[1].meter.profile`: the profile sdm120 is wrong: {broken}:{line}:1: ")


def test_profiles_beside_the_program_are_found(folder):
    """A program and its profiles in one folder of one's own; no key says where."""
    os.link(BIN / "kerb-edge", folder / "kerb-edge") if os.stat(BIN).st_dev == os.stat(folder).st_dev else \
        shutil.copy(BIN / "kerb-edge", folder / "kerb-edge")
    shutil.copytree(ROOT / "hal" / "profiles", folder / "profiles")
    file = folder / "edge.yaml"
    file.write_text(EDGE.replace("profileDirectory: PROFILES\n", ""))
    done = subprocess.run(
        [str(folder / "kerb-edge"), "config", "check", str(file)], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "profiles")
    done = subprocess.run(
        [str(folder / "kerb-edge"), "config", "check", str(file)], capture_output=True, text=True, env=ENVIRONMENT)
    if not pathlib.Path("/usr/share/kerb/profiles").is_dir():
        assert done.returncode == 2 and "(looked in /usr/share/kerb/profiles)" in done.stderr


@pytest.mark.parametrize("address, is_wrong", [("127.0.0.1", True), ("0.0.0.0", True), ("127.0.0.2", False)])
def test_two_listeners_at_one_place_are_told(folder, address, is_wrong):
    text = CPO.replace("0.0.0.0", address).replace("8443", "8080")
    (folder / "cpo.yaml").write_text(text)
    done = check("kerb-cpo", folder / "cpo.yaml")
    assert done.returncode == (2 if is_wrong else 0), done.stderr
    if is_wrong:
        marker = "8080\n    tls"
        assert done.stderr.startswith(
            f"{folder / 'cpo.yaml'}:{place(text, marker)}: `listeners[1].port`: listener people has port 8080")


def test_a_secret_for_everybody_is_told_but_stops_nothing(folder):
    """An update must not leave a station dark because of a file's mode."""
    (folder / "edge.yaml").write_text(edge_text() + f"dataDirectory: {folder}/data\n")
    (folder / "password").chmod(0o644)
    process = subprocess.Popen(
        [str(BIN / "kerb-edge"), "run", "--config", str(folder / "edge.yaml")], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    told = []
    for line in process.stderr:
        told.append(line)
        if "message=starting" in line or "security event" in line:
            break
    process.terminate()
    process.wait(40)
    assert any("a secret can be read by everybody here" in line for line in told), told
    assert "message=starting" in told[-1]


def test_an_empty_password_stops_the_agent_with_key_and_mend(folder):
    (folder / "edge.yaml").write_text(edge_text(replaced("caFile: ca.pem", "securityProfile: 3\n  certificateFile: server.pem\n  keyFile: key.pem")))
    write(folder, "password", b"\n")
    done = subprocess.run(
        [str(BIN / "kerb-edge"), "run", "--config", str(folder / "edge.yaml")], capture_output=True, text=True,
        env=ENVIRONMENT, timeout=30)
    assert done.returncode == 2 and "csms.passwordFile" in done.stderr and "write the" in done.stderr


CORRECTIONS = """models:
  - vendor: Example
    why: amperes ten times too high
    samples:
      - measurand: Current.Import
        times: 0.1
    sessionRegister: [start, readings, stop]
"""


@pytest.mark.parametrize("old, new, said", [
    ("", "", None),
    ("vendor: Example\n    why", "why", "`vendor` or `model` must say which chargers this is for"),
    ("Current.Import", "Curent.Import", "`models[0].samples[0].measurand`"),
    ("0.1", "-1", "must be above 0"), ("readings", "reading", "does not know reading"),
    ("why: amperes ten times too high", "unit: kWh", "`models[0].unit`"),
])
def test_corrections_are_read_with_the_configuration(folder, old, new, said):
    (folder / "corrections.yaml").write_text(CORRECTIONS.replace(old, new) if old else CORRECTIONS)
    file = folder / "cpo.yaml"
    file.write_text(CPO.replace("ocpp:\n", "ocpp:\n  corrections: corrections.yaml\n", 1))
    done = check("kerb-cpo", file)
    if said is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2
        assert said in done.stderr and f"{folder}/corrections.yaml:" in done.stderr, done.stderr


def test_the_shipped_corrections_are_good(folder):
    text = (ROOT / "Config/corrections.yaml").read_text()
    examples = "\n".join(line.removeprefix("# ") if line.startswith("#   ") else
                         line.replace("# models:", "models:") for line in
                         text.replace("models: []", "").splitlines())
    (folder / "cpo.yaml").write_text(
        CPO.replace("ocpp:\n", "ocpp:\n  corrections: corrections.yaml\n", 1))
    for content in (text, examples):
        (folder / "corrections.yaml").write_text(content)
        done = check("kerb-cpo", folder / "cpo.yaml")
        assert done.returncode == 0, done.stderr
