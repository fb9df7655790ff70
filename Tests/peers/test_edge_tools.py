"""What an installer has at hand: doctor, support bundle, the watched status, the local page, metrics and
black boxes of a `kerb-edge` on a simulated site.
"""
import http.client
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import tarfile
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_site import BIN, ENVIRONMENT, ROOT, EdgeSite, free_port

PASSWORD = "correct-horse-battery"
TOKEN = "04AABBCCDDEE80"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = EdgeSite(tmp_path_factory.mktemp("tools"), csms_port=free_port())
    site.page = free_port()
    configuration = site.folder / "edge.yaml"
    password = site.folder / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    text = configuration.read_text().replace(
        "securityProfile: 0", f"securityProfile: 1\n  passwordFile: {password}")
    configuration.write_text(
        text + f"localPage: {{port: {site.page}}}\nallowUnknownTokensOffline: true\n")
    site.configuration = str(configuration)
    site.start()
    yield site
    site.stop()


def edge(site, *words, **more):
    return subprocess.run(
        [str(BIN / "kerb-edge"), *words, "--config", site.configuration], capture_output=True, text=True,
        env={**ENVIRONMENT, **more}, timeout=60)


def until(is_so, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        value = is_so()
        if value:
            return value
        assert time.monotonic() < deadline, is_so
        time.sleep(0.05)


def get(site, path, host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", site.page, timeout=5)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer, body


def page_is_up(site):
    try:
        return get(site, "/healthz")[0].status == 200
    except OSError:
        return False


def ready(site):
    until(lambda: page_is_up(site))

    def all_read():
        status = json.loads(get(site, "/status.json")[1])
        return all("registerWh" in connector.get("meter", {}) for connector in status["connectors"])

    until(all_read)


def findings(site, *words):
    done = edge(site, "doctor", "--json", *words)
    return done, {finding["topic"]: finding for finding in json.loads(done.stdout)}


def test_the_doctor_says_what_it_found_and_what_mends_it(site):
    ready(site)
    done, found = findings(site)
    assert found["configuration"]["verdict"] == "ok"
    assert found["agent"]["verdict"] == "ok"
    assert found["meter 1"]["verdict"] == found["meter 2"]["verdict"] == "ok"
    assert found["bus meter-line"]["verdict"] == "ok"
    assert found["secret"]["verdict"] == "ok"
    # Nobody listens at the operator's address.
    assert found["link"]["verdict"] == "BAD"
    assert "Connection refused" in found["link"]["found"] and found["link"]["mend"]
    assert done.returncode == 7
    assert all(finding.get("mend") for finding in found.values() if finding["verdict"] != "ok")


def test_the_doctor_reads_as_text_without_colours_in_a_pipe(site):
    done = edge(site, "doctor")
    assert "\x1b" not in done.stdout
    assert re.search(r"^BAD  link: .*\n     mend: ", done.stdout, re.M)


def test_the_doctor_tells_every_mistake_of_a_configuration(site, tmp_path):
    wrong = tmp_path / "edge.yaml"
    wrong.write_text("stationID: X\nboard: nothing\nfuse: 3\n")
    done = subprocess.run(
        [str(BIN / "kerb-edge"), "doctor", "--json", "--config", str(wrong)], capture_output=True, text=True,
        env=ENVIRONMENT, timeout=60)
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert len([one for one in found if one["topic"] == "configuration"]) >= 3
    assert any("unknown key `fuse`" in one["found"] for one in found)


def test_the_doctor_without_an_agent_asks_meters_and_ports_itself(site, tmp_path):
    alone = tmp_path / "edge.yaml"
    text = open(site.configuration).read()
    alone.write_text(
        re.sub(r"dataDirectory: .*", f"dataDirectory: {tmp_path}/data", text).replace(
            f"{site.folder}/sim-meters", f"{tmp_path}/no-such-port"))
    done = subprocess.run(
        [str(BIN / "kerb-edge"), "doctor", "--json", "--config", str(alone)], capture_output=True, text=True,
        env=ENVIRONMENT, timeout=60)
    found = {one["topic"]: one for one in json.loads(done.stdout)}
    assert found["agent"]["verdict"] == "BAD"
    assert found["bus meter-line"]["verdict"] == "BAD"
    assert found["meter 1"]["verdict"] == "BAD"
    assert found["meter 2"]["verdict"] == "ok", found["meter 2"]
    assert found["disk"]["verdict"] == "BAD"


def test_the_bundle_holds_everything_but_secrets(site, tmp_path):
    ready(site)
    bundle = tmp_path / "bundle.tar"
    edge(site, "doctor", "--bundle", str(bundle))
    assert stat.S_IMODE(os.stat(bundle).st_mode) == 0o600
    with tarfile.open(bundle) as archive:
        files = {
            member.name.removeprefix("kerb-edge/"): archive.extractfile(member).read().decode()
            for member in archive.getmembers()}
    assert {"doctor.txt", "doctor.json", "versions.txt", "config.txt", "status.json", "settings.json",
            "log.txt"} <= set(files)
    assert "csms.passwordFile: " in files["config.txt"]
    assert "message=starting" in files["log.txt"]
    assert json.loads(files["status.json"])["station"] == "PEER-1"
    assert any(key["key"] == "MeterValueSampleInterval" for key in json.loads(files["settings.json"]))
    assert PASSWORD.encode() not in bundle.read_bytes()


def test_the_bundle_takes_out_a_secret_that_got_into_a_file(site, tmp_path):
    folder = site.folder / "data" / "blackbox"
    folder.mkdir(exist_ok=True)
    (folder / "0-connector-9.txt").write_text(f"before {PASSWORD} after\n")
    bundle = tmp_path / "bundle.tar"
    edge(site, "doctor", "--bundle", str(bundle))
    (folder / "0-connector-9.txt").unlink()
    with tarfile.open(bundle) as archive:
        text = archive.extractfile("kerb-edge/blackbox/0-connector-9.txt").read().decode()
    assert text == "before [secret] after\n"


def watched(site, words, seconds, **more):
    """What a command draws on a terminal of its own."""
    # Whoever runs the tests may want none; the terminal of this one shows colours unless `more` forbids.
    colourful = {name: value for name, value in ENVIRONMENT.items() if name != "NO_COLOR"}
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [str(BIN / "kerb-edge"), *words, "--config", site.configuration], stdin=subprocess.DEVNULL,
        stdout=follower, stderr=follower, env={**colourful, "TERM": "xterm", **more})
    os.close(follower)
    text, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline and text.count(b"connector 2") < 2:
        if select.select([leader], [], [], 0.1)[0]:
            text += os.read(leader, 65536)
    process.send_signal(signal.SIGINT)
    process.wait(10)
    os.close(leader)
    return text.decode()


def test_the_status_is_drawn_over_itself_while_it_is_watched(site):
    ready(site)
    text = watched(site, ["status", "--watch"], 20)
    assert text.count("\x1b[H") >= 2
    # Some colour: which one is the status's, and a car may be there or not.
    assert "\x1b[3" in text
    assert "W of" in text and "▁" in text
    assert "\x1b[3" not in watched(site, ["status", "--watch"], 20, NO_COLOR="1")


def test_meters_are_drawn_over_themselves_while_they_are_watched(site):
    text = watched(site, ["read", "--watch"], 20)
    assert text.count("\x1b[H") >= 2
    assert "123456 Wh" in text


def test_the_page_shows_the_status_and_loads_nothing_from_elsewhere(site):
    ready(site)
    answer, body = get(site, "/")
    assert answer.status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "PEER-1" in body and "no car connected" in body
    assert "<script" not in body and "://" not in body
    assert re.findall(r'(?:src|href)="([^"]*)"', body) == ["/style.css", "/status.json", "/metrics"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_page_changes_nothing(site, method):
    ready(site)
    for path in ("/", "/status.json", "/metrics"):
        assert get(site, path, method=method)[0].status == 405


def test_the_page_answers_to_no_name_of_a_stranger(site):
    ready(site)
    assert get(site, "/status.json", host="evil.example")[0].status == 421
    assert get(site, "/status.json", host=f"localhost:{site.page}")[0].status == 200


def test_the_metrics_can_be_read_by_prometheus_and_are_all_documented(site):
    ready(site)
    answer, body = get(site, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(body)}
    samples = {sample.name for family in families.values() for sample in family.samples}
    energy = families["kerb_edge_meter_energy_joules"]
    assert energy.type == "counter"
    assert {sample.labels["connector"]: sample.value for sample in energy.samples} == {
        "1": 123456 * 3600.0, "2": 654321 * 3600.0}
    assert families["kerb_edge_link_up"].samples[0].value == 0
    assert all(family.documentation for family in families.values())
    page = subprocess.run(
        [str(BIN / "kerb-edge"), "help", "--man", "kerb-edge"], capture_output=True, text=True,
        env=ENVIRONMENT, check=True).stdout
    assert all(f"\\fB{name} (" in page for name in samples), samples


def test_no_token_is_shown_whole(site):
    ready(site)
    site.plug_in(1)
    edge(site, "token", TOKEN, "--connector", "1")
    until(lambda: "••••" in get(site, "/status.json")[1])
    for path in ("/", "/status.json", "/metrics"):
        assert TOKEN not in get(site, path)[1]
    site.unplug(1)


def test_a_fault_leaves_a_black_box_behind(site):
    ready(site)
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.control}/buses/meter-lan/units/1/fault", method="POST",
        data=b'{"kind": "silence"}')
    urllib.request.urlopen(request, timeout=5).close()
    folder = site.folder / "data" / "blackbox"

    # A busy machine may have left boxes of lesser occasions before.
    def of_a_fault():
        texts = [box.read_text() for box in folder.glob("*-connector-2.txt")]
        return [text.splitlines() for text in texts if '"status":"Faulted"' in text]

    lines = until(of_a_fault, seconds=60)[0]
    first = json.loads(lines[0])
    assert first["connector"] == 2 and "at" in first
    assert any("message=" in line for line in lines)
