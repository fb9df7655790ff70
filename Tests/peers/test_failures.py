"""What goes wrong outside of a configuration is told as a sentence with the key or file and the mend,
never as a value of the program's own language.
"""
import os
import pty
import re
import socket
import subprocess
import threading
import time

import pytest
from websockets.sync.server import serve

from edge_site import BIN, EDGE, ENVIRONMENT, ROOT, EdgeSite, free_port

CPO = """\
listeners:
  - {{name: people, port: {port}}}
party: {{countryCode: IN, partyID: KRB, name: Test}}
database: sqlite:{database}
"""


def run(program, *words, text=None, timeout=60):
    return subprocess.run(
        [str(BIN / program), *map(str, words)], capture_output=True, text=True, env=ENVIRONMENT, timeout=timeout,
        input=text)


def is_sentence(text):
    """No case of an enum, no label of an argument."""
    return not re.search(r"\b[a-z]\w*\((?:\"|\w+: )|SQLError|WebServerError|errno:", text)


def cpo(folder, database="kerb.sqlite", port=None):
    file = folder / "cpo.yaml"
    file.write_text(CPO.format(port=port or free_port(), database=database))
    return file


def test_a_port_that_is_taken_names_listener_and_mend(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("kerb-cpo", "serve", "--config", cpo(tmp_path, port=port), "--log-level", "error")
    assert done.returncode == 1
    assert f"kerb-cpo: listener people: 127.0.0.1 port {port} cannot be had: Address already in use; stop who" in done.stderr
    assert is_sentence(done.stderr)


def test_a_key_of_another_certificate_is_told(tmp_path):
    for name in ("a", "b"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x",
             "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"], check=True, capture_output=True)
        (tmp_path / f"{name}.key").chmod(0o600)
    file = cpo(tmp_path)
    file.write_text(file.read_text().replace("}\nparty", ", tls: {certificateFile: a.pem, keyFile: b.key}}\nparty", 1))
    done = run("kerb-cpo", "serve", "--config", file, "--log-level", "error")
    assert done.returncode == 1
    assert "listener people" in done.stderr and "belong together" in done.stderr
    assert is_sentence(done.stderr)


@pytest.mark.parametrize("words", [
    ["user", "add", "anna", "--role", "admin"], ["key", "add", "anna", "--role", "admin"], ["migrate"],
    ["serve", "--log-level", "error"], ["station", "enrol", "CS-1"]])
def test_a_database_that_cannot_be_had_is_told(tmp_path, words):
    file = cpo(tmp_path, database=f"{tmp_path}/nowhere/kerb.sqlite")
    text = file.read_text()
    file.write_text(text + "ocpp: {stationsURL: wss://localhost/ocpp}\n")
    done = run("kerb-cpo", *words, "--config", file)
    assert done.returncode == 1
    assert f"database: {tmp_path}/nowhere is not there; make it" in done.stderr and is_sentence(done.stderr)
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "kerb.sqlite").write_bytes(b"no database at all, and long enough to be one" * 100)
    done = run("kerb-cpo", *words, "--config", file)
    assert done.returncode == 1
    assert f"database: {tmp_path}/nowhere/kerb.sqlite: damaged, or no database" in done.stderr
    assert is_sentence(done.stderr)


def test_a_user_who_is_there_keeps_password_and_role(tmp_path):
    file = cpo(tmp_path)
    words = ["user", "add", "anna", "--config", file, "--password-file", "-", "--role"]
    assert run("kerb-cpo", *words, "admin", text="correct horse\n").returncode == 0
    done = run("kerb-cpo", *words, "viewer", text="another horse\n")
    assert done.returncode == 4
    assert "anna is there already; --replace gives a new password and the role viewer" in done.stderr
    done = run("kerb-cpo", *words, "viewer", "--replace", text="another horse\n")
    assert done.returncode == 0 and "viewer" in done.stdout


def edge(folder, csms=None):
    file = folder / "edge.yaml"
    file.write_text(EDGE.format(
        csms=csms or free_port(), lan=free_port(), folder=folder, supply="fuseAmperes: 63, phases: 3",
        profiles=ROOT / "hal" / "profiles"))
    return file


@pytest.mark.parametrize("bus, said", [
    ("meter-line", "sim-meters cannot be opened: "), ("meter-lan", " cannot be reached: ")])
def test_a_bus_that_is_not_there_is_told(tmp_path, bus, said):
    done = run("kerb-edge", "probe", bus, "--units", "1", "--config", edge(tmp_path))
    assert done.returncode == 1
    assert f"kerb-edge: bus {bus}: " in done.stderr and said in done.stderr and is_sentence(done.stderr)


def test_a_probe_needs_its_buses_alone(tmp_path):
    """Whoever asks which meters there are cannot have named them yet."""
    file = edge(tmp_path)
    good = file.read_text()
    file.write_text(good.replace("sdm630", "unknown").replace("stationID: PEER-1", "stationID: ''"))
    done = run("kerb-edge", "probe", "meter-lan", "--units", "1", "--config", file)
    assert done.returncode == 1 and "kerb-edge: bus meter-lan: " in done.stderr
    file.write_text(good.replace("kind: tcp", "kind: udp"))
    done = run("kerb-edge", "probe", "meter-lan", "--units", "1", "--config", file)
    assert done.returncode == 2 and "`buses[2].kind`" in done.stderr


def test_a_probe_of_all_settings_tells_how_far_it_is(tmp_path):
    leader, follower = pty.openpty()
    file = edge(tmp_path)
    file.write_text(file.read_text().replace(f"{tmp_path}/sim-meters", os.ttyname(follower)))
    process = subprocess.Popen(
        [str(BIN / "kerb-edge"), "probe", "meter-line", "--units", "1", "--all-settings", "--config", str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    first = process.stderr.readline()
    process.kill()
    process.wait()
    os.close(leader)
    os.close(follower)
    assert re.fullmatch(r"setting 1 of \d+: asking 1 units at 9600 baud, .*\n", first)


def test_a_long_probe_tells_how_far_it_is_without_a_terminal(tmp_path):
    leader, follower = pty.openpty()
    file = edge(tmp_path)
    file.write_text(file.read_text().replace(f"{tmp_path}/sim-meters", os.ttyname(follower)))
    process = subprocess.Popen(
        [str(BIN / "kerb-edge"), "probe", "meter-line", "--config", str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    first = process.stderr.readline()
    process.kill()
    process.wait()
    os.close(leader)
    os.close(follower)
    assert re.fullmatch(r"unit \d+, \d+ of \d+, 0 found\n", first)


def test_a_wrong_password_is_told_in_the_log(tmp_path):
    """The operator's server is not ours: it refuses with 401 whoever comes."""
    def refuse(connection, request):
        return connection.respond(401, "no\n")

    with serve(lambda connection: None, "127.0.0.1", 0, process_request=refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = EdgeSite(tmp_path, csms_port=server.socket.getsockname()[1])
        site.start()
        try:
            deadline = time.monotonic() + 30
            while "link not made" not in (log := (tmp_path / "kerb-edge.log").read_text()):
                assert time.monotonic() < deadline, site.logs()
                time.sleep(0.05)
        finally:
            site.stop()
    line = next(line for line in log.splitlines() if "link not made" in line)
    assert "the server refuses identity or password (401)" in line and is_sentence(line)


def test_a_second_site_does_not_break_the_first(tmp_path):
    site = EdgeSite(tmp_path, csms_port=free_port())
    site.start()
    try:
        done = run("kerb-sim", "site", "--config", tmp_path / "site.yaml")
        assert done.returncode == 1
        assert "sim-control belongs to a site that runs; stop it" in done.stderr
        # Other links but the same ports: the ports are told, and its own links are gone with it.
        other = tmp_path / "other"
        other.mkdir()
        (other / "site.yaml").write_text((tmp_path / "site.yaml").read_text())
        done = run("kerb-sim", "site", "--config", other / "site.yaml")
        assert done.returncode == 1 and "is another site running?" in done.stderr and is_sentence(done.stderr)
        assert not [file.name for file in other.iterdir() if file.is_symlink()]
        # The first one still answers on its line.
        deadline = time.monotonic() + 30
        while '"registerWh":123456' not in run(
                "kerb-edge", "read", "--json", "--config", tmp_path / "edge.yaml").stdout.replace(" ", ""):
            assert time.monotonic() < deadline, site.logs()
            time.sleep(0.1)
        # Its names are free again when it ends, whatever ended it.
        site.processes["kerb-sim"].kill()
        site.processes["kerb-sim"].wait()
        site.run("kerb-sim", "site", "--config", str(tmp_path / "site.yaml"))
        deadline = time.monotonic() + 20
        while True:
            try:
                site.site("GET", "/site")
                break
            except OSError:
                assert time.monotonic() < deadline and site.processes["kerb-sim"].poll() is None, site.logs()
                time.sleep(0.05)
    finally:
        site.stop()
