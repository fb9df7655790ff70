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


def commission(site, *words):
    """Does with the vehicle what the command asks for."""
    process = subprocess.Popen(
        [str(BIN / "kerb-edge"), "commission", "--config", str(site.folder / "edge.yaml"), "--token", TOKEN, "--by",
         "Test", "--yes", "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=ENVIRONMENT)
    timer = threading.Timer(150, process.kill)
    timer.start()
    said = []
    for line in process.stderr:
        said.append(line)
        wish = re.match(r"connector (\d): (plug the test vehicle in|unplug)", line)
        if wish:
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


def test_a_good_cabinet_passes_and_its_fuse_is_locked(site, tmp_path):
    code, out, said = commission(site, "--fuse", "63", "--rotation", "1=RST,2=STR")
    assert code == 0, said
    record = json.loads(out)
    assert record["passed"] and record["fuseAmperes"] == 63 and record["phaseRotation"] == "1=RST,2=STR"
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
    site.kill_edge()
    assert "commissioning locked 63 A" in edge(site, "run", path=str(site.folder / "edge-80.yaml")).stderr


def test_swapped_meters_are_found_and_lock_nothing(tmp_path):
    def swap(text):
        first = "meter: {profile: sdm630, bus: meter-line, unit: 1}"
        second = "meter: {profile: sdm120, bus: meter-lan, unit: 1}"
        return text.replace(first, "@").replace(second, first).replace("@", second)

    site = cabinet(tmp_path, swap)
    try:
        code, out, said = commission(site, "--fuse", "63", "--connector", "1")
        assert code == 7, said
        assert "the meter of connector 2 counts instead" in out
        assert not (site.folder / "data" / "commissioned.json").exists()
    finally:
        site.stop()
