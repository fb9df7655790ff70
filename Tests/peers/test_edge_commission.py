"""`kerb-edge commission` on a simulated cabinet: a person's hands are played by what it asks for."""
import json
import re
import subprocess
import threading
import time

import pytest

from edge_site import BIN, ENVIRONMENT, EdgeSite, free_port

TOKEN = "04AABBCCDDEE80"


def cabinet(folder, change=lambda text: text):
    site = EdgeSite(folder, csms_port=free_port())
    path = site.folder / "edge.yaml"
    path.write_text(change(path.read_text()) + "allowUnknownTokensOffline: true\n")
    site.start()
    deadline = time.monotonic() + 30
    while '"registerWh"' not in edge(site, "status", "--json").stdout:
        assert time.monotonic() < deadline, site.logs()
        time.sleep(0.1)
    return site


def edge(site, *words, path=None):
    return subprocess.run(
        [str(BIN / "kerb-edge"), *words, *(["--config", path or str(site.folder / "edge.yaml")])],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=120)


def commission(site, *words, swapped={}, answers=None):
    """Does with the vehicle what the command asks for; `answers` are a person's, else nobody is asked."""
    process = subprocess.Popen(
        [str(BIN / "kerb-edge"), "commission", "--config", str(site.folder / "edge.yaml"), "--token", TOKEN, "--by",
         "Test", *([] if answers else ["--yes"]), "--json", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    process.stdin.write(answers or "")
    process.stdin.close()
    timer = threading.Timer(150, process.kill)
    timer.start()
    said = []
    for line in process.stderr:
        said.append(line)
        load = re.match(r"connector (\d): let the vehicle draw on L(\d) alone", line)
        if load:
            phase = swapped.get(int(load.group(2)), int(load.group(2)))
            site.site("POST", f"/evses/EVSE-{load.group(1)}/load", {"phases": [phase]})
        wish = re.match(r"connector (\d): (plug the test vehicle in|unplug)", line)
        if wish:
            site.site("POST", f"/evses/EVSE-{wish.group(1)}/load", {})
            (site.plug_in if wish.group(2).startswith("plug") else site.unplug)(int(wish.group(1)))
    out = process.stdout.read()
    timer.cancel()
    return process.wait(), out, "".join(said)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = cabinet(tmp_path_factory.mktemp("commission"))
    yield site
    site.stop()


def test_a_fuse_that_is_not_the_configurations_is_refused_at_once(site):
    code, _, said = commission(site, "--fuse", "80")
    assert code == 2 and "site.fuseAmperes is 63" in said


@pytest.mark.parametrize("told, answer", [
    ("1=RST,2=STR", "connector 2 is STR, its `wiring` in the configuration is L2"),
    ("1=RST", "connector 2 is not told"),
    ("1=RST,2=L2,3=RST", "`3=RST` is no outlet with its wiring"),
    ("1=RST,1=RST,2=L2", "`1=RST` is no outlet with its wiring"),
    ("banana", "`banana` is no outlet with its wiring"),
])
def test_a_rotation_that_is_not_the_configurations_is_refused(site, told, answer):
    code, _, said = commission(site, "--fuse", "63", "--rotation", told)
    assert code == 2 and answer in said


@pytest.mark.parametrize("words, said", [
    (("--connector", "7"), "--connector 7: is none of this board's; give one of 1, 2"),
    (("--token", "04 A2"), '--token "04 A2": holds a blank; give 1 to 20')])
def test_a_slip_says_which_word_is_wrong(site, words, said):
    code, _, told = commission(site, "--fuse", "63", *words)
    assert code == 2 and said in told, told


def test_a_trip_that_nobody_made_is_not_believed(site):
    code, out, said = commission(site, "--fuse", "63", "--connector", "1", answers="y\ny\n")
    assert code == 7, said
    assert re.search(r"a person says it tripped, but its meter reads \d+ W", out), out
    assert not (site.folder / "data" / "commissioned.json").exists()


def test_wires_that_are_exchanged_are_found_phase_by_phase(site):
    code, out, said = commission(
        site, "--fuse", "63", "--connector", "1", "--phase-by-phase", swapped={1: 2, 2: 1})
    assert code == 7, said
    assert "its meter counts on L2 while L1 is loaded" in out


def test_a_good_cabinet_passes_and_its_fuse_is_locked(site, tmp_path):
    code, out, said = commission(site, "--fuse", "63", "--rotation", "1=RST,2=L2", "--phase-by-phase")
    assert code == 0, said
    record = json.loads(out)
    assert record["passed"] and record["fuseAmperes"] == 63 and record["phaseRotation"] == "1=RST,2=L2"
    found = {(one["connector"], one["step"]): one["found"] for one in record["steps"]}
    assert found[1, "wiring"].startswith("phase by phase at its own meter; RST as configured")
    assert found[2, "wiring"] == "L2 as configured, its meter tells no phases"
    steps = {(one["connector"], one["step"]) for one in record["steps"]}
    for step in ("relay", "meter", "phases", "residual current device", "stop"):
        assert {(1, step), (2, step)} <= steps
    assert "three" not in out and "L1 L2 L3" in out
    assert list((site.folder / "data" / "commissioning").glob("*.json"))
    # More than the fuse is refused from now on, less is not.
    for amperes, code in ((80, 2), (40, 0)):
        path = site.folder / f"edge-{amperes}.yaml"
        path.write_text((site.folder / "edge.yaml").read_text().replace(
            "fuseAmperes: 63", f"fuseAmperes: {amperes}"))
        done = subprocess.run(
            [str(BIN / "kerb-edge"), "config", "check", str(path)], capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == code, done.stderr
    rewired = site.folder / "edge-rewired.yaml"
    rewired.write_text((site.folder / "edge.yaml").read_text().replace("wiring: L2", "wiring: L3"))
    done = subprocess.run(
        [str(BIN / "kerb-edge"), "config", "check", str(rewired)], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 2
    assert "wiring of connector 2 is L3, commissioning locked L2; put it back; or `kerb-edge decommission`" in done.stderr
    site.kill_edge()
    assert "commissioning locked 63 A" in edge(site, "run", path=str(site.folder / "edge-80.yaml")).stderr
    # Taken back by name, the changed cabinet starts and waits to be commissioned.
    assert edge(site, "decommission", path=str(rewired)).returncode == 2
    assert edge(site, "decommission", "--by", "Test", path=str(rewired)).returncode == 0
    notes = [path for path in (site.folder / "data" / "commissioning").glob("*-decommissioned.json")]
    assert json.loads(notes[0].read_text())["by"] == "Test"
    assert subprocess.run(
        [str(BIN / "kerb-edge"), "config", "check", str(rewired)], capture_output=True, env=ENVIRONMENT).returncode == 0
    assert edge(site, "decommission", "--by", "Test", path=str(rewired)).returncode == 1


def test_swapped_meters_are_found_and_lock_nothing(tmp_path):
    def swap(text):
        first = "meter: {profile: sdm630, bus: meter-line, unit: 1}"
        second = "meter: {profile: sdm120, bus: meter-lan, unit: 1}"
        # A meter of one phase is warned of on three.
        return text.replace(first, "@").replace(second, first).replace("@", second + "\n    wiring: L1")

    site = cabinet(tmp_path, swap)
    try:
        code, out, said = commission(site, "--fuse", "63", "--connector", "1")
        assert code == 7, said
        assert "the meter of connector 2 counts instead" in out
        assert not (site.folder / "data" / "commissioned.json").exists()
    finally:
        site.stop()
